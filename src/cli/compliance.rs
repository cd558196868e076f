//! `recoup compliance`.

use std::io::IsTerminal;

use indicatif::ProgressBar;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::app::open_store;
use crate::config::Config;
use crate::domain::report::compliance::Compliance;
use crate::store::instruments;

/// What can be given to `compliance`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The first day, in UTC, such as 2026-01-01.
    #[arg(long, value_name = "DAY")]
    from: Date,
    /// The day after the last one, in UTC.
    #[arg(long, value_name = "DAY")]
    to: Date,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// Audits the charges of a span by the ledger of attempts; fails where one of ours broke a rule.
pub async fn run(config: &Config, given: &Arguments) -> anyhow::Result<()> {
    anyhow::ensure!(given.from < given.to, "--from must lie before --to");
    let begins = |day: Date| day.to_zoned(TimeZone::UTC).map(|start| start.timestamp());
    let span = (begins(given.from)?, begins(given.to)?);
    let bar = if std::io::stderr().is_terminal() {
        ProgressBar::new_spinner().with_message("instruments")
    } else {
        ProgressBar::hidden()
    };
    let store = open_store(config).await?;
    let found = instruments::audit(store.conn(), &config.rules, span, |seen| bar.inc(seen)).await;
    store.close().await?;
    bar.finish_and_clear();
    let found = found?;
    if given.json {
        println!("{}", serde_json::to_string_pretty(&found)?);
    } else {
        print(&found);
    }
    anyhow::ensure!(
        found.breaches == 0,
        "{} of our charges broke a rule; the first are listed above",
        found.breaches
    );
    Ok(())
}

fn print(found: &Compliance) {
    println!(
        "{:<12} {:<10} {:<16} {:>10}",
        "network", "made by", "category", "attempts"
    );
    for row in &found.attempts {
        let (network, by) = (row.network.as_str(), row.by.as_str());
        println!("{network:<12} {by:<10} {:<16} {:>10}", row.category, row.attempts);
    }
    println!(
        "\n{:<12} {:<28} {:>10} {:>10}",
        "network", "blocked by", "refused", "put off"
    );
    for row in &found.blocked {
        let (network, rule) = (row.network.as_str(), row.rule.as_str());
        println!("{network:<12} {rule:<28} {:>10} {:>10}", row.refused, row.put_off);
    }
    println!(
        "\nbreaches {}, in hindsight {}, by others {}",
        found.breaches, found.in_hindsight, found.by_others
    );
    for breach in &found.breached {
        let attempt = breach.attempt_id.as_ref().map_or("-", |id| id.as_str());
        println!(
            "{} {} {} {} {}",
            breach.at, breach.case_id, attempt, breach.network, breach.rule
        );
    }
}
