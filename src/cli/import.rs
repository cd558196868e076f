//! `recoup import`: the time before Recoup, so that reports have a past on the first day.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::app::{connections, open_store};
use crate::clock::{Clock, entropy};
use crate::config::Config;
use crate::domain::campaign::Campaign;
use crate::domain::case::Collector;
use crate::domain::decide::past::{CAMPAIGN, PastEnd, PastInvoice};
use crate::domain::event::Opening;
use crate::domain::ids::AuditId;
use crate::domain::outcome::Status;
use crate::engine::{Import, Imported};
use crate::store::audit::{self, AuditRow};
use crate::store::{Store, StoreError, campaigns};

mod csv;
mod events;

/// Who did it, in timelines and in the audit log.
const ACTOR: &str = "recoup import";
/// How many cases are written at once.
const BATCH: usize = 250;
/// How many names are shown of what is not read in.
const SHOWN: usize = 10;

/// What can be read in.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Events of Stripe as its API or its webhooks give them: a list, or one event after the other.
    StripeEvents(Arguments),
    /// A table of invoices, one a line; the README names its columns.
    Csv(Arguments),
}

/// What can be given to both.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Say what would be written, and write nothing.
    #[arg(long)]
    dry_run: bool,
}

/// What a file holds.
struct Found {
    invoices: Vec<PastInvoice>,
    /// What is not read in, and why, with the invoices.
    left_out: Vec<(&'static str, Vec<String>)>,
    /// Of how many charges it does not tell why they failed.
    without_reason: u64,
}

/// Reads a file whole, and only then writes what it tells.
pub async fn run(config: &Config, command: &Command) -> anyhow::Result<()> {
    let (given, found) = match command {
        Command::StripeEvents(given) => (given, events::read(&given.file)?),
        Command::Csv(given) => (given, csv::read(&given.file)?),
    };
    show(&found);
    if given.dry_run || found.invoices.is_empty() {
        println!("nothing is written");
        return Ok(());
    }
    let connection = connections(config)?.pop().context(
        "no connection is configured, whose name and time zone the cases get: set stripe.api_key and stripe.webhook_secrets as for \
         `recoup serve`",
    )?;
    let opening = Opening {
        connection: connection.name,
        // Somebody else charged them, whoever does it now.
        collector: Collector::Provider,
        default_zone: connection.default_zone,
    };
    let store = open_store(config).await?;
    let done = write(&store, &opening, &found.invoices, &given.file).await;
    store.close().await?;
    let done = done?;
    println!(
        "{} cases are written; {} invoices had one already",
        done.written, done.known
    );
    for (why, count) in &done.without {
        println!("{count} get no case, by the rules that hold for new ones: {why}");
    }
    Ok(())
}

async fn write(store: &Store, opening: &Opening, invoices: &[PastInvoice], file: &Path) -> anyhow::Result<Imported> {
    let campaign = Campaign::parse(CAMPAIGN).context("the campaign of the past")?;
    let now = Clock::System.now();
    match campaigns::publish(store.conn(), &campaign, CAMPAIGN, now).await {
        Ok(()) => {}
        Err(StoreError::Conflict(_)) => anyhow::bail!(
            "there is another campaign {}@{} already, under whose name cases of the past are read in: no two can have it",
            campaign.name,
            campaign.version
        ),
        Err(error) => return Err(error.into()),
    }
    make_months(store, invoices).await?;
    tell(store, invoices.len(), file, now).await?;
    let import = Import {
        actor: ACTOR,
        opening,
        campaign: &campaign,
        clock: &Clock::System,
    };
    let bar = bar(invoices.len() as u64, "{bar:30} {pos} of {len} invoices, {eta} left");
    let mut done = Imported::default();
    for batch in invoices.chunks(BATCH) {
        let part = import.write(store, batch).await?;
        done.written += part.written;
        done.known += part.known;
        for (why, count) in part.without {
            *done.without.entry(why).or_default() += count;
        }
        bar.inc(batch.len() as u64);
    }
    bar.finish_and_clear();
    Ok(done)
}

/// Months of long ago get partitions of their own, so that retention can let go of them one day.
async fn make_months(store: &Store, invoices: &[PastInvoice]) -> anyhow::Result<()> {
    let month = |at: Timestamp| {
        at.to_zoned(TimeZone::UTC)
            .first_of_month()
            .map(|first| first.timestamp())
    };
    let mut months: Vec<Timestamp> = invoices
        .iter()
        .map(|invoice| month(invoice.failed_at))
        .collect::<Result<_, _>>()?;
    months.sort_unstable();
    months.dedup();
    for month in months {
        store.make_months(month).await?;
    }
    Ok(())
}

/// Says in the audit log what is about to be written: whoever stops it half way has begun it.
async fn tell(store: &Store, invoices: usize, file: &Path, now: Timestamp) -> anyhow::Result<()> {
    let tx = store.begin().await?;
    let entry = AuditRow {
        id: AuditId::new(now.as_millisecond(), entropy()),
        at: now,
        actor: ACTOR.to_owned(),
        action: "cases.import".to_owned(),
        object: file.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        comment: Some(format!("{invoices} invoices")),
    };
    audit::append(&tx, &entry).await?;
    tx.commit().await?;
    Ok(())
}

fn show(found: &Found) {
    let invoices = &found.invoices;
    let mut by_status = BTreeMap::<Status, u64>::new();
    for invoice in invoices {
        let status = match invoice.end {
            PastEnd::Paid { .. } => Status::Recovered,
            PastEnd::Exhausted { .. } => Status::Exhausted,
            PastEnd::Stopped { .. } => Status::Stopped,
        };
        *by_status.entry(status).or_default() += 1;
    }
    let span = invoices.first().zip(invoices.last());
    let span = span.map(|(first, last)| format!(" from {} to {}", day(first.failed_at), day(last.failed_at)));
    println!(
        "{} invoices failed{}, and their end is known",
        invoices.len(),
        span.unwrap_or_default()
    );
    for (status, count) in by_status {
        println!("  {count:>8} {status}");
    }
    if found.without_reason > 0 {
        println!("of {} charges it is not told why they failed", found.without_reason);
    }
    for (why, ids) in found.left_out.iter().filter(|(_, ids)| !ids.is_empty()) {
        let more = ids.len().saturating_sub(SHOWN);
        let shown = ids.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        println!("not read in, {why}: {shown}{more}");
    }
}

fn day(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).date().to_string()
}

/// A bar on a terminal, else nothing.
fn bar(length: u64, form: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(form).expect("the templates are valid");
    ProgressBar::new(length).with_style(style)
}
