//! Learning: evidence becomes the next posterior, which decisions name.
//!
//! Evidence is committed together with what it tells of; nobody holds a lock over a posterior meanwhile. Once an hour one of
//! the replicas makes the next posterior of all that waits. Who is second finds the version taken, and reads it.

use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;

use super::Inner;
use crate::domain::calendar::secs_from;
use crate::domain::learning::model::Model;
use crate::domain::learning::prior::Prior;
use crate::domain::learning::{Learned, Policy};
use crate::store::StoreError;
use crate::store::learning::Posterior;

/// How often a posterior is made.
const EVERY_SECS: i64 = 3600;
/// How much evidence goes into one at most; what is left goes into the next one at once.
const EVIDENCE_MAX: u64 = 5000;

/// What this process knows.
pub struct Knowledge {
    prior: Prior,
    newest: RwLock<Arc<Learned>>,
    /// When the newest posterior was made; none before the first.
    made_at: RwLock<Option<Timestamp>>,
}

impl Knowledge {
    /// Nothing but what is believed before anything was seen.
    pub fn new(policy: Policy) -> Self {
        let prior = Prior::embedded();
        let learned = Learned {
            version: 0,
            model: Model::new(&prior),
            policy,
        };
        Self {
            prior,
            newest: RwLock::new(Arc::new(learned)),
            made_at: RwLock::new(None),
        }
    }

    /// The newest posterior that this process has read.
    pub fn newest(&self) -> Arc<Learned> {
        Arc::clone(&self.newest.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn made_at(&self) -> Option<Timestamp> {
        *self.made_at.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, posterior: &Posterior) {
        let mut newest = self.newest.write().unwrap_or_else(PoisonError::into_inner);
        *newest = Arc::new(Learned {
            version: posterior.version,
            model: Model::read(&self.prior, &posterior.document),
            policy: newest.policy,
        });
        *self.made_at.write().unwrap_or_else(PoisonError::into_inner) = Some(posterior.at);
    }
}

/// Reads what others made, and makes the next posterior where it is time.
pub async fn work(inner: &Inner) -> Result<(), StoreError> {
    if inner.storage.newest_posterior_version().await? > inner.knowledge.newest().version
        && let Some(posterior) = inner.storage.newest_posterior().await?
    {
        inner.knowledge.take(&posterior);
    }
    let next_at = inner.knowledge.made_at().map(|made| secs_from(made, EVERY_SECS));
    if next_at.is_some_and(|at| inner.now() < at) {
        return Ok(());
    }
    while make(inner).await? {}
    inner.campaigns.refresh(&*inner.storage).await
}

/// Makes the next posterior; says whether evidence is left over. Where somebody else is faster, the next turn reads theirs.
async fn make(inner: &Inner) -> Result<bool, StoreError> {
    let waiting = inner.storage.waiting_evidence(EVIDENCE_MAX).await?;
    if waiting.is_empty() {
        return Ok(false);
    }
    let known = inner.knowledge.newest();
    let mut model = known.model.clone();
    for one in &waiting {
        model.learn(&one.evidence);
    }
    let posterior = Posterior {
        version: known.version + 1,
        at: inner.now(),
        document: model.document(),
    };
    let holds: Vec<_> = waiting.into_iter().map(|one| one.id).collect();
    let kept = inner.storage.keep_posterior(&posterior, &holds).await?;
    if kept {
        inner.knowledge.take(&posterior);
        tracing::info!(
            version = posterior.version,
            evidence = holds.len(),
            "a new posterior was made"
        );
    }
    Ok(kept && holds.len() as u64 == EVIDENCE_MAX)
}
