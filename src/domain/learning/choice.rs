//! The choice of an arm: once for a case, anew only when its kind of decline changes.

use serde::{Deserialize, Serialize};

use super::Learned;
use super::arms::{Arm, Arms, BASELINE, Candidate, candidates, draw};
use super::dice::Dice;
use crate::domain::decline::DeclineKind;

/// What the dice of the holdout are thrown with, so that they do not fall like others.
const HOLDOUT: &str = "holdout";

/// An arm that was chosen for a case.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// The kind of decline it was chosen for.
    pub kind: DeclineKind,
    /// The arm.
    pub arm: Arm,
    /// The probability with which it was chosen.
    pub propensity: f64,
    /// Whether the customer is held out of learning.
    pub held_out: bool,
    /// The posterior by which it was chosen.
    pub version: u64,
    /// The arms that could have been drawn; nothing where the customer is held out, or it was not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drawable: Option<Arms>,
    /// The first draw of the case, where the kind of its decline has changed since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Draw>,
}

/// How an arm came to a case.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Draw {
    /// The kind of decline it was drawn for.
    pub kind: DeclineKind,
    /// The arm.
    pub arm: Arm,
    /// The probability with which it was drawn.
    pub propensity: f64,
    /// Whether the customer was held out.
    pub held_out: bool,
    /// The arms that could have been drawn; nothing where the customer was held out, or it was not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drawable: Option<Arms>,
}

impl Choice {
    /// The first draw of the case. What follows from it, a change of the kind and another draw included, is its effect, so
    /// comparisons go by this one.
    pub fn first_draw(&self) -> Draw {
        self.first.unwrap_or(Draw {
            kind: self.kind,
            arm: self.arm,
            propensity: self.propensity,
            held_out: self.held_out,
            drawable: self.drawable,
        })
    }

    /// The same choice of a case that had another one before.
    #[must_use]
    pub fn after(self, before: Option<Self>) -> Self {
        Self {
            first: before.map(|before| before.first_draw()),
            ..self
        }
    }
}

/// A choice, with what it was chosen from.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// The choice.
    pub choice: Choice,
    /// What could have been chosen; empty where the customer is held out.
    pub candidates: Vec<Candidate>,
}

/// The seed of a case for a kind.
pub fn seed(case: &str, kind: DeclineKind) -> u64 {
    Dice::of(&format!("{case} {kind}")).number()
}

/// Whether a customer is held out; who is, stays so while the share does not fall.
pub fn is_held_out(customer: &str, percent: u8) -> bool {
    Dice::of(&format!("{HOLDOUT} {customer}")).share() * 100.0 < f64::from(percent)
}

/// Chooses an arm. The same case and the same posterior give the same one.
pub fn choose(learned: &Learned, arms: &[Arm], kind: DeclineKind, seed: u64, customer: &str) -> Chosen {
    let choice = |arm, propensity, drawable: Option<Arms>| Choice {
        kind,
        arm,
        propensity,
        held_out: drawable.is_none(),
        version: learned.version,
        drawable,
        first: None,
    };
    if is_held_out(customer, learned.policy.holdout_percent) {
        return Chosen {
            choice: choice(BASELINE, 1.0, None),
            candidates: Vec::new(),
        };
    }
    let candidates = candidates(&learned.model.arms(kind, arms));
    let drawn = draw(&candidates, &mut Dice::new(seed));
    let (arm, propensity) = drawn.map_or((BASELINE, 1.0), |drawn| (drawn.arm, drawn.propensity));
    let awake = candidates.iter().filter(|candidate| !candidate.rests);
    let drawable = awake.map(|candidate| candidate.arm).collect();
    Chosen {
        choice: choice(arm, propensity, Some(drawable)),
        candidates,
    }
}

#[cfg(test)]
mod tests {
    use super::super::arms::USUAL;
    use super::*;

    #[test]
    fn the_same_case_and_posterior_give_the_same_choice() {
        let learned = Learned::nothing();
        let kind = DeclineKind::InsufficientFunds;
        let of = |case: &str| choose(&learned, &USUAL, kind, seed(case, kind), "cus_1");
        let chosen: Vec<Arm> = (0..400)
            .map(|number| of(&format!("case_{number}")).choice.arm)
            .collect();
        let again: Vec<Arm> = (0..400)
            .map(|number| of(&format!("case_{number}")).choice.arm)
            .collect();
        assert_eq!(chosen, again);
        let adaptive = chosen.iter().filter(|arm| **arm == Arm::Adaptive).count();
        assert!(
            (300..400).contains(&adaptive),
            "the floor leaves something to the others: {adaptive}"
        );
        assert_ne!(seed("case_1", kind), seed("case_1", DeclineKind::Limit));
    }

    #[test]
    fn the_first_draw_is_kept_and_old_choices_are_read() {
        let learned = Learned::nothing();
        let draw = |kind| choose(&learned, &USUAL, kind, seed("case_1", kind), "cus_1").choice;
        let first = draw(DeclineKind::Limit);
        assert_eq!(first.first_draw().drawable, Some(USUAL.into_iter().collect()));
        let second = draw(DeclineKind::DoNotHonor).after(Some(first));
        let third = draw(DeclineKind::Expired).after(Some(second));
        assert_eq!(third.first_draw(), first.first_draw());
        assert_eq!(third.kind, DeclineKind::Expired);
        let text = serde_json::to_string(&third).unwrap();
        assert_eq!(serde_json::from_str::<Choice>(&text).unwrap(), third);
        let old = r#"{"kind":"limit","arm":"even","propensity":0.5,"held_out":false,"version":3}"#;
        let old: Choice = serde_json::from_str(old).unwrap();
        assert!(old.first.is_none() && old.first_draw().drawable.is_none());
    }

    #[test]
    fn who_is_held_out_stays_so_and_gets_the_baseline() {
        let mut learned = Learned::nothing();
        learned.policy.holdout_percent = 10;
        let kind = DeclineKind::DoNotHonor;
        let out = |percent: u8| {
            (0..5000)
                .filter(|number| is_held_out(&format!("cus_{number}"), percent))
                .count()
        };
        assert_eq!(out(0), 0);
        assert!((430..570).contains(&out(10)), "{}", out(10));
        for number in 0..200 {
            let customer = format!("cus_{number}");
            let chosen = choose(&learned, &USUAL, kind, number, &customer);
            assert_eq!(chosen.choice.held_out, is_held_out(&customer, 10));
            assert!(!is_held_out(&customer, 10) || is_held_out(&customer, 20));
            if chosen.choice.held_out {
                assert_eq!((chosen.choice.arm, chosen.candidates.len()), (BASELINE, 0));
            }
        }
    }
}
