//! Random cases to which things happen, and what they should come to by now.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use recoup::domain::case::{Birth, CampaignRef, Case, FirstDecline, State, Timers};
use recoup::domain::command::LateKind;
use recoup::domain::decline::{Decline, DeclineKind, Disposition};
use recoup::domain::ids::{NotificationId, TransferId};
use recoup::domain::ledger::{Account, Transfer, TransferKind};
use recoup::domain::money::Money;
use recoup::domain::outcome::{ExhaustedReason, ExhaustedThen, Outcome, RecoveredBy, StoppedWhy};
use recoup::domain::report::{By, Cohort, Counts};
use recoup::store::Store;
use recoup::store::changes::{RowWrite, Written};
use sea_orm::ConnectionTrait;

use crate::store::samples::{bare, case, write};

/// A case as it should be counted.
pub struct Known {
    pub case: Case,
    pub counts: Counts,
    /// The message that had left within the week before it closed.
    pub message: Option<&'static str>,
}

/// What is done to cases, and what they should come to by now.
pub struct Town {
    pub dice: SmallRng,
    pub cases: Vec<Known>,
}

fn outcome(dice: &mut SmallRng) -> Outcome {
    *[
        Outcome::Recovered { by: RecoveredBy::Retry },
        Outcome::Recovered {
            by: RecoveredBy::CardUpdate,
        },
        Outcome::Exhausted {
            reason: ExhaustedReason::AttemptsSpent,
            then: ExhaustedThen::Cancelled,
        },
        Outcome::Stopped {
            why: StoppedWhy::CustomerCancelled,
        },
    ]
    .choose(dice)
    .unwrap()
}

impl Town {
    pub fn new(seed: u64) -> Self {
        println!("seed {seed}");
        Self {
            dice: SmallRng::seed_from_u64(seed),
            cases: Vec::new(),
        }
    }

    fn decline(&mut self) -> Decline {
        let (kind, disposition) = *[
            (DeclineKind::InsufficientFunds, Disposition::Retry),
            (DeclineKind::LostStolen, Disposition::Never),
            (DeclineKind::Expired, Disposition::FixData),
        ]
        .choose(&mut self.dice)
        .unwrap();
        Decline {
            kind,
            disposition,
            provider_code: self.dice.random_bool(0.7).then(|| kind.to_string()),
            network_code: None,
            advice_code: None,
        }
    }

    fn maybe(&mut self, words: &[&str]) -> Option<String> {
        let word = (*words.choose(&mut self.dice).unwrap()).to_owned();
        self.dice.random_bool(0.8).then_some(word)
    }

    pub fn new_case(&mut self) -> Case {
        let number = u32::try_from(self.cases.len()).unwrap() + 1;
        let start: Timestamp = "2026-01-05T00:00:00Z".parse().unwrap();
        let opened_at = start + SignedDuration::from_secs(self.dice.random_range(0..150 * 86_400));
        let decline = self.decline();
        let zone = *["UTC", "Asia/Tokyo", "America/Los_Angeles"]
            .choose(&mut self.dice)
            .unwrap();
        let tz = jiff::tz::TimeZone::get(zone).unwrap();
        let currency = (*["EUR", "USD", "JPY"].choose(&mut self.dice).unwrap())
            .parse()
            .unwrap();
        Case {
            amount_due: Money::new(self.dice.random_range(0..150_000), currency),
            opened_at,
            birth: Birth {
                zone: Some(zone.to_owned()),
                day: Some(tz.to_datetime(opened_at).date()),
                first: Some(FirstDecline::of(&decline)),
                network: self.maybe(&["visa", "mastercard"]),
                country: self.maybe(&["DE", "FR", "US"]),
                funding: self.maybe(&["credit", "debit"]),
                plan: self.maybe(&["Team plan", "Solo"]),
                tenure_days: self.dice.random_bool(0.8).then(|| self.dice.random_range(0..2000)),
                monthly_minor: self.dice.random_bool(0.8).then_some(990),
            },
            decline,
            ..case(number)
        }
    }

    pub async fn open(&mut self, store: &Store) {
        let case = self.new_case();
        let change = bare(&case, case.opened_at);
        write(store, Written::Opened(Box::new(change))).await.unwrap();
        let counts = Counts {
            cases: 1,
            amount_minor: case.amount_due.amount_minor,
            monthly_minor: case.birth.monthly_minor.unwrap_or(0),
            ..Counts::default()
        };
        self.cases.push(Known {
            case,
            counts,
            message: None,
        });
    }

    /// Something happens to one of the cases.
    pub async fn live(&mut self, store: &Store) {
        let nth = self.dice.random_range(0..self.cases.len());
        let mut case = self.cases[nth].case.clone();
        let mut counts = self.cases[nth].counts;
        let at = case.opened_at + SignedDuration::from_secs(self.dice.random_range(0..40 * 86_400));
        let mut rows = Vec::new();
        if case.closed_at.is_some() {
            let kind = *LateKind::ALL.choose(&mut self.dice).unwrap();
            let minor = self.dice.random_range(1..9_000);
            rows.push(RowWrite::BookLate(kind, Money::new(minor, case.amount_due.currency)));
            match kind {
                LateKind::LateRecovery => {
                    counts.late_payments += 1;
                    counts.late_minor += minor;
                }
                LateKind::Refund | LateKind::Dispute => {
                    counts.reversals += 1;
                    counts.reversed_minor += minor;
                }
            }
        } else {
            match self.dice.random_range(0..5) {
                0 => case.decline = self.decline(),
                1 => {
                    case.amount_due.amount_minor = self.dice.random_range(0..150_000);
                    counts.amount_minor = case.amount_due.amount_minor;
                }
                2 => {
                    case.campaign = CampaignRef {
                        name: "default".to_owned(),
                        version: self.dice.random_range(1..4),
                    }
                }
                3 => case.attempts += 1,
                _ => {
                    let outcome = outcome(&mut self.dice);
                    case.state = State::Closed { outcome };
                    case.closed_at = Some(at);
                    case.timers = Timers::default();
                    self.cases[nth].message = self.write_to(store, &case, at).await;
                    if matches!(outcome, Outcome::Recovered { .. }) {
                        let minor = self.dice.random_range(1..150_000);
                        counts.recovered_minor += minor;
                        rows.push(paid(&case, minor));
                    }
                }
            }
        }
        if case.closed_at.is_some() {
            case.attempts += self.dice.random_range(0..2);
            counts.attempts = case.attempts.into();
            counts.messages = case.notifications.into();
        }
        let mut change = bare(&case, at);
        change.rows = rows;
        write(store, Written::Changed(Box::new(change))).await.unwrap();
        self.cases[nth].case = case;
        self.cases[nth].counts = counts;
    }

    /// A message left some time before the case closes at `at`; says which, where that was less than a week before.
    async fn write_to(&mut self, store: &Store, case: &Case, at: Timestamp) -> Option<&'static str> {
        let message = *["payment_failed", "reminder"].choose(&mut self.dice).unwrap();
        let ago = SignedDuration::from_hours(self.dice.random_range(0..14 * 24));
        let sent = (at - ago).as_millisecond();
        let id = NotificationId::new(sent, recoup::clock::entropy());
        let sql = format!(
            "INSERT INTO notifications (id, connection, case_id, message, step, status, queued_at, next_at, ended_at) \
             VALUES ('{id}', 'stripe', '{}', '{message}', 'first', 'sent', {sent}, {sent}, {sent})",
            case.id
        );
        store.conn().execute_unprepared(&sql).await.unwrap();
        (ago <= SignedDuration::from_hours(7 * 24)).then_some(message)
    }

    /// What the report should be split into, by a look at every case.
    pub fn expect(&self, days: [Date; 2], by: By, cohort: Cohort) -> BTreeMap<String, Counts> {
        let mut sums: BTreeMap<String, Counts> = BTreeMap::new();
        for known @ Known { case, counts, .. } in &self.cases {
            let day = case.birth.day.unwrap();
            if !(days[0]..days[1]).contains(&day) {
                continue;
            }
            let cohort = match cohort {
                Cohort::Month => day.first_of_month(),
                Cohort::Week | Cohort::Day => day,
            };
            let place = format!(
                "{cohort} {} {} {:?}",
                value(known, by),
                case.amount_due.currency,
                case.outcome()
            );
            add(sums.entry(place).or_default(), counts);
        }
        sums
    }
}

fn paid(case: &Case, minor: i64) -> RowWrite {
    let transfer = Transfer {
        kind: TransferKind::Payment,
        debit: Account::ProviderClearing,
        credit: Account::Receivable,
        amount: Money::new(minor, case.amount_due.currency),
        reference: None,
        is_charge: false,
    };
    RowWrite::Book(TransferId::new(0, recoup::clock::entropy()), transfer)
}

pub fn add(sum: &mut Counts, more: &Counts) {
    sum.cases += more.cases;
    sum.amount_minor += more.amount_minor;
    sum.recovered_minor += more.recovered_minor;
    sum.late_payments += more.late_payments;
    sum.late_minor += more.late_minor;
    sum.reversals += more.reversals;
    sum.reversed_minor += more.reversed_minor;
    sum.monthly_minor += more.monthly_minor;
    sum.attempts += more.attempts;
    sum.messages += more.messages;
}

fn word<T: Default + ToString>(word: Option<T>) -> String {
    word.map(|word| word.to_string()).unwrap_or_default()
}

fn value(Known { case, message, .. }: &Known, by: By) -> String {
    let birth = &case.birth;
    let zone = jiff::tz::TimeZone::get(&case.zone).unwrap();
    let is_recovered = matches!(case.outcome(), Some(Outcome::Recovered { .. }));
    let recovered = case.closed_at.filter(|_| is_recovered).map(|at| at.to_zoned(zone));
    let first = birth.first.as_ref().unwrap();
    let band = |edges: &[i64], number: i64| {
        let above = edges.iter().rposition(|edge| number >= *edge).unwrap();
        match edges.get(above + 1) {
            Some(next) => format!("{}-{}", edges[above], next - 1),
            None => format!("{}+", edges[above]),
        }
    };
    match by {
        By::None | By::Connection | By::Outcome | By::Arm => String::new(),
        By::DeclineKind => first.kind.to_string(),
        By::DeclineCode => first.code.clone().unwrap_or_default(),
        By::Network => birth.network.clone().unwrap_or_default(),
        By::Country => birth.country.clone().unwrap_or_default(),
        By::Funding => birth.funding.clone().unwrap_or_default(),
        By::Plan => birth.plan.clone().unwrap_or_default(),
        By::Amount => {
            let edges = [0, 1_000, 2_500, 5_000, 10_000, 25_000, 100_000];
            band(&edges, case.amount_due.amount_minor)
        }
        By::Tenure => {
            let tenure = birth.tenure_days.map(|days| band(&[0, 30, 90, 365, 1_095], days));
            tenure.unwrap_or_default()
        }
        By::Campaign => format!("{} v{}", case.campaign.name, case.campaign.version),
        By::Collector => case.collector.to_string(),
        By::Message => word(case.closed_at.and(*message)),
        By::Step => word(case.closed_at.and(*message).map(|_| "first")),
        By::Attempt => word(recovered.map(|_| case.attempts.to_string())),
        By::Weekday => word(recovered.map(|at| at.strftime("%u").to_string())),
        By::Hour => word(recovered.map(|at| at.strftime("%H").to_string())),
    }
}
