//! Arbitrary events, as plain numbers that are turned into events at the instant they happen.

use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;
use recoup::domain::calendar::secs_from;
use recoup::domain::case::Contact;
use recoup::domain::decline::DeclineKind;
use recoup::domain::event::{Answer, Event, LookCause, StaffAction};
use recoup::domain::ids::AttemptId;
use recoup::domain::snapshot::{CancelReason, InvoiceStatus, MethodSeen, PaymentStatus, Snapshot, SubscriptionStatus};

use super::desk::{Desk, HOUR, decline, eur, failed, snapshot, subscription, visa};

/// What the provider shows, as numbers.
#[derive(Clone, Debug)]
pub struct Shown {
    status: u8,
    amount: u8,
    payment: (Option<u8>, u8, u8, u8),
    card: (Option<u8>, Option<u8>),
    ago_hours: u16,
    subscription: (u8, u8, u8),
    default_method: Option<(u8, Option<u8>)>,
    next_hours: Option<i16>,
    rare: u8,
}

/// One thing that happens.
#[derive(Clone, Debug)]
pub enum Act {
    Look(Shown, bool),
    OutOfReach(Option<u64>, bool),
    Missing,
    Answered(u8, u8, bool, Option<u8>),
    Finished(bool),
    Method(Option<u8>, Option<u8>, bool),
    Contact(u8),
    Disputed,
    Refunded(i64),
    Bounced,
    Staff(u8, i64),
}

/// How far time goes before it happens: to the next action, or some hours.
pub type Jump = Option<u16>;

fn shown() -> impl Strategy<Value = Shown> {
    (
        prop_oneof![30 => Just(0_u8), 1 => 1..5_u8],
        0..3_u8,
        (proptest::option::weighted(0.8, 0..6_u8), 0..5_u8, 0..12_u8, 0..40_u8),
        (proptest::option::of(0..3_u8), proptest::option::of(0..3_u8)),
        0..80_u16,
        (0..40_u8, 0..4_u8, 0..3_u8),
        proptest::option::weighted(0.8, (0..3_u8, proptest::option::of(0..3_u8))),
        proptest::option::weighted(0.1, -48..72_i16),
        any::<u8>(),
    )
        .prop_map(
            |(status, amount, payment, card, ago_hours, subscription, default_method, next_hours, rare)| Shown {
                status,
                amount,
                payment,
                card,
                ago_hours,
                subscription,
                default_method,
                next_hours,
                rare,
            },
        )
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        30 => (shown(), any::<bool>()).prop_map(|(shown, due)| Act::Look(shown, due)),
        3 => (proptest::option::of(any::<u64>()), any::<bool>()).prop_map(|(wait, no)| Act::OutOfReach(wait, no)),
        1 => Just(Act::Missing),
        20 => (0..12_u8, 0..12_u8, prop_oneof![9 => Just(true), 1 => Just(false)], proptest::option::of(0..3_u8))
            .prop_map(|(what, kind, open, method)| Act::Answered(what, kind, open, method)),
        2 => any::<bool>().prop_map(Act::Finished),
        4 => (proptest::option::weighted(0.9, 0..3_u8), proptest::option::of(0..3_u8), any::<bool>())
            .prop_map(|(method, card, renewed)| Act::Method(method, card, renewed)),
        1 => (0..4_u8).prop_map(Act::Contact),
        1 => Just(Act::Disputed),
        1 => (0..3000_i64).prop_map(Act::Refunded),
        1 => Just(Act::Bounced),
        4 => (0..11_u8, -5..900_i64).prop_map(|(action, hours)| Act::Staff(action, hours)),
    ]
}

pub fn acts(most: usize) -> impl Strategy<Value = Vec<(Jump, Act)>> {
    let jump = prop_oneof![3 => Just(None), 1 => (0..200_u16).prop_map(Some)];
    proptest::collection::vec((jump, act()), 1..most)
}

pub fn kind(number: u8) -> DeclineKind {
    DeclineKind::ALL[usize::from(number) % DeclineKind::ALL.len()]
}

fn method(number: u8) -> String {
    format!("pm_{number}")
}

fn hours(now: Timestamp, hours: i64) -> Timestamp {
    secs_from(now, hours * HOUR)
}

impl Shown {
    fn at(&self, now: Timestamp) -> Snapshot {
        let ago = hours(now, -i64::from(self.ago_hours));
        let mut truth = snapshot(kind(self.payment.2), ago);
        truth.status = InvoiceStatus::ALL[usize::from((self.status + 1) % 5)];
        truth.amount_remaining = eur([1999, 1999, 500][usize::from(self.amount)]);
        truth.paid_at = self.rare.is_multiple_of(2).then_some(ago);
        truth.paid_out_of_band = self.rare % 16 == 1;
        truth.provider_next_attempt_at = self.next_hours.map(|after| hours(now, i64::from(after)));
        truth.default_method = self.default_method.map(|(name, card)| MethodSeen {
            id: method(name),
            fingerprint: card.map(|card| format!("fp_{card}")),
            instrument: Some(visa(&card.map_or_else(|| method(name), |card| format!("fp_{card}")))),
        });
        let (charge, status, kind_of, disputed) = self.payment;
        truth.payment = (self.rare % 8 != 2).then(|| {
            let mut payment = failed(&format!("ch_{}", charge.unwrap_or(0)), kind(kind_of), ago);
            payment.charge_id = payment.charge_id.filter(|_| charge.is_some());
            payment.status = PaymentStatus::ALL[usize::from(status)];
            payment.decline = payment.decline.filter(|_| self.rare % 4 != 3);
            payment.payment_method = self.card.0.map(method);
            payment.fingerprint = self.card.1.map(|card| format!("fp_{card}"));
            payment.instrument = payment.fingerprint.as_deref().map(visa);
            payment.disputed = disputed == 0;
            payment
        });
        let (status, leaving, reason) = self.subscription;
        truth.subscription = (self.rare % 32 != 5).then(|| {
            let mut seen = subscription();
            seen.status = *SubscriptionStatus::ALL.get(usize::from(status)).unwrap_or(&seen.status);
            seen.cancel_at_period_end = leaving == 0 && self.rare.is_multiple_of(8);
            seen.canceled_at = (leaving < 2).then_some(ago);
            seen.cancel_reason = CancelReason::ALL.get(usize::from(reason)).copied();
            seen.collection_paused = self.rare % 32 == 9;
            seen
        });
        truth
    }
}

impl Act {
    pub fn event(&self, desk: &Desk) -> Event {
        let now = desk.now;
        match self {
            Self::Look(shown, due) => Event::Looked {
                snapshot: Box::new(shown.at(now)),
                cause: if *due { LookCause::Due } else { LookCause::Hint },
            },
            Self::OutOfReach(wait, refused) => Event::OutOfReach {
                reason: "away".to_owned(),
                retry_after: wait.map(Duration::from_secs),
                refused: *refused,
            },
            Self::Missing => Event::InvoiceMissing,
            Self::Answered(what, kind_of, open, method_of) => {
                let open = desk.case.open_attempt().filter(|_| *open);
                let foreign = AttemptId::new(1, 1);
                Event::Answered {
                    attempt: open.map_or(foreign, |attempt| attempt.id.clone()),
                    answer: answer(*what, kind(*kind_of), method_of.map(method)),
                }
            }
            Self::Finished(true) => Event::Finished,
            Self::Finished(false) => Event::FinishRefused {
                reason: "no".to_owned(),
            },
            Self::Method(name, card, renewed) => Event::MethodChanged {
                payment_method: name.map(method),
                fingerprint: card.map(|card| format!("fp_{card}")),
                instrument: card.map(|card| visa(&format!("fp_{card}"))),
                renewed: *renewed,
                at: None,
            },
            Self::Contact(number) => Event::ContactChanged {
                contact: Contact {
                    email: (*number > 0).then(|| format!("ada{number}@example.com")),
                    ..Contact::default()
                },
                zone: [None, Some("Asia/Tokyo"), Some("No/Where")][usize::from(*number % 3)].map(str::to_owned),
            },
            Self::Disputed => Event::Disputed,
            Self::Refunded(minor) => Event::Refunded { amount: eur(*minor) },
            Self::Bounced => Event::Bounced { here: true },
            Self::Staff(action, after) => Event::Staff {
                action: staff(*action, hours(now, *after)),
                actor: "eve".to_owned(),
                comment: None,
            },
        }
    }
}

fn staff(action: u8, until: Timestamp) -> StaffAction {
    match action {
        0 => StaffAction::Stop,
        1 => StaffAction::MarkPaid,
        2 => StaffAction::WriteOff,
        3 => StaffAction::Note,
        4 | 5 => StaffAction::Pause { until },
        6..=8 => StaffAction::Resume,
        _ => StaffAction::Retry,
    }
}

fn answer(what: u8, kind: DeclineKind, method: Option<String>) -> Answer {
    match what {
        0 => Answer::Succeeded { charge_id: None },
        1 => Answer::Processing { charge_id: None },
        2 => Answer::NothingOwed,
        3 | 4 => Answer::NotSent {
            reason: "no way".to_owned(),
            needs_person: what == 3,
            retry_after: None,
        },
        5 | 6 => Answer::Unknown {
            reason: "silence".to_owned(),
            retry_after: None,
        },
        7 => Answer::Mismatch {
            reason: "other amount".to_owned(),
        },
        _ => Answer::Declined {
            decline: decline(kind),
            charge_id: (what > 8).then(|| format!("ch_{what}")),
            fingerprint: method.as_ref().map(|name| name.replace("pm", "fp")),
            instrument: method.as_ref().map(|name| visa(&name.replace("pm", "fp"))),
            payment_method: method,
            card: None,
        },
    }
}
