//! Charges that are planned by what was learned.

use serde::{Deserialize, Serialize};

use super::Flaw;
use crate::domain::ceiling::CHARGES_MAX;
use crate::domain::learning::arms::{Arm, USUAL};

/// Charges that are planned by what was learned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Planned {
    /// How many charges at most; of some kinds fewer are ever made.
    pub charges: u8,
    /// Within how many days after the case was opened.
    pub within_days: u16,
    /// The arms to choose among; a single one is pinned.
    #[serde(default = "usual_arms")]
    pub arms: Vec<Arm>,
}

fn usual_arms() -> Vec<Arm> {
    USUAL.to_vec()
}

impl Planned {
    pub(super) fn flaws(&self, path: &str) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        let mut flaw = |key: &str, what: String| flaws.push(Flaw::new(format!("{path}.planned.{key}"), what));
        if !(1..=CHARGES_MAX).contains(&u32::from(self.charges)) {
            flaw("charges", format!("planned.charges must be 1 to {CHARGES_MAX}"));
        }
        if self.within_days == 0 {
            flaw("within_days", "planned.within_days must be at least 1".to_owned());
        }
        let twice = |(number, arm)| self.arms[..number].contains(arm);
        if self.arms.is_empty() || self.arms.iter().enumerate().any(twice) {
            flaw(
                "arms",
                "planned.arms must name at least one arm, and each once".to_owned(),
            );
        }
        flaws
    }
}
