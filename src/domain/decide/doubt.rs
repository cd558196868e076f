//! A charge without a clear answer: the same key is sent again while it is safe, then the provider's books decide.

use jiff::Timestamp;

use super::close::{close, forced, paid_by};
use super::look::{declined, recovered_by, wait_for_processing};
use super::open::decline_of;
use super::{DAILY_SECS, Draft, UNRESOLVED_SECS, answer, backoff_secs, late};
use crate::domain::calendar::secs_from;
use crate::domain::case::{OpenAttempt, State, Warning};
use crate::domain::command::{AttemptStatus, Command, Decision, EntryKind};
use crate::domain::ids::AttemptId;
use crate::domain::mutant::alive;
use crate::domain::outcome::{Outcome, StoppedWhy};
use crate::domain::snapshot::{InvoiceStatus, PaymentSeen, PaymentStatus, Snapshot};

/// The provider's clock may be this far behind ours when a charge is matched to an attempt by time.
pub const SKEW_SECS: i64 = 60;

/// A payment within this time of a sending counts as ours, and only after it do the provider's books say what became of the
/// sending. An assumption of ours without a source, since no provider says how late it may carry out a call.
const LATE_CHARGE_SECS: i64 = 900;

/// Nobody is on the wire, and it is not known what became of the attempt.
pub fn in_doubt(draft: &mut Draft<'_>, snapshot: &Snapshot, attempt: &OpenAttempt) {
    let payment = snapshot.payment.as_ref();
    let resend_secs = match () {
        () if alive("old_key_again") => UNRESOLVED_SECS,
        () if alive("new_attempt_in_doubt") => 0,
        () => draft.moment.resend_secs.min(UNRESOLVED_SECS),
    };
    let resend_until = secs_from(attempt.started_at, resend_secs);
    if snapshot.status == InvoiceStatus::Paid {
        // Whose money it is, only the key can tell: the provider repeats the answer to our charge, or refuses to charge a
        // paid invoice. Where the key is too old, the time of the payment has to do.
        if draft.now() < resend_until && !snapshot.paid_out_of_band {
            resend(draft, attempt);
        } else {
            paid(draft, snapshot, attempt);
        }
        return;
    }
    if let Some(payment) = payment.filter(|payment| payment.status == PaymentStatus::Processing) {
        if draft.now() < resend_until && is_older(payment, attempt) {
            // Nothing was under way when we charged: this read lags behind, and the next one knows more.
            look_later(draft, attempt);
        } else {
            wait_for_processing(draft, Some(attempt.clone()), payment.charge_id.as_ref());
        }
        return;
    }
    let outcome = if draft.case.memory.disputed {
        Some(Outcome::Stopped {
            why: StoppedWhy::Disputed,
        })
    } else {
        forced(&draft.case, snapshot)
    };
    if let Some(outcome) = outcome {
        answer::close_attempt(draft, attempt, AttemptStatus::NotCharged, None, None);
        close(draft, outcome);
        return;
    }
    // A sending may be carried out late, so that the books of the moments after it tell nothing.
    let last_sent = draft.case.memory.sent_at.last().copied();
    let settled_at = last_sent.map_or(draft.now(), |sent| secs_from(sent, LATE_CHARGE_SECS));
    if draft.now() < resend_until {
        draft.case.memory.sent_at.push(draft.moment.now);
        resend(draft, attempt);
    } else if draft.now() < settled_at {
        draft.case.timers.look_at = Some(settled_at);
    } else {
        read_back(draft, snapshot, attempt);
    }
}

fn paid(draft: &mut Draft<'_>, snapshot: &Snapshot, attempt: &OpenAttempt) {
    let payment = snapshot.payment.as_ref();
    let when = snapshot
        .paid_at
        .or_else(|| payment.and_then(|payment| payment.charged_at));
    let near_a_sending = |paid: Timestamp| {
        let sent_at = &draft.case.memory.sent_at;
        let fits =
            |sent: &Timestamp| secs_from(*sent, -SKEW_SECS) <= paid && paid <= secs_from(*sent, LATE_CHARGE_SECS);
        sent_at.iter().any(fits)
    };
    let ours = !snapshot.paid_out_of_band && when.is_none_or(near_a_sending);
    let (status, by) = if ours {
        (AttemptStatus::Succeeded, recovered_by(attempt))
    } else {
        (AttemptStatus::NotNeeded, paid_by(&draft.case, snapshot))
    };
    let charge = payment.and_then(|payment| payment.charge_id.clone());
    answer::close_attempt(draft, attempt, status, charge.filter(|_| ours), None);
    late::seen_paid(draft, by, snapshot);
}

/// Whether a payment was made before the attempt, so that it cannot be its doing.
fn is_older(payment: &PaymentSeen, attempt: &OpenAttempt) -> bool {
    let since = secs_from(attempt.started_at, -SKEW_SECS);
    payment.charged_at.is_some_and(|at| at < since)
}

/// Reads the invoice again after a while, without sending anything.
fn look_later(draft: &mut Draft<'_>, attempt: &OpenAttempt) {
    let asked = asked(&draft.case.state).saturating_add(1);
    draft.case.state = State::InDoubt {
        attempt: attempt.clone(),
        asked,
    };
    draft.case.timers.look_at = Some(draft.in_secs(backoff_secs(asked, None)));
}

fn resend(draft: &mut Draft<'_>, attempt: &OpenAttempt) {
    let asked = asked(&draft.case.state);
    draft.case.state = State::InDoubt {
        attempt: attempt.clone(),
        asked: asked.saturating_add(1),
    };
    draft.case.timers.look_at = Some(draft.now());
    draft.commands.push(Command::Resend {
        attempt: attempt.clone(),
    });
}

/// How often the provider was asked again what became of the open attempt.
pub fn asked(state: &State) -> u32 {
    match state {
        State::InDoubt { asked, .. } => *asked,
        State::Active
        | State::Charging { .. }
        | State::Processing { .. }
        | State::Paused { .. }
        | State::NeedsPerson
        | State::Ending { .. }
        | State::Closed { .. } => 0,
    }
}

/// The key is too old to be sent again: what the provider shows now is what became of the attempt.
fn read_back(draft: &mut Draft<'_>, snapshot: &Snapshot, attempt: &OpenAttempt) {
    let since = secs_from(attempt.started_at, -SKEW_SECS);
    let traced = snapshot.payment.as_ref().filter(|payment| {
        let fresh = payment
            .charge_id
            .as_ref()
            .is_some_and(|id| !draft.case.memory.known_charges.contains(id));
        let refused = payment.decline.is_some() || payment.status == PaymentStatus::RequiresAction;
        fresh && refused && payment.charged_at.is_some_and(|at| at >= since)
    });
    draft.case.state = State::Active;
    draft.case.timers.look_at = None;
    if let Some(payment) = traced {
        let decline = decline_of(snapshot);
        draft.case.memory.known_charges.extend(payment.charge_id.clone());
        answer::close_attempt(
            draft,
            attempt,
            AttemptStatus::Declined,
            payment.charge_id.clone(),
            Some(&decline),
        );
        let named = [payment.payment_method.as_deref(), attempt.payment_method.as_deref()];
        declined(draft, &decline, &named, payment.fingerprint.as_deref());
    } else {
        answer::close_attempt(draft, attempt, AttemptStatus::NotCharged, None, None);
        unclear(draft, attempt);
    }
    draft.replan();
    late::settle(draft);
}

/// Nobody saw the attempt end: a charge of its time that shows up later is ours, and so is the money of it.
pub fn unclear(draft: &mut Draft<'_>, attempt: &OpenAttempt) {
    draft.case.memory.unclear = Some(attempt.clone());
    draft.case.memory.nameless_answer_at = Some(draft.now());
}

/// An attempt that could not be resolved in time: a person takes over.
pub fn give_up(mut draft: Draft<'_>, attempt: &OpenAttempt) -> Decision {
    let id: AttemptId = attempt.id.clone();
    draft.say(
        EntryKind::AttemptAnswered,
        "The charge could not be resolved; a person must ask the provider.",
        serde_json::json!({"attempt": id, "status": AttemptStatus::Unresolved}),
    );
    draft.commands.push(Command::CloseAttempt {
        id,
        status: AttemptStatus::Unresolved,
        charge_id: None,
        decline: None,
        instrument: None,
    });
    unclear(&mut draft, attempt);
    to_person(&mut draft);
    draft.warn(
        Warning::AttemptUnresolved,
        "An attempt could not be resolved in time; a person must decide.",
    );
    late::settle(&mut draft);
    draft.done()
}

/// Only a person can say how to go on; the invoice is watched meanwhile.
pub fn to_person(draft: &mut Draft<'_>) {
    draft.case.state = State::NeedsPerson;
    draft.case.timers.look_at = Some(draft.in_secs(DAILY_SECS));
}

/// The attempt that was closed without knowing, where money that came at `paid_at` is its doing: within a
/// day, after which hardly a sending of it was still under way.
pub fn brought_by(unclear: Option<&OpenAttempt>, paid_at: Option<Timestamp>) -> Option<&OpenAttempt> {
    unclear.filter(|attempt| {
        let from = secs_from(attempt.started_at, -SKEW_SECS);
        let until = secs_from(attempt.started_at, DAILY_SECS);
        paid_at.is_some_and(|at| (from..=until).contains(&at))
    })
}
