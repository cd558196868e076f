//! Everything that is due, until nothing is; and the test clock that walks from one due instant to the next.

use jiff::Timestamp;
use metrics::histogram;

use super::inbox::Events;
use super::letters::Letters;
use super::outbox::{Mails, bury_stranded};
use super::pump::{Until, pump};
use super::steps::Steps;
use super::{AdvanceError, Advanced, Engine, Inner, TEST_CLOCK, digests, gate, learn, letters, reconcile, sweep};
use crate::store::StoreError;
use crate::telemetry::metric;

/// More rounds than this in one tick mean that something is due for ever.
const ROUNDS_MAX: u32 = 100_000;

/// What one tick did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TickReport {
    /// Events worked on.
    pub inbox: u64,
    /// Steps of cases worked on.
    pub cases: u64,
    /// Messages worked on.
    pub mails: u64,
}

impl TickReport {
    /// All pieces of work.
    pub fn total(self) -> u64 {
        self.inbox + self.cases + self.mails
    }
}

/// Works until a round finds nothing due, or the process is to stop.
pub async fn until_idle(inner: &Inner) -> Result<TickReport, StoreError> {
    let watch = inner.clock.stopwatch();
    let mut all = TickReport::default();
    for _ in 0..ROUNDS_MAX {
        let round = round(inner).await?;
        if round.total() == 0 {
            if all.total() > 0 {
                histogram!(metric::TICK).record(watch.elapsed().as_secs_f64());
            }
            return Ok(all);
        }
        all.inbox += round.inbox;
        all.cases += round.cases;
        all.mails += round.mails;
    }
    tracing::error!(rounds = ROUNDS_MAX, "a tick did not come to rest");
    Ok(all)
}

/// Each queue in turn.
async fn round(inner: &Inner) -> Result<TickReport, StoreError> {
    upkeep(inner).await?;
    Ok(TickReport {
        inbox: pump(inner, Events(inner), Until::Idle).await?,
        cases: pump(inner, Steps(inner), Until::Idle).await?,
        mails: pump(inner, Mails(inner), Until::Idle).await? + pump(inner, Letters(inner), Until::Idle).await?,
    })
}

/// What has its own turns: whether to act at all, lost webhooks, messages whose sender died, reconciliation, the weekly digest.
pub async fn upkeep(inner: &Inner) -> Result<(), StoreError> {
    if !inner.is_stopping() {
        gate::keep(inner).await?;
        if !inner.gate.trusts(inner.now()) {
            return Ok(());
        }
        sweep::work(inner).await?;
        bury_stranded(inner).await?;
        letters::bury_stranded(inner).await?;
        reconcile::work(inner).await?;
        learn::work(inner).await?;
        digests::plan(inner).await?;
    }
    Ok(())
}

/// Works on all queues side by side until the process is to stop, so that a slow call in one holds up none of the others.
pub async fn until_stopped(inner: &Inner) -> Result<(), StoreError> {
    let bells = &inner.bells;
    let upkeeping = async {
        while !inner.is_stopping() {
            if let Err(error) = upkeep(inner).await {
                tracing::error!(%error, "upkeep failed; the next ring tries again");
            }
            bells.upkeep.notified().await;
        }
        Ok(0)
    };
    tokio::try_join!(
        upkeeping,
        pump(inner, Events(inner), Until::Stopped(&bells.inbox)),
        pump(inner, Steps(inner), Until::Stopped(&bells.cases)),
        pump(inner, Mails(inner), Until::Stopped(&bells.mails)),
        pump(inner, Letters(inner), Until::Stopped(&bells.letters)),
    )?;
    Ok(())
}

impl Engine {
    /// Sets a test clock to where it stood when the process ended, and takes back what that process had claimed: leases
    /// run by real time, for which a test clock does not wait. A system clock stays as it is.
    pub async fn restore_test_clock(&self) -> Result<(), StoreError> {
        if !self.inner.clock.is_test() {
            return Ok(());
        }
        let storage = &self.inner.storage;
        storage.end_leases().await?;
        crate::failpoint!("leases_ended");
        let kept = storage.setting(TEST_CLOCK).await?;
        if let Some(kept) = kept.and_then(|text| text.parse::<Timestamp>().ok()) {
            // A start later than where the clock stood is a move forward, and wins.
            let _ = self.inner.clock.advance_to(kept);
        }
        storage
            .set_setting(TEST_CLOCK, &self.inner.clock.now().to_string())
            .await
    }
}

/// Walks the test clock to `to`, from one due instant to the next.
pub async fn advance(inner: &Inner, to: Timestamp) -> Result<Advanced, AdvanceError> {
    if !inner.clock.is_test() {
        return Err(AdvanceError::NotTestClock);
    }
    if to < inner.now() {
        return Err(crate::clock::Backwards { now: inner.now() }.into());
    }
    let mut ticks = 0;
    loop {
        ticks += until_idle(inner).await?.total();
        let written = inner.storage.next_due(inner.now()).await?;
        let next = written.into_iter().chain(digests::next_due(inner)).min();
        let target = next.filter(|at| *at <= to).unwrap_or(to);
        if target <= inner.now() || inner.is_stopping() {
            return Ok(Advanced {
                now: inner.now(),
                ticks,
            });
        }
        inner.clock.advance_to(target)?;
        crate::failpoint!("clock_before_keep");
        inner.storage.set_setting(TEST_CLOCK, &target.to_string()).await?;
        crate::failpoint!("clock_kept");
    }
}
