//! Due cases: the freshness gate, then the one effect that is due, then its answer back into `handle`.

use std::panic::AssertUnwindSafe;

use futures_util::{FutureExt, StreamExt};
use metrics::counter;

use super::handle::{ENGINE, Handled, handle, resend_secs};
use super::{BATCH, Connection, Inner, LEASE_SECS, count};
use crate::clock::Stopwatch;
use crate::domain::calendar::secs_from;
use crate::domain::case::{Case, OpenAttempt, State};
use crate::domain::command::{Change, Command};
use crate::domain::event::{Answer, Event, LookCause};
use crate::domain::ids::CaseId;
use crate::domain::snapshot::Snapshot;
use crate::providers::{ActionOutcome, ChargeOutcome, ChargeRequest, ReadError};
use crate::store::cases::Claim;
use crate::store::{StoreError, cases};
use crate::telemetry::metric;

/// An effect is sent only while at least half of the lease is left.
const SEND_BEFORE_SECS: u64 = LEASE_SECS as u64 / 2;

/// Claims due cases and works on them; answers how many there were.
pub async fn work(inner: &Inner) -> Result<u64, StoreError> {
    let watch = Stopwatch::start();
    let claims = cases::claim_due(&inner.store, inner.now(), BATCH, LEASE_SECS, &inner.owner).await?;
    let count = claims.len() as u64;
    futures_util::stream::iter(claims)
        .for_each_concurrent(None, |claim| one(inner, claim, watch))
        .await;
    Ok(count)
}

/// Works on one claimed case. Where that fails, the lease is left to run out, so that a broken case is tried again later
/// and never keeps the others waiting.
async fn one(inner: &Inner, claim: Claim, claimed: Stopwatch) {
    let done = AssertUnwindSafe(step(inner, &claim.id, claimed)).catch_unwind().await;
    let released = match done {
        Ok(Ok(true)) => cases::release(&inner.store, &claim.id, claim.fence).await,
        Ok(Ok(false)) => {
            tracing::error!(case_id = %claim.id, "the case is due but nothing follows from it");
            Ok(())
        }
        Ok(Err(error)) => Err(error),
        Err(_) => {
            tracing::error!(case_id = %claim.id, "working on the case panicked");
            Ok(())
        }
    };
    if let Err(error) = released {
        tracing::error!(case_id = %claim.id, %error, "working on the case failed; its lease is left to run out");
    }
}

/// One step of one case; answers whether it got anywhere. `claimed` is when its lease began.
async fn step(inner: &Inner, id: &CaseId, claimed: Stopwatch) -> Result<bool, StoreError> {
    let Some(case) = cases::find(inner.store.conn(), id).await? else {
        return Ok(true);
    };
    let Some(connection) = inner.connections.get(&case.connection) else {
        tracing::error!(case_id = %id, connection = case.connection, "the case's connection is not configured");
        return Ok(false);
    };
    let watch = Stopwatch::start();
    let read = connection.provider.snapshot(&case.invoice_id).await;
    count::call(watch, "read", if read.is_ok() { "answered" } else { "unusable" });
    let event = match &read {
        Ok(snapshot) => Event::Looked {
            snapshot: Box::new(snapshot.clone()),
            cause: LookCause::Due,
        },
        Err(ReadError::NotFound) => Event::InvoiceMissing,
        Err(error) => out_of_reach(error),
    };
    let change = match handle(inner, id, &event, ENGINE).await? {
        Handled::Changed(change) => change,
        // Somebody else's event may have done it in the meantime.
        Handled::Ignored(_) => return is_at_rest(inner, id).await,
        Handled::Gone => return Ok(true),
    };
    if let Ok(snapshot) = &read
        && claimed.elapsed().as_secs() < SEND_BEFORE_SECS
    {
        carry_out(inner, connection, &change, snapshot).await?;
    }
    Ok(true)
}

/// Whether nothing of the case is due any more.
async fn is_at_rest(inner: &Inner, id: &CaseId) -> Result<bool, StoreError> {
    let case = cases::find(inner.store.conn(), id).await?;
    let next = case.and_then(|case| case.next_action());
    Ok(next.is_none_or(|next| next.at > inner.now()))
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

/// The effects that wait for the commit: at most one charge or one final action.
async fn carry_out(
    inner: &Inner,
    connection: &Connection,
    change: &Change,
    snapshot: &Snapshot,
) -> Result<(), StoreError> {
    for command in &change.commands {
        match command {
            Command::OpenAttempt { attempt, .. } | Command::Resend { attempt } => {
                charge(inner, connection, &change.case, attempt).await?;
            }
            Command::Finish => finish(inner, connection, &change.case, snapshot).await?,
            Command::RecordAttempt { .. }
            | Command::CloseAttempt { .. }
            | Command::Notify { .. }
            | Command::SupersedeNotices { .. }
            | Command::BookLate { .. }
            | Command::OpenReversal => {}
        }
    }
    Ok(())
}

async fn charge(inner: &Inner, connection: &Connection, case: &Case, attempt: &OpenAttempt) -> Result<(), StoreError> {
    // Whoever slept between the decision and this line, longer than the key lives, must not wake up and charge.
    if inner.now() >= secs_from(attempt.started_at, resend_secs(connection)) {
        return Ok(());
    }
    let request = ChargeRequest {
        invoice_id: case.invoice_id.clone(),
        key: attempt.id.to_string(),
        amount: attempt.amount,
        payment_method: attempt.payment_method.clone(),
    };
    let watch = Stopwatch::start();
    let outcome = connection.provider.charge(&request).await;
    let answer = answer(outcome);
    count::call(watch, "charge", word(&answer));
    tracing::info!(case_id = %case.id, attempt_id = %attempt.id, answer = word(&answer), "charge answered");
    handle(
        inner,
        &case.id,
        &Event::Answered {
            attempt: attempt.id.clone(),
            answer,
        },
        ENGINE,
    )
    .await?;
    Ok(())
}

fn word(answer: &Answer) -> &'static str {
    match answer {
        Answer::Succeeded { .. } => "succeeded",
        Answer::Declined { .. } => "declined",
        Answer::Processing => "processing",
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
        },
        ChargeOutcome::Processing => Answer::Processing,
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
        ChargeOutcome::Unknown { reason, retry_after } => Answer::Unknown { reason, retry_after },
        ChargeOutcome::Mismatch { reason } => Answer::Mismatch { reason },
    }
}

async fn finish(inner: &Inner, connection: &Connection, case: &Case, snapshot: &Snapshot) -> Result<(), StoreError> {
    let State::Ending { action, .. } = &case.state else {
        return Ok(());
    };
    // The key names the case and the action, so that sending it again is the same request.
    let key = format!("{}-{}", case.id, action.as_str());
    let watch = Stopwatch::start();
    let outcome = connection.provider.finish(*action, snapshot, &key).await;
    count::call(
        watch,
        "finish",
        if outcome == ActionOutcome::Done {
            "done"
        } else {
            "not_done"
        },
    );
    let event = match outcome {
        ActionOutcome::Done => Event::Finished,
        ActionOutcome::Refused { reason } => Event::FinishRefused { reason },
        ActionOutcome::Unavailable { reason, retry_after } => Event::OutOfReach {
            reason,
            retry_after,
            refused: false,
        },
    };
    handle(inner, &case.id, &event, ENGINE).await?;
    Ok(())
}
