//! What ways of retrying come to while little was seen yet.

use serde::Serialize;

use super::policy::Policy;
use super::{Played, Size, comparison};

/// How many failures a merchant may have seen.
const FAILURES: [u32; 3] = [100, 500, 2_000];
/// Where few invoices fail, a world is brought about more often, until as many failed as this part of a full one: else the luck of
/// single invoices would outweigh what is compared.
const PART: u32 = 5;

/// What ways of retrying come to at so many failures.
#[derive(Clone, Debug, Serialize)]
pub struct ColdStart {
    /// How many invoices fail in a world.
    pub failures: u32,
    /// How many times each world was brought about.
    pub seeds: u64,
    /// Each way of retrying.
    pub policies: Vec<Cold>,
}

/// One way of retrying.
#[derive(Clone, Debug, Serialize)]
pub struct Cold {
    /// Its name.
    pub policy: String,
    /// What was recovered of what could have been, in percent of invoices: the mean of the worlds.
    pub share_of_bound: f64,
    /// The same in each world.
    pub worlds: Vec<f64>,
    /// Where it stays behind the rules by kind furthest; none where it nowhere does.
    pub behind_class_rules: Option<Behind>,
}

/// How far one way of retrying stays behind another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Behind {
    /// In which world.
    pub world: String,
    /// By how many points of the bound.
    pub points: f64,
}

/// The sizes below the full one, and how many times a world is brought about at each.
pub fn starts(size: Size) -> impl Iterator<Item = (u32, u64)> {
    let below = FAILURES.into_iter().filter(move |failures| *failures < size.failures);
    below.map(move |failures| {
        let times = (size.failures / PART / failures).max(1);
        (failures, size.seeds.saturating_mul(u64::from(times)))
    })
}

/// All of them at a budget.
pub fn table(size: Size, policies: &[Policy], played: &[Played], budget: usize, worlds: &[String]) -> Vec<ColdStart> {
    let sizes = starts(size).chain([(size.failures, size.seeds)]);
    sizes
        .map(|(failures, seeds)| ColdStart {
            failures,
            seeds,
            policies: lines(failures, policies, played, budget, worlds),
        })
        .collect()
}

fn lines(failures: u32, policies: &[Policy], played: &[Played], budget: usize, worlds: &[String]) -> Vec<Cold> {
    let shares = |policy: usize| -> Vec<f64> {
        let of = |world| comparison::cell(&comparison::sum(played, failures, world, budget, policy)).share_of_bound;
        (0..worlds.len()).map(of).collect()
    };
    let rules = policies
        .iter()
        .position(|policy| matches!(policy, Policy::ByKind))
        .map(shares);
    let all = policies.iter().enumerate().map(|(number, policy)| {
        let mine = shares(number);
        let behind = rules
            .iter()
            .flatten()
            .zip(&mine)
            .zip(worlds)
            .map(|((rules, mine), world)| Behind {
                world: world.clone(),
                points: rules - mine,
            });
        Cold {
            policy: policy.name(),
            share_of_bound: comparison::mean_of(&mine),
            behind_class_rules: behind
                .filter(|behind| behind.points > 0.0)
                .max_by(|a, b| a.points.total_cmp(&b.points)),
            worlds: mine,
        }
    });
    all.collect()
}
