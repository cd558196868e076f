//! F4: a doorbell. It rings the engine once a second; what is due stands in the database.
//!
//! The scheduler's own repeating jobs stop for ever after a late turn, and its zones are wrong on the days the clock
//! changes. So it only gets cron ticks in UTC, and no business time: a tick that is missed is made up for by the next one.

use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

use crate::engine::Engine;
use crate::store::{Store, rollups};

/// Every second.
const EVERY_SECOND: &str = "* * * * * *";
/// Every minute: until then reports add up what has changed themselves.
const EVERY_MINUTE: &str = "30 * * * * *";
/// Once a night.
const EVERY_NIGHT: &str = "0 17 3 * * *";

/// A running doorbell.
pub struct Doorbell(JobScheduler);

impl Doorbell {
    /// Starts ringing. `reports` is where roll-ups are kept in order.
    pub async fn start(engine: &Engine, reports: &Store) -> Result<Self, JobSchedulerError> {
        let scheduler = JobScheduler::new().await?;
        let engine = engine.clone();
        let ring = Job::new_async(EVERY_SECOND, move |_, _| {
            let engine = engine.clone();
            Box::pin(async move { engine.nudge() })
        })?;
        scheduler.add(ring).await?;
        let store = reports.clone();
        let merge = Job::new_async(EVERY_MINUTE, move |_, _| {
            let store = store.clone();
            Box::pin(async move { merge(&store).await })
        })?;
        scheduler.add(merge).await?;
        let store = reports.clone();
        let verify = Job::new_async(EVERY_NIGHT, move |_, _| {
            let store = store.clone();
            Box::pin(async move { verify(&store).await })
        })?;
        scheduler.add(verify).await?;
        scheduler.start().await?;
        Ok(Self(scheduler))
    }

    /// Stops ringing.
    pub async fn stop(mut self) -> Result<(), JobSchedulerError> {
        self.0.shutdown().await
    }
}

async fn merge(store: &Store) {
    if let Err(error) = rollups::merge(store).await {
        tracing::error!(%error, "what reports read could not be merged; they add it up themselves until the next try");
    }
}

async fn verify(store: &Store) {
    match rollups::verify(store).await {
        Ok(wrong) if wrong.is_empty() => {}
        Ok(wrong) => tracing::error!(?wrong, "roll-ups did not say what the cases say, and were made anew"),
        Err(error) => tracing::error!(%error, "the roll-ups could not be verified"),
    }
}
