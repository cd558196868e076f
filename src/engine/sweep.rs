//! The sweep: webhooks are lost, so the provider's own list of events is read every hour and what never arrived is taken
//! into the inbox, where it is handled like any other event.
//!
//! A turn is taken at the first tick after its hour, by one replica. It is not an instant that the test clock stops at by
//! itself.
//!
//! Because the sweep brings what the door did not, a door at which nothing arrives any more would not be missed. So each turn
//! also says since when no webhook came.

use std::panic::AssertUnwindSafe;

use jiff::Timestamp;
use metrics::counter;

use super::stretch::Stretch;
use super::{Connection, Inner};
use crate::domain::calendar::secs_from;
use crate::domain::ids::InboxId;
use crate::domain::mutant::alive;
use crate::providers::{Hint, ListError, ReadError};
use crate::store::inbox::{InboxStatus, NewInbox, Received};
use crate::store::{Store, StoreError, settings};
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

/// How far a connection was swept, when it is its turn again, and since when every event had to be brought by the sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    swept_to: Timestamp,
    next_at: Timestamp,
    silent_since: Option<Timestamp>,
}

impl Turn {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(' ');
        Some(Self {
            swept_to: parts.next()?.parse().ok()?,
            next_at: parts.next()?.parse().ok()?,
            silent_since: parts.next().and_then(|text| text.parse().ok()),
        })
    }

    fn text(self) -> String {
        let silent_since = self.silent_since.map_or_else(String::new, |at| format!(" {at}"));
        format!("{} {}{silent_since}", self.swept_to, self.next_at)
    }
}

/// What became of an event of the list.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Listed {
    /// It had arrived.
    Known,
    /// It had not, and was taken in.
    Lost,
    /// It is no concern, or may still be on its way.
    Left,
}

/// Since when every event of a connection had to be brought by the sweep, because no webhook came.
pub async fn silent_since(store: &Store, connection: &str) -> Result<Option<Timestamp>, StoreError> {
    let kept = settings::get(store.conn(), &setting(connection)).await?;
    Ok(kept.as_deref().and_then(Turn::parse).and_then(|turn| turn.silent_since))
}

/// Sweeps the connections whose turn it is; answers how many events no webhook had brought.
pub async fn work(inner: &Inner) -> Result<u64, StoreError> {
    let mut found = 0;
    if alive("no_sweep") {
        return Ok(found);
    }
    for connection in inner.connections.values() {
        let mut turn = turn(inner, connection).await?;
        if turn.next_at > inner.now() {
            continue;
        }
        // Another replica may have taken the turn meanwhile.
        inner.sweeps().remove(&connection.name);
        turn = self::turn(inner, connection).await?;
        while turn.next_at <= inner.now() && !inner.is_stopping() {
            let next_at = secs_from(inner.now(), AGAIN_SECS);
            keep(inner, connection, Turn { next_at, ..turn }).await?;
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
        while turn.swept_to < now {
            if inner.is_stopping() {
                return Ok(false);
            }
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

/// What one turn came to.
#[derive(Clone, Copy, Debug)]
struct Swept {
    /// How far the list was read, and what we lacked taken in.
    to: Timestamp,
    /// Whether that is as far as it was to be.
    whole: bool,
    /// How many events no webhook had brought.
    found: u64,
    /// Whether a webhook had brought one that the turn before did not know.
    brought: bool,
}

/// One turn: reads a stretch of the list and takes in what is missing.
async fn sweep(inner: &Inner, connection: &Connection, turn: Turn) -> Result<(Turn, u64), StoreError> {
    let now = inner.now();
    let to = now.min(secs_from(turn.swept_to, STRETCH_SECS));
    let swept = read(inner, connection, turn.swept_to, to).await?;
    let next_at = if !swept.whole {
        secs_from(now, AGAIN_SECS)
    } else if to < now {
        now
    } else {
        secs_from(now, EVERY_SECS)
    };
    let silent_since = match swept {
        Swept { brought: true, .. } => None,
        Swept { found: 0, .. } => turn.silent_since,
        Swept { .. } => turn.silent_since.or(Some(turn.swept_to)),
    };
    let next = Turn {
        swept_to: swept.to,
        next_at,
        silent_since,
    };
    Ok((next, swept.found))
}

/// Reads the list from where the turn before came to up to `to`, or as far as it can be read.
async fn read(inner: &Inner, connection: &Connection, since: Timestamp, to: Timestamp) -> Result<Swept, StoreError> {
    let mut stretch = Stretch::new(secs_from(since, -OVERLAP_SECS), to);
    // Where the time went back, the turn before came further than the present.
    let begun = since.min(to);
    let mut swept = Swept {
        to: begun,
        whole: false,
        found: 0,
        brought: false,
    };
    while let Some((from, until)) = stretch.piece() {
        match inner.unless_stopping(connection.provider.events(from, until)).await {
            Ok(events) => {
                crate::failpoint!("sweep_read");
                // What is older was in the hands of the turn before, or of the piece before.
                let fresh_from = secs_from(since, -YOUNG_SECS).max(from);
                for body in events {
                    if inner.is_stopping() {
                        return Ok(swept);
                    }
                    let (listed, created_at) = take(inner, connection, body).await?;
                    swept.found += u64::from(listed == Listed::Lost);
                    swept.brought |= listed == Listed::Known && created_at > Some(fresh_from);
                }
                stretch.go_on();
                swept.to = begun.max(until);
            }
            Err(ListError::TooLong) if stretch.halve() => {}
            // A provider without such a list has nothing to sweep.
            Err(ListError::Read(ReadError::NotFound)) => break,
            Err(error) => {
                tracing::warn!(connection = connection.name, %error, "the list of events could not be read");
                return Ok(swept);
            }
        }
    }
    Ok(Swept {
        to,
        whole: true,
        ..swept
    })
}

/// Takes one event of the list in, unless it is here, still on its way, or of no concern; says when it was made, too.
async fn take(
    inner: &Inner,
    connection: &Connection,
    body: Vec<u8>,
) -> Result<(Listed, Option<Timestamp>), StoreError> {
    // One event that cannot be read, or breaks the reader, must not end the sweep.
    let read = std::panic::catch_unwind(AssertUnwindSafe(|| connection.provider.normalize(&body)));
    let Ok(Ok(event)) = read else {
        tracing::warn!(
            connection = connection.name,
            "an event of the provider's list cannot be read"
        );
        return Ok((Listed::Left, None));
    };
    let now = inner.now();
    let created_at = event.created_at;
    let young = created_at.is_none_or(|at| at > secs_from(now, -YOUNG_SECS));
    if event.hint == Hint::Unhandled || young {
        return Ok((Listed::Left, created_at));
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
        Received::Duplicate => Ok((Listed::Known, created_at)),
        Received::Accepted => {
            crate::failpoint!("sweep_taken");
            counter!(metric::EVENTS_SWEPT).increment(1);
            tracing::warn!(
                connection = row.connection,
                kind = row.kind,
                "a lost webhook was found by the sweep"
            );
            Ok((Listed::Lost, created_at))
        }
    }
}

async fn turn(inner: &Inner, connection: &Connection) -> Result<Turn, StoreError> {
    if let Some(turn) = inner.sweeps().get(&connection.name) {
        return Ok(*turn);
    }
    let kept = inner.storage.setting(&setting(&connection.name)).await?;
    let now = inner.now();
    // What happened before a connection was first seen is not ours.
    let turn = kept.as_deref().and_then(Turn::parse);
    let turn = turn.unwrap_or(Turn {
        swept_to: now,
        next_at: secs_from(now, EVERY_SECS),
        silent_since: None,
    });
    keep(inner, connection, turn).await?;
    Ok(turn)
}

async fn keep(inner: &Inner, connection: &Connection, turn: Turn) -> Result<(), StoreError> {
    inner
        .storage
        .set_setting(&setting(&connection.name), &turn.text())
        .await?;
    inner.sweeps().insert(connection.name.clone(), turn);
    Ok(())
}

fn setting(connection: &str) -> String {
    format!("sweep:{connection}")
}
