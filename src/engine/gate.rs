//! Whether this process may charge and write to people. A process that cannot vouch for what it knows reconciles first: its
//! database was silent, is an older copy of itself, or disagrees with it about the time.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use metrics::{counter, gauge};

use super::{Inner, reconcile};
use crate::clock::Stopwatch;
use crate::domain::calendar::secs_from;
use crate::store::StoreError;
use crate::telemetry::metric;

/// How often the heartbeat is written and the clocks are compared.
const BEAT_SECS: i64 = 60;
/// A heartbeat older than this says that nobody worked meanwhile.
const SILENCE_SECS: i64 = 900;
/// The database may be told of a time this far ahead of ours, or behind: replicas differ a little.
const SKEW_SECS: i64 = 60;
/// A heartbeat this much older than the one that was written is of an older copy.
const OLDER_COPY_SECS: i64 = 300;
/// The wait before reconciliation is tried again that could not reach the provider.
const AGAIN_SECS: i64 = 60;
/// The last instant at which somebody worked on this database.
pub const HEARTBEAT: &str = "heartbeat";
/// What tells this database from a copy; `recoup backup` writes another one into the copy.
pub const BIRTHMARK: &str = "birthmark";

/// What this process knows of its right to act.
#[derive(Debug, Default)]
pub struct Gate {
    state: Mutex<State>,
    /// Our time when it was compared with the database's last, and what has passed since.
    compared: Mutex<Option<(Timestamp, Stopwatch)>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    stand: Stand,
    skewed: bool,
    /// When the clocks were compared last.
    beat: Option<Timestamp>,
    /// The heartbeat that was written last; none is while our clock differs from the database's.
    written: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stand {
    /// Nothing was looked at yet.
    #[default]
    Unknown,
    /// What is missing is looked for; nothing leaves meanwhile.
    Reconciling {
        /// Whether the database is an older copy.
        restored: bool,
        /// Whether only the events that were found wait to be worked on.
        read: bool,
        /// Not before this instant.
        next_at: Timestamp,
    },
    /// It may act.
    Open,
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether cases and messages may be claimed at `now`.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.state().stand == Stand::Open && self.trusts(now)
    }

    /// Whether `now` can be relied on: our clock agreed with the database's when they were compared, and has gone on since as
    /// real time has. By a clock that is wrong nothing is decided, dated or swept.
    pub fn trusts(&self, now: Timestamp) -> bool {
        if self.state().skewed {
            return false;
        }
        let compared = self.compared.lock().unwrap_or_else(PoisonError::into_inner);
        compared.as_ref().is_none_or(|(at, since)| {
            let passed = i64::try_from(since.elapsed().as_secs()).unwrap_or(i64::MAX);
            (now.duration_since(*at).as_secs().saturating_sub(passed)).abs() <= SKEW_SECS
        })
    }

    /// Whether what is missing is being looked for.
    pub fn is_reconciling(&self) -> bool {
        matches!(self.state().stand, Stand::Reconciling { .. })
    }
}

/// Looks after the gate: once a minute, and at each turn while it is closed.
pub async fn keep(inner: &Inner) -> Result<(), StoreError> {
    let now = inner.now();
    let state = *inner.gate.state();
    let due = state
        .beat
        .is_none_or(|beat| now < beat || secs_from(beat, BEAT_SECS) <= now);
    if due || state.stand == Stand::Unknown || !inner.gate.trusts(now) {
        compare_clocks(inner, now).await?;
        if !inner.gate.trusts(now) {
            inner.gate.state().beat = Some(now);
            return Ok(());
        }
    }
    match state.stand {
        Stand::Unknown => {
            let found = at_start(inner, now).await?;
            enter(inner, found, now);
        }
        Stand::Open if due && !inner.clock.is_test() => {
            if let Some(found) = at_work(inner, state.written, now).await? {
                enter(inner, Some(found), now);
            }
        }
        Stand::Open | Stand::Reconciling { .. } => {}
    }
    let stand = inner.gate.state().stand;
    match stand {
        Stand::Reconciling {
            restored,
            read,
            next_at,
        } if next_at <= now => reconcile_first(inner, restored, read).await?,
        Stand::Open if due || state.stand != Stand::Open => beat(inner, now).await?,
        Stand::Unknown | Stand::Open | Stand::Reconciling { .. } => {}
    }
    Ok(())
}

/// What a process finds that must not act before it has reconciled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// Nobody worked for a while, or the time went back.
    Silence,
    /// The database is an older copy of itself.
    OlderCopy,
}

async fn at_start(inner: &Inner, now: Timestamp) -> Result<Option<Found>, StoreError> {
    let storage = &inner.storage;
    let kept = storage.setting(BIRTHMARK).await?;
    if let Some(kept) = kept
        && kept != storage.birthmark().await?
    {
        return Ok(Some(Found::OlderCopy));
    }
    Ok(match heartbeat(inner).await? {
        Some(beat) => is_off(beat, now).then_some(Found::Silence),
        // A version before this one left no heartbeat; where nothing is chased there is nothing to reconcile.
        None => (!storage.count_open().await?.is_empty()).then_some(Found::Silence),
    })
}

/// A process at work finds that it slept, or that the database was replaced under it.
async fn at_work(inner: &Inner, written: Option<Timestamp>, now: Timestamp) -> Result<Option<Found>, StoreError> {
    let Some(beat) = heartbeat(inner).await? else {
        // Where the first one could not be written, there is none yet.
        return Ok(written.map(|_| Found::OlderCopy));
    };
    if written.is_some_and(|written| secs_from(beat, OLDER_COPY_SECS) < written) {
        return Ok(Some(Found::OlderCopy));
    }
    Ok(is_off(beat, now).then_some(Found::Silence))
}

fn is_off(beat: Timestamp, now: Timestamp) -> bool {
    secs_from(beat, SILENCE_SECS) < now || secs_from(now, SKEW_SECS) < beat
}

async fn heartbeat(inner: &Inner) -> Result<Option<Timestamp>, StoreError> {
    let kept = inner.storage.setting(HEARTBEAT).await?;
    Ok(kept.and_then(|text| text.parse().ok()))
}

fn enter(inner: &Inner, found: Option<Found>, now: Timestamp) {
    let stand = match found {
        None => Stand::Open,
        Some(found) => {
            tracing::warn!(?found, "nothing is charged or sent until this process has reconciled");
            inner.sweeps().clear();
            inner.turns().clear();
            Stand::Reconciling {
                restored: found == Found::OlderCopy,
                read: false,
                next_at: now,
            }
        }
    };
    inner.gate.state().stand = stand;
    gauge!(metric::RECONCILING).set(if found.is_some() { 1.0 } else { 0.0 });
}

/// Reads what the provider knows, lets the events of it be worked on, and opens the gate.
async fn reconcile_first(inner: &Inner, restored: bool, read: bool) -> Result<(), StoreError> {
    let now = inner.now();
    let later = Stand::Reconciling {
        restored,
        read,
        next_at: secs_from(now, AGAIN_SECS),
    };
    inner.gate.state().stand = later;
    if !read && !reconcile::everything(inner).await? {
        tracing::warn!("the provider could not be asked; reconciliation is tried again");
        return Ok(());
    }
    if inner.storage.overdue(now).await?.events > 0 {
        inner.gate.state().stand = Stand::Reconciling {
            restored,
            read: true,
            next_at: now,
        };
        inner.bells.inbox.notify_one();
        return Ok(());
    }
    if restored {
        reconcile::after_restore(inner).await?;
    }
    beat(inner, now).await?;
    enter(inner, None, now);
    tracing::info!("reconciled; charges and messages go on");
    inner.bells.cases.notify_one();
    inner.bells.mails.notify_one();
    Ok(())
}

/// Writes that somebody works here at this time, and where here is.
async fn beat(inner: &Inner, now: Timestamp) -> Result<(), StoreError> {
    let storage = &inner.storage;
    let mark = storage.birthmark().await?;
    if storage.setting(BIRTHMARK).await?.as_ref() != Some(&mark) {
        storage.set_setting(BIRTHMARK, &mark).await?;
    }
    // Whoever slept on the way here must not write over what others wrote meanwhile: it would look like an older copy.
    let read = storage.setting(HEARTBEAT).await?;
    let ours = inner.now();
    // Nor may whoever woke up with another clock than it fell asleep with.
    if !inner.gate.trusts(ours) {
        return Ok(());
    }
    let theirs: Option<Timestamp> = read.as_deref().and_then(|text| text.parse().ok());
    // One that is further ahead than clocks may differ was written before the time went back.
    let newer = theirs.is_none_or(|beat| beat <= ours || secs_from(ours, SKEW_SECS) < beat);
    let written = newer
        && storage
            .swap_setting(HEARTBEAT, read.as_deref(), &ours.to_string())
            .await?;
    let mut state = inner.gate.state();
    state.beat = Some(now);
    if written {
        state.written = Some(ours);
    }
    Ok(())
}

/// Compares our time with the database's: where they differ, one of them is wrong, and nobody knows which. A test clock has
/// nothing to do with it.
async fn compare_clocks(inner: &Inner, now: Timestamp) -> Result<(), StoreError> {
    if inner.clock.is_test() {
        return Ok(());
    }
    let asked = inner.clock.stopwatch();
    let theirs = inner.storage.database_now().await?;
    // It was read at some instant between the question and the answer.
    let latest = secs_from(now, i64::try_from(asked.elapsed().as_secs()).unwrap_or(i64::MAX));
    let apart = now.duration_since(theirs.min(now)).as_secs() - theirs.duration_since(latest.min(theirs)).as_secs();
    let skewed = apart.abs() > SKEW_SECS;
    gauge!(metric::CLOCK_SKEW).set(exact(apart));
    if skewed {
        counter!(metric::STOOD_BACK).increment(1);
        tracing::error!(
            apart_secs = apart,
            "our clock and the database's differ: nothing is done until they agree"
        );
    }
    *inner.gate.compared.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, asked));
    let was = std::mem::replace(&mut inner.gate.state().skewed, skewed);
    if was && !skewed {
        inner.bells.inbox.notify_one();
        inner.bells.cases.notify_one();
        inner.bells.mails.notify_one();
    }
    Ok(())
}

/// Seconds as a gauge holds them; more than a lifetime is a lifetime.
fn exact(secs: i64) -> f64 {
    f64::from(i32::try_from(secs).unwrap_or(if secs > 0 { i32::MAX } else { i32::MIN }))
}
