//! What follows from reading the invoice again.

use jiff::Timestamp;
use serde_json::json;

use super::answer;
use super::close::{close, forced, paid_by};
use super::open::decline_of;
use super::plan::take_decline;
use super::{DAILY_SECS, Draft, method, timers};
use crate::domain::calendar::secs_from;
use crate::domain::case::{OpenAttempt, Origin, State, Trigger, Warning};
use crate::domain::command::{AttemptStatus, Command, Decision, EntryKind, LateKind, Reason};
use crate::domain::decline::Disposition;
use crate::domain::event::{LookCause, SeenAttempt};
use crate::domain::outcome::{Outcome, RecoveredBy};
use crate::domain::snapshot::{InvoiceStatus, PaymentSeen, PaymentStatus, Snapshot, SubscriptionStatus};

/// The provider's clock may be this far behind ours when a charge is matched to an attempt by time.
const SKEW_SECS: i64 = 60;

/// What follows from a snapshot, by state.
pub fn looked(mut draft: Draft<'_>, snapshot: &Snapshot, cause: LookCause) -> Decision {
    let state = draft.case.state.clone();
    match (&state, cause) {
        (State::Closed { outcome }, LookCause::Hint | LookCause::Due) => return closed(draft, *outcome, snapshot),
        // Somebody may be on the wire for this case right now: only remember to look again.
        (State::Charging { .. } | State::InDoubt { .. }, LookCause::Hint) => {
            draft.case.memory.look_again = true;
            if matches!(state, State::InDoubt { .. }) {
                draft.case.timers.look_at = Some(draft.now());
            }
            return draft.done();
        }
        (State::Active, LookCause::Hint | LookCause::Due) => {
            reached(&mut draft);
            active(&mut draft, snapshot, cause);
        }
        (State::Charging { attempt } | State::InDoubt { attempt, .. }, LookCause::Due) => {
            reached(&mut draft);
            in_doubt(&mut draft, snapshot, attempt);
        }
        (State::Processing { attempt }, LookCause::Hint | LookCause::Due) => {
            reached(&mut draft);
            processing(&mut draft, snapshot, attempt.as_ref());
        }
        (State::Paused { until }, LookCause::Hint | LookCause::Due) => {
            reached(&mut draft);
            paused(&mut draft, snapshot, *until);
        }
        (State::NeedsPerson, LookCause::Hint | LookCause::Due) => {
            reached(&mut draft);
            if !ended(&mut draft, snapshot) {
                draft.case.timers.look_at = Some(draft.in_secs(DAILY_SECS));
            }
        }
        (State::Ending { .. }, LookCause::Hint) => {
            if snapshot.status != InvoiceStatus::Paid {
                return Decision::Ignored(Reason::FinalActionRunning);
            }
            let by = paid_by(&draft.case, snapshot);
            close(&mut draft, Outcome::Recovered { by });
        }
        (State::Ending { outcome, sent, .. }, LookCause::Due) => {
            reached(&mut draft);
            ending(&mut draft, snapshot, *outcome, *sent);
        }
    }
    draft.done()
}

/// The provider answered: the series of failures to reach it is over.
fn reached(draft: &mut Draft<'_>) {
    draft.case.memory.out_of_reach = 0;
    draft.case.timers.hold_until = None;
    draft.case.unwarn(Warning::ProviderRefuses);
    draft.case.unwarn(Warning::InvoiceMissing);
}

/// Closes the case where the snapshot says that the chase is over.
fn ended(draft: &mut Draft<'_>, snapshot: &Snapshot) -> bool {
    if snapshot.status == InvoiceStatus::Paid {
        let by = paid_by(&draft.case, snapshot);
        close(draft, Outcome::Recovered { by });
        return true;
    }
    if let Some(outcome) = forced(&draft.case, snapshot) {
        close(draft, outcome);
        return true;
    }
    false
}

/// A hint only brings news; what is due is done by the holder of the lease.
fn active(draft: &mut Draft<'_>, snapshot: &Snapshot, cause: LookCause) {
    if ended(draft, snapshot) {
        return;
    }
    draft.case.timers.look_at = None;
    absorb(draft, snapshot);
    if snapshot
        .payment
        .as_ref()
        .is_some_and(|payment| payment.status == PaymentStatus::Processing)
    {
        wait_for_processing(draft, None);
    } else if cause == LookCause::Due {
        timers::run(draft, snapshot);
    }
}

/// A slow payment is under way: it is watched, nothing is charged or written meanwhile.
pub fn wait_for_processing(draft: &mut Draft<'_>, attempt: Option<OpenAttempt>) {
    draft.case.state = State::Processing { attempt };
    draft.case.timers.look_at = Some(draft.in_secs(DAILY_SECS));
    draft.say(
        EntryKind::StoodBack,
        "A charge is being processed by the provider; it is watched.",
        json!({}),
    );
}

/// Takes in what may have changed without ending the case: amount, contact, failures of others, payment method.
fn absorb(draft: &mut Draft<'_>, snapshot: &Snapshot) {
    absorb_facts(draft, snapshot);
    timers::watch_provider_retries(draft, snapshot);
    if let Some(payment) = &snapshot.payment {
        absorb_payment(draft, snapshot, payment);
    }
    if let Some(current) = default_method(snapshot) {
        let memory = &draft.case.memory;
        let known = memory.declined_methods.contains(&current) || memory.new_method.as_ref() == Some(&current);
        if !known && !memory.declined_methods.is_empty() {
            method::take(draft, Some(&current), None, false);
        }
    }
}

/// Takes in amount, links and contact.
pub fn absorb_facts(draft: &mut Draft<'_>, snapshot: &Snapshot) {
    if draft.case.amount_due != snapshot.amount_remaining {
        let (from, to) = (draft.case.amount_due, snapshot.amount_remaining);
        draft.case.amount_due = to;
        let text = format!("The amount owed is now {} {}.", to.amount_minor, to.currency);
        draft.say(EntryKind::AmountChanged, text, json!({"from": from, "to": to}));
    }
    let memory = &mut draft.case.memory;
    memory.pay_url = snapshot.pay_url.clone().or(memory.pay_url.take());
    memory.description = snapshot.description.clone().or(memory.description.take());
    let customer = &snapshot.customer;
    let contact = &mut draft.case.contact;
    contact.email = customer.email.clone().or(contact.email.take());
    contact.name = customer.name.clone().or(contact.name.take());
    contact.locale = customer.locale.clone().or(contact.locale.take());
}

/// Takes in the newest payment: a failure that is not ours, or better news of the last decline.
fn absorb_payment(draft: &mut Draft<'_>, snapshot: &Snapshot, payment: &PaymentSeen) {
    match payment.status {
        PaymentStatus::Failed | PaymentStatus::RequiresAction => {}
        PaymentStatus::Processing | PaymentStatus::Succeeded | PaymentStatus::Canceled => return,
    }
    let decline = decline_of(snapshot);
    let Some(charge) = &payment.charge_id else {
        if draft.case.decline.provider_code.is_none() && payment.decline.is_some() {
            refine(draft, &decline);
        }
        return;
    };
    if draft.case.memory.known_charges.contains(charge) {
        let poorer = draft.case.decline.provider_code.is_none()
            || (draft.case.decline.network_code.is_none() && decline.network_code.is_some());
        if draft.case.memory.known_charges.last() == Some(charge) && payment.decline.is_some() && poorer {
            refine(draft, &decline);
        }
        return;
    }
    draft.case.memory.known_charges.push(charge.clone());
    let ours = draft.case.memory.nameless_answer_at.take();
    if ours.is_some_and(|answered| payment.charged_at.is_none_or(|at| at <= secs_from(answered, SKEW_SECS))) {
        return;
    }
    let origin = if draft.case.memory.provider_next_attempt_at.is_some() || super::open::provider_collects(&draft.case)
    {
        Origin::Provider
    } else {
        Origin::Customer
    };
    let at = payment.charged_at.unwrap_or(draft.now());
    draft.case.attempts = draft.case.attempts.saturating_add(1);
    draft.say(
        EntryKind::AttemptSeen,
        format!("A charge made by the {origin} was declined: {}.", decline.kind),
        json!({"charge": charge, "origin": origin, "decline": decline}),
    );
    let seen = SeenAttempt {
        charge_id: Some(charge.clone()),
        at,
        amount: snapshot.amount_remaining,
        decline: decline.clone(),
        payment_method: payment.payment_method.clone(),
    };
    draft.commands.push(Command::RecordAttempt { seen, origin });
    // A card that the customer only tried on-session says nothing of the one we would charge.
    let default = default_method(snapshot);
    if payment.payment_method.is_none() || default.is_none() || payment.payment_method == default {
        declined(
            draft,
            &decline,
            payment.payment_method.as_deref(),
            payment.fingerprint.as_deref(),
        );
        draft.replan();
    }
}

fn refine(draft: &mut Draft<'_>, decline: &crate::domain::decline::Decline) {
    if draft.case.decline != *decline {
        let replan = draft.case.decline.kind != decline.kind || draft.case.decline.disposition != decline.disposition;
        take_decline(&mut draft.case, decline, draft.moment.now);
        if replan {
            draft.replan();
        }
    }
}

/// Takes in a decline of the instrument that we would charge.
pub fn declined(
    draft: &mut Draft<'_>,
    decline: &crate::domain::decline::Decline,
    method: Option<&str>,
    fingerprint: Option<&str>,
) {
    take_decline(&mut draft.case, decline, draft.moment.now);
    let memory = &mut draft.case.memory;
    let method = method.map(str::to_owned).or_else(|| memory.new_method.clone());
    if let Some(method) = method.filter(|method| !memory.declined_methods.contains(method)) {
        memory.declined_methods.push(method);
    }
    if let Some(card) = fingerprint.filter(|_| decline.disposition == Disposition::Never) {
        memory.barred_fingerprints.push(card.to_owned());
    }
}

/// What the provider would charge off-session: the subscription's payment method, else the customer's.
pub fn default_method(snapshot: &Snapshot) -> Option<String> {
    let subscription = snapshot
        .subscription
        .as_ref()
        .and_then(|subscription| subscription.payment_method.clone());
    subscription.or_else(|| snapshot.customer.payment_method.clone())
}

/// Nobody is on the wire, and it is not known what became of the attempt.
fn in_doubt(draft: &mut Draft<'_>, snapshot: &Snapshot, attempt: &OpenAttempt) {
    let since = secs_from(attempt.started_at, -SKEW_SECS);
    let payment = snapshot.payment.as_ref();
    if snapshot.status == InvoiceStatus::Paid {
        let when = snapshot
            .paid_at
            .or_else(|| payment.and_then(|payment| payment.charged_at));
        let ours = !snapshot.paid_out_of_band && when.is_none_or(|at| at >= since);
        let charge = payment.and_then(|payment| payment.charge_id.clone());
        let status = if ours {
            AttemptStatus::Succeeded
        } else {
            AttemptStatus::NotNeeded
        };
        let by = if ours {
            recovered_by(attempt)
        } else {
            paid_by(&draft.case, snapshot)
        };
        answer::close_attempt(draft, attempt, status, charge.filter(|_| ours), None);
        close(draft, Outcome::Recovered { by });
        return;
    }
    if payment.is_some_and(|payment| payment.status == PaymentStatus::Processing) {
        wait_for_processing(draft, Some(attempt.clone()));
        return;
    }
    let outcome = if draft.case.memory.disputed {
        Some(Outcome::Stopped {
            why: crate::domain::outcome::StoppedWhy::Disputed,
        })
    } else {
        forced(&draft.case, snapshot)
    };
    if let Some(outcome) = outcome {
        answer::close_attempt(draft, attempt, AttemptStatus::NotCharged, None, None);
        close(draft, outcome);
        return;
    }
    if draft.now() < secs_from(attempt.started_at, draft.moment.resend_secs) {
        let asked = match draft.case.state {
            State::InDoubt { asked, .. } => asked,
            State::Active
            | State::Charging { .. }
            | State::Processing { .. }
            | State::Paused { .. }
            | State::NeedsPerson
            | State::Ending { .. }
            | State::Closed { .. } => 0,
        };
        draft.case.state = State::InDoubt {
            attempt: attempt.clone(),
            asked: asked.saturating_add(1),
        };
        draft.case.timers.look_at = Some(draft.now());
        draft.commands.push(Command::Resend {
            attempt: attempt.clone(),
        });
        return;
    }
    read_back(draft, snapshot, attempt, since);
}

/// The key is too old to be sent again: what the provider shows now is what became of the attempt.
fn read_back(draft: &mut Draft<'_>, snapshot: &Snapshot, attempt: &OpenAttempt, since: Timestamp) {
    let traced = snapshot.payment.as_ref().filter(|payment| {
        let fresh = payment
            .charge_id
            .as_ref()
            .is_some_and(|id| !draft.case.memory.known_charges.contains(id));
        fresh && payment.decline.is_some() && payment.charged_at.is_some_and(|at| at >= since)
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
        declined(
            draft,
            &decline,
            payment.payment_method.as_deref(),
            payment.fingerprint.as_deref(),
        );
    } else {
        answer::close_attempt(draft, attempt, AttemptStatus::NotCharged, None, None);
    }
    draft.replan();
    answer::settle(draft);
}

/// By which of our doings an attempt of ours brought the money.
pub fn recovered_by(attempt: &OpenAttempt) -> RecoveredBy {
    match attempt.trigger {
        Trigger::Schedule | Trigger::Staff => RecoveredBy::Retry,
        Trigger::CardUpdate => RecoveredBy::CardUpdate,
    }
}

fn processing(draft: &mut Draft<'_>, snapshot: &Snapshot, attempt: Option<&OpenAttempt>) {
    if snapshot.status == InvoiceStatus::Paid {
        let by = match attempt {
            Some(attempt) if !snapshot.paid_out_of_band => recovered_by(attempt),
            Some(_) | None => paid_by(&draft.case, snapshot),
        };
        if let Some(attempt) = attempt {
            let charge = snapshot.payment.as_ref().and_then(|payment| payment.charge_id.clone());
            answer::close_attempt(draft, attempt, AttemptStatus::Succeeded, charge, None);
        }
        close(draft, Outcome::Recovered { by });
        return;
    }
    let slow = snapshot
        .payment
        .as_ref()
        .is_some_and(|payment| payment.status == PaymentStatus::Processing);
    let outcome = forced(&draft.case, snapshot);
    if slow && outcome.is_none() {
        draft.case.timers.look_at = Some(draft.in_secs(DAILY_SECS));
        return;
    }
    draft.case.timers.look_at = None;
    draft.case.state = State::Active;
    if let Some(attempt) = attempt {
        let decline = decline_of(snapshot);
        let charge = snapshot.payment.as_ref().and_then(|payment| payment.charge_id.clone());
        draft.case.memory.known_charges.extend(charge.clone());
        answer::close_attempt(draft, attempt, AttemptStatus::Declined, charge, Some(&decline));
        declined(draft, &decline, None, None);
    }
    if let Some(outcome) = outcome {
        close(draft, outcome);
    } else {
        draft.replan();
        answer::settle(draft);
    }
}

fn paused(draft: &mut Draft<'_>, snapshot: &Snapshot, until: Timestamp) {
    if ended(draft, snapshot) {
        return;
    }
    absorb_facts(draft, snapshot);
    if until <= draft.now() {
        super::staff::resume(draft, "clock");
    }
}

fn ending(draft: &mut Draft<'_>, snapshot: &Snapshot, outcome: Outcome, sent: u32) {
    if snapshot.status == InvoiceStatus::Paid {
        let by = paid_by(&draft.case, snapshot);
        close(draft, Outcome::Recovered { by });
        return;
    }
    let gone = snapshot
        .subscription
        .as_ref()
        .is_some_and(|seen| seen.status == SubscriptionStatus::Canceled);
    let given_up = snapshot.status == InvoiceStatus::Uncollectible;
    if gone || given_up {
        // Our own action, sent before without an answer, has arrived.
        close(draft, outcome);
    } else if let Some(forced) = forced(&draft.case, snapshot) {
        close(draft, forced);
    } else if let State::Ending { sent: count, .. } = &mut draft.case.state {
        *count = sent.saturating_add(1);
        draft.case.timers.look_at = Some(draft.moment.now);
        draft.commands.push(Command::Finish);
    }
}

/// Money moved after the end: booked once, the outcome stays.
fn closed(mut draft: Draft<'_>, outcome: Outcome, snapshot: &Snapshot) -> Decision {
    let without_money = match outcome {
        Outcome::Recovered { .. } => false,
        Outcome::Exhausted { .. } | Outcome::Stopped { .. } => true,
    };
    if !without_money || snapshot.status != InvoiceStatus::Paid || draft.case.memory.late_money {
        return Decision::Ignored(Reason::CaseClosed);
    }
    draft.case.memory.late_money = true;
    let amount = draft.case.amount_due;
    draft.say(
        EntryKind::LateRecovery,
        "The invoice was paid after the case had ended; the outcome stays.",
        json!({ "amount": amount }),
    );
    draft.commands.push(Command::BookLate {
        kind: LateKind::LateRecovery,
        amount,
    });
    draft.commands.push(Command::SupersedeNotices);
    draft.done()
}
