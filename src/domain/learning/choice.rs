//! The choice of an arm: once for a case, anew only when its kind of decline changes.

use serde::{Deserialize, Serialize};

use super::Learned;
use super::arms::{Arm, BASELINE, Candidate, candidates, draw};
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
    let choice = |arm, propensity, held_out| Choice {
        kind,
        arm,
        propensity,
        held_out,
        version: learned.version,
    };
    if is_held_out(customer, learned.policy.holdout_percent) {
        return Chosen {
            choice: choice(BASELINE, 1.0, true),
            candidates: Vec::new(),
        };
    }
    let candidates = candidates(&learned.model.arms(kind, arms));
    let drawn = draw(&candidates, &mut Dice::new(seed));
    let (arm, propensity) = drawn.map_or((BASELINE, 1.0), |drawn| (drawn.arm, drawn.propensity));
    Chosen {
        choice: choice(arm, propensity, false),
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
