//! What follows from the answer to a charge of ours.

use std::time::Duration;

use serde_json::json;

use super::close::close;
use super::look::{declined, recovered_by, wait_for_processing};
use super::{BACKOFF_LONGEST_SECS, DAILY_SECS, Draft, backoff_secs};
use crate::domain::case::{Case, OpenAttempt, State, Warning};
use crate::domain::command::{AttemptStatus, Command, Decision, EntryKind, Reason};
use crate::domain::decline::Decline;
use crate::domain::event::Answer;
use crate::domain::ids::AttemptId;
use crate::domain::outcome::{Outcome, StoppedWhy};

/// What follows from an answer. A true answer is welcome however late; a decline counts only for the open attempt.
pub fn answered(mut draft: Draft<'_>, id: &AttemptId, answer: &Answer) -> Decision {
    let attempt = match &draft.case.state {
        State::Closed { .. } => return Decision::Ignored(Reason::CaseClosed),
        State::Charging { attempt } | State::InDoubt { attempt, .. } | State::Processing { attempt: Some(attempt) } => {
            attempt.clone()
        }
        State::Active
        | State::Processing { attempt: None }
        | State::Paused { .. }
        | State::NeedsPerson
        | State::Ending { .. } => return Decision::Ignored(Reason::OtherAttempt),
    };
    if attempt.id != *id {
        return Decision::Ignored(Reason::OtherAttempt);
    }
    match answer {
        Answer::Succeeded { charge_id } => {
            close_attempt(&mut draft, &attempt, AttemptStatus::Succeeded, charge_id.clone(), None);
            draft.case.memory.known_charges.extend(charge_id.clone());
            close(
                &mut draft,
                Outcome::Recovered {
                    by: recovered_by(&attempt),
                },
            );
        }
        Answer::Declined { .. } => take_refusal(&mut draft, &attempt, answer),
        Answer::Processing => wait_for_processing(&mut draft, Some(attempt)),
        Answer::NothingOwed => {
            close_attempt(&mut draft, &attempt, AttemptStatus::NotNeeded, None, None);
            uncount(&mut draft.case);
            active_again(&mut draft);
            draft.replan();
            // Were the invoice owed all the same, the provider must not be asked in a circle.
            let later = draft.in_secs(BACKOFF_LONGEST_SECS);
            draft.case.timers.charge_at = draft.case.timers.charge_at.map(|at| at.max(later));
            draft.case.memory.look_again = true;
            settle(&mut draft);
        }
        Answer::NotSent {
            reason,
            needs_person,
            retry_after,
        } => {
            not_sent(&mut draft, &attempt, reason, *needs_person, *retry_after);
        }
        Answer::Unknown { reason, retry_after } => unknown(&mut draft, attempt, reason, *retry_after),
        Answer::Mismatch { reason } => mismatch(&mut draft, &attempt, reason),
    }
    draft.done()
}

/// The issuer said no: the decline is taken in and the rest of the case planned anew.
fn take_refusal(draft: &mut Draft<'_>, attempt: &OpenAttempt, answer: &Answer) {
    let Answer::Declined {
        decline,
        charge_id,
        payment_method,
        fingerprint,
        card,
    } = answer
    else {
        return;
    };
    let memory = &mut draft.case.memory;
    memory
        .known_charges
        .extend(charge_id.clone().filter(|id| !memory.known_charges.contains(id)));
    memory.nameless_answer_at = charge_id.is_none().then_some(draft.moment.now);
    memory.card = card.clone().or(memory.card.take());
    close_attempt(
        draft,
        attempt,
        AttemptStatus::Declined,
        charge_id.clone(),
        Some(decline),
    );
    let method = payment_method.as_deref().or(attempt.payment_method.as_deref());
    declined(draft, decline, method, fingerprint.as_deref());
    active_again(draft);
    draft.replan();
    settle(draft);
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
    draft.commands.push(Command::CloseAttempt {
        id: attempt.id.clone(),
        status,
        charge_id,
        decline: decline.cloned(),
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

/// What waited for the attempt to be answered: a dispute, a hint to look again.
pub fn settle(draft: &mut Draft<'_>) {
    if draft.case.memory.disputed {
        close(
            draft,
            Outcome::Stopped {
                why: StoppedWhy::Disputed,
            },
        );
        return;
    }
    if std::mem::take(&mut draft.case.memory.look_again) {
        draft.case.timers.look_at = Some(draft.now());
    }
}

fn not_sent(draft: &mut Draft<'_>, attempt: &OpenAttempt, reason: &str, person: bool, retry_after: Option<Duration>) {
    let tries = draft.case.memory.out_of_reach.saturating_add(1);
    close_attempt(draft, attempt, AttemptStatus::NotSent, None, None);
    uncount(&mut draft.case);
    active_again(draft);
    draft.case.memory.out_of_reach = tries;
    let wait = if person {
        BACKOFF_LONGEST_SECS
    } else {
        backoff_secs(tries, retry_after)
    };
    let until = draft.in_secs(wait);
    draft.case.timers.charge_at = Some(until);
    draft.case.timers.charge_trigger = Some(attempt.trigger);
    let text = format!("Nothing was charged, because the call was not carried out; it is made again at {until}.");
    draft.say(EntryKind::StoodBack, text, json!({"reason": reason, "until": until}));
    if person {
        draft.warn(
            Warning::ProviderRefuses,
            "The provider refuses our calls: check the API key and its rights.",
        );
    }
    if draft.case.memory.disputed {
        close(
            draft,
            Outcome::Stopped {
                why: StoppedWhy::Disputed,
            },
        );
    } else if std::mem::take(&mut draft.case.memory.look_again) {
        draft.case.timers.look_at = Some(draft.now());
    }
}

fn unknown(draft: &mut Draft<'_>, attempt: OpenAttempt, reason: &str, retry_after: Option<Duration>) {
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
}

fn mismatch(draft: &mut Draft<'_>, attempt: &OpenAttempt, reason: &str) {
    close_attempt(draft, attempt, AttemptStatus::Mismatch, None, None);
    draft.case.state = State::NeedsPerson;
    draft.case.timers.look_at = Some(draft.in_secs(DAILY_SECS));
    draft.say(
        EntryKind::Warned,
        "The answer contradicts what was asked.",
        json!({ "reason": reason }),
    );
    draft.case.warn(Warning::AnswerMismatch);
}

/// An attempt that could not be resolved in time: a person takes over.
pub fn give_up(mut draft: Draft<'_>, id: AttemptId) -> Decision {
    draft.say(
        EntryKind::AttemptAnswered,
        "The charge could not be resolved; a person must ask the provider.",
        json!({"attempt": id, "status": AttemptStatus::Unresolved}),
    );
    draft.commands.push(Command::CloseAttempt {
        id,
        status: AttemptStatus::Unresolved,
        charge_id: None,
        decline: None,
    });
    draft.case.state = State::NeedsPerson;
    draft.case.timers.look_at = Some(draft.in_secs(DAILY_SECS));
    draft.warn(
        Warning::AttemptUnresolved,
        "An attempt could not be resolved in time; a person must decide.",
    );
    draft.done()
}
