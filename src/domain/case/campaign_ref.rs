//! The name of a version of a campaign.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::domain::campaign::Campaign;

/// A text that does not name a version of a campaign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no version of a campaign: write it like default@2")]
pub struct BadCampaignRef(String);

/// The campaign version that a case is pinned to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CampaignRef {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u32,
}

impl CampaignRef {
    /// The name of a version.
    pub fn of(campaign: &Campaign) -> Self {
        Self {
            name: campaign.name.clone(),
            version: campaign.version,
        }
    }

    /// Whether it is the version of that campaign.
    pub fn is_of(&self, campaign: &Campaign) -> bool {
        self.name == campaign.name && self.version == campaign.version
    }
}

/// `name@version`.
impl FromStr for CampaignRef {
    type Err = BadCampaignRef;

    fn from_str(text: &str) -> Result<Self, BadCampaignRef> {
        let parts = text.rsplit_once('@').filter(|(name, _)| !name.is_empty());
        let read = parts.and_then(|(name, version)| {
            let version = version.parse().ok().filter(|version| *version > 0)?;
            let name = name.to_owned();
            Some(Self { name, version })
        });
        read.ok_or_else(|| BadCampaignRef(text.to_owned()))
    }
}

impl fmt::Display for CampaignRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}
