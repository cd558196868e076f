//! What follows from reading the invoice again.

use jiff::Timestamp;
use serde_json::json;

use super::close::{close, forced, paid_by};
use super::doubt::SKEW_SECS;
use super::open::decline_of;
use super::plan::take_decline;
use super::target::Target;
use super::{BACKOFF_LONGEST_SECS, DAILY_SECS, Draft, answer, doubt, late, method, reach, timers};
use crate::domain::calendar::secs_from;
use crate::domain::campaign::FinalAction;
use crate::domain::case::{OpenAttempt, Origin, State, Trigger, Warning};
use crate::domain::command::{AttemptStatus, Command, Decision, Entry, EntryKind, Reason};
use crate::domain::decline::Disposition;
use crate::domain::event::{LookCause, SeenAttempt};
use crate::domain::money::Money;
use crate::domain::mutant::alive;
use crate::domain::outcome::{Outcome, RecoveredBy};
use crate::domain::snapshot::{InvoiceStatus, PaymentSeen, PaymentStatus, Snapshot, SubscriptionStatus};

/// What follows from a snapshot, by state.
pub fn looked(mut draft: Draft<'_>, snapshot: &Snapshot, cause: LookCause) -> Decision {
    let state = draft.case.state.clone();
    match (&state, cause) {
        (State::Closed { outcome }, LookCause::Hint | LookCause::Due) => {
            return late::looked(draft, *outcome, snapshot);
        }
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
            doubt::in_doubt(&mut draft, snapshot, attempt);
        }
        (State::Processing { attempt, charge_id }, LookCause::Hint | LookCause::Due) => {
            reached(&mut draft);
            processing(&mut draft, snapshot, attempt.as_ref(), charge_id.as_ref());
        }
        (State::Paused { until, held_since }, LookCause::Hint | LookCause::Due) => {
            reached(&mut draft);
            paused(&mut draft, snapshot, *until, *held_since);
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
            late::seen_paid(&mut draft, by, snapshot);
        }
        (State::Ending { action, outcome, .. }, LookCause::Due) => {
            reached(&mut draft);
            ending(&mut draft, snapshot, *action, *outcome);
        }
    }
    draft.done()
}

/// The provider answered: the series of failures to reach it is over.
fn reached(draft: &mut Draft<'_>) {
    draft.case.memory.out_of_reach = 0;
    draft.case.timers.hold_until = None;
    // That reads work says nothing of charges that are refused.
    if draft.case.memory.not_sent == 0 {
        draft.case.unwarn(Warning::ProviderRefuses);
    }
    draft.case.unwarn(Warning::InvoiceMissing);
}

/// Closes the case where the snapshot says that the chase is over.
fn ended(draft: &mut Draft<'_>, snapshot: &Snapshot) -> bool {
    if snapshot.status == InvoiceStatus::Paid && !alive("paid_not_seen") {
        let by = paid_by(&draft.case, snapshot);
        late::seen_paid(draft, by, snapshot);
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
        wait_for_processing(draft, None, None);
    } else if cause == LookCause::Due {
        timers::run(draft, snapshot);
    }
}

/// A slow payment is under way: it is watched, nothing is charged or written meanwhile.
pub fn wait_for_processing(draft: &mut Draft<'_>, attempt: Option<OpenAttempt>, charge_id: Option<&String>) {
    let charge_id = charge_id.cloned();
    draft.case.state = State::Processing { attempt, charge_id };
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
    draft.case.memory.instrument = Some(Target::of(&draft.case, snapshot).instrument);
    if let Some(payment) = &snapshot.payment {
        absorb_payment(draft, snapshot, payment);
    }
    if let Some(default) = &snapshot.default_method {
        let card = default.fingerprint.as_deref();
        let memory = &draft.case.memory;
        let known = memory.declined_methods.contains(&default.id) || memory.new_method.as_ref() == Some(&default.id);
        if memory.bars(card) || (!known && !memory.declined_methods.is_empty()) {
            let seen = method::Seen {
                method: Some(&default.id),
                fingerprint: card,
                instrument: default.instrument.as_ref(),
                renewed: false,
                at: None,
            };
            method::take(draft, &seen);
        }
    }
}

/// Takes in what is owed.
pub fn absorb_amount(draft: &mut Draft<'_>, to: Money) {
    let from = draft.case.amount_due;
    if from != to {
        draft.case.amount_due = to;
        let text = format!("The amount owed is now {to}.");
        draft.say(EntryKind::AmountChanged, text, json!({"from": from, "to": to}));
    }
}

/// Takes in amount, links and contact.
pub fn absorb_facts(draft: &mut Draft<'_>, snapshot: &Snapshot) {
    absorb_amount(draft, snapshot.amount_remaining);
    let memory = &mut draft.case.memory;
    memory.paid_before_minor = snapshot.amount_paid.amount_minor;
    memory.pay_url = snapshot.pay_url.clone().or(memory.pay_url.take());
    memory.description = snapshot.description.clone().or(memory.description.take());
    let customer = &snapshot.customer;
    if customer.email.is_some() || customer.alternate.is_some() {
        let email = customer.email.clone().or(draft.case.contact.email.clone());
        reach::moved(draft, email, customer.alternate.clone());
    }
    let contact = &mut draft.case.contact;
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
        if payment.decline.is_some() && draft.case.decline != decline {
            let named = [payment.payment_method.as_deref()];
            declined(draft, &decline, &named, payment.fingerprint.as_deref());
            draft.replan();
        }
        return;
    }
    let origin = origin_of(draft);
    let at = payment.charged_at.unwrap_or(draft.now());
    draft.case.attempts = draft.case.attempts.saturating_add(1);
    let seen = SeenAttempt {
        charge_id: Some(charge.clone()),
        at,
        amount: snapshot.amount_remaining,
        decline: decline.clone(),
        payment_method: payment.payment_method.clone(),
        instrument: payment.instrument.clone(),
    };
    draft.entries.push(attempt_seen(&seen, origin));
    draft.commands.push(Command::RecordAttempt { seen, origin });
    // A card that the customer only tried on-session says nothing of the one we would charge.
    let same = snapshot.default_method.as_ref().is_none_or(|default| {
        let same_card = default.fingerprint.is_some() && default.fingerprint == payment.fingerprint;
        same_card
            || payment
                .payment_method
                .as_ref()
                .is_none_or(|method| *method == default.id)
    });
    if same {
        let named = [payment.payment_method.as_deref()];
        declined(draft, &decline, &named, payment.fingerprint.as_deref());
        draft.replan();
    }
}

/// What the timeline says of a failed charge that is not ours.
pub fn attempt_seen(seen: &SeenAttempt, origin: Origin) -> Entry {
    Entry {
        kind: EntryKind::AttemptSeen,
        text: format!("A charge made by the {origin} was declined: {}.", seen.decline.kind),
        data: json!({"charge": seen.charge_id, "origin": origin, "decline": seen.decline}),
    }
}

/// Who made a charge that is not ours. After its last retry the provider plans none any more, so what it planned before
/// this look counts too.
fn origin_of(draft: &Draft<'_>) -> Origin {
    let planned = [&draft.case, draft.before]
        .iter()
        .any(|case| case.memory.provider_next_attempt_at.is_some());
    if planned || super::open::provider_collects(&draft.case) {
        Origin::Provider
    } else {
        Origin::Customer
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

/// Takes in a decline of the instrument that was charged. `named` is what answer and attempt call it; where neither
/// names it, it is what our last charge went to.
pub fn declined(
    draft: &mut Draft<'_>,
    decline: &crate::domain::decline::Decline,
    named: &[Option<&str>],
    fingerprint: Option<&str>,
) {
    take_decline(&mut draft.case, decline, draft.moment.now);
    let memory = &mut draft.case.memory;
    let mut methods: Vec<String> = named.iter().flatten().map(|method| (*method).to_owned()).collect();
    if methods.is_empty() {
        methods.extend(memory.charged_method.clone());
    }
    for method in methods {
        if !memory.declined_methods.contains(&method) {
            memory.declined_methods.push(method);
        }
    }
    if let Some(card) = fingerprint.filter(|_| decline.disposition == Disposition::Never)
        && !memory.barred_fingerprints.iter().any(|barred| barred == card)
    {
        memory.barred_fingerprints.push(card.to_owned());
    }
    // The charge of a new payment method is planned anew where that method is still untried.
    if draft.case.timers.charge_trigger == Some(Trigger::CardUpdate) {
        draft.case.timers.charge_at = None;
        draft.case.timers.charge_trigger = None;
    }
}

/// By which of our doings an attempt of ours brought the money.
pub fn recovered_by(attempt: &OpenAttempt) -> RecoveredBy {
    match attempt.trigger {
        Trigger::Schedule | Trigger::Staff => RecoveredBy::Retry,
        Trigger::CardUpdate => RecoveredBy::CardUpdate,
    }
}

fn processing(
    draft: &mut Draft<'_>,
    snapshot: &Snapshot,
    attempt: Option<&OpenAttempt>,
    charge_under_way: Option<&String>,
) {
    let payment = snapshot.payment.as_ref();
    let charge = payment.and_then(|payment| payment.charge_id.clone());
    let status = payment.map(|payment| payment.status);
    if snapshot.status == InvoiceStatus::Paid {
        paid_while_processing(draft, snapshot, attempt, charge_under_way);
        return;
    }
    let outcome = forced(&draft.case, snapshot);
    if outcome.is_none() && waits(draft, (status, charge.as_ref()), attempt) {
        return;
    }
    draft.case.timers.look_at = None;
    draft.case.state = State::Active;
    if let Some(attempt) = attempt {
        let decline = decline_of(snapshot);
        if let Some(charge) = charge
            .clone()
            .filter(|id| !draft.case.memory.known_charges.contains(id))
        {
            draft.case.memory.known_charges.push(charge);
        }
        answer::close_attempt(draft, attempt, AttemptStatus::Declined, charge, Some(&decline));
        let seen = payment.and_then(|payment| payment.payment_method.as_deref());
        let named = [seen, attempt.payment_method.as_deref()];
        let card = payment.and_then(|payment| payment.fingerprint.as_deref());
        declined(draft, &decline, &named, card);
    }
    if let Some(outcome) = outcome {
        close(draft, outcome);
    } else {
        draft.replan();
        absorb(draft, snapshot);
        late::settle(draft);
    }
}

/// The invoice is paid while a slow charge is under way: by that charge, or by somebody else's.
fn paid_while_processing(
    draft: &mut Draft<'_>,
    snapshot: &Snapshot,
    attempt: Option<&OpenAttempt>,
    charge_under_way: Option<&String>,
) {
    let payment = snapshot.payment.as_ref();
    let charge = payment.and_then(|payment| payment.charge_id.clone());
    let status = payment.map(|payment| payment.status);
    let ours = attempt.filter(|_| !snapshot.paid_out_of_band);
    if ours.is_some() && status == Some(PaymentStatus::Processing) {
        // Somebody else paid while our charge is under way; whether it brings money too shows once it has ended.
        draft.case.timers.look_at = Some(draft.in_secs(DAILY_SECS));
        return;
    }
    let brought_money = status.is_none_or(|status| status == PaymentStatus::Succeeded);
    let named_otherwise = match (charge_under_way, &charge) {
        (Some(under_way), Some(seen)) => under_way != seen,
        (None, _) | (_, None) => false,
    };
    let ours = ours.filter(|_| brought_money && !named_otherwise);
    let by = ours.map_or_else(|| paid_by(&draft.case, snapshot), recovered_by);
    if let Some(attempt) = attempt {
        let status = match ours {
            Some(_) => AttemptStatus::Succeeded,
            // It was made; should it bring money all the same, the reconciliation of charges finds it.
            None if named_otherwise => AttemptStatus::NotCharged,
            None => AttemptStatus::NotNeeded,
        };
        answer::close_attempt(draft, attempt, status, charge.filter(|_| ours.is_some()), None);
    }
    late::seen_paid(draft, by, snapshot);
}

/// Whether a slow charge is waited for. One that succeeded while the invoice is still owed may be about to settle it;
/// one of ours that did not by the end of the campaign goes to a person.
fn waits(
    draft: &mut Draft<'_>,
    (status, seen): (Option<PaymentStatus>, Option<&String>),
    attempt: Option<&OpenAttempt>,
) -> bool {
    let ended = draft.case.timers.final_at.is_some_and(|at| at <= draft.now());
    match (status, attempt) {
        (Some(PaymentStatus::Processing), _) => {
            draft.case.timers.look_at = Some(draft.in_secs(DAILY_SECS));
            // The answer may not have named it.
            if let State::Processing { charge_id, .. } = &mut draft.case.state {
                *charge_id = charge_id.take().or(seen.cloned());
            }
        }
        (Some(PaymentStatus::Succeeded), Some(_)) if !ended => {
            draft.case.timers.look_at = Some(draft.in_secs(BACKOFF_LONGEST_SECS));
        }
        (Some(PaymentStatus::Succeeded), Some(attempt)) => {
            let attempt = attempt.clone();
            answer::mismatch(draft, &attempt, "the charge succeeded and the invoice is still owed");
        }
        (
            Some(
                PaymentStatus::Succeeded
                | PaymentStatus::Failed
                | PaymentStatus::RequiresAction
                | PaymentStatus::Canceled,
            )
            | None,
            _,
        ) => return false,
    }
    true
}

fn paused(draft: &mut Draft<'_>, snapshot: &Snapshot, until: Timestamp, held_since: Option<Timestamp>) {
    if ended(draft, snapshot) {
        return;
    }
    absorb_facts(draft, snapshot);
    if until > draft.now() {
        return;
    }
    if held_since.is_some() {
        // A hold has no end of its own; the invoice is only watched.
        let until = draft.in_secs(DAILY_SECS);
        draft.case.state = State::Paused { until, held_since };
    } else {
        super::staff::resume(draft, "clock");
    }
}

/// The final action was sent and not answered: what the provider shows tells whether it arrived.
fn ending(draft: &mut Draft<'_>, snapshot: &Snapshot, action: FinalAction, outcome: Outcome) {
    if snapshot.status == InvoiceStatus::Paid && !alive("end_without_look") {
        let by = paid_by(&draft.case, snapshot);
        late::seen_paid(draft, by, snapshot);
        return;
    }
    let subscription = snapshot.subscription.as_ref();
    let arrived = match action {
        FinalAction::Cancel => subscription.is_some_and(|seen| seen.status == SubscriptionStatus::Canceled),
        FinalAction::Pause => subscription.is_some_and(|seen| seen.collection_paused),
        FinalAction::MarkUncollectible => snapshot.status == InvoiceStatus::Uncollectible,
        FinalAction::LeaveOpen => true,
    };
    // What staff gave up stays given up whoever leaves meanwhile, as long as there is something to give up.
    let staff = matches!(outcome, Outcome::Stopped { .. }) && snapshot.status == InvoiceStatus::Open;
    if arrived {
        close(draft, outcome);
    } else if let Some(forced) = forced(&draft.case, snapshot).filter(|_| !staff) {
        close(draft, forced);
    } else if let State::Ending { sent, .. } = &mut draft.case.state {
        *sent = sent.saturating_add(1);
        draft.case.timers.look_at = Some(draft.moment.now);
        draft.commands.push(Command::Finish);
    }
}
