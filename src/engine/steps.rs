//! Due cases: the freshness gate, then the one effect that is due, then its answer back into `handle`.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use metrics::counter;

use super::handle::{ENGINE, Handled, Release, handle, handle_claimed, is_carried_out, resend_secs};
use super::pump::Work;
use super::{Connection, Inner, SEND_BEFORE_SECS, count};
use crate::clock::Stopwatch;
use crate::domain::calendar::secs_from;
use crate::domain::case::{Case, OpenAttempt, State};
use crate::domain::command::{Change, Command};
use crate::domain::event::{Answer, Event, LookCause, StaffAction};
use crate::domain::ids::{AttemptId, CaseId};
use crate::domain::mutant::alive;
use crate::domain::snapshot::Snapshot;
use crate::providers::{ActionOutcome, ChargeOutcome, ChargeRequest, ReadError};
use crate::store::StoreError;
use crate::store::cases::Claim;
use crate::telemetry::metric;

/// The queue of due cases.
pub struct Steps<'a>(pub &'a Inner);

impl Work for Steps<'_> {
    type Row = Claim;

    async fn claim(&self, limit: u64) -> Result<Vec<Claim>, StoreError> {
        let Self(inner) = self;
        if !inner.gate.is_open(inner.now()) {
            return Ok(Vec::new());
        }
        inner.storage.claim_cases(inner.now(), limit, inner.lease()).await
    }

    async fn one(&self, claim: Claim, claimed: Stopwatch) {
        one(self.0, claim, claimed).await;
    }
}

/// What a step leaves behind.
enum Left {
    /// Nothing: the claim was given back with the last change.
    Nothing,
    /// The claim, and nothing is due by it now.
    Claim,
    /// A case that stays due although nothing follows from it.
    Stuck,
}

/// Works on one claimed case. Where that fails, the lease is left to run out, so that a broken case is tried again later
/// and never keeps the others waiting.
async fn one(inner: &Inner, claim: Claim, claimed: Stopwatch) {
    crate::failpoint!("case_claimed");
    let done = AssertUnwindSafe(step(inner, &claim, &claimed)).catch_unwind().await;
    let released = match done {
        Ok(Ok(Left::Nothing)) => Ok(()),
        Ok(Ok(Left::Claim)) => inner.storage.release(&claim).await,
        Ok(Ok(Left::Stuck)) => {
            tracing::error!(case_id = %claim.id, "the case is due but nothing follows from it");
            Ok(())
        }
        Ok(Err(error)) => Err(error),
        Err(_) => {
            tracing::error!(case_id = %claim.id, "working on the case panicked");
            Ok(())
        }
    };
    crate::failpoint!("case_released");
    if let Err(error) = released {
        tracing::error!(case_id = %claim.id, %error, "working on the case failed; its lease is left to run out");
    }
}

/// One step of one case. `claimed` is when its lease began.
async fn step(inner: &Inner, claim: &Claim, claimed: &Stopwatch) -> Result<Left, StoreError> {
    let Some(connection) = inner.connections.get(&claim.connection) else {
        tracing::error!(case_id = %claim.id, connection = claim.connection, "the case's connection is not configured");
        return Ok(Left::Stuck);
    };
    if inner.storage.excludes(&claim.id).await? && exclude(inner, claim).await? {
        return Ok(Left::Claim);
    }
    let watch = inner.clock.stopwatch();
    let read = inner.snapshot(connection, &claim.invoice_id).await;
    count::call(&watch, "read", if read.is_ok() { "answered" } else { "unusable" });
    crate::failpoint!("case_looked");
    let event = Arc::new(match read {
        Ok(snapshot) => Event::Looked {
            snapshot: Box::new(snapshot),
            cause: LookCause::Due,
        },
        Err(ReadError::NotFound) => Event::InvoiceMissing,
        Err(error) => out_of_reach(&error),
    });
    let done = Release::WhenDone(claim.fence);
    let change = match handle_claimed(inner, &claim.id, &event, ENGINE, done).await? {
        Handled::Changed(change) => change,
        // Somebody else's event may have done it in the meantime.
        Handled::Ignored(_) => return at_rest(inner, &claim.id).await,
        Handled::Gone => return Ok(Left::Claim),
    };
    match &*event {
        _ if !change.commands.iter().any(is_carried_out) => Ok(Left::Nothing),
        Event::Looked { snapshot, .. } => {
            let call = inner.call().await;
            if claimed.elapsed().as_secs() >= SEND_BEFORE_SECS {
                return Ok(Left::Claim);
            }
            let answered = carry_out(inner, connection, &change, snapshot).await;
            drop(call);
            record(inner, claim, answered).await
        }
        _ => Ok(Left::Claim),
    }
}

/// Ends the case of an excluded customer that was opened while they were being excluded; says whether it has ended. A charge or an
/// end that is under way goes on first.
async fn exclude(inner: &Inner, claim: &Claim) -> Result<bool, StoreError> {
    let event = Event::Staff {
        action: StaffAction::Exclude,
        actor: ENGINE.to_owned(),
        comment: None,
    };
    Ok(match handle(inner, &claim.id, event, ENGINE).await? {
        Handled::Changed(change) => change.case.outcome().is_some(),
        Handled::Ignored(_) | Handled::Gone => false,
    })
}

/// What is left of a case that somebody else may have worked on: its claim, unless it is still due.
async fn at_rest(inner: &Inner, id: &CaseId) -> Result<Left, StoreError> {
    let next = inner.storage.case(id).await?.and_then(|case| case.next_action());
    Ok(if next.is_none_or(|next| next.at > inner.now()) {
        Left::Claim
    } else {
        Left::Stuck
    })
}

fn out_of_reach(error: &ReadError) -> Event {
    let (retry_after, refused) = match error {
        ReadError::Unavailable { retry_after, .. } => (*retry_after, false),
        ReadError::Refused(_) => {
            counter!(metric::PROVIDER_REFUSED).increment(1);
            (None, true)
        }
        ReadError::NotFound => (None, false),
    };
    Event::OutOfReach {
        reason: error.to_string(),
        retry_after,
        refused,
    }
}

/// The effect that waits for the commit: at most one charge or one final action. Gives its answer; nothing where it is too late.
async fn carry_out(inner: &Inner, connection: &Connection, change: &Change, snapshot: &Snapshot) -> Option<Event> {
    match change.commands.iter().find(|command| is_carried_out(command))? {
        Command::OpenAttempt { attempt, .. } | Command::Resend { attempt } => {
            charge(inner, connection, &change.case, attempt).await
        }
        Command::Finish => finish(inner, connection, &change.case, snapshot).await,
        _ => None,
    }
}

/// Brings the answer of an effect to the case, and gives the claim back with it.
async fn record(inner: &Inner, claim: &Claim, answered: Option<Event>) -> Result<Left, StoreError> {
    let Some(event) = answered else {
        return Ok(Left::Claim);
    };
    let handled = handle_claimed(inner, &claim.id, &Arc::new(event), ENGINE, Release::Now(claim.fence)).await?;
    crate::failpoint!("answer_recorded");
    Ok(match handled {
        Handled::Changed(_) => Left::Nothing,
        Handled::Ignored(_) | Handled::Gone => Left::Claim,
    })
}

/// Charges, and answers what happened; nothing where it is too late to send.
async fn charge(inner: &Inner, connection: &Connection, case: &Case, attempt: &OpenAttempt) -> Option<Event> {
    // Whoever slept between the decision and this line, longer than the key lives, must not wake up and charge.
    let too_late = inner.now() >= secs_from(attempt.started_at, resend_secs(connection));
    if too_late && !alive("no_deadline_before_the_send") && !alive("old_key_again") {
        return None;
    }
    let key = if alive("new_key_on_resend") {
        AttemptId::new(inner.now_ms(), inner.clock.entropy())
    } else {
        attempt.id.clone()
    };
    let request = ChargeRequest {
        invoice_id: case.invoice_id.clone(),
        key: key.to_string(),
        amount: attempt.amount,
        payment_method: attempt.payment_method.clone(),
    };
    let watch = inner.clock.stopwatch();
    crate::failpoint!("charge_before_send");
    let answer = answer(connection.provider.charge(&request).await);
    crate::failpoint!("charge_answered");
    count::call(&watch, "charge", word(&answer));
    tracing::info!(case_id = %case.id, attempt_id = %attempt.id, answer = word(&answer), "charge answered");
    Some(Event::Answered {
        attempt: attempt.id.clone(),
        answer,
    })
}

fn word(answer: &Answer) -> &'static str {
    match answer {
        Answer::Succeeded { .. } => "succeeded",
        Answer::Declined { .. } => "declined",
        Answer::Processing { .. } => "processing",
        Answer::NothingOwed => "nothing_owed",
        Answer::NotSent { .. } => "not_sent",
        Answer::Unknown { .. } => "unknown",
        Answer::Mismatch { .. } => "mismatch",
    }
}

fn answer(outcome: ChargeOutcome) -> Answer {
    match outcome {
        ChargeOutcome::Succeeded(receipt) => Answer::Succeeded {
            charge_id: receipt.charge_id,
        },
        ChargeOutcome::Declined(refusal) => Answer::Declined {
            decline: refusal.decline,
            charge_id: refusal.charge_id,
            payment_method: refusal.payment_method,
            fingerprint: refusal.fingerprint,
            card: refusal.card,
            instrument: refusal.instrument,
        },
        ChargeOutcome::Processing { charge_id } => Answer::Processing { charge_id },
        ChargeOutcome::NothingOwed => Answer::NothingOwed,
        ChargeOutcome::NotSent {
            reason,
            needs_person,
            retry_after,
        } => Answer::NotSent {
            reason,
            needs_person,
            retry_after,
        },
        ChargeOutcome::Unknown { reason, retry_after } if alive("silence_is_a_no") => Answer::NotSent {
            reason,
            needs_person: false,
            retry_after,
        },
        ChargeOutcome::Unknown { reason, retry_after } => Answer::Unknown { reason, retry_after },
        ChargeOutcome::Mismatch { reason } => Answer::Mismatch { reason },
    }
}

async fn finish(inner: &Inner, connection: &Connection, case: &Case, snapshot: &Snapshot) -> Option<Event> {
    let State::Ending { action, .. } = &case.state else {
        return None;
    };
    // The key names the case and the action, so that sending it again is the same request.
    let key = format!("{}-{}", case.id, action.as_str());
    let watch = inner.clock.stopwatch();
    crate::failpoint!("finish_before_send");
    let outcome = connection.provider.finish(*action, snapshot, &key).await;
    crate::failpoint!("finish_answered");
    let done = outcome == ActionOutcome::Done;
    count::call(&watch, "finish", if done { "done" } else { "not_done" });
    Some(match outcome {
        ActionOutcome::Done => Event::Finished,
        ActionOutcome::Refused { reason } => Event::FinishRefused { reason },
        ActionOutcome::Unavailable { reason, retry_after } => Event::OutOfReach {
            reason,
            retry_after,
            refused: false,
        },
    })
}
