//! Where learning begins: weak beliefs as data, each with its source.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::decline::DeclineKind;

/// What is believed before anything was seen.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prior {
    /// The version of the file.
    pub version: u32,
    /// What it is.
    pub note: String,
    /// Where the beliefs come from.
    pub sources: Vec<Source>,
    /// The logarithm of the odds that a charge of that kind succeeds; a kind that is not here is not charged by schedule.
    pub base: BTreeMap<DeclineKind, f64>,
    /// How far off that may be.
    pub base_deviation: f64,
    /// How far any other weight may be off.
    pub deviation: f64,
    /// What the hours from midnight to six add.
    pub night: f64,
    /// What it adds that all people were paid on that day or the day before.
    pub payday: BTreeMap<DeclineKind, f64>,
    /// How far off that may be.
    pub payday_deviation: f64,
    /// What is believed of the arms.
    pub arms: Arms,
}

/// Where a belief comes from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PriorSource)]
pub struct Source {
    /// The name of the belief.
    pub fact: String,
    /// What it says.
    pub says: String,
    /// Who states it.
    pub stated_by: String,
    /// How well it is known.
    pub grade: String,
}

/// What is believed of the arms.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arms {
    /// The share of invoices that a whole schedule recovers.
    pub share: BTreeMap<DeclineKind, f64>,
    /// By how much the adaptive arm is ahead.
    pub adaptive_ahead: f64,
    /// How many invoices that is worth.
    pub weight: f64,
}

impl Prior {
    /// The beliefs that are built in.
    pub fn embedded() -> Self {
        serde_json::from_str(include_str!("prior.json")).expect("the embedded prior is checked by a test")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_prior_is_whole_and_names_its_sources() {
        let prior = Prior::embedded();
        assert!(prior.base.keys().eq(prior.arms.share.keys()), "a share for each kind");
        assert!(prior.payday.keys().all(|kind| prior.base.contains_key(kind)));
        assert!(prior.arms.share.values().all(|share| (0.0..=0.9).contains(share)));
        let facts: Vec<&str> = prior.sources.iter().map(|source| source.fact.as_str()).collect();
        assert_eq!(facts, ["declines_at_night", "payday", "base", "arms"]);
        assert!(
            prior
                .sources
                .iter()
                .all(|source| !source.stated_by.is_empty() && !source.grade.is_empty())
        );
    }
}
