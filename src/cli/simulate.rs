//! `recoup simulate`: ways of retrying in generated worlds.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};

use crate::app::campaigns_of;
use crate::clock::Clock;
use crate::domain::campaign::{Campaign, EMBEDDED};
use crate::simulator::{self, Played, Policy, Size, WINDOW_DAYS};
use tables::Tables;

mod tables;

/// The days of a case-month.
const MONTH_DAYS: f64 = 30.0;

/// What can be given to `simulate`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// A folder of campaigns to compare as well; without it the one that is built in.
    #[arg(long, value_name = "FOLDER")]
    campaigns: Option<PathBuf>,
    /// How many invoices fail in each world.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    failures: u32,
    /// How many times each world is brought about.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    seeds: u64,
    /// The first seed: the same one gives the same figures.
    #[arg(long, default_value_t = 1)]
    first_seed: u64,
    /// Print JSON instead of tables.
    #[arg(long)]
    json: bool,
}

/// Plays all worlds and prints what came of it.
pub fn run(given: &Arguments) -> anyhow::Result<()> {
    let campaigns = match &given.campaigns {
        Some(folder) => campaigns_of(folder).context("--campaigns")?,
        None => vec![(Campaign::embedded(), EMBEDDED.to_owned())],
    };
    let campaigns = campaigns
        .into_iter()
        .map(|(campaign, _)| Policy::Campaign(Box::new(campaign)));
    let policies: Vec<Policy> = Policy::BUILT_IN.into_iter().chain(campaigns).collect();
    let size = Size {
        failures: given.failures,
        seeds: given.seeds,
        first_seed: given.first_seed,
    };
    let (played, worked) = played(size, &policies);
    let comparison = simulator::compare(size, &policies, &played);
    if given.json {
        println!("{}", serde_json::to_string_pretty(&comparison)?);
    } else {
        print!("{}", Tables(&comparison));
    }
    eprintln!("{}", speed(&played, worked));
    Ok(())
}

/// How fast it went. It is written apart from the figures, which are the same each time.
fn speed(played: &[Played], worked: Duration) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a speed, shown in whole numbers")]
    let cases = played.iter().map(Played::cases).sum::<u64>() as f64;
    let months = cases * f64::from(WINDOW_DAYS) / MONTH_DAYS;
    let secs = worked.as_secs_f64().max(f64::MIN_POSITIVE);
    format!(
        "{cases:.0} cases of {WINDOW_DAYS} days in {secs:.1} s of a core: {:.0} case-months a second",
        months / secs
    )
}

/// All tasks on all cores, and for how long the cores were at it together.
fn played(size: Size, policies: &[Policy]) -> (Vec<Played>, Duration) {
    let tasks = simulator::tasks(size);
    let bar = bar(tasks.len() as u64);
    let next = AtomicUsize::new(0);
    let work = || {
        let began = Clock::System.stopwatch();
        let mut mine = Vec::new();
        while let Some(task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
            mine.push(simulator::play(size, policies, *task));
            bar.inc(1);
        }
        (mine, on_core().unwrap_or_else(|| began.elapsed()))
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let joined: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        let joined = workers.into_iter().map(|worker| match worker.join() {
            Ok(mine) => mine,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.collect()
    });
    bar.finish_and_clear();
    let worked = joined.iter().map(|(_, worked)| *worked).sum();
    (joined.into_iter().flat_map(|(mine, _)| mine).collect(), worked)
}

/// For how long this thread has been on a core; nothing where the system does not tell. Whoever shares the machine slows the
/// clock on the wall, and not this.
fn on_core() -> Option<Duration> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanos = told.split_whitespace().next()?.parse().ok()?;
    (nanos > 0).then(|| Duration::from_nanos(nanos))
}

fn bar(total: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style =
        ProgressStyle::with_template("{bar:40} {pos} of {len} worlds, {eta} left").expect("the template is ours");
    ProgressBar::new(total).with_style(style)
}
