//! `recoup simulate`: ways of retrying in generated worlds.

use std::fmt;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};

use crate::app::campaigns_of;
use crate::domain::campaign::Campaign;
use crate::simulator::{self, Budget, Cell, Comparison, Played, Policy, Size};

/// The width of a world's column.
const WIDTH: usize = 10;

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
        None => vec![Campaign::embedded()],
    };
    let campaigns = campaigns
        .into_iter()
        .map(|campaign| Policy::Campaign(Box::new(campaign)));
    let policies: Vec<Policy> = Policy::BUILT_IN.into_iter().chain(campaigns).collect();
    let size = Size {
        failures: given.failures,
        seeds: given.seeds,
        first_seed: given.first_seed,
    };
    let comparison = simulator::compare(size, &policies, &played(size, &policies));
    if given.json {
        println!("{}", serde_json::to_string_pretty(&comparison)?);
    } else {
        print!("{}", Tables(&comparison));
    }
    Ok(())
}

/// Each seed of each world, on all cores.
fn played(size: Size, policies: &[Policy]) -> Vec<Played> {
    let worlds = simulator::worlds().len();
    let seeds = usize::try_from(size.seeds).unwrap_or(usize::MAX);
    let bar = bar(worlds.saturating_mul(seeds) as u64);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut mine = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= worlds.saturating_mul(seeds) {
                return mine;
            }
            mine.push(simulator::play(size, policies, number / seeds, (number % seeds) as u64));
            bar.inc(1);
        }
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let played = thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        let joined = workers.into_iter().map(|worker| match worker.join() {
            Ok(mine) => mine,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.flatten().collect()
    });
    bar.finish_and_clear();
    played
}

fn bar(total: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style =
        ProgressStyle::with_template("{bar:40} {pos} of {len} worlds, {eta} left").expect("the template is ours");
    ProgressBar::new(total).with_style(style)
}

/// A comparison as people read it.
struct Tables<'a>(&'a Comparison);

impl fmt::Display for Tables<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(comparison) = self;
        writeln!(
            f,
            "{} failed invoices in each of {} worlds, {} times from seed {}; each is charged again for {} days.\n\
             Share of the bound: of the invoices that some hour would have recovered, how many were, in percent.\n\
             Net: what is left of 100 that were owed, once charges and the customers lost by them are paid for.\n\
             {}\n",
            comparison.failures,
            comparison.worlds.len(),
            comparison.seeds,
            comparison.first_seed,
            comparison.window_days,
            comparison.note
        )?;
        for world in &comparison.worlds {
            let (name, payable) = (&world.name, world.payable_percent);
            writeln!(f, "{name:<WIDTH$}  {payable:.1} % can be recovered. {}.", world.about)?;
        }
        comparison
            .budgets
            .iter()
            .try_for_each(|budget| table(f, comparison, budget))
    }
}

fn table(f: &mut fmt::Formatter<'_>, comparison: &Comparison, budget: &Budget) -> fmt::Result {
    let names = budget.policies.iter().map(|line| line.policy.chars().count());
    let first = names.max().unwrap_or(0);
    writeln!(
        f,
        "\nAt most {} charges of an invoice: share of the bound",
        budget.attempts
    )?;
    write!(f, "{:first$}", "")?;
    for world in &comparison.worlds {
        write!(f, " {:>WIDTH$}", world.name)?;
    }
    let heads = ["mean", "worst", "net", "charges", "best net", "told off"];
    let [mean, worst, net, charges, best, told] = heads;
    writeln!(f, " | {mean:>6} {worst:>6} {net:>6} {charges:>8} {best:>9} {told:>9}")?;
    for line in &budget.policies {
        write!(f, "{:first$}", line.policy)?;
        for cell in &line.worlds {
            write!(f, " {:>WIDTH$.1}", cell.share_of_bound)?;
        }
        let Cell {
            share_of_bound,
            net_per_hundred,
            attempts,
        } = line.mean;
        let worst = -line.worst_regret;
        let best = format!("{} of {}", line.best_net_in, line.worlds.len());
        let told = line
            .calibration_error
            .map_or_else(|| "-".to_owned(), |off| format!("{off:.1}"));
        writeln!(
            f,
            " | {share_of_bound:>6.1} {worst:>6.1} {net_per_hundred:>6.1} {attempts:>8.2} {best:>9} {told:>9}"
        )?;
    }
    Ok(())
}
