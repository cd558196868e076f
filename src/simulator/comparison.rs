//! What was played, put together.

use std::collections::BTreeMap;

use serde::Serialize;

use super::cold::{self, ColdStart};
use super::policy::{Policy, WINDOW_DAYS};
use super::service::Outcome;
use super::world::{Source, Worlds};
use super::{BUDGETS, Met, Played, Size, play};
use crate::domain::ceiling::Rule;

/// What ways of retrying came to.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// How many invoices fail in a world.
    pub failures: u32,
    /// How many times each world was brought about.
    pub seeds: u64,
    /// The first seed.
    pub first_seed: u64,
    /// For how many days an invoice is charged again.
    pub window_days: i32,
    /// The version of the worlds.
    pub worlds_version: u32,
    /// What the worlds are, and what they are not.
    pub note: String,
    /// Where facts about them come from.
    pub sources: Vec<Source>,
    /// The worlds in their order.
    pub worlds: Vec<About>,
    /// One for each budget.
    pub budgets: Vec<Budget>,
}

/// A world, for people.
#[derive(Clone, Debug, Serialize)]
pub struct About {
    /// Its name.
    pub name: String,
    /// What is special about it.
    pub about: String,
    /// The share of invoices that some hour would have recovered, in percent.
    pub payable_percent: f64,
}

/// The comparison at a budget.
#[derive(Clone, Debug, Serialize)]
pub struct Budget {
    /// How many charges an invoice may be given.
    pub attempts: usize,
    /// Each way of retrying.
    pub policies: Vec<Line>,
    /// The same while little was seen yet.
    pub cold_start: Vec<ColdStart>,
}

/// One way of retrying.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// Its name.
    pub policy: String,
    /// What it came to in each world.
    pub worlds: Vec<Cell>,
    /// The mean of the worlds.
    pub mean: Cell,
    /// How far it stays behind the best fixed one, where it does so furthest, in points of the bound.
    pub worst_regret: f64,
    /// In how many worlds its net is above that of every fixed one.
    pub best_net_in: usize,
    /// How far the chances that were told were off, on average over the charges, in points; none where none were told.
    pub calibration_error: Option<f64>,
    /// The charges by which it broke rules of the networks, though it asked them.
    pub broken: Broken,
    /// Those by which it would have, had it not asked; none where it was not played so, because it always asks.
    pub would_break: Option<Broken>,
}

/// Charges that broke rules of the networks, over all worlds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// All charges.
    pub of_charges: u64,
    /// Those that broke a rule.
    pub charges: u64,
    /// The rules, each with the charges that broke it.
    pub rules: BTreeMap<Rule, u64>,
}

/// One way of retrying in one world, over all seeds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Cell {
    /// What was recovered of what could have been, in percent of invoices.
    pub share_of_bound: f64,
    /// What is left of a hundred that were owed, once charges and customers lost by them are paid for.
    pub net_per_hundred: f64,
    /// Charges for each invoice.
    pub attempts: f64,
}

/// Puts what was played together.
pub fn compare(size: Size, policies: &[Policy], played: &[Played]) -> Comparison {
    let known = Worlds::embedded();
    let names: Vec<String> = known.all.iter().map(|world| world.name.clone()).collect();
    let budgets = BUDGETS.iter().enumerate().map(|(budget, attempts)| Budget {
        attempts: *attempts,
        policies: lines(size, policies, played, budget, names.len()),
        cold_start: cold::table(size, policies, played, budget, &names),
    });
    let about = known.all.iter().enumerate().map(|(number, world)| {
        let tally = sum(played, size.failures, number, 0, 0);
        About {
            name: world.name.clone(),
            about: world.about.clone(),
            payable_percent: ratio(tally.payable, tally.invoices) * 100.0,
        }
    });
    Comparison {
        failures: size.failures,
        seeds: size.seeds,
        first_seed: size.first_seed,
        window_days: WINDOW_DAYS,
        worlds_version: known.version,
        worlds: about.collect(),
        budgets: budgets.collect(),
        note: known.note,
        sources: known.sources,
    }
}

fn lines(size: Size, policies: &[Policy], played: &[Played], budget: usize, worlds: usize) -> Vec<Line> {
    let cells: Vec<Vec<Cell>> = (0..policies.len())
        .map(|policy| {
            let of = |world| cell(&sum(played, size.failures, world, budget, policy));
            (0..worlds).map(of).collect()
        })
        .collect();
    let lines = policies.iter().enumerate().map(|(number, policy)| {
        let fixed = || (0..policies.len()).filter(|other| policies[*other].is_fixed() && *other != number);
        let best = |world: usize, of: fn(&Cell) -> f64| {
            let fixed = fixed().map(|other| of(&cells[other][world]));
            fixed.fold(f64::MIN, f64::max)
        };
        let mine = || cells[number].iter().enumerate();
        let behind = mine().map(|(world, cell)| best(world, |cell| cell.share_of_bound) - cell.share_of_bound);
        let of_full_size = || met(played, size.failures, budget, number).map(|(_, met)| met);
        let ignored = of_full_size().filter_map(|met| met.ignored.as_ref());
        Line {
            policy: policy.name(),
            worst_regret: behind.fold(0.0, f64::max),
            best_net_in: mine()
                .filter(|(world, cell)| cell.net_per_hundred > best(*world, |cell| cell.net_per_hundred))
                .count(),
            calibration_error: calibration_error(of_full_size()),
            mean: mean(&cells[number]),
            worlds: cells[number].clone(),
            broken: broken(of_full_size().map(|met| &met.asked)),
            would_break: policy.is_fixed().then(|| broken(ignored)),
        }
    });
    lines.collect()
}

/// What came of a policy at so many failures, with the number of the world.
fn met(played: &[Played], failures: u32, budget: usize, policy: usize) -> impl Iterator<Item = (usize, &Met)> {
    let of_size = played.iter().filter(move |one| one.task.failures == failures);
    of_size.filter_map(move |one| Some((one.task.world, one.outcomes.get(budget)?.get(policy)?)))
}

/// All seeds of a world at so many failures.
pub fn sum(played: &[Played], failures: u32, world: usize, budget: usize, policy: usize) -> play::Tally {
    let of_world = met(played, failures, budget, policy).filter(|(number, _)| *number == world);
    of_world.fold(play::Tally::default(), |sum, (_, met)| sum.plus(met.asked.tally))
}

fn broken<'a>(outcomes: impl Iterator<Item = &'a Outcome>) -> Broken {
    let none = Broken {
        of_charges: 0,
        charges: 0,
        rules: BTreeMap::new(),
    };
    outcomes.fold(none, |mut sum, outcome| {
        sum.of_charges += outcome.tally.attempts;
        sum.charges += outcome.broken;
        for (rule, charges) in &outcome.rules {
            *sum.rules.entry(*rule).or_default() += charges;
        }
        sum
    })
}

/// The mean distance between the chances that were told and what came of them, over tenths of the chance.
fn calibration_error<'a>(met: impl Iterator<Item = &'a Met>) -> Option<f64> {
    let told = met
        .fold(play::Tally::default(), |sum, one| sum.plus(one.asked.tally))
        .told;
    let charges: u64 = told.iter().map(|tenth| tenth.charges).sum();
    let off = told
        .iter()
        .map(|tenth| (tenth.chances).abs_diff(tenth.succeeded * 1_000_000))
        .sum();
    (charges > 0).then(|| ratio(off, charges) / 10_000.0)
}

/// A tally as shares of what could have been.
pub fn cell(tally: &play::Tally) -> Cell {
    Cell {
        share_of_bound: ratio(tally.paid, tally.payable) * 100.0,
        net_per_hundred: exact(tally.net) / 10_000.0 / exact(tally.owed_minor).max(1.0) * 100.0,
        attempts: ratio(tally.attempts, tally.invoices),
    }
}

fn mean(cells: &[Cell]) -> Cell {
    let of = |part: fn(&Cell) -> f64| mean_of(&cells.iter().map(part).collect::<Vec<_>>());
    Cell {
        share_of_bound: of(|cell| cell.share_of_bound),
        net_per_hundred: of(|cell| cell.net_per_hundred),
        attempts: of(|cell| cell.attempts),
    }
}

/// The mean of some figures.
pub fn mean_of(figures: &[f64]) -> f64 {
    figures.iter().sum::<f64>() / exact(i64::try_from(figures.len()).unwrap_or(i64::MAX)).max(1.0)
}

fn ratio(part: u64, whole: u64) -> f64 {
    let exact = |count: u64| exact(i64::try_from(count).unwrap_or(i64::MAX));
    exact(part) / exact(whole).max(1.0)
}

/// Sums of simulated amounts are far below what a float holds exactly, and are shown with one decimal.
#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
fn exact(sum: i64) -> f64 {
    sum as f64
}
