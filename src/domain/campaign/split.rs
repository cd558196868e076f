//! A part of the customers: how two versions of a campaign are compared.

use serde::{Deserialize, Serialize};

use super::Campaign;
use crate::domain::learning::dice::Dice;

/// What the dice of splits are thrown with, so that they do not fall like others.
const SPLIT: &str = "split";

/// How new cases are divided between this version of a campaign and another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// How many of a hundred customers get this version.
    pub percent: u8,
    /// The version of the same campaign that all others get.
    pub against: u32,
}

impl Campaign {
    /// The version of it that a customer's new case gets. A customer stays on one side as long as the version is the newest.
    pub fn version_for(&self, connection: &str, customer: &str) -> u32 {
        self.split.map_or(self.version, |split| {
            let Self { name, version, .. } = self;
            let share = Dice::of(&format!("{SPLIT} {name}@{version} {connection} {customer}")).share();
            if share * 100.0 < f64::from(split.percent) {
                self.version
            } else {
                split.against
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_customer_stays_on_one_side_and_another_version_draws_anew() {
        let with = |version, percent| Campaign {
            version,
            split: Some(Split { percent, against: 1 }),
            ..Campaign::embedded()
        };
        let (third, fourth) = (with(3, 30), with(4, 30));
        let side = |campaign: &Campaign, number: u32| campaign.version_for("stripe", &format!("cus_{number}"));
        let drawn = |campaign: &Campaign| {
            (0..4000)
                .filter(|number| side(campaign, *number) == campaign.version)
                .count()
        };
        assert!((1100..1300).contains(&drawn(&third)), "{}", drawn(&third));
        assert_eq!((drawn(&with(3, 0)), drawn(&with(3, 100))), (0, 4000));
        let both = (0..4000).filter(|number| side(&third, *number) == 3 && side(&fourth, *number) == 4);
        let both = both.count();
        assert!(
            (300..420).contains(&both),
            "sides of two versions fall independently: {both}"
        );
        assert!((0..4000).all(|number| side(&third, number) == side(&third, number)));
        assert_eq!(
            Campaign::embedded().version_for("stripe", "cus_1"),
            Campaign::embedded().version
        );
    }
}
