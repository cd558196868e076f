//! The whole service in a simulated world: the same engine, over models of its ports, in one thread and under every fault
//! that we could think of. A seed says all that happens; the same seed is the same run.
//!
//! `bash tests/simulate` plays more of it, and says what it found.

mod books;
mod calm;
mod database;
pub mod dice;
mod equal;
mod faults;
mod judge;
mod mutants;
mod network;
mod people;
mod post;
mod rounds;
mod run;
mod shrink;
mod state;

use std::env;
use std::thread;

use recoup::mailer::Templates;

use rounds::Round;

/// How many invoices fail in one world.
const CASES: usize = 40;
/// How many worlds the ordinary test plays.
const SEEDS: u64 = 20;

/// A number that the environment sets, else `default`.
fn number(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().expect(name))
}

fn cases() -> usize {
    usize::try_from(number("RECOUP_SIM_CASES", CASES as u64)).unwrap()
}

fn round() -> Round {
    Round {
        first: number("RECOUP_SIM_FIRST", 0),
        seeds: number("RECOUP_SIM_SEEDS", SEEDS),
        cases: cases(),
        threads: thread::available_parallelism().map_or(1, usize::from),
        mutant: None,
        loud: env::var("RECOUP_SIM_SEEDS").is_ok(),
    }
}

#[test]
fn the_laws_hold_under_faults() {
    let round = round();
    let found = round.play();
    println!("{found}");
    for (law, (seed, breach)) in found.firsts() {
        let worlds = found.breaches.iter().filter(|(_, other)| other.law == law);
        let seeds: Vec<_> = worlds.map(|(seed, _)| seed).collect();
        println!("{} worlds {seeds:?}, in {seed}: {breach}", seeds.len());
    }
    for (seed, breach) in found.firsts().values() {
        rounds::tell(*seed, round.cases, breach, None);
    }
    assert!(found.breaches.is_empty(), "{} worlds break a law", found.breaches.len());
}

/// Plays the one seed that the environment names, with all its faults or those named.
#[test]
fn a_seed_is_played_again() {
    let Ok(seed) = env::var("RECOUP_SIM_SEED") else {
        return;
    };
    let seed = seed.parse().expect("RECOUP_SIM_SEED");
    let chosen = env::var("RECOUP_SIM_MUTANT").ok();
    let mutant = mutants::ALL.iter().find(|(name, _)| Some(*name) == chosen.as_deref());
    mutants::choose(mutant.map(|(name, _)| *name));
    let mut play = run::Play::of(seed, cases());
    play.kept = usize::try_from(number("RECOUP_SIM_LINES", rounds::LINES as u64)).unwrap();
    if let Ok(strikes) = env::var("RECOUP_SIM_FAULTS") {
        play.faults = play.faults.only(faults::strikes_of(&strikes).unwrap());
    }
    let ended = play.run(&Templates::new().unwrap());
    println!(
        "{}\nhash {:016x}, {} cases, {} steps",
        ended.last.join("\n"),
        ended.hash,
        ended.cases,
        ended.steps
    );
    if let Some(breach) = ended.breach {
        panic!("seed {seed} breaks a law: {breach}");
    }
}

#[cfg(feature = "mutants")]
#[test]
fn every_mutant_is_found() {
    let only = env::var("RECOUP_SIM_MUTANT").ok();
    let mut survivors = Vec::new();
    println!("| mutant | first bad seed | law | seconds |\n|---|---|---|---|");
    for (name, _) in mutants::ALL
        .iter()
        .filter(|(name, _)| only.as_deref().is_none_or(|only| only == *name))
    {
        let round = Round {
            seeds: number("RECOUP_SIM_SEEDS", 5000),
            mutant: Some(name),
            loud: false,
            ..round()
        };
        let found = round.play();
        if let Some((seed, breach)) = found.breaches.first_key_value() {
            println!("| {name} | {seed} | {} | {:.1} |", breach.law, found.secs);
        } else {
            println!("| {name} | none of {} | - | {:.1} |", found.seeds, found.secs);
            survivors.push(*name);
        }
    }
    assert!(survivors.is_empty(), "not found: {survivors:?}");
}

#[test]
fn the_same_seed_is_the_same_run() {
    let templates = Templates::new().unwrap();
    for seed in 0..3 {
        let [first, second] = [(); 2].map(|()| run::Play::of(seed, CASES).run(&templates));
        assert_eq!(
            (first.hash, first.steps, first.struck),
            (second.hash, second.steps, second.struck),
            "seed {seed}"
        );
    }
}
