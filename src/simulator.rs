//! Generated worlds in which ways of retrying are compared. Pure: no clock, network or database, and the same seed gives the
//! same figures to the last digit.
//!
//! A world is a calendar of pay, the habits of its issuers and a mix of failures (`worlds.json`). Its invoices are drawn so that
//! each fails at first; all ways of retrying then meet the same invoices and the same luck. What is compared is how much of what
//! could have been recovered was (the bound is to try every hour that the rules of the networks allow), and what is left of it
//! once charges and the customers lost by them are paid for.
//!
//! Each instrument is on a network, and every way of retrying asks its rules before a charge. Those that are the same whatever
//! was seen are also played without asking, to count what they would have broken.

use service::Ceiling;
use world::{Place, Worlds};

pub use comparison::{About, Broken, Budget, Cell, Comparison, Line, compare};
pub use policy::Policy;

mod calendar;
mod cold;
mod comparison;
mod dice;
mod invoice;
mod networks;
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

/// One world to be brought about and played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    /// The number of the world.
    pub world: usize,
    /// How many invoices fail in it.
    pub failures: u32,
    /// Its seed.
    pub seed: u64,
}

/// What one task came to: for each budget and policy.
#[derive(Clone, Debug)]
pub struct Played {
    task: Task,
    outcomes: Vec<Vec<Met>>,
}

/// What came of a way of retrying: with the rules of the networks, and without where it was played so.
#[derive(Clone, Debug, Default)]
struct Met {
    asked: service::Outcome,
    ignored: Option<service::Outcome>,
}

impl Played {
    /// How many invoices were played, over all budgets and policies.
    pub fn cases(&self) -> u64 {
        let met = self.outcomes.iter().flatten();
        let plays = met.map(|met| 1 + u64::from(met.ignored.is_some()));
        plays.sum::<u64>() * u64::from(self.task.failures)
    }
}

/// For how many days an invoice is charged again.
pub const WINDOW_DAYS: i32 = policy::WINDOW_DAYS;

/// Everything that is to be played for a comparison.
pub fn tasks(size: Size) -> Vec<Task> {
    let worlds = Worlds::embedded().all.len();
    let columns = [(size.failures, size.seeds)].into_iter().chain(cold::starts(size));
    columns
        .flat_map(|(failures, seeds)| (0..worlds).map(move |world| (failures, seeds, world)))
        .flat_map(|(failures, seeds, world)| {
            (0..seeds).map(move |seed| Task {
                world,
                failures,
                seed: size.first_seed.wrapping_add(seed),
            })
        })
        .collect()
}

/// Plays one task. Only worlds of the comparison's full size are also played without asking the rules.
pub fn play(size: Size, policies: &[Policy], task: Task) -> Played {
    let known = Worlds::embedded();
    let outcomes = known.all.get(task.world).map_or_else(Vec::new, |one| {
        let place = Place::new(&known, one, task.seed);
        let invoices = invoice::Invoice::some(&place, task.failures);
        let payable = invoices.iter().filter(|invoice| play::is_payable(&place, invoice));
        let payable = payable.count() as u64;
        let of = |budget| {
            let met = |policy: &Policy| {
                let play = |asked| {
                    let mut outcome = service::play(&place, &invoices, policy, budget, asked);
                    outcome.tally.payable = payable;
                    outcome
                };
                let also = policy.is_fixed() && task.failures == size.failures;
                Met {
                    asked: play(Ceiling::Asked),
                    ignored: also.then(|| play(Ceiling::Ignored)),
                }
            };
            policies.iter().map(met).collect()
        };
        BUDGETS.map(of).into()
    });
    Played { task, outcomes }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::campaign::Campaign;
    use crate::domain::ceiling::Rule;

    const SIZE: Size = Size {
        failures: 400,
        seeds: 2,
        first_seed: 1,
    };

    const SMALL: Size = Size {
        failures: 200,
        seeds: 1,
        first_seed: 1,
    };

    fn policies() -> Vec<Policy> {
        let campaign = Policy::Campaign(Box::new(Campaign::embedded()));
        Policy::BUILT_IN.into_iter().chain([campaign]).collect()
    }

    fn compared(size: Size) -> Comparison {
        let tasks = tasks(size).into_iter();
        let played: Vec<Played> = tasks.map(|task| play(size, &policies(), task)).collect();
        compare(size, &policies(), &played)
    }

    #[test]
    fn the_embedded_worlds_are_whole() {
        let known = Worlds::embedded();
        assert!(known.all.len() >= 8, "{}", known.all.len());
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
            let shares: f64 = world.networks.as_ref().unwrap_or(&known.networks).values().sum();
            assert!((shares - 1.0).abs() < 1e-9, "{}: {shares}", world.name);
        }
        assert!(known.sources.iter().all(|source| !source.stated_by.is_empty()));
    }

    #[test]
    fn a_seed_gives_the_same_figures_to_the_byte() {
        let text = |size| serde_json::to_string(&compared(size)).unwrap();
        assert_eq!(text(SMALL), text(SMALL));
        let other = Size { first_seed: 3, ..SMALL };
        assert_ne!(text(SMALL), text(other));
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

    #[test]
    fn who_asks_breaks_no_rule_and_who_does_not_is_counted() {
        let comparison = compared(SMALL);
        for budget in &comparison.budgets {
            for line in &budget.policies {
                assert_eq!(line.broken.charges, 0, "{line:?}");
                // What plans by what was learned, the built-in campaign included, asks by itself.
                let asks = ["adaptive", "learned", "default@2"].contains(&line.policy.as_str());
                assert_eq!(line.would_break.is_none(), asks, "{line:?}");
            }
            let would = |name: &str| {
                let line = budget.policies.iter().find(|line| line.policy == name).unwrap();
                line.would_break.clone().unwrap()
            };
            // It charges within hours, whatever wait it was advised.
            let backoff = would("backoff");
            assert!(backoff.rules.contains_key(&Rule::MastercardWait), "{backoff:?}");
            assert!(
                backoff.rules.contains_key(&Rule::MastercardDoNotTryAgain),
                "{backoff:?}"
            );
            assert!(backoff.charges > would("even 09:00").charges, "{backoff:?}");
            // The first attempt and eight more in two weeks are one too many for these.
            let eight = would("8 in 14 days").rules.contains_key(&Rule::AmexAttempts);
            assert_eq!(eight, budget.attempts == 8);
        }
    }

    #[test]
    fn a_cold_start_is_shown_up_to_the_full_size() {
        let comparison = compared(SMALL);
        for budget in &comparison.budgets {
            let failures: Vec<u32> = budget.cold_start.iter().map(|start| start.failures).collect();
            assert_eq!(failures, [100, 200]);
            let all = &budget.cold_start[1];
            for (line, cold) in budget.policies.iter().zip(&all.policies) {
                assert_eq!(line.mean.share_of_bound.to_bits(), cold.share_of_bound.to_bits());
            }
        }
        let few = &comparison.budgets[0].cold_start[0];
        let behind = |name: &str| {
            let line = few.policies.iter().find(|line| line.policy == name).unwrap();
            line.behind_class_rules.clone()
        };
        assert_eq!(behind("class rules"), None);
        assert!(behind("backoff").unwrap().points > 5.0, "{few:?}");
    }
}
