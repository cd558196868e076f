//! What is learned: when a charge succeeds, and which way of planning brings in most. Pure: the posterior is passed in, and all
//! chance comes from a seed, so that a stored decision can be derived again.
//!
//! Nothing here can override the ceiling: what is chosen here is asked of it afterwards, like everything else.

use model::Model;
use plan::Terms;

pub mod arms;
pub mod choice;
pub mod dice;
pub mod hazard;
pub mod model;
pub mod plan;
pub mod prior;
pub mod slots;

/// A posterior, and by what terms decisions are made with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Learned {
    /// Which posterior it is; 0 is what is believed before anything was seen.
    pub version: u64,
    /// What is known.
    pub model: Model,
    /// What the operator decides.
    pub policy: Policy,
}

/// What the operator decides of learning.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Policy {
    /// The share of customers who are planned by the baseline, so that there is something to compare with, in percent.
    pub holdout_percent: u8,
    /// What charges cost and bring.
    pub terms: Terms,
}

impl Learned {
    /// What is believed before anything was seen.
    pub fn nothing() -> Self {
        Self {
            version: 0,
            model: Model::new(&prior::Prior::embedded()),
            policy: Policy::default(),
        }
    }
}
