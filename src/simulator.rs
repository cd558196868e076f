//! Generated worlds in which ways of retrying are compared. Pure: no clock, network or database, and the same seed gives the
//! same figures to the last digit.
//!
//! A world is a calendar of pay, the habits of its issuers and a mix of failures (`worlds.json`). Its invoices are drawn so that
//! each fails at first; all ways of retrying then meet the same invoices and the same luck. What is compared is how much of what
//! could have been recovered was (the bound is to try every hour), and what is left of it once charges and the customers lost by
//! them are paid for.

use serde::Serialize;

use world::{Place, Source, Worlds};

pub use policy::Policy;
use policy::WINDOW_DAYS;

mod calendar;
mod dice;
mod invoice;
mod play;
mod policy;
mod service;
mod world;

/// How many charges an invoice may be given, in the comparisons.
pub const BUDGETS: [usize; 2] = [4, 8];

/// How large a comparison is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// How many invoices fail in a world.
    pub failures: u32,
    /// How many times each world is brought about.
    pub seeds: u64,
    /// The first seed.
    pub first_seed: u64,
}

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
    /// The share of invoices that any hour would have recovered, in percent.
    pub payable_percent: f64,
}

/// The comparison at a budget.
#[derive(Clone, Debug, Serialize)]
pub struct Budget {
    /// How many charges an invoice may be given.
    pub attempts: usize,
    /// Each way of retrying.
    pub policies: Vec<Line>,
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

/// What one seed of one world came to: for each budget and policy.
#[derive(Clone, Debug)]
pub struct Played {
    world: usize,
    tallies: Vec<Vec<play::Tally>>,
}

/// The names of the worlds.
pub fn worlds() -> Vec<String> {
    Worlds::embedded().all.into_iter().map(|world| world.name).collect()
}

/// Plays one seed of the world of that number.
pub fn play(size: Size, policies: &[Policy], world: usize, seed: u64) -> Played {
    let known = Worlds::embedded();
    let tallies = known.all.get(world).map_or_else(Vec::new, |one| {
        let place = Place::new(&known, one, size.first_seed.wrapping_add(seed));
        let invoices = invoice::Invoice::some(&place, size.failures);
        let payable: Vec<bool> = invoices
            .iter()
            .map(|invoice| play::is_payable(&place, invoice))
            .collect();
        let payable = payable.iter().filter(|payable| **payable).count() as u64;
        let of = |budget| {
            let tally = |policy: &Policy| play::Tally {
                payable,
                ..service::play(&place, &invoices, policy, budget)
            };
            policies.iter().map(tally).collect()
        };
        BUDGETS.map(of).into()
    });
    Played { world, tallies }
}

/// Puts what was played together.
pub fn compare(size: Size, policies: &[Policy], played: &[Played]) -> Comparison {
    let known = Worlds::embedded();
    let budgets = BUDGETS.iter().enumerate().map(|(budget, attempts)| {
        let cells: Vec<Vec<Cell>> = (0..policies.len())
            .map(|policy| {
                let of = |world| cell(&sum(played, world, budget, policy));
                (0..known.all.len()).map(of).collect()
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
            Line {
                policy: policy.name(),
                worst_regret: behind.fold(0.0, f64::max),
                best_net_in: mine()
                    .filter(|(world, cell)| cell.net_per_hundred > best(*world, |cell| cell.net_per_hundred))
                    .count(),
                calibration_error: calibration_error(played, budget, number),
                mean: mean(&cells[number]),
                worlds: cells[number].clone(),
            }
        });
        Budget {
            attempts: *attempts,
            policies: lines.collect(),
        }
    });
    let about = known.all.iter().enumerate().map(|(number, world)| {
        let tally = sum(played, number, 0, 0);
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
        note: known.note,
        sources: known.sources,
        worlds: about.collect(),
        budgets: budgets.collect(),
    }
}

fn sum(played: &[Played], world: usize, budget: usize, policy: usize) -> play::Tally {
    let of_world = played.iter().filter(|one| one.world == world);
    let tallies = of_world.filter_map(|one| one.tallies.get(budget)?.get(policy));
    tallies.fold(play::Tally::default(), |sum, one| sum.plus(*one))
}

/// The mean distance between the chances that were told and what came of them, over tenths of the chance.
fn calibration_error(played: &[Played], budget: usize, policy: usize) -> Option<f64> {
    let tallies = played.iter().filter_map(|one| one.tallies.get(budget)?.get(policy));
    let told = tallies.fold(play::Tally::default(), |sum, one| sum.plus(*one)).told;
    let charges: u64 = told.iter().map(|tenth| tenth.charges).sum();
    let off = told
        .iter()
        .map(|tenth| (tenth.chances).abs_diff(tenth.succeeded * 1_000_000))
        .sum();
    (charges > 0).then(|| ratio(off, charges) / 10_000.0)
}

fn cell(tally: &play::Tally) -> Cell {
    Cell {
        share_of_bound: ratio(tally.paid, tally.payable) * 100.0,
        net_per_hundred: exact(tally.net) / 10_000.0 / exact(tally.owed_minor).max(1.0) * 100.0,
        attempts: ratio(tally.attempts, tally.invoices),
    }
}

fn mean(cells: &[Cell]) -> Cell {
    let count = exact(i64::try_from(cells.len()).unwrap_or(i64::MAX)).max(1.0);
    let of = |part: fn(&Cell) -> f64| cells.iter().map(part).sum::<f64>() / count;
    Cell {
        share_of_bound: of(|cell| cell.share_of_bound),
        net_per_hundred: of(|cell| cell.net_per_hundred),
        attempts: of(|cell| cell.attempts),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::campaign::Campaign;

    const SIZE: Size = Size {
        failures: 400,
        seeds: 2,
        first_seed: 1,
    };

    fn policies() -> Vec<Policy> {
        let campaign = Policy::Campaign(Box::new(Campaign::embedded()));
        Policy::BUILT_IN.into_iter().chain([campaign]).collect()
    }

    fn compared(size: Size) -> Comparison {
        let worlds = 0..worlds().len();
        let played: Vec<Played> = worlds
            .flat_map(|world| (0..size.seeds).map(move |seed| (world, seed)))
            .map(|(world, seed)| play(size, &policies(), world, seed))
            .collect();
        compare(size, &policies(), &played)
    }

    #[test]
    fn the_embedded_worlds_are_whole() {
        let known = Worlds::embedded();
        assert!(known.all.len() >= 8, "{:?}", worlds());
        for world in &known.all {
            let calendars = [Some(&world.pay), world.then.as_ref().map(|then| &then.pay)];
            for calendar in calendars.into_iter().flatten() {
                let shares: f64 = known.pay[calendar].iter().map(|pay| pay.share).sum();
                let whole = known.pay[calendar].is_empty() || (shares - 1.0).abs() < 1e-9;
                assert!(whole, "{calendar}: {shares}");
            }
            let kinds = world.kinds.as_ref().unwrap_or(&known.kinds);
            let shares: f64 = kinds.values().sum();
            assert!((shares - 1.0).abs() < 1e-9, "{}: {shares}", world.name);
            assert!(kinds.keys().all(|kind| known.pays_when_asked.contains_key(kind)));
        }
        assert!(known.sources.iter().all(|source| !source.stated_by.is_empty()));
    }

    #[test]
    fn a_seed_gives_the_same_figures_to_the_byte() {
        let text = |size| serde_json::to_string(&compared(size)).unwrap();
        assert_eq!(text(SIZE), text(SIZE));
        let other = Size { first_seed: 3, ..SIZE };
        assert_ne!(text(SIZE), text(other));
    }

    #[test]
    fn what_is_recovered_lies_between_nothing_and_the_bound() {
        let comparison = compared(SIZE);
        for world in &comparison.worlds {
            assert!((45.0..90.0).contains(&world.payable_percent), "{world:?}");
        }
        for budget in &comparison.budgets {
            for line in &budget.policies {
                for cell in &line.worlds {
                    assert!((30.0..=100.0).contains(&cell.share_of_bound), "{line:?}");
                    let charges = 0.5..=f64::from(u32::try_from(budget.attempts).unwrap());
                    assert!(charges.contains(&cell.attempts), "{line:?}");
                }
            }
            let best = budget.policies.iter().map(|line| line.worst_regret);
            assert!(best.fold(f64::MAX, f64::min) < 12.0, "{budget:?}");
        }
        let mean = |budget: usize, name: &str| {
            let lines = &comparison.budgets[budget].policies;
            lines.iter().find(|line| line.policy == name).unwrap().mean
        };
        // What is spent before money arrives is spent in vain, and more charges recover more.
        assert!(mean(0, "even").share_of_bound > mean(0, "backoff").share_of_bound + 10.0);
        assert!(mean(1, "even").share_of_bound > mean(0, "even").share_of_bound);
        assert!(mean(0, "class rules").attempts < mean(0, "1/3/5/7").attempts);
    }
}
