//! Reconciliation: jobs that look for what no event told of, each idempotent, each with its own turns. What one finds is drift:
//! it is mended where that is safe, and counted, so that an operator sees it.
//!
//! The jobs that read from the provider are bounded: one reads the invoices of all open cases once a day, at most
//! `LOOKS_MAX` a turn; two read a list once a day, in pieces of at most 400 calls, and then what the list does not explain, at
//! most `READS_MAX` objects.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use jiff::Timestamp;
use metrics::counter;

use super::outbox::end_all;
use super::{Inner, letters, sweep};
use crate::domain::calendar::secs_from;
use crate::domain::event::Event;
use crate::domain::words::words;
use crate::store::StoreError;
use crate::telemetry::metric;

mod books;
mod charges;
mod invoices;
mod rows;

/// The wait before a job runs again that failed.
const AGAIN_SECS: i64 = 300;
/// What is younger may still be on its way as a webhook.
const YOUNG_SECS: i64 = 300;
const HOURLY_SECS: i64 = 3600;
const DAILY_SECS: i64 = 24 * HOURLY_SECS;
/// The most objects that one turn reads one by one.
const READS_MAX: usize = 200;

words! {
    /// A job of reconciliation.
    Job {
        /// Attempts that stand open for too long.
        Attempts = "attempts",
        /// The invoices of open cases.
        Invoices = "invoices",
        /// Failed invoices without a case.
        Missing = "missing",
        /// Charges that are not on the books.
        Charges = "charges",
        /// Rows that stand still.
        Rows = "rows",
        /// Leases that nobody can hold.
        Leases = "leases",
        /// Events that vanished.
        Events = "events",
        /// The ledger.
        Books = "books",
        /// The audit log's chain.
        Chain = "chain",
        /// What is old enough to be forgotten, and the months that come; finds no drift.
        Purge = "purge",
    }
}

impl Job {
    const fn every_secs(self) -> i64 {
        match self {
            Self::Attempts | Self::Invoices | Self::Rows | Self::Leases => AGAIN_SECS,
            Self::Purge => HOURLY_SECS,
            Self::Missing | Self::Charges | Self::Events | Self::Books | Self::Chain => DAILY_SECS,
        }
    }
}

/// When a job runs next, and what it left for its next turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    next_at: Timestamp,
    mark: String,
}

impl Turn {
    fn parse(text: &str) -> Option<Self> {
        let (next_at, mark) = text.split_once(' ').unwrap_or((text, ""));
        Some(Self {
            next_at: next_at.parse().ok()?,
            mark: mark.to_owned(),
        })
    }
}

/// What one run of a job came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ran {
    /// How much drift it found.
    found: u64,
    /// What it leaves for its next turn.
    mark: String,
    /// Whether it could do all it was to do.
    complete: bool,
}

impl Ran {
    fn all(found: u64) -> Self {
        Self {
            found,
            mark: String::new(),
            complete: true,
        }
    }
}

/// Runs the jobs whose turn it is. One that fails is tried again later and stops none of the others.
pub async fn work(inner: &Inner) -> Result<(), StoreError> {
    for job in Job::ALL {
        if inner.is_stopping() || inner.gate.is_reconciling() {
            return Ok(());
        }
        let Some(turn) = due(inner, *job).await? else {
            continue;
        };
        let now = inner.now();
        if job.every_secs() > AGAIN_SECS {
            // Replicas see that somebody is at it; where that one dies, another takes over.
            let mark = turn.mark.clone();
            let next_at = secs_from(now, AGAIN_SECS);
            keep(inner, *job, Turn { next_at, mark }).await?;
        }
        let run = AssertUnwindSafe(run(inner, *job, &turn.mark)).catch_unwind();
        let (ran, wait) = match run.await {
            Ok(Ok(ran)) if ran.complete => (ran, job.every_secs()),
            Ok(Ok(ran)) => (ran, AGAIN_SECS),
            Ok(Err(error)) => {
                tracing::error!(job = job.as_str(), %error, "a job of reconciliation failed");
                (kept(turn.mark), AGAIN_SECS)
            }
            Err(_) => {
                tracing::error!(job = job.as_str(), "a job of reconciliation panicked");
                (kept(turn.mark), AGAIN_SECS)
            }
        };
        let next = Turn {
            next_at: secs_from(now, wait),
            mark: ran.mark,
        };
        keep(inner, *job, next).await?;
    }
    Ok(())
}

/// Reads all that the provider knows of what we chase; says whether it could. Nothing may be charged or sent meanwhile.
pub async fn everything(inner: &Inner) -> Result<bool, StoreError> {
    count(Job::Attempts, invoices::open_attempts(inner).await?);
    if !sweep::to_now(inner).await? {
        return Ok(false);
    }
    let mut complete = true;
    for job in [Job::Missing, Job::Charges] {
        let turn = known(inner, job).await?;
        let ran = run(inner, job, &turn.mark).await?;
        complete &= ran.complete;
        let next_at = secs_from(inner.now(), DAILY_SECS);
        keep(
            inner,
            job,
            Turn {
                next_at,
                mark: ran.mark,
            },
        )
        .await?;
    }
    let ran = invoices::every_open_case(inner).await?;
    Ok(complete && ran)
}

/// The database is an older copy: what fell due since then is not done again where it may have been done.
pub async fn after_restore(inner: &Inner) -> Result<(), StoreError> {
    invoices::tell_every_open_case(inner, &Event::Restored).await?;
    end_all(inner, "restored").await?;
    letters::end_all(inner, "restored").await
}

async fn run(inner: &Inner, job: Job, mark: &str) -> Result<Ran, StoreError> {
    let ran = match job {
        Job::Attempts => Ran::all(invoices::open_attempts(inner).await?),
        Job::Invoices => invoices::some_open_cases(inner, mark).await?,
        Job::Missing => invoices::missing(inner, mark).await?,
        Job::Charges => charges::unknown(inner, mark).await?,
        Job::Rows => Ran::all(rows::stuck(inner).await?),
        Job::Leases => Ran::all(rows::leases(inner).await?),
        Job::Events => rows::events(inner, mark).await?,
        Job::Books => Ran::all(books::ledger(inner).await?),
        Job::Chain => Ran::all(books::chain(inner).await?),
        Job::Purge => {
            rows::purge(inner).await?;
            Ran::all(0)
        }
    };
    count(job, ran.found);
    Ok(ran)
}

fn count(job: Job, found: u64) {
    if found > 0 {
        counter!(metric::DRIFT_FOUND, "job" => job.as_str()).increment(found);
    }
}

fn kept(mark: String) -> Ran {
    Ran { mark, ..Ran::default() }
}

/// The turn of a job, where it is due.
async fn due(inner: &Inner, job: Job) -> Result<Option<Turn>, StoreError> {
    let now = inner.now();
    if inner.turns().get(&job).is_some_and(|turn| turn.next_at > now) {
        return Ok(None);
    }
    // Another replica may have taken the turn meanwhile.
    inner.turns().remove(&job);
    let turn = known(inner, job).await?;
    Ok((turn.next_at <= now).then_some(turn))
}

async fn known(inner: &Inner, job: Job) -> Result<Turn, StoreError> {
    let text = inner.storage.setting(&setting(job)).await?;
    if let Some(turn) = text.as_deref().and_then(Turn::parse) {
        inner.turns().insert(job, turn.clone());
        return Ok(turn);
    }
    // What happened before this database was first worked on is not ours.
    let now = inner.now();
    let first = Turn {
        next_at: secs_from(now, job.every_secs()),
        mark: now.to_string(),
    };
    keep(inner, job, first.clone()).await?;
    Ok(first)
}

async fn keep(inner: &Inner, job: Job, turn: Turn) -> Result<(), StoreError> {
    let text = format!("{} {}", turn.next_at, turn.mark);
    inner.storage.set_setting(&setting(job), &text).await?;
    inner.turns().insert(job, turn);
    Ok(())
}

fn setting(job: Job) -> String {
    format!("reconcile:{job}")
}
