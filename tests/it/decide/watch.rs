//! The laws of the decider, checked after every event.

use std::collections::BTreeSet;

use jiff::Timestamp;
use recoup::domain::calendar::secs_from;
use recoup::domain::case::{Case, Collector, OpenAttempt, Trigger};
use recoup::domain::ceiling::CHARGES_MAX;
use recoup::domain::command::{AttemptStatus, Change, Command, Decision, Reason};
use recoup::domain::decline::Disposition;
use recoup::domain::event::{Event, LookCause};
use recoup::domain::explain::explain;
use recoup::domain::ledger::{Account, TransferKind, transfers};
use recoup::domain::message::Message;
use recoup::domain::snapshot::{InvoiceStatus, PaymentStatus, Snapshot, SubscriptionStatus};

use super::desk::{DAY, Desk, grounds};

/// What was seen so far, counted independently of the case.
#[derive(Default)]
pub struct Watch {
    open: Option<OpenAttempt>,
    steps: BTreeSet<String>,
    disputed: bool,
    opened: u32,
    never_sent: u32,
    seen: u32,
    notices: u32,
    /// What stands on the receivable of the case, by its transfers.
    receivable_minor: Option<i64>,
}

impl Watch {
    /// Brings the event to the case, and checks.
    pub fn tell(&mut self, desk: &mut Desk, event: &Event) {
        let before = desk.case.clone();
        match desk.decide(event) {
            Decision::Changed(change) => {
                self.change(&before, event, &change, desk);
                desk.take(*change);
            }
            Decision::Ignored(_) => desk.last.clear(),
        }
        self.state(&desk.case);
        explained(desk);
        if *event == Event::Disputed && before.outcome().is_none() {
            self.disputed = true;
        }
    }

    fn change(&mut self, before: &Case, event: &Event, change: &Change, desk: &Desk) {
        let after = &change.case;
        if let Some(outcome) = before.outcome() {
            assert_eq!(after.outcome(), Some(outcome), "an outcome is final");
            assert_eq!(after.closed_at, before.closed_at, "the end is final");
        } else if after.outcome().is_some() {
            assert_eq!(after.closed_at, Some(desk.now));
            let reason = Reason::CaseClosed;
            assert!(change.commands.contains(&Command::SupersedeNotices { reason }));
        }
        self.books(before, change);
        for entry in &change.entries {
            readable(&entry.text);
        }
        for command in &change.commands {
            match command {
                Command::OpenAttempt { attempt, .. } => self.opened(event, attempt, after, desk),
                Command::Resend { attempt } => assert_eq!(self.open.as_ref(), Some(attempt), "to the letter"),
                Command::CloseAttempt { id, status, .. } => {
                    let open = self.open.take().expect("only an open attempt is closed");
                    assert_eq!(open.id, *id);
                    if matches!(status, AttemptStatus::NotSent | AttemptStatus::NotNeeded) {
                        self.never_sent += 1;
                    }
                }
                Command::Notify { message, step, due_at } => {
                    self.notified(*message, step, before, after);
                    let is_later = matches!(message, Message::PaymentMethodUpdated | Message::WinBack);
                    assert_eq!(*due_at > desk.now, is_later, "{message}");
                }
                Command::TellStaff { step, .. } => assert!(self.steps.insert(step.clone()), "{step} twice"),
                Command::RecordAttempt { .. } => self.seen += 1,
                Command::Finish => assert!(before.outcome().is_none() && after.outcome().is_none()),
                Command::SupersedeNotices { .. }
                | Command::BookLate { .. }
                | Command::WinBack { .. }
                | Command::Learn(_)
                | Command::Shadow(_)
                | Command::Block { .. }
                | Command::OpenReversal
                | Command::NamePayment { .. }
                | Command::BookOverpayment { .. } => {}
            }
        }
    }

    /// An open case has what it is owed on its receivable, a closed one nothing.
    fn books(&mut self, before: &Case, change: &Change) {
        let after = &change.case;
        let receivable = self.receivable_minor.get_or_insert(before.amount_due.amount_minor);
        for transfer in transfers(Some(before), after, &change.commands) {
            assert!(transfer.amount.amount_minor > 0 && transfer.debit != transfer.credit);
            let minor = transfer.amount.amount_minor;
            if transfer.debit == Account::Receivable {
                *receivable += minor;
            } else if transfer.credit == Account::Receivable && transfer.kind != TransferKind::Overpayment {
                *receivable -= minor;
            }
        }
        let owed = if after.outcome().is_some() {
            0
        } else {
            after.amount_due.amount_minor
        };
        assert_eq!(*receivable, owed, "the books follow the case");
    }

    fn opened(&mut self, event: &Event, attempt: &OpenAttempt, after: &Case, desk: &Desk) {
        assert!(self.open.is_none(), "at most one open attempt");
        self.open = Some(attempt.clone());
        self.opened += 1;
        let Event::Looked { snapshot, cause } = event else {
            panic!("a charge follows only from a fresh look, not from {event:?}");
        };
        assert_eq!(*cause, LookCause::Due, "a hint never charges");
        assert!(!self.disputed, "no charge after a dispute");
        assert_eq!(after.collector, Collector::Us);
        assert_eq!(attempt.amount, snapshot.amount_remaining);
        owed(snapshot, desk);
        let fresh = after.fresh_method();
        let healed = attempt.trigger == Trigger::CardUpdate && after.decline.disposition != Disposition::Never;
        assert!(
            after.decline.disposition == Disposition::Retry || fresh || healed,
            "a {} decline is charged again without a fresh payment method",
            after.decline.disposition
        );
        let default = snapshot.default_method.as_ref();
        let barred = default.is_some_and(|method| after.memory.bars(method.fingerprint.as_deref()));
        assert!(!barred || attempt.payment_method.is_some(), "a barred card is charged");
        let declined = &after.memory.declined_methods;
        if fresh && default.is_none_or(|method| declined.contains(&method.id)) {
            let charged = attempt
                .payment_method
                .clone()
                .or(default.map(|method| method.id.clone()));
            assert_eq!(
                charged, after.memory.new_method,
                "the new card is charged, not the old one"
            );
        }
    }

    fn notified(&mut self, message: Message, step: &str, before: &Case, after: &Case) {
        assert!(before.outcome().is_none(), "no message after the end");
        assert!(self.steps.insert(step.to_owned()), "{step} twice");
        self.notices += 1;
        let last_word = matches!(message, Message::PaymentReceived | Message::SubscriptionEnded);
        // Where the end comes with the same look, it holds the word about the new card back.
        let overtaken = message == Message::PaymentMethodUpdated;
        assert!(overtaken || last_word == after.outcome().is_some(), "{message}");
        assert!(after.outcome().is_some() || !self.disputed);
    }

    fn state(&self, case: &Case) {
        assert_eq!(case.next_action().is_some(), case.outcome().is_none(), "{case:#?}");
        assert_eq!(case.open_attempt(), self.open.as_ref());
        let charges = self.opened - self.never_sent;
        assert!(charges <= CHARGES_MAX);
        assert_eq!(case.memory.charges, charges);
        assert_eq!(case.attempts, 1 + self.seen + charges);
        assert_eq!(case.notifications, self.notices);
    }
}

fn explained(desk: &Desk) {
    let said = explain(&desk.case, &desk.campaign, None, grounds(), desk.now);
    readable(&said.sentence);
    for rule in &said.rules {
        readable(&rule.said);
    }
}

/// People read `2026-03-03 08:00 UTC`, not what machines exchange.
fn readable(text: &str) {
    let is_raw = |word: &str| word.trim_matches(['.', ':', ';', ',']).parse::<Timestamp>().is_ok();
    assert!(!text.split(' ').any(is_raw), "{text}");
}

fn owed(snapshot: &Snapshot, desk: &Desk) {
    assert_eq!(snapshot.status, InvoiceStatus::Open);
    assert!(snapshot.amount_remaining.amount_minor > 0);
    let planned = snapshot.provider_next_attempt_at;
    assert!(
        planned.is_none_or(|at| at < secs_from(desk.now, -DAY)),
        "the provider charges"
    );
    if let Some(payment) = &snapshot.payment {
        assert!(!payment.disputed && payment.status != PaymentStatus::Processing);
    }
    if let Some(subscription) = &snapshot.subscription {
        let ended = matches!(
            subscription.status,
            SubscriptionStatus::Canceled | SubscriptionStatus::IncompleteExpired
        );
        assert!(!ended && !subscription.collection_paused);
        let left =
            subscription.cancel_at_period_end && subscription.canceled_at.is_none_or(|at| at >= desk.case.opened_at);
        assert!(!left, "the customer has left");
    }
}
