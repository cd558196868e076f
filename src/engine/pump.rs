//! Keeps a queue's rows under way: claims more as soon as a batch of places is free, until nothing is due.

use std::pin::Pin;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Notify;

use super::Inner;
use crate::clock::Stopwatch;
use crate::store::StoreError;

/// How many rows of a queue are worked on at the same time. A claimed row is worked on at once: one that waited for its
/// turn would use up its lease meanwhile.
pub const PLACES: u64 = 512;
/// How many rows are claimed together. While some are claimed others are read, decided and written, so that the database is
/// never waited for with nothing else to do.
pub const CLAIMED_MAX: u64 = 128;

/// When a pump ends.
#[derive(Clone, Copy)]
pub enum Until<'a> {
    /// Once nothing is due.
    Idle,
    /// Once the process is to stop; until then this bell says that something may be due again.
    Stopped(&'a Notify),
}

/// Where rows come from and what is done with one.
pub trait Work: Sync {
    /// One row.
    type Row: Send;

    /// Claims at most `limit` due rows.
    fn claim(&self, limit: u64) -> impl Future<Output = Result<Vec<Self::Row>, StoreError>> + Send;

    /// Works on one row, which was claimed when the stopwatch started. It catches its own panics.
    fn one(&self, row: Self::Row, claimed: Stopwatch) -> impl Future<Output = ()> + Send;
}

/// What a future of the pump ends with.
enum Landed<R> {
    Claimed(Result<Vec<R>, StoreError>, Stopwatch),
    Worked,
    Rung,
}

/// Works on the queue and says how many rows there were. A claim that fails ends the pump of a tick once what is under way
/// is done, and lets that of a running process wait for the next ring.
pub async fn pump<W: Work>(inner: &Inner, work: W, until: Until<'_>) -> Result<u64, StoreError> {
    type Flying<'f, R> = FuturesUnordered<Pin<Box<dyn Future<Output = Landed<R>> + Send + 'f>>>;
    let work = &work;
    let mut flying: Flying<'_, W::Row> = FuturesUnordered::new();
    let (mut count, mut busy) = (0, 0_u64);
    let (mut claiming, mut dry) = (false, false);
    let mut failed = Ok(());
    if let Until::Stopped(bell) = until {
        flying.push(Box::pin(rung(bell)));
    }
    loop {
        if !claiming && !dry && busy <= PLACES - CLAIMED_MAX && !inner.is_stopping() {
            claiming = true;
            let watch = inner.clock.stopwatch();
            flying.push(Box::pin(async move {
                Landed::Claimed(work.claim(CLAIMED_MAX).await, watch)
            }));
        }
        if inner.is_stopping() && !claiming && busy == 0 {
            return Ok(count);
        }
        match flying.next().await {
            None => return failed.map(|()| count),
            Some(Landed::Claimed(Ok(rows), watch)) => {
                claiming = false;
                let got = rows.len() as u64;
                dry = got < CLAIMED_MAX;
                busy += got;
                count += got;
                for row in rows {
                    let watch = watch.clone();
                    flying.push(Box::pin(async move {
                        work.one(row, watch).await;
                        Landed::Worked
                    }));
                }
            }
            Some(Landed::Claimed(Err(error), ..)) => {
                (claiming, dry) = (false, true);
                match until {
                    Until::Idle => failed = Err(error),
                    Until::Stopped(_) => tracing::error!(%error, "claiming failed; the next ring tries again"),
                }
            }
            Some(Landed::Worked) => busy -= 1,
            Some(Landed::Rung) => {
                dry = false;
                if let Until::Stopped(bell) = until {
                    flying.push(Box::pin(rung(bell)));
                }
            }
        }
    }
}

async fn rung<R>(bell: &Notify) -> Landed<R> {
    bell.notified().await;
    Landed::Rung
}
