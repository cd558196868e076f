//! A comparison as people read it.

use std::fmt;

use crate::simulator::{Budget, Cell, Comparison};

/// The width of a world's column.
const WIDTH: usize = 10;
/// The width of a column of the cold start: a share, and how far it is behind and where.
const COLD_WIDTH: usize = 24;

/// All tables of a comparison.
pub struct Tables<'a>(pub &'a Comparison);

impl fmt::Display for Tables<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(comparison) = self;
        writeln!(
            f,
            "{} failed invoices in each of {} worlds, {} times from seed {}; each is charged again for {} days.\n\
             Share of the bound: of the invoices that some hour would have recovered, how many were, in percent.\n\
             Net: what is left of 100 that were owed, once charges and the customers lost by them are paid for.\n\
             The rules of the networks bind all alike: before each charge they are asked, and what they refuse is put off or\n\
             given up. Plans that are the same whatever was seen would not ask by themselves; their last table counts what\n\
             they break then.\n\
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
        comparison.budgets.iter().try_for_each(|budget| {
            shares(f, comparison, budget)?;
            cold_start(f, budget)?;
            broken(f, budget)
        })
    }
}

/// The width of the names of the ways of retrying.
fn first(budget: &Budget) -> usize {
    let names = budget.policies.iter().map(|line| line.policy.chars().count());
    names.max().unwrap_or(0)
}

fn shares(f: &mut fmt::Formatter<'_>, comparison: &Comparison, budget: &Budget) -> fmt::Result {
    let first = first(budget);
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

/// The mean share by what was seen before, and by how much it is behind the rules by kind, where that is most.
fn cold_start(f: &mut fmt::Formatter<'_>, budget: &Budget) -> fmt::Result {
    let first = first(budget);
    writeln!(
        f,
        "\nAt most {} charges, cold start: share of the bound by failures, and the most points behind \"class rules\" in a world",
        budget.attempts
    )?;
    write!(f, "{:first$}", "")?;
    for start in &budget.cold_start {
        let head = format!("{} ({} times)", start.failures, start.seeds);
        write!(f, " {head:>COLD_WIDTH$}")?;
    }
    writeln!(f)?;
    for (number, line) in budget.policies.iter().enumerate() {
        write!(f, "{:first$}", line.policy)?;
        for cold in budget.cold_start.iter().filter_map(|start| start.policies.get(number)) {
            let behind = cold.behind_class_rules.as_ref().map_or_else(String::new, |behind| {
                format!(" -{:.1} {:<WIDTH$}", behind.points, behind.world)
            });
            let share = format!("{:.1}{behind:17}", cold.share_of_bound);
            write!(f, " {share:>COLD_WIDTH$}")?;
        }
        writeln!(f)?;
    }
    Ok(())
}

/// What broke rules of networks: with asking them, and without.
fn broken(f: &mut fmt::Formatter<'_>, budget: &Budget) -> fmt::Result {
    let first = first(budget);
    writeln!(f, "\nAt most {} charges, rule violations", budget.attempts)?;
    let [charges, asking, without, thousand] = ["charges", "asking", "without", "of 1,000"];
    writeln!(f, "{:first$} {charges:>10} {asking:>8} {without:>10} {thousand:>9}", "")?;
    for line in &budget.policies {
        let (all, broken) = (line.broken.of_charges, line.broken.charges);
        write!(f, "{:first$} {all:>10} {broken:>8}", line.policy)?;
        match &line.would_break {
            Some(would) => {
                let tenths = would.charges * 10_000 / would.of_charges.max(1);
                let share = format!("{}.{}", tenths / 10, tenths % 10);
                let rules = would.rules.iter().map(|(rule, charges)| format!("{rule} {charges}"));
                let rules: Vec<String> = rules.collect();
                writeln!(f, " {:>10} {share:>9}  {}", would.charges, rules.join(", "))?;
            }
            None => writeln!(f, " {:>10} {:>9}  always asks", "-", "-")?,
        }
    }
    Ok(())
}
