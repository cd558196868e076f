//! Everything that is due, until nothing is; and the test clock that walks from one due instant to the next.

use jiff::Timestamp;
use metrics::histogram;

use super::{AdvanceError, Advanced, Inner, TEST_CLOCK, inbox, outbox, steps, sweep};
use crate::clock::Stopwatch;
use crate::store::{StoreError, cases, settings};
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
    let watch = Stopwatch::start();
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

/// One batch of each queue, so that none of them keeps the others waiting.
async fn round(inner: &Inner) -> Result<TickReport, StoreError> {
    let mut round = TickReport::default();
    if !inner.is_stopping() {
        sweep::work(inner).await?;
        round.inbox = inbox::work(inner).await?;
    }
    if !inner.is_stopping() {
        round.cases = steps::work(inner).await?;
    }
    if !inner.is_stopping() {
        round.mails = outbox::work(inner).await?;
    }
    Ok(round)
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
        let next = cases::next_due(&inner.store, inner.now()).await?;
        let target = next.filter(|at| *at <= to).unwrap_or(to);
        if target <= inner.now() || inner.is_stopping() {
            return Ok(Advanced {
                now: inner.now(),
                ticks,
            });
        }
        inner.clock.advance_to(target)?;
        settings::set(inner.store.conn(), TEST_CLOCK, &target.to_string()).await?;
    }
}
