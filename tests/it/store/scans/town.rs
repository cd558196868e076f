//! Random cases with all that reports look at, and what each of them should count as.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use recoup::clock::entropy;
use recoup::domain::case::{Birth, Case, State, Timers};
use recoup::domain::command::{EntryKind, LateKind};
use recoup::domain::ids::{AttemptId, NotificationId, TransferId};
use recoup::domain::ledger::{Account, Transfer, TransferKind};
use recoup::domain::message::Message;
use recoup::domain::money::{Currency, Money};
use recoup::domain::outcome::{ExhaustedReason, ExhaustedThen, Outcome, RecoveredBy, StoppedWhy};
use recoup::domain::report::By;
use recoup::domain::report::funnel::Stage;
use recoup::store::changes::{RowWrite, Written};
use recoup::store::{Store, funnel};
use sea_orm::ConnectionTrait;

use super::DAYS;
use crate::store::ledger::lines;
use crate::store::samples::{append, bare, case, write};

const CURRENCIES: [&str; 3] = ["EUR", "USD", "JPY"];
const STATUSES: [&str; 6] = [
    "succeeded",
    "declined",
    "not_sent",
    "not_needed",
    "not_charged",
    "unresolved",
];

/// An attempt: when, which, how it ended, and its amount.
type Made = (Timestamp, AttemptId, &'static str, i64);

/// A case, and what was done about it.
pub struct Known {
    pub case: Case,
    pub paid: i64,
    pub back: i64,
    pub attempts: Vec<Made>,
    pub messages: Vec<(Message, &'static str, Timestamp)>,
    pub clicked: Option<Timestamp>,
    pub changed: Option<Timestamp>,
}

impl Known {
    pub fn is_recovered(&self) -> bool {
        matches!(self.case.outcome(), Some(Outcome::Recovered { .. }))
    }

    pub fn is_open(&self) -> bool {
        self.case.closed_at.is_none()
    }

    pub fn day(&self) -> Date {
        self.case.birth.day.unwrap()
    }

    pub fn value(&self, by: By) -> String {
        let birth = &self.case.birth;
        match by {
            By::Connection => self.case.connection.clone(),
            By::Outcome => match self.case.outcome() {
                None => "open".to_owned(),
                Some(outcome) => outcome.status().to_string(),
            },
            By::DeclineKind => birth.first.as_ref().unwrap().kind.to_string(),
            By::Network => birth.network.clone().unwrap_or_default(),
            _ => String::new(),
        }
    }

    /// The first instant of those that are known, where it came before the end.
    fn in_time(&self, at: Option<Timestamp>) -> bool {
        at.is_some_and(|at| self.case.closed_at.is_none_or(|end| at <= end))
    }

    fn first_message(&self, statuses: &[&str]) -> Option<Timestamp> {
        let asks = self.messages.iter().filter(|(message, ..)| message.is_reminder());
        asks.filter(|(_, status, _)| statuses.contains(status))
            .map(|(.., at)| *at)
            .min()
    }

    pub fn stages(&self) -> Vec<Stage> {
        let left = self.first_message(&["sent", "failed", "unknown"]);
        let mut stages = Vec::new();
        if self.is_recovered() && !self.in_time(left) {
            stages.push(Stage::RecoveredSilently);
        }
        for (stage, at) in [
            (Stage::WrittenTo, left),
            (Stage::Delivered, self.first_message(&["sent"])),
            (Stage::Clicked, self.clicked),
            (Stage::CardChanged, self.changed),
        ] {
            if self.in_time(at) {
                stages.push(stage);
            }
        }
        if self.is_recovered() {
            stages.push(Stage::Paid);
        }
        stages
    }
}

pub struct Town {
    dice: SmallRng,
    pub cases: Vec<Known>,
}

impl Town {
    /// An instant within so many days.
    fn after(&mut self, at: Timestamp, days: i64) -> Timestamp {
        at + SignedDuration::from_secs(self.dice.random_range(0..days * 86_400))
    }

    fn outcome(&mut self) -> Option<Outcome> {
        let recovered = Outcome::Recovered { by: RecoveredBy::Retry };
        let exhausted = Outcome::Exhausted {
            reason: ExhaustedReason::AttemptsSpent,
            then: ExhaustedThen::Cancelled,
        };
        let why = StoppedWhy::Staff;
        *[
            Some(recovered),
            Some(recovered),
            Some(exhausted),
            Some(Outcome::Stopped { why }),
            None,
        ]
        .choose(&mut self.dice)
        .unwrap()
    }

    async fn live(&mut self, store: &Store) {
        let number = u32::try_from(self.cases.len()).unwrap() + 1;
        let opened_at = self.after("2026-01-25T00:00:00Z".parse().unwrap(), 100);
        let zone = *["UTC", "Asia/Tokyo", "America/Los_Angeles"]
            .choose(&mut self.dice)
            .unwrap();
        let day = jiff::tz::TimeZone::get(zone).unwrap().to_datetime(opened_at).date();
        let currency: Currency = CURRENCIES.choose(&mut self.dice).unwrap().parse().unwrap();
        let sample = case(number);
        let mut case = Case {
            customer_id: format!("cus_{}", self.dice.random_range(0..25)),
            connection: (*["stripe", "other"].choose(&mut self.dice).unwrap()).to_owned(),
            amount_due: Money::new(self.dice.random_range(0..20_000), currency),
            opened_at,
            attempts: 0,
            birth: Birth {
                zone: Some(zone.to_owned()),
                day: Some(day),
                network: self.dice.random_bool(0.7).then(|| "visa".to_owned()),
                ..sample.birth.clone()
            },
            ..sample
        };
        let opened = bare(&case, opened_at);
        write(store, Written::Opened(Box::new(opened))).await.unwrap();
        let attempts = self.charge(store, &mut case).await;
        let charged = bare(&case, opened_at);
        write(store, Written::Changed(Box::new(charged))).await.unwrap();
        let mut known = Known {
            messages: Vec::new(),
            clicked: None,
            changed: None,
            paid: 0,
            back: 0,
            attempts,
            case,
        };
        if let Some(outcome) = self.outcome() {
            self.close(store, &mut known, outcome).await;
        }
        self.write_to(store, &mut known).await;
        self.cases.push(known);
    }

    async fn charge(&mut self, store: &Store, case: &mut Case) -> Vec<Made> {
        let mut attempts = Vec::new();
        for _ in 0..self.dice.random_range(0..5) {
            let at = self.after(case.opened_at, 20);
            let status = *STATUSES.choose(&mut self.dice).unwrap();
            let minor = self.dice.random_range(1..5_000);
            let id = AttemptId::new(at.as_millisecond(), entropy());
            let ms = at.as_millisecond();
            let sql = format!(
                "INSERT INTO attempts (id, connection, case_id, origin, status, amount_minor, currency, started_at, ended_at) \
                 VALUES ('{id}', '{}', '{}', 'us', '{status}', {minor}, '{}', {ms}, {ms})",
                case.connection, case.id, case.amount_due.currency
            );
            store.conn().execute_unprepared(&sql).await.unwrap();
            if !["not_sent", "not_needed"].contains(&status) {
                case.attempts += 1;
            }
            attempts.push((at, id, status, minor));
        }
        attempts
    }

    async fn close(&mut self, store: &Store, known: &mut Known, outcome: Outcome) {
        let at = self.after(known.case.opened_at, 40);
        let currency = known.case.amount_due.currency;
        known.case.state = State::Closed { outcome };
        known.case.closed_at = Some(at);
        known.case.timers = Timers::default();
        let mut change = bare(&known.case, at);
        if known.is_recovered() {
            known.paid = self.dice.random_range(1..20_000);
            let transfer = Transfer {
                kind: TransferKind::Payment,
                debit: Account::ProviderClearing,
                credit: Account::Receivable,
                amount: Money::new(known.paid, currency),
                reference: None,
                is_charge: false,
            };
            change.rows = vec![RowWrite::Book(TransferId::new(0, entropy()), transfer)];
        }
        write(store, Written::Changed(Box::new(change))).await.unwrap();
        if known.is_recovered() && self.dice.random_bool(0.3) {
            known.back = self.dice.random_range(1..known.paid + 1);
            let mut change = bare(&known.case, at);
            change.rows = vec![RowWrite::BookLate(LateKind::Refund, Money::new(known.back, currency))];
            write(store, Written::Changed(Box::new(change))).await.unwrap();
        }
    }

    /// Messages leave, some come back; the customer clicks and changes the card, before or after the end.
    async fn write_to(&mut self, store: &Store, known: &mut Known) {
        let opened_at = known.case.opened_at;
        for step in 0..self.dice.random_range(0..4) {
            let message = *Message::ALL.choose(&mut self.dice).unwrap();
            let at = self.after(opened_at, 30);
            let id = NotificationId::new(at.as_millisecond(), entropy());
            let ms = at.as_millisecond();
            let sql = format!(
                "INSERT INTO notifications (id, connection, case_id, message, step, status, queued_at, next_at, recipient) \
                 VALUES ('{id}', 'stripe', '{}', '{message}', '{step}', 'pending', {ms}, {ms}, 'a@b.example')",
                known.case.id
            );
            store.conn().execute_unprepared(&sql).await.unwrap();
            let mut status = *["sent", "sent", "kept", "unknown", "superseded", "failed"]
                .choose(&mut self.dice)
                .unwrap();
            end(store, &id, status, ms).await;
            if status == "sent" && self.dice.random_bool(0.3) {
                status = "failed";
                end(store, &id, status, ms).await;
            }
            known.messages.push((message, status, at));
        }
        for _ in 0..self.dice.random_range(0..3) {
            let at = self.after(opened_at, 30);
            // The first one that is told counts, whichever came first: they come in the order of their time.
            let at = known.clicked.map_or(at, |before| at.max(before));
            funnel::clicked(store, &known.case.id, at).await.unwrap();
            known.clicked.get_or_insert(at);
        }
        if self.dice.random_bool(0.4) {
            let at = self.after(opened_at, 30);
            let mut line = lines(&["changed"]).remove(0);
            line.entry.kind = EntryKind::MethodChanged;
            let tx = store.begin().await.unwrap();
            append(&tx, &known.case.id, &[line], at).await.unwrap();
            tx.commit().await.unwrap();
            known.changed = Some(at);
        }
    }

    pub fn in_span(&self) -> impl Iterator<Item = &Known> {
        self.within(DAYS)
    }

    pub fn within(&self, [from, to]: [Date; 2]) -> impl Iterator<Item = &Known> {
        self.cases.iter().filter(move |known| (from..to).contains(&known.day()))
    }

    /// More cases come, and some of those that are open end.
    pub async fn grow(&mut self, store: &Store, cases: usize) {
        for nth in 0..self.cases.len() {
            if self.cases[nth].is_open() && self.dice.random_bool(0.5) {
                let mut known = self.cases.swap_remove(nth);
                if let Some(outcome) = self.outcome() {
                    self.close(store, &mut known, outcome).await;
                }
                self.cases.push(known);
            }
        }
        for _ in 0..cases {
            self.live(store).await;
        }
    }
}

async fn end(store: &Store, id: &NotificationId, status: &str, ms: i64) {
    let sql = format!("UPDATE notifications SET status = '{status}', ended_at = {ms} WHERE id = '{id}'");
    store.conn().execute_unprepared(&sql).await.unwrap();
}

pub async fn town(store: &Store, seed: u64, cases: usize) -> Town {
    println!("seed {seed}");
    let mut town = Town {
        dice: SmallRng::seed_from_u64(seed),
        cases: Vec::new(),
    };
    for _ in 0..cases {
        town.live(store).await;
    }
    town
}
