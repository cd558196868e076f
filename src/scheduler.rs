//! F4: a doorbell. It rings the engine once a second; what is due stands in the database.
//!
//! The scheduler's own repeating jobs stop for ever after a late turn, and its zones are wrong on the days the clock
//! changes. So it only gets a cron tick in UTC, and no business time.

use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

use crate::engine::Engine;

/// Every second.
const EVERY_SECOND: &str = "* * * * * *";

/// A running doorbell.
pub struct Doorbell(JobScheduler);

impl Doorbell {
    /// Starts ringing.
    pub async fn start(engine: &Engine) -> Result<Self, JobSchedulerError> {
        let scheduler = JobScheduler::new().await?;
        let engine = engine.clone();
        let job = Job::new_async(EVERY_SECOND, move |_, _| {
            let engine = engine.clone();
            Box::pin(async move { engine.nudge() })
        })?;
        scheduler.add(job).await?;
        scheduler.start().await?;
        Ok(Self(scheduler))
    }

    /// Stops ringing.
    pub async fn stop(mut self) -> Result<(), JobSchedulerError> {
        self.0.shutdown().await
    }
}
