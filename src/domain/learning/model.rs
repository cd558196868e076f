//! The posterior: what is known of each kind of decline, from all evidence up to some day.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::arms::{Arm, Beta};
use super::hazard::{Features, Weight, Weights};
use super::prior::Prior;
use crate::domain::decline::DeclineKind;

const DAY_SECS: i64 = 86_400;

/// Something that was seen, to learn from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// When.
    pub at: Timestamp,
    /// Of which kind of decline.
    pub kind: DeclineKind,
    /// What.
    pub fact: Fact,
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// A charge was answered.
    Charge {
        /// What told of it.
        features: Features,
        /// Whether it brought the money.
        paid: bool,
    },
    /// A case ended that an arm had planned.
    Case {
        /// The arm.
        arm: Arm,
        /// The share of what was owed that came in, less what it cost: 0 to 1.
        reward: f64,
    },
    /// The money of such a case was taken back.
    TakenBack {
        /// The arm.
        arm: Arm,
        /// What had been its reward.
        reward: f64,
        /// When the case had ended.
        ended_at: Timestamp,
    },
}

/// What is known of a kind, with what was believed before.
#[derive(Clone, Debug, PartialEq)]
struct Known {
    weights: Weights,
    arms: BTreeMap<Arm, Beta>,
}

impl Known {
    fn before(prior: &Prior, kind: DeclineKind) -> Self {
        let arm = |arm: &Arm| (*arm, Beta::before(&prior.arms, kind, *arm));
        Self {
            weights: Weights::before(prior, kind),
            arms: Arm::ALL.iter().map(arm).collect(),
        }
    }
}

/// The posterior.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    before: BTreeMap<DeclineKind, Known>,
    known: BTreeMap<DeclineKind, Known>,
    /// The day up to which everything has faded, counted from 1970; none before the first evidence.
    day: Option<i64>,
}

/// The posterior as it is stored, by names that a person can read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// The day up to which everything has faded, counted from 1970.
    pub day: Option<i64>,
    /// The kinds of which something was seen.
    pub kinds: BTreeMap<DeclineKind, KindDocument>,
}

/// What is known of a kind, as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KindDocument {
    /// The weights by their names.
    pub weights: BTreeMap<String, Weight>,
    /// The arms.
    pub arms: BTreeMap<Arm, Beta>,
}

impl Model {
    /// What is believed before anything was seen.
    pub fn new(prior: &Prior) -> Self {
        let kinds = prior.base.keys().map(|kind| (*kind, Known::before(prior, *kind)));
        let before: BTreeMap<DeclineKind, Known> = kinds.collect();
        Self {
            known: before.clone(),
            before,
            day: None,
        }
    }

    /// A posterior as it was stored.
    pub fn read(prior: &Prior, document: &Document) -> Self {
        let mut model = Self::new(prior);
        model.day = document.day;
        for (kind, stored) in &document.kinds {
            let Some(known) = model.known.get_mut(kind) else {
                continue;
            };
            for (name, weight) in &stored.weights {
                known.weights.set(name, *weight);
            }
            known.arms.extend(stored.arms.iter().map(|(arm, beta)| (*arm, *beta)));
        }
        model
    }

    /// The posterior as it is to be stored.
    pub fn document(&self) -> Document {
        let kind = |(kind, known): (&DeclineKind, &Known)| {
            let document = KindDocument {
                weights: known.weights.rows().collect(),
                arms: known.arms.clone(),
            };
            (*kind, document)
        };
        Document {
            day: self.day,
            kinds: self.known.iter().map(kind).collect(),
        }
    }

    /// The kinds that something is known of.
    pub fn kinds(&self) -> impl Iterator<Item = DeclineKind> {
        self.known.keys().copied()
    }

    /// The weights of a kind; nothing where it is never charged by schedule.
    pub fn weights(&self, kind: DeclineKind) -> Option<&Weights> {
        self.known.get(&kind).map(|known| &known.weights)
    }

    /// What is known of some arms for a kind.
    pub fn arms(&self, kind: DeclineKind, arms: &[Arm]) -> Vec<(Arm, Beta)> {
        let Some(known) = self.known.get(&kind) else {
            return Vec::new();
        };
        let of = |arm: &Arm| known.arms.get(arm).map(|beta| (*arm, *beta));
        arms.iter().filter_map(of).collect()
    }

    /// Learns from what was seen.
    pub fn learn(&mut self, evidence: &Evidence) {
        self.fade_to(day_of(evidence.at));
        let age = |at: Timestamp| days(day_of(at), self.day.unwrap_or_default());
        let Some(known) = self.known.get_mut(&evidence.kind) else {
            return;
        };
        match &evidence.fact {
            Fact::Charge { features, paid } => known.weights.learn(features, *paid),
            Fact::Case { arm, reward } => {
                if let Some(beta) = known.arms.get_mut(arm) {
                    beta.learn(*reward, age(evidence.at));
                }
            }
            Fact::TakenBack { arm, reward, ended_at } => {
                if let Some(beta) = known.arms.get_mut(arm) {
                    beta.take_back(*reward, age(*ended_at));
                }
            }
        }
    }

    /// Everything fades once a day, so that the order of what was seen on one day does not matter to it.
    fn fade_to(&mut self, day: i64) {
        let since = *self.day.get_or_insert(day);
        if day <= since {
            return;
        }
        self.day = Some(day);
        let passed = days(since, day);
        for (kind, known) in &mut self.known {
            let Some(before) = self.before.get(kind) else { continue };
            known.weights.fade(&before.weights, passed);
            for (arm, beta) in &mut known.arms {
                if let Some(before) = before.arms.get(arm) {
                    beta.fade(before, passed);
                }
            }
        }
    }
}

fn day_of(at: Timestamp) -> i64 {
    at.as_second().div_euclid(DAY_SECS)
}

/// The days from one to another; none where the second is earlier.
fn days(from: i64, to: i64) -> f64 {
    f64::from(u32::try_from(to.saturating_sub(from)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::super::hazard::Past;
    use super::super::slots::Slot;
    use super::*;

    fn evidence() -> Vec<Evidence> {
        let at = |text: &str| text.parse().unwrap();
        let slot = Slot {
            after: 30,
            hour: 9,
            weekday: 4,
            month_day: 30,
            before_month_end: 1,
            payday: 0.5,
        };
        let features = Features::new(&slot, Past::default());
        let (kind, arm) = (DeclineKind::InsufficientFunds, Arm::Payday);
        let charge = Fact::Charge { features, paid: true };
        let ended = "2026-01-30T09:00:00Z";
        vec![
            Evidence {
                at: at("2026-01-30T09:00:00Z"),
                kind,
                fact: charge,
            },
            Evidence {
                at: at(ended),
                kind,
                fact: Fact::Case { arm, reward: 0.9 },
            },
            Evidence {
                at: at("2026-04-30T12:00:00Z"),
                kind,
                fact: Fact::TakenBack {
                    arm,
                    reward: 0.9,
                    ended_at: at(ended),
                },
            },
        ]
    }

    #[test]
    fn a_posterior_that_was_stored_goes_on_as_if_it_had_not_been() {
        let prior = Prior::embedded();
        let mut whole = Model::new(&prior);
        let mut broken = Model::new(&prior);
        for one in evidence() {
            whole.learn(&one);
            let text = serde_json::to_string(&broken.document()).unwrap();
            broken = Model::read(&prior, &serde_json::from_str(&text).unwrap());
            broken.learn(&one);
        }
        assert_eq!(whole, broken);
        assert_ne!(whole, Model::new(&prior));
    }

    #[test]
    fn money_taken_back_leaves_the_arm_as_if_it_had_brought_nothing() {
        let prior = Prior::embedded();
        let (mut taken, mut nothing) = (Model::new(&prior), Model::new(&prior));
        for one in evidence() {
            taken.learn(&one);
            let fact = match &one.fact {
                Fact::Case { arm, .. } => Fact::Case { arm: *arm, reward: 0.0 },
                Fact::Charge { .. } | Fact::TakenBack { .. } => one.fact.clone(),
            };
            if !matches!(fact, Fact::TakenBack { .. }) {
                nothing.learn(&Evidence { fact, ..one });
            }
        }
        let of = |model: &Model| model.arms(DeclineKind::InsufficientFunds, &[Arm::Payday])[0].1;
        nothing.fade_to(taken.day.unwrap());
        assert!((of(&taken).alpha - of(&nothing).alpha).abs() < 1e-9);
        assert!((of(&taken).beta - of(&nothing).beta).abs() < 1e-9);
    }
}
