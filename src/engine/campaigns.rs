//! The campaigns that cases are pinned to, read as seldom as can be.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::campaign::Campaign;
use crate::domain::case::CampaignRef;
use crate::store::{Storage, StoreError};

/// The campaign that new cases are opened with.
pub const FOR_NEW_CASES: &str = "default";

/// What this process knows of campaigns.
#[derive(Default)]
pub struct Campaigns {
    /// A version never changes, so it is kept once read.
    known: Mutex<HashMap<(String, u32), Arc<Campaign>>>,
    /// How many reads of the newest version began.
    begun: AtomicU64,
    /// The newest version, and which read brought it.
    newest: tokio::sync::Mutex<Option<(u64, Arc<Campaign>)>>,
}

impl Campaigns {
    /// A version that was read before.
    pub fn known(&self, pinned: &CampaignRef) -> Option<Arc<Campaign>> {
        let key = (pinned.name.clone(), pinned.version);
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&key).cloned()
    }

    /// The version that a case is pinned to.
    pub async fn pinned(&self, storage: &dyn Storage, pinned: &CampaignRef) -> Result<Arc<Campaign>, StoreError> {
        if let Some(campaign) = self.known(pinned) {
            return Ok(campaign);
        }
        let found = storage.campaign(&pinned.name, pinned.version).await?;
        let campaign = Arc::new(found.ok_or_else(|| StoreError::Corrupt {
            table: "campaigns",
            id: format!("{}@{}", pinned.name, pinned.version),
            what: "a case is pinned to it, but it is missing".to_owned(),
        })?);
        let key = (pinned.name.clone(), pinned.version);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(key, Arc::clone(&campaign));
        Ok(campaign)
    }

    /// The newest version of the campaign that new cases are opened with. Those who ask while others read share the next
    /// read: what each of them gets is no older than its question.
    pub async fn for_new_cases(&self, storage: &dyn Storage) -> Result<Arc<Campaign>, StoreError> {
        let asked = self.begun.load(Ordering::SeqCst);
        let mut newest = self.newest.lock().await;
        if let Some((read, campaign)) = &*newest
            && *read > asked
        {
            return Ok(Arc::clone(campaign));
        }
        let read = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let found = storage.newest_campaign(FOR_NEW_CASES).await?;
        let campaign = Arc::new(found.unwrap_or_else(Campaign::embedded));
        *newest = Some((read, Arc::clone(&campaign)));
        Ok(campaign)
    }
}
