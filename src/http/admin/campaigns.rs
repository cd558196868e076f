//! Campaigns: the plans that cases are pinned to.

use serde::Serialize;
use serde_json::Value;

use crate::domain::campaign::Campaign;

pub(in crate::http) mod create;
pub(super) mod get;
pub(super) mod list;
pub(super) mod migrate;
pub(in crate::http) mod rehearse;
pub(super) mod shadow;

/// One version of a campaign.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Campaign)]
pub struct CampaignJson {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// The plan, in the shape of the campaign's TOML file.
    #[schema(value_type = Object)]
    pub plan: Value,
}

impl From<&Campaign> for CampaignJson {
    fn from(campaign: &Campaign) -> Self {
        Self {
            name: campaign.name.clone(),
            version: campaign.version,
            plan: serde_json::to_value(campaign).expect("a campaign is made of plain data"),
        }
    }
}
