//! Three processes on one PostgreSQL against one: how fast due charges are made when the provider takes its time.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};
use recoup::app::{App, Role, Setting};
use recoup::clock::Clock;
use recoup::config::Config;
use recoup::domain::money::Money;
use recoup::engine::HEARTBEAT;
use recoup::sandbox::{API_KEY, Fault, Outcome, Sandbox, SandboxConfig, Shape};
use recoup::store::{Store, settings};
use sea_orm::ConnectionTrait;
use secrecy::SecretString;
use tokio::time::Instant;

use crate::support::database::Schema;
use crate::support::event::SECRET;
use crate::support::report::{Bound, Report, median};
use crate::support::service::Service;

/// How long the provider takes for each answer.
const LATENCY: Duration = Duration::from_millis(50);
/// The invoices failed so long ago that their first charge is due.
const FAILED_BEFORE: SignedDuration = SignedDuration::from_hours(72);
const RENEWS_AFTER: SignedDuration = SignedDuration::from_hours(24 * 60);
const LOOK: Duration = Duration::from_millis(5);
/// A drain that takes longer has got stuck.
const DRAIN_MAX: Duration = Duration::from_mins(3);
/// More rounds than this at one instant mean that something never comes to rest.
const ROUNDS_MAX: usize = 1000;
const REPLICAS: usize = 3;

/// A database full of due charges, and the provider that they are made at.
struct Stage {
    schema: Schema,
    sandbox: Sandbox,
    charges: u64,
}

impl Stage {
    async fn set(charges: u64) -> anyhow::Result<Self> {
        let now = Clock::System.now();
        let clock = Clock::test(now - FAILED_BEFORE);
        let sandbox = Sandbox::start(SandboxConfig {
            seed: 7,
            shape: Shape::New,
            listen: ([127, 0, 0, 1], 0).into(),
            webhook_url: None,
            webhook_secret: SecretString::from(SECRET),
            clock: clock.clone(),
        })
        .await?;
        let schema = Schema::create().await?;
        let (url, base) = (schema.url(), sandbox.url());
        let variables = [
            ("RECOUP__DATABASE__URL", url.as_str()),
            ("RECOUP__HTTP__LISTEN", "127.0.0.1:0"),
            ("RECOUP__CLOCK__MODE", "test"),
            ("RECOUP__STRIPE__API_BASE", &base),
            ("RECOUP__STRIPE__API_KEY", API_KEY),
            ("RECOUP__STRIPE__WEBHOOK_SECRETS", SECRET),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let config = Config::load(None, variables.into_iter())?;
        let setting = Setting {
            clock: Some(clock.clone()),
            demo: false,
        };
        let app = App::start(&config, Role::Web, setting).await?;
        sandbox
            .send_webhooks_to(format!("http://{}/webhooks/stripe", app.address))
            .await?;
        for number in 0..charges {
            fail(&sandbox, number, now);
        }
        for _ in 0..ROUNDS_MAX {
            sandbox.deliver_webhooks().await;
            app.engine.tick().await?;
            if sandbox.pending_webhooks() == 0 {
                break;
            }
        }
        app.stop().await?;
        clock.advance_to(now)?;
        let from = now - FAILED_BEFORE;
        sandbox.faults(|faults| faults.between("", Fault::Slow(LATENCY), from, now + RENEWS_AFTER));
        forget_silence(&url, now).await?;
        Ok(Self {
            schema,
            sandbox,
            charges,
        })
    }

    /// Lets so many processes make all charges; says how many a second.
    async fn drain(self, folder: &Path, processes: usize) -> anyhow::Result<f64> {
        let made = || self.sandbox.faults(|faults| faults.count("charges"));
        let base = self.sandbox.url();
        let settings = [
            ("RECOUP__STRIPE__API_BASE", base.as_str()),
            ("RECOUP__STRIPE__API_KEY", API_KEY),
        ];
        let mut running = Vec::new();
        for number in 0..processes {
            let folder = folder.join(format!("{}_{number}", self.schema.name));
            std::fs::create_dir(&folder)?;
            running.push(Service::recoup(
                &folder,
                &self.schema.url(),
                &["--role", "worker"],
                &settings,
            )?);
        }
        let begun = Instant::now();
        let mut first = None;
        while made() < self.charges {
            anyhow::ensure!(
                begun.elapsed() < DRAIN_MAX,
                "{} of {} charges were made",
                made(),
                self.charges
            );
            if first.is_none() && made() > 0 {
                first = Some((Instant::now(), made()));
            }
            tokio::time::sleep(LOOK).await;
        }
        let (since, before) = first.context("the charges were made at once")?;
        let secs = since.elapsed().as_secs_f64();
        drop(running);
        self.sandbox.stop().await;
        self.schema.drop().await?;
        #[expect(clippy::cast_precision_loss, reason = "a count of charges")]
        let rate = (self.charges - before) as f64 / secs;
        Ok(rate)
    }
}

/// A customer whose invoice fails now, and is paid by the next charge.
fn fail(sandbox: &Sandbox, number: u64, now: Timestamp) {
    let customer = sandbox.add_customer("Marlene Okafor", &format!("customer.{number}@example.com"));
    let price = Money::new(1999, "EUR".parse().expect("a currency"));
    let subscription = sandbox.add_subscription(&customer, price, now + RENEWS_AFTER);
    let invoice = sandbox.open_invoice(&subscription, "insufficient_funds");
    sandbox.script_outcomes(&invoice, [Outcome::Success]);
}

/// The processes are to charge at once, not to reconcile first as they do after silence.
async fn forget_silence(url: &str, now: Timestamp) -> anyhow::Result<()> {
    let store = Store::connect(url, 1).await?;
    let others = "DELETE FROM settings WHERE name <> 'birthmark'";
    store.conn().execute_unprepared(others).await?;
    settings::set(store.conn(), HEARTBEAT, &now.to_string()).await?;
    Ok(store.close().await?)
}

pub async fn run(report: &mut Report) -> anyhow::Result<()> {
    let (rounds, charges) = if report.quick { (1, 500) } else { (3, 2000) };
    report.note(format!(
        "replicas: {charges} due charges on PostgreSQL, each answer of the provider takes {LATENCY:?}, {rounds} rounds of one \
         process and of {REPLICAS} in turn"
    ));
    let folder = tempfile::tempdir()?;
    let (mut one, mut three, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let alone = Stage::set(charges).await?.drain(folder.path(), 1).await?;
        let together = Stage::set(charges).await?.drain(folder.path(), REPLICAS).await?;
        one.push(alone);
        three.push(together);
        ratios.push(together / alone);
    }
    report.figure("replicas: one process", "charges/s", one);
    report.figure(&format!("replicas: {REPLICAS} processes"), "charges/s", three);
    report.limit("three processes / one", median(&ratios), Bound::AtLeast(2.2));
    Ok(())
}
