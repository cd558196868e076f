//! Rows that stand still, leases that nobody can hold, events that vanished.

use jiff::Timestamp;

use super::{DAILY_SECS, HOURLY_SECS, Ran};
use crate::domain::calendar::secs_from;
use crate::engine::{Inner, LEASE_SECS};
use crate::store::StoreError;

/// A row that is due for longer stands still.
const STUCK_SECS: i64 = 900;
/// How long the answers to requests are kept.
const ANSWERS_KEPT_SECS: i64 = 30 * DAILY_SECS;

/// Rows that fell due and were not worked on although this process has been at work for long enough.
pub(super) async fn stuck(inner: &Inner) -> Result<u64, StoreError> {
    let now = inner.now();
    if secs_from(inner.started_at, STUCK_SECS) > now {
        return Ok(0);
    }
    let overdue = inner.storage.overdue(secs_from(now, -STUCK_SECS)).await?;
    if overdue.total() > 0 {
        tracing::error!(
            events = overdue.events,
            cases = overdue.cases,
            mails = overdue.mails,
            "rows have been due for a quarter of an hour and nobody works on them"
        );
        inner.bells.inbox.notify_one();
        inner.bells.cases.notify_one();
        inner.bells.mails.notify_one();
    }
    Ok(overdue.total())
}

/// Leases that no worker can hold any more are ended; counted are those that kept due work from being done.
pub(super) async fn leases(inner: &Inner) -> Result<u64, StoreError> {
    let kept_waiting = inner.storage.free_leases(inner.now(), LEASE_SECS).await?;
    if kept_waiting > 0 {
        tracing::error!(
            rows = kept_waiting,
            "leases that nobody can hold kept rows from being worked on"
        );
    }
    Ok(kept_waiting)
}

/// Events that were received and are not there any more. Each turn counts what came since the one before, up to an hour
/// ago, and the next turn counts that again.
pub(super) async fn events(inner: &Inner, mark: &str) -> Result<Ran, StoreError> {
    let now = inner.now();
    let mut parts = mark.split(' ');
    let instant = |text: Option<&str>| text.and_then(|text| text.parse::<Timestamp>().ok());
    let (first, second) = (instant(parts.next()), instant(parts.next()));
    let mut vanished = 0;
    if let (Some(from), Some(to)) = (first, second) {
        let there = inner.storage.events_received(from, to).await?;
        for counted in parts {
            let Some((connection, count)) = counted.rsplit_once('=') else {
                continue;
            };
            let count: u64 = count.parse().unwrap_or(0);
            let left = there
                .iter()
                .find(|(name, _)| name == connection)
                .map_or(0, |(_, left)| *left);
            if left < count {
                tracing::error!(
                    connection,
                    missing = count - left,
                    "events that were received have vanished"
                );
                vanished += count - left;
            }
        }
    }
    let from = second.or(first).unwrap_or(now);
    let to = secs_from(now, -HOURLY_SECS).max(from);
    let counted = inner.storage.events_received(from, to).await?;
    let counted: Vec<String> = counted
        .iter()
        .map(|(connection, count)| format!(" {connection}={count}"))
        .collect();
    Ok(Ran {
        found: vanished,
        mark: format!("{from} {to}{}", counted.concat()),
        complete: true,
    })
}

/// Forgets the answers to requests that nobody sends again, and what the operator keeps no longer; makes room for the months
/// that come.
pub(super) async fn purge(inner: &Inner) -> Result<(), StoreError> {
    inner.storage.purge(secs_from(inner.now(), -ANSWERS_KEPT_SECS)).await?;
    inner.storage.tidy(inner.now()).await
}
