//! One case on a desk: events go in, the calendar of what follows comes out.

use std::sync::LazyLock;

use jiff::Timestamp;
use recoup::domain::calendar::{secs_from, zone};
use recoup::domain::campaign::Campaign;
use recoup::domain::case::{Case, Collector, OpenAttempt, State};
use recoup::domain::ceiling::{Grounds, Rules};
use recoup::domain::command::{AttemptStatus, Change, Command, Decision, Moment, Reason};
use recoup::domain::decide::{decide, open};
use recoup::domain::decline::{Decline, DeclineKind, Disposition};
use recoup::domain::event::{Answer, Event, LookCause, Opening, StaffAction};
use recoup::domain::ids::{AttemptId, CaseId};
use recoup::domain::instrument::{Funding, History, Instrument};
use recoup::domain::learning::Learned;
use recoup::domain::money::Money;
use recoup::domain::network::Network;
use recoup::domain::snapshot::{
    CustomerSeen, InvoiceStatus, MethodSeen, PaymentSeen, PaymentStatus, Snapshot, SubscriptionSeen,
    SubscriptionStatus, Traits,
};
use recoup::providers::stripe::declines::TABLE;

use crate::support::campaigns::days;

/// 0.8 of a day.
pub const RESEND_SECS: i64 = 69_120;
pub const HOUR: i64 = 3600;
pub const DAY: i64 = 24 * HOUR;

pub struct Desk {
    pub case: Case,
    pub now: Timestamp,
    /// What the provider says when it is asked.
    pub truth: Snapshot,
    pub campaign: Campaign,
    pub calendar: Vec<String>,
    pub last: Vec<Command>,
    pub resend_secs: i64,
    /// What was tried on the cards of the case.
    pub history: History,
    attempts: u128,
}

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub fn eur(minor: i64) -> Money {
    Money::new(minor, "EUR".parse().unwrap())
}

pub fn disposition(kind: DeclineKind) -> Disposition {
    match kind {
        DeclineKind::InsufficientFunds | DeclineKind::Limit | DeclineKind::DoNotHonor | DeclineKind::IssuerDown => {
            Disposition::Retry
        }
        DeclineKind::Expired | DeclineKind::InvalidAccount => Disposition::FixData,
        DeclineKind::LostStolen | DeclineKind::Fraud | DeclineKind::NotPermitted | DeclineKind::Revoked => {
            Disposition::Never
        }
        DeclineKind::AuthenticationRequired => Disposition::CustomerAction,
        DeclineKind::MerchantConfig => Disposition::Merchant,
    }
}

/// A code that the provider gives for declines of the kind.
pub fn code(kind: DeclineKind) -> &'static str {
    match kind {
        DeclineKind::InsufficientFunds => "insufficient_funds",
        DeclineKind::Limit => "card_velocity_exceeded",
        DeclineKind::DoNotHonor => "do_not_honor",
        DeclineKind::IssuerDown => "processing_error",
        DeclineKind::Expired => "expired_card",
        DeclineKind::InvalidAccount => "incorrect_number",
        DeclineKind::LostStolen => "lost_card",
        DeclineKind::Fraud => "fraudulent",
        DeclineKind::NotPermitted => "not_permitted",
        DeclineKind::AuthenticationRequired => "authentication_required",
        DeclineKind::Revoked => "stop_payment_order",
        DeclineKind::MerchantConfig => "invalid_amount",
    }
}

/// What the ceiling judges by.
pub fn grounds() -> Grounds<'static> {
    static NOTHING: LazyLock<Learned> = LazyLock::new(Learned::nothing);
    static RULES: LazyLock<Rules> = LazyLock::new(Rules::embedded);
    static UNTRIED: LazyLock<History> = LazyLock::new(History::default);
    Grounds {
        codes: &TABLE,
        learned: &NOTHING,
        rules: &RULES,
        history: &UNTRIED,
    }
}

pub fn decline(kind: DeclineKind) -> Decline {
    Decline {
        kind,
        disposition: disposition(kind),
        provider_code: Some(code(kind).to_owned()),
        network_code: Some("05".to_owned()),
        advice_code: None,
    }
}

/// A charge that failed, of the card `pm_1` with the fingerprint `fp_1`.
pub fn failed(charge: &str, kind: DeclineKind, charged_at: Timestamp) -> PaymentSeen {
    PaymentSeen {
        charge_id: Some(charge.to_owned()),
        payment_id: Some("pi_1".to_owned()),
        status: PaymentStatus::Failed,
        charged_at: Some(charged_at),
        decline: Some(decline(kind)),
        payment_method: Some("pm_1".to_owned()),
        fingerprint: Some("fp_1".to_owned()),
        instrument: Some(visa("fp_1")),
        card: None,
        disputed: false,
        refunded_minor: 0,
    }
}

pub fn subscription() -> SubscriptionSeen {
    SubscriptionSeen {
        status: SubscriptionStatus::PastDue,
        canceled_at: None,
        cancel_at_period_end: false,
        cancel_reason: None,
        collection_paused: false,
    }
}

pub fn snapshot(kind: DeclineKind, charged_at: Timestamp) -> Snapshot {
    Snapshot {
        invoice_id: "in_1".to_owned(),
        customer_id: "cus_1".to_owned(),
        subscription_id: Some("sub_1".to_owned()),
        status: InvoiceStatus::Open,
        amount_remaining: eur(1999),
        amount_paid: eur(0),
        paid_at: None,
        paid_out_of_band: false,
        automatic: true,
        attempted: true,
        provider_next_attempt_at: None,
        pay_url: None,
        description: None,
        payment: Some(failed("ch_1", kind, charged_at)),
        subscription: Some(subscription()),
        customer: CustomerSeen {
            email: Some("ada@example.com".to_owned()),
            ..CustomerSeen::default()
        },
        default_method: Some(method("pm_1", Some("fp_1"))),
        traits: Traits::default(),
    }
}

/// A card of Visa.
pub fn visa(key: &str) -> Instrument {
    Instrument {
        key: key.to_owned(),
        network: Network::Visa,
        country: Some("DE".to_owned()),
        funding: Some(Funding::Credit),
        bank: None,
    }
}

/// A payment method as a look shows it.
pub fn method(id: &str, fingerprint: Option<&str>) -> MethodSeen {
    MethodSeen {
        id: id.to_owned(),
        fingerprint: fingerprint.map(str::to_owned),
        instrument: Some(visa(fingerprint.unwrap_or(id))),
    }
}

impl Desk {
    /// A case of a charge that failed at `now`.
    pub fn open(kind: DeclineKind, zone_name: &str, now: &str) -> Self {
        Self::open_with(kind, zone_name, at(now), Collector::Us, |_| {})
    }

    pub fn open_with(
        kind: DeclineKind,
        zone_name: &str,
        now: Timestamp,
        collector: Collector,
        alter: impl FnOnce(&mut Snapshot),
    ) -> Self {
        Self::open_by(days(), (kind, zone_name, now), collector, alter)
    }

    /// The same by a campaign of its own.
    pub fn open_by(
        campaign: Campaign,
        (kind, zone_name, now): (DeclineKind, &str, Timestamp),
        collector: Collector,
        alter: impl FnOnce(&mut Snapshot),
    ) -> Self {
        let mut truth = snapshot(kind, now);
        alter(&mut truth);
        let opening = Opening {
            connection: "stripe".to_owned(),
            collector,
            default_zone: zone_name.to_owned(),
        };
        let fresh = AttemptId::new(0, 0);
        let moment = Moment {
            now,
            campaign: &campaign,
            shadow: None,
            fresh_attempt: &fresh,
            grounds: grounds(),
            resend_secs: RESEND_SECS,
        };
        let change = open(CaseId::new(0, 1), &opening, &truth, &moment).unwrap();
        let mut history = History::default();
        history.know(change.case.instrument().key);
        history.take(&change.case, &change.commands, now);
        Self {
            case: change.case,
            now,
            truth,
            campaign,
            calendar: Vec::new(),
            last: change.commands,
            resend_secs: RESEND_SECS,
            history,
            attempts: 0,
        }
    }

    pub fn decide(&mut self, event: &Event) -> Decision {
        self.attempts += 1;
        let fresh = AttemptId::new(self.now.as_millisecond(), self.attempts);
        let moment = Moment {
            now: self.now,
            campaign: &self.campaign,
            shadow: None,
            fresh_attempt: &fresh,
            grounds: Grounds {
                history: &self.history,
                ..grounds()
            },
            resend_secs: self.resend_secs,
        };
        decide(&self.case, event, &moment)
    }

    /// Brings an event to the case and writes down what follows; says why where nothing does.
    pub fn tell(&mut self, event: &Event) -> Result<(), Reason> {
        match self.decide(event) {
            Decision::Changed(change) => {
                let refused = change.refused;
                self.take(*change);
                refused.map_or(Ok(()), |refusal| Err(refusal.reason))
            }
            Decision::Ignored(reason) => Err(reason),
        }
    }

    pub fn take(&mut self, change: Change) {
        let was_open = self.case.outcome().is_none();
        self.history.know(change.case.instrument().key);
        self.history.take(&change.case, &change.commands, self.now);
        self.case = change.case;
        for command in &change.commands {
            let line = match command {
                Command::OpenAttempt { attempt, .. } => {
                    let method = attempt.payment_method.as_deref().unwrap_or("default");
                    format!("charge {} {method}", attempt.trigger)
                }
                Command::Resend { .. } => "resend".to_owned(),
                Command::Notify { message, due_at, .. } if *due_at > self.now => format!("later {message}"),
                Command::Notify { message, .. } => format!("notify {message}"),
                Command::TellStaff { message, .. } => format!("tell {message}"),
                Command::Finish => "finish".to_owned(),
                Command::BookLate { kind, amount } => format!("book {kind} {}", amount.amount_minor),
                Command::WinBack { subscription_id, .. } => format!("won back by {subscription_id}"),
                Command::OpenReversal => "open reversal".to_owned(),
                Command::NamePayment { charge_id, .. } => format!("name {charge_id}"),
                Command::BookOverpayment { amount, .. } => format!("overpaid {}", amount.amount_minor),
                Command::RecordAttempt { origin, .. } => format!("seen {origin}"),
                Command::CloseAttempt { status, .. } if *status != AttemptStatus::Declined => {
                    format!("closed {status}")
                }
                Command::Block { rule, .. } => format!("blocked {rule}"),
                Command::CloseAttempt { .. }
                | Command::SupersedeNotices { .. }
                | Command::Learn(_)
                | Command::Shadow(_) => continue,
            };
            self.write(&line);
        }
        if let State::Closed { outcome } = &self.case.state
            && was_open
        {
            self.write(&format!("{}", serde_json::to_value(outcome).unwrap()));
        }
        self.last = change.commands;
    }

    fn write(&mut self, line: &str) {
        let local = zone(&self.case.zone).to_datetime(self.now);
        self.calendar.push(format!("{} {line}", local.strftime("%m-%d %H:%M")));
    }

    /// The provider's truth, told by a webhook.
    pub fn hint(&mut self) -> Result<(), Reason> {
        let event = self.looked(LookCause::Hint);
        self.tell(&event)
    }

    /// The case is due: its time comes, and the invoice is read.
    pub fn due(&mut self) -> Result<(), Reason> {
        self.now = self.case.next_action().unwrap().at.max(self.now);
        let event = self.looked(LookCause::Due);
        self.tell(&event)
    }

    fn looked(&self, cause: LookCause) -> Event {
        Event::Looked {
            snapshot: Box::new(self.truth.clone()),
            cause,
        }
    }

    /// Answers the open attempt.
    pub fn answer(&mut self, answer: Answer) -> Result<(), Reason> {
        let attempt = self.case.open_attempt().unwrap().id.clone();
        self.tell(&Event::Answered { attempt, answer })
    }

    pub fn declines(&mut self, kind: DeclineKind, method: Option<&str>) {
        let answer = Answer::Declined {
            decline: decline(kind),
            charge_id: Some(format!("ch_{}", self.attempts + 1)),
            payment_method: method.map(str::to_owned),
            fingerprint: None,
            card: None,
            instrument: None,
        };
        self.answer(answer).unwrap();
    }

    pub fn attempt(&self) -> OpenAttempt {
        self.case.open_attempt().unwrap().clone()
    }

    pub fn later(&mut self, secs: i64) {
        self.now = secs_from(self.now, secs);
    }

    /// The next thing that is due, and what became of it: each charge is declined alike, each final action succeeds.
    pub fn step(&mut self, kind: DeclineKind) {
        self.due().unwrap();
        let sent = |command: &Command| matches!(command, Command::OpenAttempt { .. } | Command::Resend { .. });
        if self.last.iter().any(sent) {
            let method = self
                .attempt()
                .payment_method
                .or(self.case.memory.charged_method.clone());
            self.declines(kind, method.as_deref());
        } else if self.last.contains(&Command::Finish) {
            self.tell(&Event::Finished).unwrap();
        }
    }

    /// Plays the case to its end; it must come within `steps` steps.
    pub fn play(&mut self, kind: DeclineKind, steps: u32) {
        for _ in 0..steps {
            if self.case.outcome().is_some() {
                return;
            }
            self.step(kind);
        }
        assert!(self.case.outcome().is_some(), "no end: {:#?}", self.case);
    }

    /// Plays on until just before `until`.
    pub fn play_until(&mut self, kind: DeclineKind, until: &str) {
        while self.case.next_action().is_some_and(|next| next.at < at(until)) {
            self.step(kind);
        }
        self.now = at(until);
    }

    pub fn staff(&mut self, action: StaffAction) -> Result<(), Reason> {
        self.tell(&Event::Staff {
            action,
            actor: "eve".to_owned(),
            comment: None,
        })
    }

    pub fn new_card(&mut self, method: &str, fingerprint: &str, renewed: bool) -> Result<(), Reason> {
        self.tell(&Event::MethodChanged {
            payment_method: Some(method.to_owned()),
            fingerprint: Some(fingerprint.to_owned()),
            instrument: Some(visa(fingerprint)),
            renewed,
            at: None,
        })
    }

    pub fn paid(&mut self) {
        self.truth.status = InvoiceStatus::Paid;
        self.truth.amount_remaining = eur(0);
        self.truth.paid_at = Some(self.now);
    }

    /// Compares the calendar so far, in the customer's local time, and begins a new one.
    #[track_caller]
    pub fn expect(&mut self, lines: &str) {
        let wanted: Vec<&str> = lines.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let got = std::mem::take(&mut self.calendar);
        assert!(
            got == wanted,
            "got:\n{}\nwanted:\n{}",
            got.join("\n"),
            wanted.join("\n")
        );
    }
}
