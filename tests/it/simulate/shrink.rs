//! A failure made small: fault by fault is left out for as long as the same law still breaks.

use std::collections::BTreeSet;

use recoup::mailer::Templates;

use super::faults::{Class, Strike};
use super::run::{Ended, Play};

/// The most runs that making a failure small may take.
const RUNS_MAX: usize = 400;

/// A run of a seed with only some of its strikes.
pub fn again(seed: u64, cases: usize, strikes: &BTreeSet<Strike>, kept: usize, templates: &Templates) -> Ended {
    let mut play = Play::of(seed, cases);
    play.faults = play.faults.only(strikes.clone());
    play.kept = kept;
    play.run(templates)
}

/// The fewest strikes found that break the same law.
pub fn shrink(seed: u64, cases: usize, law: &str, struck: &[Strike], templates: &Templates) -> BTreeSet<Strike> {
    let mut runs = 0;
    let mut breaks = |strikes: &BTreeSet<Strike>| {
        runs += 1;
        let breach = again(seed, cases, strikes, 0, templates).breach;
        (breach.is_some_and(|breach| breach.law == law), runs < RUNS_MAX)
    };
    let mut kept: BTreeSet<Strike> = struck.iter().copied().collect();
    let classes: BTreeSet<Class> = kept.iter().map(|(class, _)| *class).collect();
    for class in classes {
        let fewer: BTreeSet<Strike> = kept.iter().filter(|(of, _)| *of != class).copied().collect();
        if breaks(&fewer).0 {
            kept = fewer;
        }
    }
    let mut size = kept.len().div_ceil(2).max(1);
    loop {
        let all: Vec<Strike> = kept.iter().copied().collect();
        let mut on = true;
        for piece in all.chunks(size) {
            let fewer: BTreeSet<Strike> = kept.iter().filter(|one| !piece.contains(one)).copied().collect();
            let (broken, more) = breaks(&fewer);
            if broken {
                kept = fewer;
            }
            on &= more;
        }
        if size == 1 || !on {
            return kept;
        }
        size = size.div_ceil(2);
    }
}

/// The one command that plays it again.
pub fn command(seed: u64, cases: usize, strikes: &BTreeSet<Strike>, mutant: Option<&str>) -> String {
    let list: Vec<String> = strikes
        .iter()
        .map(|(class, number)| format!("{class}:{number}"))
        .collect();
    let (chosen, flags) = match mutant {
        Some(mutant) => (format!(" RECOUP_SIM_MUTANT={mutant}"), " --features mutants"),
        None => (String::new(), ""),
    };
    format!(
        "RECOUP_SIM_SEED={seed} RECOUP_SIM_CASES={cases} RECOUP_SIM_FAULTS=\"{}\"{chosen} cargo test{flags} --test it \
         simulate::a_seed_is_played_again -- --exact --nocapture",
        list.join(" ")
    )
}
