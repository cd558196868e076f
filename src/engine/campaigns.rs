//! The campaigns that cases are pinned to, and those that new cases get, read as seldom as can be.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::campaign::Campaign;
use crate::domain::campaign::segment::{DEFAULT, Facts, choose, in_order};
use crate::domain::case::CampaignRef;
use crate::store::{Storage, StoreError};

/// What this process knows of campaigns.
#[derive(Default)]
pub struct Campaigns {
    /// A version never changes, so it is kept once read.
    known: Mutex<HashMap<(String, u32), Arc<Campaign>>>,
    /// How many reads of the offer began.
    begun: AtomicU64,
    /// What new cases can get, and which read brought it.
    offer: tokio::sync::Mutex<Option<(u64, Arc<Offer>)>>,
    /// The shadows of the offer that was read last, by name.
    shadows: Mutex<HashMap<String, Arc<Campaign>>>,
}

/// What new cases can get: of each campaign the newest version that is no shadow, in the order in which they are asked.
struct Offer(Vec<Arc<Campaign>>);

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
            id: pinned.to_string(),
            what: "a case is pinned to it, but it is missing".to_owned(),
        })?);
        let key = (pinned.name.clone(), pinned.version);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(key, Arc::clone(&campaign));
        Ok(campaign)
    }

    /// The shadow of a campaign, as far as this process has heard of it: with the next new case, or within the hour.
    pub fn shadow_of(&self, name: &str) -> Option<Arc<Campaign>> {
        let shadows = self.shadows.lock().unwrap_or_else(PoisonError::into_inner);
        shadows.get(name).cloned()
    }

    /// The campaign that a new case of a customer gets.
    pub async fn for_new_case(
        &self,
        storage: &dyn Storage,
        facts: &Facts<'_>,
        (connection, customer): (&str, &str),
    ) -> Result<Arc<Campaign>, StoreError> {
        let offer = self.offer(storage).await?;
        let Some(chosen) = choose(&offer.0, facts) else {
            return Ok(Arc::new(Campaign::embedded()));
        };
        let version = chosen.version_for(connection, customer);
        if version == chosen.version {
            return Ok(Arc::clone(chosen));
        }
        let name = chosen.name.clone();
        self.pinned(storage, &CampaignRef { name, version }).await
    }

    /// The campaign that takes what no other does.
    pub async fn of_the_rest(&self, storage: &dyn Storage) -> Result<Arc<Campaign>, StoreError> {
        let offer = self.offer(storage).await?;
        Ok(offer
            .0
            .last()
            .map_or_else(|| Arc::new(Campaign::embedded()), Arc::clone))
    }

    /// Reads anew what new cases can get, and which versions are shadows.
    pub async fn refresh(&self, storage: &dyn Storage) -> Result<(), StoreError> {
        self.offer(storage).await.map(|_| ())
    }

    /// Those who ask while others read share the next read: what each of them gets is no older than its question.
    async fn offer(&self, storage: &dyn Storage) -> Result<Arc<Offer>, StoreError> {
        let asked = self.begun.load(Ordering::SeqCst);
        let mut last = self.offer.lock().await;
        if let Some((read, offer)) = &*last
            && *read > asked
        {
            return Ok(Arc::clone(offer));
        }
        let read = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let offer = Arc::new(self.read_offer(storage).await?);
        *last = Some((read, Arc::clone(&offer)));
        Ok(offer)
    }

    async fn read_offer(&self, storage: &dyn Storage) -> Result<Offer, StoreError> {
        let mut versions = BTreeMap::<String, Vec<CampaignRef>>::new();
        for version in storage.campaign_versions().await? {
            versions.entry(version.name.clone()).or_default().push(version);
        }
        let (mut live, mut shadows) = (Vec::new(), HashMap::new());
        for (name, mut versions) in versions {
            versions.sort_by_key(|version| std::cmp::Reverse(version.version));
            for version in &versions {
                let campaign = self.pinned(storage, version).await?;
                if !campaign.shadow {
                    live.push(campaign);
                    break;
                }
                shadows.entry(name.clone()).or_insert(campaign);
            }
        }
        if live.iter().all(|campaign| campaign.name != DEFAULT) {
            live.push(Arc::new(Campaign::embedded()));
        }
        in_order(&mut live);
        *self.shadows.lock().unwrap_or_else(PoisonError::into_inner) = shadows;
        Ok(Offer(live))
    }
}
