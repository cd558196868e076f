//! What follows from the answer to a charge of ours.

use std::time::Duration;

use serde_json::json;

use super::look::{declined, recovered_by, wait_for_processing};
use super::{BACKOFF_LONGEST_SECS, Draft, backoff_secs, doubt, late};
use crate::domain::calendar::written;
use crate::domain::case::{Case, OpenAttempt, State, Warning};
use crate::domain::ceiling::BLOCK_CODE;
use crate::domain::command::{AttemptStatus, Command, Decision, EntryKind, Reason};
use crate::domain::decline::Decline;
use crate::domain::event::Answer;
use crate::domain::ids::AttemptId;
use crate::domain::learning::model::Fact;
use crate::domain::mutant::alive;

/// What follows from an answer. A true answer is welcome however late; a decline counts only for the open attempt.
pub fn answered(mut draft: Draft<'_>, id: &AttemptId, answer: &Answer) -> Decision {
    let open = draft.case.open_attempt().filter(|attempt| attempt.id == *id).cloned();
    let Some(attempt) = open else {
        return answered_late(draft, id, answer);
    };
    if !matches!(answer, Answer::NotSent { .. } | Answer::Unknown { .. }) {
        // The provider took the charge and answered it: whatever it refused before is mended.
        draft.case.memory.not_sent = 0;
        draft.case.unwarn(Warning::ProviderRefuses);
    }
    match answer {
        Answer::Succeeded { charge_id } => {
            learn(&mut draft, true);
            close_attempt(&mut draft, &attempt, AttemptStatus::Succeeded, charge_id.clone(), None);
            draft.case.memory.known_charges.extend(charge_id.clone());
            late::recovered(&mut draft, recovered_by(&attempt), charge_id.clone());
        }
        Answer::Declined { .. } => take_refusal(&mut draft, &attempt, answer),
        Answer::Processing { charge_id } => wait_for_processing(&mut draft, Some(attempt), charge_id.as_ref()),
        Answer::NothingOwed => {
            // Had an earlier sending been carried out, the provider would have repeated its answer.
            nothing_owed(&mut draft, &attempt);
        }
        Answer::NotSent {
            reason,
            needs_person,
            retry_after,
        } => {
            if *needs_person {
                provider_refuses(&mut draft);
            }
            if sent_once(&draft.case.state) || alive("not_sent_in_doubt") {
                not_sent(&mut draft, &attempt, reason, *needs_person, *retry_after);
            } else {
                // This sending came to nothing; what became of the earlier ones still cannot be told.
                unknown(&mut draft, attempt, reason, *retry_after);
            }
        }
        Answer::Unknown { reason, retry_after } => unknown(&mut draft, attempt, reason, *retry_after),
        Answer::Mismatch { reason } => mismatch(&mut draft, &attempt, reason),
    }
    draft.done()
}

/// An answer to a charge that is no longer open.
fn answered_late(draft: Draft<'_>, id: &AttemptId, answer: &Answer) -> Decision {
    match answer {
        Answer::Succeeded { charge_id } => late::late_success(draft, id, charge_id.as_deref()),
        Answer::Declined { .. }
        | Answer::Processing { .. }
        | Answer::NothingOwed
        | Answer::NotSent { .. }
        | Answer::Unknown { .. }
        | Answer::Mismatch { .. } => Decision::Ignored(match &draft.case.state {
            State::Closed { .. } => Reason::CaseClosed,
            State::Active
            | State::Charging { .. }
            | State::InDoubt { .. }
            | State::Processing { .. }
            | State::Paused { .. }
            | State::NeedsPerson
            | State::Ending { .. } => Reason::OtherAttempt,
        }),
    }
}

/// Whether the open attempt was sent only once, so that an answer that denies this sending denies the charge.
fn sent_once(state: &State) -> bool {
    match state {
        State::Charging { .. } => true,
        State::InDoubt { .. }
        | State::Processing { .. }
        | State::Active
        | State::Paused { .. }
        | State::NeedsPerson
        | State::Ending { .. }
        | State::Closed { .. } => false,
    }
}

/// Somebody else was faster: the invoice is read again at once.
fn nothing_owed(draft: &mut Draft<'_>, attempt: &OpenAttempt) {
    close_attempt(draft, attempt, AttemptStatus::NotNeeded, None, None);
    active_again(draft);
    draft.replan();
    // Were the invoice owed all the same, the provider must not be asked in a circle.
    let later = draft.in_secs(BACKOFF_LONGEST_SECS);
    draft.case.timers.charge_at = draft.case.timers.charge_at.map(|at| at.max(later));
    draft.case.memory.look_again = true;
    late::settle(draft);
}

fn provider_refuses(draft: &mut Draft<'_>) {
    draft.warn(
        Warning::ProviderRefuses,
        "The provider refuses our calls: check the API key and its rights.",
    );
}

/// The issuer said no: the decline is taken in and the rest of the case planned anew.
fn take_refusal(draft: &mut Draft<'_>, attempt: &OpenAttempt, answer: &Answer) {
    let Answer::Declined {
        decline,
        charge_id,
        payment_method,
        fingerprint,
        card,
        instrument,
    } = answer
    else {
        return;
    };
    if decline.provider_code.as_deref() != Some(BLOCK_CODE) {
        learn(draft, false);
    }
    let memory = &mut draft.case.memory;
    memory
        .known_charges
        .extend(charge_id.clone().filter(|id| !memory.known_charges.contains(id)));
    memory.nameless_answer_at = charge_id.is_none().then_some(draft.moment.now);
    memory.card = card.clone().or(memory.card.take());
    memory.instrument = instrument.clone().or(memory.instrument.take());
    let named = OpenAttempt {
        instrument: instrument.clone().or_else(|| attempt.instrument.clone()),
        ..attempt.clone()
    };
    close_attempt(draft, &named, AttemptStatus::Declined, charge_id.clone(), Some(decline));
    let named = [payment_method.as_deref(), attempt.payment_method.as_deref()];
    declined(draft, decline, &named, fingerprint.as_deref());
    active_again(draft);
    draft.replan();
    late::settle(draft);
}

/// The answer of an issuer is something to learn from; it is one to the kind of decline that the charge was planned for.
fn learn(draft: &mut Draft<'_>, paid: bool) {
    if let Some(features) = draft.case.memory.features.take() {
        let fact = Fact::Charge { features, paid };
        draft.learn(draft.case.decline.kind, fact);
    }
}

/// Records how an attempt ended, in the timeline too.
pub fn close_attempt(
    draft: &mut Draft<'_>,
    attempt: &OpenAttempt,
    status: AttemptStatus,
    charge_id: Option<String>,
    decline: Option<&Decline>,
) {
    let text = match decline {
        Some(decline) => format!("The charge was {status}: {}.", decline.kind),
        None => format!("The charge ended: {status}."),
    };
    let data = json!({"attempt": attempt.id, "status": status, "charge": charge_id, "decline": decline});
    draft.say(EntryKind::AttemptAnswered, text, data);
    match status {
        AttemptStatus::NotSent | AttemptStatus::NotNeeded => uncount(&mut draft.case),
        AttemptStatus::Open
        | AttemptStatus::Succeeded
        | AttemptStatus::Declined
        | AttemptStatus::NotCharged
        | AttemptStatus::Mismatch
        | AttemptStatus::Unresolved => {}
    }
    draft.commands.push(Command::CloseAttempt {
        id: attempt.id.clone(),
        status,
        charge_id,
        decline: decline.cloned(),
        instrument: attempt.instrument.clone(),
    });
}

fn active_again(draft: &mut Draft<'_>) {
    draft.case.state = State::Active;
    draft.case.timers.look_at = None;
    draft.case.memory.out_of_reach = 0;
    draft.case.timers.hold_until = None;
}

/// A charge that was never made is not counted.
fn uncount(case: &mut Case) {
    case.memory.charges = case.memory.charges.saturating_sub(1);
    case.attempts = case.attempts.saturating_sub(1);
}

fn not_sent(draft: &mut Draft<'_>, attempt: &OpenAttempt, reason: &str, person: bool, retry_after: Option<Duration>) {
    let tries = draft.case.memory.not_sent.saturating_add(1);
    close_attempt(draft, attempt, AttemptStatus::NotSent, None, None);
    active_again(draft);
    // The invoice can be read while charges are not carried out: these have their own count, so that the waits grow.
    draft.case.memory.not_sent = tries;
    let wait = if person {
        BACKOFF_LONGEST_SECS
    } else {
        backoff_secs(tries, retry_after)
    };
    let until = draft.in_secs(wait);
    draft.case.timers.charge_at = Some(until);
    draft.case.timers.charge_trigger = Some(attempt.trigger);
    let text = format!(
        "Nothing was charged, because the call was not carried out; it is made again at {}.",
        written(until)
    );
    draft.say(EntryKind::StoodBack, text, json!({"reason": reason, "until": until}));
    late::settle(draft);
}

fn unknown(draft: &mut Draft<'_>, attempt: OpenAttempt, reason: &str, retry_after: Option<Duration>) {
    let asked = doubt::asked(&draft.case.state);
    let look_at = draft.in_secs(backoff_secs(asked.saturating_add(1), retry_after));
    if asked == 0 {
        let text = "It cannot be told whether the charge was made; the same key is sent again, never a new one.";
        draft.say(
            EntryKind::StoodBack,
            text,
            json!({"attempt": attempt.id, "reason": reason, "until": look_at}),
        );
    }
    draft.case.state = State::InDoubt { attempt, asked };
    draft.case.timers.look_at = Some(look_at);
    // A hint looks again at once, but not before the provider wants to be asked again.
    draft.case.timers.hold_until = retry_after.map(|_| look_at);
}

/// The answer contradicts the question: a person takes over.
pub fn mismatch(draft: &mut Draft<'_>, attempt: &OpenAttempt, reason: &str) {
    close_attempt(draft, attempt, AttemptStatus::Mismatch, None, None);
    doubt::unclear(draft, attempt);
    doubt::to_person(draft);
    draft.say(
        EntryKind::Warned,
        "The answer contradicts what was asked.",
        json!({ "reason": reason }),
    );
    draft.case.warn(Warning::AnswerMismatch);
    late::settle(draft);
}
