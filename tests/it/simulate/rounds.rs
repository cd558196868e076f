//! Many worlds: their seeds are shared out to threads, and what they found is added up.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use recoup::clock::Stopwatch;
use recoup::mailer::Templates;

use super::judge::Breach;
use super::mutants;
use super::run::Play;
use super::shrink;

/// How many of the last lines a failure shows.
pub const LINES: usize = 50;

/// What to play.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    pub first: u64,
    pub seeds: u64,
    pub cases: usize,
    pub threads: usize,
    pub mutant: Option<&'static str>,
    /// Whether a line tells of the progress now and then.
    pub loud: bool,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    pub seeds: u32,
    pub cases: u32,
    pub steps: u64,
    pub strikes: u64,
    pub secs: f64,
    /// The worlds in which a law was broken, and how.
    pub breaches: BTreeMap<u64, Breach>,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seeds,
            cases,
            steps,
            strikes,
            secs,
            breaches,
        } = self;
        let rate = f64::from(*cases) / secs;
        write!(
            f,
            "{seeds} worlds, {cases} cases, {steps} steps, {strikes} faults in {secs:.1} s ({rate:.0} cases a second); "
        )?;
        if !breaches.is_empty() {
            return write!(f, "laws were broken in {} of them", breaches.len());
        }
        let bound = 3.0 / f64::from((*cases).max(1));
        write!(
            f,
            "no law was broken: with 95 % confidence fewer than {bound:.1e} of cases break one"
        )
    }
}

impl Round {
    /// Plays all seeds; with a mutant, until one breaks a law.
    pub fn play(self) -> Found {
        let watch = Stopwatch::start();
        let next = AtomicU64::new(self.first);
        let stop = AtomicBool::new(false);
        let found = Arc::new(Mutex::new(Found::default()));
        thread::scope(|scope| {
            for _ in 0..self.threads {
                scope.spawn(|| self.work(&next, &stop, &found, &watch));
            }
        });
        let mut found = Arc::into_inner(found).unwrap().into_inner().unwrap();
        found.secs = watch.elapsed().as_secs_f64();
        found
    }

    fn work(self, next: &AtomicU64, stop: &AtomicBool, found: &Mutex<Found>, watch: &Stopwatch) {
        let templates = Templates::new().unwrap();
        mutants::choose(self.mutant);
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= self.first + self.seeds || stop.load(Ordering::Relaxed) {
                return;
            }
            let ended = Play::of(seed, self.cases).run(&templates);
            let mut found = found.lock().unwrap();
            found.seeds += 1;
            found.cases += u32::try_from(ended.cases).unwrap();
            found.steps += ended.steps;
            found.strikes += ended.struck.len() as u64;
            if self.loud && found.seeds.is_multiple_of(256) {
                let secs = watch.elapsed().as_secs();
                println!("{} seeds, {} cases, {secs} s", found.seeds, found.cases);
            }
            if let Some(breach) = ended.breach {
                found.breaches.insert(seed, breach);
                stop.store(self.mutant.is_some(), Ordering::Relaxed);
            }
        }
    }
}

impl Found {
    /// The first world of each law that was broken.
    pub fn firsts(&self) -> BTreeMap<&'static str, (u64, &Breach)> {
        let mut firsts = BTreeMap::new();
        for (seed, breach) in &self.breaches {
            firsts.entry(breach.law).or_insert((*seed, breach));
        }
        firsts
    }
}

/// Tells all about a breach: the fewest faults that bring it about, what happened last, and how to see it again.
pub fn tell(seed: u64, cases: usize, breach: &Breach, mutant: Option<&'static str>) {
    let templates = Templates::new().unwrap();
    mutants::choose(mutant);
    let struck = Play::of(seed, cases).run(&templates).struck;
    let few = shrink::shrink(seed, cases, breach.law, &struck, &templates);
    let ended = shrink::again(seed, cases, &few, LINES, &templates);
    let said = ended.breach.as_ref().unwrap_or(breach);
    println!("seed {seed} breaks a law: {said}");
    println!("{} of {} faults are enough", few.len(), struck.len());
    println!("{}", ended.last.join("\n"));
    println!("{}", shrink::command(seed, cases, &few, mutant));
}
