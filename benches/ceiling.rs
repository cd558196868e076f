//! A million random histories under the ceiling, each judged by a second reader of the rules: the property test of `tests/it/rules`,
//! longer.

#[path = "../tests/it/simulate/dice.rs"]
mod dice;
#[path = "../tests/it/rules/naive.rs"]
#[expect(clippy::unwrap_used, reason = "the judge fails at the place that went wrong")]
mod naive;
#[path = "../tests/it/rules/worlds.rs"]
#[expect(clippy::unwrap_used, reason = "what is drawn here is valid")]
mod worlds;

use std::thread;
use std::time::Duration;

use recoup::clock::Clock;
use recoup::domain::case::Origin;

use crate::support::report::{Bound, Report};
use worlds::World;

/// How many histories are played.
const CASES: u64 = 1_000_000;
const CASES_QUICK: u64 = 50_000;
/// The same for everybody; what another one finds is found by the tests, which draw theirs anew each time.
const SEED: u64 = 1;

/// What was seen.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    cases: u64,
    asked: u64,
    made: u64,
    broken: u64,
    took: Duration,
}

impl Seen {
    fn plus(self, other: Self) -> Self {
        Self {
            cases: self.cases + other.cases,
            asked: self.asked + other.asked,
            made: self.made + other.made,
            broken: self.broken + other.broken,
            took: self.took + other.took,
        }
    }
}

pub fn run(report: &mut Report) {
    let cases = if report.quick { CASES_QUICK } else { CASES };
    let began = Clock::System.stopwatch();
    let seen = played(cases);
    let secs = began.elapsed().as_secs_f64();
    report.note(format!(
        "ceiling: {} histories of seed {SEED} on all cores, {} charges that it allowed, each judged by the second reader",
        seen.cases, seen.made
    ));
    report.figure("ceiling: histories", "/s", vec![exact(seen.cases) / secs]);
    report.figure(
        "ceiling: one question",
        "ns",
        vec![seen.took.as_secs_f64() * 1e9 / exact(seen.asked)],
    );
    report.figure("ceiling: charges that were allowed", "", vec![exact(seen.made)]);
    report.limit(
        "ceiling: charges that broke a rule",
        exact(seen.broken),
        Bound::AtMost(0.0),
    );
}

fn played(cases: u64) -> Seen {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let work = |first: u64| {
            let mine = (first..cases).step_by(workers);
            mine.fold(Seen::default(), |seen, nth| seen.plus(one(nth)))
        };
        let workers: Vec<_> = (0..workers as u64)
            .map(|first| scope.spawn(move || work(first)))
            .collect();
        let seen = workers.into_iter().map(|worker| {
            worker
                .join()
                .expect("a history that cannot be played is a fault to be seen")
        });
        seen.fold(Seen::default(), Seen::plus)
    })
}

fn one(nth: u64) -> Seen {
    let mut world = World::new(SEED, nth);
    world.play();
    let broken = world.judge();
    if !broken.is_empty() {
        println!(
            "history {nth} of seed {SEED} on {}: {broken:?}",
            world.instrument.network
        );
    }
    let made = world.history.iter().filter(|past| past.origin == Origin::Us).count();
    Seen {
        cases: 1,
        asked: world.asked.into(),
        made: made as u64,
        broken: broken.len() as u64,
        took: world.took,
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn exact(count: u64) -> f64 {
    count as f64
}
