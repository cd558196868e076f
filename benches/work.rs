//! Working on what is due: how much the laws cost beyond a bare queue.
//!
//! The engine runs in this process with the settings of the service, its log lines written to a file. Its provider answers
//! in this process too. The step that "calls nobody" is a charge that is due while collection is paused at the provider:
//! the invoice is read, the charge is put off for a day, and case, timeline and queue are written. The step with a charge
//! commits the attempt, calls a server that takes a millisecond, and commits the decline with the new plan.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use jiff::SignedDuration;
use recoup::clock::Clock;
use recoup::telemetry::{Form, subscriber};
use tokio::time::Instant;

use crate::support::database::{Schema, sqlite_url};
use crate::support::report::{Bound, Report, median};
use crate::support::service::Service;
use account::{Account, CHARGES_IN_FLIGHT, Wire};
use seed::Ground;

pub mod account;
mod idle;
mod lease_loop;
pub mod seed;
pub mod serve;

/// Steps a second of graphile-worker in batches, the fastest of the queues that `peers/jobs.mjs` measures: 14,300 no-op
/// jobs, and 2,055 where each is marked as done alone.
const PEER_STEPS_PER_SEC: f64 = 14_300.0;
/// At how many instants cases fall due when the test clock is advanced.
const INSTANTS: usize = 48;

/// How often and how much.
#[derive(Clone, Copy)]
struct Plan {
    rounds: usize,
    cases: usize,
}

/// A database that a measurement has for itself.
pub struct Place {
    pub url: String,
    schema: Option<Schema>,
}

impl Place {
    pub async fn postgres() -> anyhow::Result<Self> {
        let schema = Schema::create().await?;
        Ok(Self {
            url: schema.url(),
            schema: Some(schema),
        })
    }

    pub fn sqlite(folder: &Path) -> Self {
        let name = format!("{:032x}.db", recoup::clock::entropy());
        Self {
            url: sqlite_url(folder, &name),
            schema: None,
        }
    }

    pub async fn leave(self) -> anyhow::Result<()> {
        match self.schema {
            Some(schema) => schema.drop().await,
            None => Ok(()),
        }
    }
}

pub async fn run(report: &mut Report) -> anyhow::Result<()> {
    let plan = if report.quick {
        Plan {
            rounds: 3,
            cases: 10_000,
        }
    } else {
        Plan {
            rounds: 5,
            cases: 100_000,
        }
    };
    let folder = tempfile::tempdir()?;
    let lines = Arc::new(File::create(folder.path().join("recoup.log"))?);
    tracing::subscriber::set_global_default(subscriber(Form::Json, None, lines)?)?;
    report.note(format!(
        "work: {} cases, {} rounds; charges of 1 ms, {CHARGES_IN_FLIGHT} in flight",
        plan.cases, plan.rounds
    ));
    match Schema::create().await {
        Ok(schema) => {
            schema.drop().await?;
            against_the_loop(report, plan).await?;
            advance(report, plan, "PostgreSQL", folder.path()).await?;
            let place = Place::postgres().await?;
            idle::run(report, plan.rounds, "PostgreSQL", folder.path(), &place.url).await?;
            place.leave().await?;
        }
        Err(error) => report.note(format!("PostgreSQL is left out: {error:#}")),
    }
    let mut rates = Vec::new();
    for _ in 0..plan.rounds {
        let place = Place::sqlite(folder.path());
        rates.push(drain(&place.url, plan.cases, None).await?);
    }
    let rate = report.figure("work: SQLite", "steps/s", rates);
    report.limit("work: SQLite, steps a second", rate, Bound::AtLeast(5_000.0));
    advance(report, plan, "SQLite", folder.path()).await?;
    let place = Place::sqlite(folder.path());
    idle::run(report, plan.rounds, "SQLite", folder.path(), &place.url).await
}

/// The engine and the bare loop in turn, each first in every second round: without a call, then with one.
async fn against_the_loop(report: &mut Report, plan: Plan) -> anyhow::Result<()> {
    let server = Service::bare()?;
    for (name, called, least) in [("PostgreSQL", false, 0.25), ("PostgreSQL, 1 ms charge", true, 0.4)] {
        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        let wire = || called.then(|| Wire::to(server.address)).transpose();
        for round in 0..plan.rounds {
            for turn in 0..2 {
                let place = Place::postgres().await?;
                if (round + turn) % 2 == 0 {
                    ours.push(drain(&place.url, plan.cases, wire()?).await?);
                } else {
                    bare.push(lease_loop::run(&place.url, plan.cases, wire()?.as_ref()).await?);
                }
                place.leave().await?;
            }
        }
        let ratios: Vec<f64> = ours.iter().zip(&bare).map(|(ours, bare)| ours / bare).collect();
        let rate = report.figure(&format!("work: {name}"), "steps/s", ours);
        report.figure(&format!("work: {name}, bare lease loop"), "rows/s", bare);
        let limit = format!("work: {name} / bare lease loop");
        report.limit(&limit, median(&ratios), Bound::AtLeast(least));
        if !called {
            let limit = format!("work: {name}, steps a second");
            report.limit(&limit, rate, Bound::AtLeast(PEER_STEPS_PER_SEC));
        }
    }
    Ok(())
}

/// Seeds cases that are due already and lets the engine work until none is; gives steps a second.
async fn drain(url: &str, cases: usize, wire: Option<Wire>) -> anyhow::Result<f64> {
    let ground = Ground::prepare(url, Clock::System, Account::new(wire)?).await?;
    let now = Clock::System.now();
    let overdue = |number: usize| now - SignedDuration::from_secs(1 + i64::try_from(number % 3600).unwrap_or(0));
    ground.seed(cases, overdue).await?;
    let began = Instant::now();
    let done = ground.engine.tick().await?;
    let secs = began.elapsed().as_secs_f64();
    anyhow::ensure!(
        done.cases == cases as u64 && done.total() == done.cases,
        "{done:?} instead of {cases} steps"
    );
    ground.check(cases).await?;
    ground.store.close().await?;
    Ok(rate(cases, secs))
}

/// Cases that fall due at instants half an hour apart, and a test clock that is advanced beyond all of them.
async fn advance(report: &mut Report, plan: Plan, name: &str, folder: &Path) -> anyhow::Result<()> {
    let mut rates = Vec::new();
    let cases = plan.cases / 5;
    for _ in 0..plan.rounds {
        let place = match name {
            "PostgreSQL" => Place::postgres().await?,
            _ => Place::sqlite(folder),
        };
        let start = Clock::System.now();
        let ground = Ground::prepare(&place.url, Clock::test(start), Account::new(None)?).await?;
        let half_hours = |count: usize| SignedDuration::from_mins(30 * i64::try_from(count).unwrap_or(0));
        ground
            .seed(cases, |number| start + half_hours(1 + number % INSTANTS))
            .await?;
        let began = Instant::now();
        // What was put off at the first instant by a day is not due again before the end.
        let advanced = ground.engine.advance(start + half_hours(INSTANTS)).await?;
        let secs = began.elapsed().as_secs_f64();
        anyhow::ensure!(advanced.ticks == cases as u64, "{advanced:?} instead of {cases} steps");
        ground.store.close().await?;
        place.leave().await?;
        rates.push(rate(cases, secs));
    }
    let median = report.figure(&format!("work: {name}, advance"), "steps/s", rates);
    let limit = format!("work: {name}, advance, due steps a second");
    report.limit(&limit, median, Bound::AtLeast(2_000.0));
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a count of cases")]
fn rate(count: usize, secs: f64) -> f64 {
    count as f64 / secs
}
