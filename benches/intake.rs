//! Taking webhooks in: how much the promise to be durable before the 200 costs.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::bare::{BARE, VERIFIED};
use crate::support::database::{Schema, Single, migrate, single_rows, sqlite_url};
use crate::support::event::{Signed, Template};
use crate::support::load::{Measured, drive};
use crate::support::report::{Bound, Report, median};
use crate::support::service::Service;

const CONNECTIONS: usize = 64;
/// More events in a second than any machine here takes in.
const EVENTS_PER_SEC: u64 = 60_000;
/// Events, and commits, that follow one another in a measurement of the idle latency.
const IDLE_EVENTS: usize = 60;
const WEBHOOKS: &str = "/webhooks/stripe";

/// How often and how long.
#[derive(Clone, Copy)]
struct Plan {
    rounds: usize,
    time: Duration,
}

/// One database: where the service takes events in, and where rows are committed one by one beside it.
struct Side {
    name: &'static str,
    service: Service,
    single: String,
    measured: Vec<Measured>,
    /// Single rows a second, where that is compared.
    single_rates: Vec<f64>,
}

pub async fn run(report: &mut Report) -> anyhow::Result<()> {
    let plan = if report.quick {
        Plan {
            rounds: 3,
            time: Duration::from_secs(1),
        }
    } else {
        Plan {
            rounds: 5,
            time: Duration::from_secs(3),
        }
    };
    let folder = tempfile::tempdir()?;
    report.note(format!(
        "intake: {CONNECTIONS} connections, events of {} bytes, {} rounds of {:?} each",
        Template::bytes(),
        plan.rounds,
        plan.time
    ));
    let schemas = match (Schema::create().await, Schema::create().await) {
        (Ok(ours), Ok(single)) => Some((ours, single)),
        (Err(error), _) | (_, Err(error)) => {
            report.note(format!("PostgreSQL is left out: {error:#}"));
            None
        }
    };
    let mut sides = Vec::new();
    if let Some((ours, single)) = &schemas {
        sides.push(side("PostgreSQL", folder.path(), &ours.url(), single.url()).await?);
    }
    let ours = sqlite_url(folder.path(), "ours.db");
    let single = sqlite_url(folder.path(), "single.db");
    sides.push(side("SQLite", folder.path(), &ours, single).await?);

    let pgbench = schemas.as_ref().map(|(_, single)| single);
    throughput(report, plan, &mut sides, pgbench, folder.path()).await?;
    for side in &sides {
        idle(report, plan, side).await?;
    }
    drop(sides);
    if let Some((ours, single)) = schemas {
        ours.drop().await?;
        single.drop().await?;
    }
    Ok(())
}

async fn side(name: &'static str, folder: &Path, url: &str, single: String) -> anyhow::Result<Side> {
    migrate(&single).await?;
    let folder = folder.join(name);
    std::fs::create_dir(&folder)?;
    Ok(Side {
        name,
        // Workers would compete with the intake; the storm is measured elsewhere.
        service: Service::recoup(&folder, url, &["--role", "web"], &[])?,
        single,
        measured: Vec::new(),
        single_rates: Vec::new(),
    })
}

/// Numbers of events that no run before had.
struct Numbers(u64);

impl Numbers {
    fn take(&mut self, count: u64) -> u64 {
        let first = self.0;
        self.0 += count;
        first
    }
}

async fn load(service: &Service, path: &str, time: Duration, numbers: &mut Numbers) -> anyhow::Result<Measured> {
    let ours = path == WEBHOOKS;
    // The bare handlers keep nothing, so the same events may come again.
    let count = if ours {
        EVENTS_PER_SEC * time.as_secs().max(1)
    } else {
        10_000
    };
    let mut events = Signed::new(path, numbers.take(count), usize::try_from(count)?);
    events.endless = !ours;
    drive(service, CONNECTIONS, time, &Arc::new(events)).await
}

async fn throughput(
    report: &mut Report,
    plan: Plan,
    sides: &mut [Side],
    pgbench: Option<&Schema>,
    folder: &Path,
) -> anyhow::Result<()> {
    let server = Service::bare()?;
    let mut numbers = Numbers(1);
    let (mut bare, mut verified) = (Vec::new(), Vec::new());
    let mut tool = "pgbench";
    for round in 0..=plan.rounds {
        // The first round only warms up.
        let time = if round == 0 { Duration::from_secs(1) } else { plan.time };
        let first = load(&server, BARE, time, &mut numbers).await?;
        let second = load(&server, VERIFIED, time, &mut numbers).await?;
        for side in &mut *sides {
            let ours = load(&side.service, WEBHOOKS, time, &mut numbers).await?;
            let mut single_rate = None;
            if let (Some(schema), "PostgreSQL") = (pgbench, side.name) {
                single_rate = schema.pgbench(folder, CONNECTIONS, time).await?;
                if single_rate.is_none() {
                    tool = "own loop";
                    let first = numbers.take(1 << 40);
                    single_rate = Some(single_rows(&side.single, CONNECTIONS, time, first).await?);
                }
            }
            if round > 0 {
                side.measured.push(ours);
                side.single_rates.extend(single_rate);
            }
        }
        if round > 0 {
            bare.push(first);
            verified.push(second);
        }
    }
    let bare = tell_rate(report, "bare handler", &bare);
    tell_rate(report, "handler with verification", &verified);
    for side in sides {
        tell(report, side, &bare, tool);
    }
    Ok(())
}

/// Tells how many events a second were taken, which it gives, and what one cost the server.
fn tell_rate(report: &mut Report, name: &str, measured: &[Measured]) -> Vec<f64> {
    let rates: Vec<f64> = measured.iter().map(|one| one.rate).collect();
    let cpu = measured.iter().map(|one| one.cpu_us).collect();
    report.figure(&format!("intake: {name}"), "events/s", rates.clone());
    report.figure(&format!("intake: {name}, processor time"), "us/event", cpu);
    rates
}

fn tell(report: &mut Report, side: &Side, bare: &[f64], tool: &str) {
    let name = side.name;
    let rates = tell_rate(report, name, &side.measured);
    let latency = |share: f64| side.measured.iter().map(|one| one.latency_ms(share)).collect();
    report.figure(&format!("intake: {name}, p50"), "ms", latency(0.5));
    let p99 = report.figure(&format!("intake: {name}, p99"), "ms", latency(0.99));
    // Both sides of a ratio come from the same round.
    let ratios = |others: &[f64]| -> f64 {
        let ratios: Vec<f64> = rates.iter().zip(others).map(|(ours, other)| ours / other).collect();
        median(&ratios)
    };
    if !side.single_rates.is_empty() {
        let single = format!("intake: {name}, single rows ({tool})");
        report.figure(&single, "rows/s", side.single_rates.clone());
        let name = format!("{name} / single durable rows");
        report.limit(&name, ratios(&side.single_rates), Bound::AtLeast(2.0));
    }
    report.limit(&format!("{name} / bare handler"), ratios(bare), Bound::AtLeast(0.25));
    report.limit(&format!("{name}, p99 in ms"), p99, Bound::AtMost(10.0));
}

/// One webhook at a time against one durable commit at a time, in turn.
async fn idle(report: &mut Report, plan: Plan, side: &Side) -> anyhow::Result<()> {
    let mut numbers = Numbers(1 << 50);
    let mut connection = Single::connect(&side.single).await?;
    let (mut webhooks, mut commits, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=plan.rounds {
        let first = numbers.take(IDLE_EVENTS as u64);
        let events = Arc::new(Signed::new(WEBHOOKS, first, IDLE_EVENTS));
        let ours = drive(&side.service, 1, Duration::from_mins(1), &events).await?;
        let webhook = ours.latency_ms(0.5);
        let mut times = Vec::new();
        for _ in 0..IDLE_EVENTS {
            let number = numbers.take(1);
            let began = Instant::now();
            connection.insert(number).await?;
            times.push(began.elapsed().as_secs_f64() * 1000.0);
        }
        let commit = median(&times);
        if round > 0 {
            webhooks.push(webhook);
            commits.push(commit);
            ratios.push(webhook / commit);
        }
    }
    let name = side.name;
    report.figure(&format!("intake: {name}, one webhook when idle"), "ms", webhooks);
    report.figure(&format!("intake: {name}, one durable commit"), "ms", commits);
    let name = format!("{name}, idle webhook / one commit");
    report.limit(&name, median(&ratios), Bound::AtMost(1.5));
    Ok(())
}
