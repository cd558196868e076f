//! The sweep: webhooks are lost, so the provider's own list of events is read every hour and what never arrived is taken
//! into the inbox, where it is handled like any other event.
//!
//! A turn is taken at the first tick after its hour. It is not an instant that the test clock stops at by itself.

use std::panic::AssertUnwindSafe;

use jiff::Timestamp;
use metrics::counter;

use super::{Connection, Inner};
use crate::domain::calendar::secs_from;
use crate::domain::ids::InboxId;
use crate::domain::mutant::alive;
use crate::providers::{Hint, ReadError};
use crate::store::StoreError;
use crate::store::inbox::{InboxStatus, NewInbox, Received};
use crate::telemetry::metric;

/// How often the list is read.
const EVERY_SECS: i64 = 3600;
/// How far back a turn goes beyond the one before: events appear in the list late, too.
const OVERLAP_SECS: i64 = 3600;
/// Events younger than this may still be on their way as webhooks; a later turn looks at them.
const YOUNG_SECS: i64 = 300;
/// The longest stretch that one turn reads; after a long silence several turns follow each other.
const STRETCH_SECS: i64 = 6 * 3600;
/// The wait after the list could not be read.
const AGAIN_SECS: i64 = 300;

/// How far a connection was swept, and when it is its turn again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    swept_to: Timestamp,
    next_at: Timestamp,
}

impl Turn {
    fn parse(text: &str) -> Option<Self> {
        let (swept_to, next_at) = text.split_once(' ')?;
        Some(Self {
            swept_to: swept_to.parse().ok()?,
            next_at: next_at.parse().ok()?,
        })
    }

    fn text(self) -> String {
        format!("{} {}", self.swept_to, self.next_at)
    }
}

/// Sweeps the connections whose turn it is; answers how many events no webhook had brought.
pub async fn work(inner: &Inner) -> Result<u64, StoreError> {
    let mut found = 0;
    if alive("no_sweep") {
        return Ok(found);
    }
    for connection in inner.connections.values() {
        let mut turn = turn(inner, connection).await?;
        while turn.next_at <= inner.now() && !inner.is_stopping() {
            let (next, taken) = sweep(inner, connection, turn).await?;
            crate::failpoint!("sweep_before_keep");
            keep(inner, connection, next).await?;
            crate::failpoint!("sweep_kept");
            turn = next;
            found += taken;
        }
    }
    Ok(found)
}

/// Sweeps every connection up to now, whosever turn it is; says whether the lists could be read.
pub async fn to_now(inner: &Inner) -> Result<bool, StoreError> {
    for connection in inner.connections.values() {
        let mut turn = turn(inner, connection).await?;
        let now = inner.now();
        while turn.swept_to < now && !inner.is_stopping() {
            let (next, _) = sweep(inner, connection, turn).await?;
            keep(inner, connection, next).await?;
            if next.swept_to <= turn.swept_to {
                return Ok(false);
            }
            turn = next;
        }
    }
    Ok(true)
}

/// One turn: reads a stretch of the list and takes in what is missing.
async fn sweep(inner: &Inner, connection: &Connection, turn: Turn) -> Result<(Turn, u64), StoreError> {
    let now = inner.now();
    let to = now.min(secs_from(turn.swept_to, STRETCH_SECS));
    let done = Turn {
        swept_to: to,
        next_at: if to < now { now } else { secs_from(now, EVERY_SECS) },
    };
    let mut found = 0;
    match connection
        .provider
        .events(secs_from(turn.swept_to, -OVERLAP_SECS), to)
        .await
    {
        Ok(events) => {
            crate::failpoint!("sweep_read");
            for body in events {
                found += take(inner, connection, body).await?;
            }
            Ok((done, found))
        }
        // A provider without such a list has nothing to sweep.
        Err(ReadError::NotFound) => Ok((done, 0)),
        Err(error) => {
            tracing::warn!(connection = connection.name, %error, "the list of events could not be read");
            let again = Turn {
                swept_to: turn.swept_to,
                next_at: secs_from(now, AGAIN_SECS),
            };
            Ok((again, 0))
        }
    }
}

/// Takes one event of the list in, unless it is here, still on its way, or of no concern.
async fn take(inner: &Inner, connection: &Connection, body: Vec<u8>) -> Result<u64, StoreError> {
    // One event that cannot be read, or breaks the reader, must not end the sweep.
    let read = std::panic::catch_unwind(AssertUnwindSafe(|| connection.provider.normalize(&body)));
    let Ok(Ok(event)) = read else {
        tracing::warn!(
            connection = connection.name,
            "an event of the provider's list cannot be read"
        );
        return Ok(0);
    };
    let now = inner.now();
    let young = event.created_at.is_none_or(|at| at > secs_from(now, -YOUNG_SECS));
    if event.hint == Hint::Unhandled || young {
        return Ok(0);
    }
    let row = NewInbox {
        id: InboxId::new(inner.now_ms(), inner.clock.entropy()),
        connection: connection.name.clone(),
        event_id: event.event_id,
        kind: event.kind,
        body,
        received_at: now,
        status: InboxStatus::Pending,
        reason: None,
    };
    match inner.storage.take_in(&row).await? {
        Received::Duplicate => Ok(0),
        Received::Accepted => {
            crate::failpoint!("sweep_taken");
            counter!(metric::EVENTS_SWEPT).increment(1);
            tracing::warn!(
                connection = row.connection,
                kind = row.kind,
                "a lost webhook was found by the sweep"
            );
            Ok(1)
        }
    }
}

async fn turn(inner: &Inner, connection: &Connection) -> Result<Turn, StoreError> {
    if let Some(turn) = inner.sweeps().get(&connection.name) {
        return Ok(*turn);
    }
    let kept = inner.storage.setting(&setting(connection)).await?;
    let now = inner.now();
    // What happened before a connection was first seen is not ours.
    let turn = kept.as_deref().and_then(Turn::parse);
    let turn = turn.unwrap_or(Turn {
        swept_to: now,
        next_at: secs_from(now, EVERY_SECS),
    });
    keep(inner, connection, turn).await?;
    Ok(turn)
}

async fn keep(inner: &Inner, connection: &Connection, turn: Turn) -> Result<(), StoreError> {
    inner.storage.set_setting(&setting(connection), &turn.text()).await?;
    inner.sweeps().insert(connection.name.clone(), turn);
    Ok(())
}

fn setting(connection: &Connection) -> String {
    format!("sweep:{}", connection.name)
}
