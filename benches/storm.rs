//! What comes after an outage: many events at once, some of them twice, out of order, or such that nobody can handle.
//!
//! Each invoice has four events. Half of the poison is no JSON and is dead at the door; the other half names invoices whose
//! reading panics, and is put off with a reason, again and again.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use recoup::store::Store;
use sea_orm::{ConnectionTrait, Statement};
use tokio::time::Instant;

use crate::support::database::Schema;
use crate::support::event::{Event, Signed};
use crate::support::load::drive;
use crate::support::report::{Bound, Report};
use crate::support::service::Service;
use crate::work::Place;

const CONNECTIONS: usize = 64;
const EVENTS_PER_INVOICE: u64 = 4;
/// Shares of the events, in percent.
const TWICE: u64 = 20;
const SHUFFLED: u64 = 30;
const POISON: u64 = 5;
/// The numbers of invoices that nobody can read begin with the digit that `Account` panics at.
const UNREADABLE: u64 = 0xf << 60;
/// How long the rest may take; the limit is shorter.
const PATIENCE: Duration = Duration::from_mins(10);
/// How long to wait between two looks at what is left.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The events in the order in which they are sent.
struct Storm {
    events: Vec<Event>,
    /// How many different ones there are.
    distinct: usize,
    /// How many of these are no JSON.
    broken: usize,
    /// How many name an invoice that nobody can read.
    unreadable: usize,
    /// How many invoices are to get a case.
    invoices: usize,
}

impl Storm {
    fn brew(count: u64) -> Self {
        let mut dice = StdRng::seed_from_u64(7);
        let distinct = count * (100 - TWICE) / 100;
        let mut events: Vec<Event> = (0..distinct)
            .map(|number| {
                let invoice = number / EVENTS_PER_INVOICE;
                let poisoned = dice.random_range(0..100) < POISON;
                let broken = poisoned && dice.random();
                Event {
                    number: number + 1,
                    invoice: if poisoned && !broken {
                        UNREADABLE | number
                    } else {
                        invoice + 1
                    },
                    broken,
                }
            })
            .collect();
        let sound = |event: &&Event| !event.broken && event.invoice < UNREADABLE;
        let invoices: HashSet<u64> = events.iter().filter(sound).map(|event| event.invoice).collect();
        let (broken, unreadable) = (
            events.iter().filter(|event| event.broken).count(),
            events.iter().filter(|event| event.invoice >= UNREADABLE).count(),
        );
        for _ in distinct..count {
            let again = events[dice.random_range(0..events.len())];
            events.insert(events.len() - dice.random_range(0..1_000.min(events.len())), again);
        }
        // A swap moves two.
        for _ in 0..count * SHUFFLED / 200 {
            let (a, b) = (dice.random_range(0..events.len()), dice.random_range(0..events.len()));
            events.swap(a, b);
        }
        Self {
            distinct: usize::try_from(distinct).expect("a count of events"),
            events,
            broken,
            unreadable,
            invoices: invoices.len(),
        }
    }
}

pub async fn run(report: &mut Report) -> anyhow::Result<()> {
    let count = if report.quick { 10_000 } else { 100_000 };
    let folder = tempfile::tempdir()?;
    report.note(format!(
        "storm: {count} events over {CONNECTIONS} connections, {TWICE} % of them twice, {SHUFFLED} % shuffled, {POISON} % poison"
    ));
    match Schema::create().await {
        Ok(schema) => {
            schema.drop().await?;
            let place = Place::postgres().await?;
            storm(report, "PostgreSQL", count, folder.path(), &place.url).await?;
            place.leave().await?;
        }
        Err(error) => report.note(format!("PostgreSQL is left out: {error:#}")),
    }
    let place = Place::sqlite(folder.path());
    storm(report, "SQLite", count, folder.path(), &place.url).await
}

async fn storm(report: &mut Report, name: &str, count: u64, folder: &Path, url: &str) -> anyhow::Result<()> {
    let brewed = Storm::brew(count);
    let signed = Arc::new(Signed::of("/webhooks/stripe", brewed.events.iter().copied()));
    let service = Service::working(folder, url)?;
    let store = Store::connect(url, 1).await?;
    let began = Instant::now();
    let sent = drive(&service, CONNECTIONS, PATIENCE, &signed).await?;
    while number(
        &store,
        "SELECT COUNT(*) FROM inbox WHERE ended_at IS NULL AND tries = 0",
    )
    .await?
        > 0
    {
        anyhow::ensure!(began.elapsed() < PATIENCE, "the storm does not end");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let secs = began.elapsed().as_secs_f64();
    account_for(&store, &brewed).await?;
    store.close().await?;
    report.figure(&format!("storm: {name}, taken in"), "events/s", vec![sent.rate]);
    let p99 = report.figure(&format!("storm: {name}, p99"), "ms", vec![sent.latency_ms(0.99)]);
    let memory = report.figure(
        &format!("storm: {name}, memory"),
        "MiB",
        vec![service.memory_peak_mib().context("the process has no memory to read")?],
    );
    report.figure(&format!("storm: {name}, drained after"), "s", vec![secs]);
    report.limit(&format!("storm: {name}, p99 in ms"), p99, Bound::AtMost(100.0));
    report.limit(&format!("storm: {name}, memory in MiB"), memory, Bound::AtMost(256.0));
    if name == "PostgreSQL" {
        report.limit(&format!("storm: {name}, drained in s"), secs, Bound::AtMost(60.0));
    }
    Ok(())
}

/// Every event is on the books once, and ended as it should; every invoice that can be read has its case.
async fn account_for(store: &Store, sent: &Storm) -> anyhow::Result<()> {
    let told = [
        ("events", "SELECT COUNT(*) FROM inbox", sent.distinct),
        (
            "dead at the door",
            "SELECT COUNT(*) FROM inbox WHERE status = 'dead' AND kind = 'malformed'",
            sent.broken,
        ),
        (
            "put off with a reason",
            "SELECT COUNT(*) FROM inbox WHERE status = 'pending' AND tries > 0 AND reason IS NOT NULL",
            sent.unreadable,
        ),
        (
            "worked on",
            "SELECT COUNT(*) FROM inbox WHERE status IN ('processed', 'ignored')",
            sent.distinct - sent.broken - sent.unreadable,
        ),
        ("cases", "SELECT COUNT(*) FROM cases", sent.invoices),
    ];
    for (what, sql, expected) in told {
        let found = number(store, sql).await?;
        anyhow::ensure!(
            found == i64::try_from(expected)?,
            "{what}: {found} instead of {expected}"
        );
    }
    Ok(())
}

async fn number(store: &Store, sql: &str) -> anyhow::Result<i64> {
    let conn = store.conn();
    let row = conn
        .query_one_raw(Statement::from_string(conn.get_database_backend(), sql))
        .await?;
    Ok(row.context("a count is a row")?.try_get_by_index(0)?)
}
