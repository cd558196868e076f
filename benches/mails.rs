//! Mails: how many are written a second, how many leave a second by a relay that takes its time, and in which order.
//!
//! The engine, the relay and the database share the machine. The relay takes every message after the same while, on as many
//! connections as are opened: so what the connections allow is known, and what is missing of it is ours.

mod sink;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use recoup::clock::{Clock, entropy};
use recoup::domain::ids::NotificationId;
use recoup::domain::message::Message;
use recoup::mailer::{CONNECTIONS_MAX, Email, Locale, MailContext, Mailer, SendOutcome, Templates};
use secrecy::SecretString;
use tokio::time::Instant;

use crate::support::database::Schema;
use crate::support::report::{Bound, Report};
use crate::work::Place;
use crate::work::account::Account;
use crate::work::seed::Ground;
use sink::Sink;

/// How long the relay takes for one message.
const RELAY_MS: u64 = 50;
/// What must be reached of what the connections allow.
const SHARE: f64 = 0.9;
/// How many mails are to be written a second at least.
const WRITTEN_PER_SEC: f64 = 1_000.0;
/// How many rows of a queue are under way at the same time: by so many places one mail may leave before another.
const UNDER_WAY: f64 = 512.0;
const FROM: &str = "Acme Billing <billing@acme.example>";

/// How often and how much.
#[derive(Clone, Copy)]
struct Plan {
    rounds: usize,
    /// How many one round writes.
    written: usize,
    /// How many leave by the relay that takes its time.
    slow: usize,
    /// How many are due at nine.
    at_nine: usize,
}

pub async fn run(report: &mut Report) -> anyhow::Result<()> {
    let plan = if report.quick {
        Plan {
            rounds: 3,
            written: 500,
            slow: 400,
            at_nine: 2_000,
        }
    } else {
        Plan {
            rounds: 5,
            written: 5_000,
            slow: 1_000,
            at_nine: 10_000,
        }
    };
    write(report, plan).await?;
    let folder = tempfile::tempdir()?;
    match Schema::create().await {
        Ok(schema) => {
            schema.drop().await?;
            leave(report, plan, "PostgreSQL", folder.path()).await?;
        }
        Err(error) => report.note(format!("PostgreSQL is left out: {error:#}")),
    }
    leave(report, plan, "SQLite", folder.path()).await
}

/// Writes mails on one core: every message in every language, from all that can be known, up to the bytes of both forms.
async fn write(report: &mut Report, plan: Plan) -> anyhow::Result<()> {
    let templates = Templates::new()?;
    let mailer = Mailer::new(None, Some(FROM))?;
    let samples: Vec<(Message, MailContext)> = Message::ALL
        .iter()
        .filter(|message| !message.is_for_staff())
        .filter_map(|message| Some((*message, MailContext::samples(*message).into_iter().next()?)))
        .collect();
    let pairs: Vec<_> = Locale::all()
        .flat_map(|locale| samples.iter().map(move |sample| (locale, sample)))
        .collect();
    let mut rates = Vec::new();
    // The first round only warms up: a language is read when it is first written in.
    for round in 0..=plan.rounds {
        let began = Instant::now();
        for (locale, (message, context)) in pairs.iter().cycle().take(plan.written) {
            let rendered = templates.render(*message, 0, locale, context)?;
            let email = Email {
                id: NotificationId::new(0, entropy()),
                to: "ada@customers.example".to_owned(),
                to_name: context.customer_name.clone(),
                subject: rendered.subject,
                text: rendered.text,
                html: rendered.html,
                pictures: rendered.pictures,
                unsubscribe_url: context.unsubscribe_url.clone(),
            };
            let outcome = mailer.send(&email, Clock::System.now()).await;
            anyhow::ensure!(outcome == SendOutcome::Kept, "{outcome:?}");
        }
        if round > 0 {
            rates.push(rate(plan.written, began.elapsed().as_secs_f64()));
        }
    }
    let written = report.figure("mails: written on one core", "mails/s", rates);
    report.limit(
        "mails: written on one core, a second",
        written,
        Bound::AtLeast(WRITTEN_PER_SEC),
    );
    Ok(())
}

/// Lets mails leave from a database: by a slow relay, and many at once by one that takes them as they come.
async fn leave(report: &mut Report, plan: Plan, name: &str, folder: &Path) -> anyhow::Result<()> {
    let relay = Duration::from_millis(RELAY_MS);
    #[expect(clippy::cast_precision_loss, reason = "a handful of connections")]
    let allowed = CONNECTIONS_MAX as f64 / relay.as_secs_f64();
    let (mut slow, mut nine, mut early) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        let (rate, _) = drain(name, folder, plan.slow, relay).await?;
        slow.push(rate);
        let (rate, places) = drain(name, folder, plan.at_nine, Duration::ZERO).await?;
        nine.push(rate);
        early.push(places);
    }
    report.note(format!(
        "mails: {} mails by {CONNECTIONS_MAX} connections of {RELAY_MS} ms, which allow {allowed}/s; {} due at nine",
        plan.slow, plan.at_nine
    ));
    let rate = report.figure(&format!("mails: {name}, by a relay of {RELAY_MS} ms"), "mails/s", slow);
    let limit = format!("mails: {name}, of what the connections allow");
    report.limit(&limit, rate / allowed, Bound::AtLeast(SHARE));
    report.figure(&format!("mails: {name}, due at nine"), "mails/s", nine);
    let most = early.iter().copied().fold(0.0, f64::max);
    report.figure(&format!("mails: {name}, places that one leaves early"), "places", early);
    let limit = format!("mails: {name}, places out of order at most");
    report.limit(&limit, most, Bound::AtMost(UNDER_WAY));
    Ok(())
}

/// Lets so many mails leave that were due one after another; gives mails a second, and the most places that one left before another
/// one that was due earlier.
async fn drain(name: &str, folder: &Path, mails: usize, relay: Duration) -> anyhow::Result<(f64, f64)> {
    let place = match name {
        "PostgreSQL" => Place::postgres().await?,
        _ => Place::sqlite(folder),
    };
    let sink = Sink::start(relay).await?;
    let url = SecretString::from(format!("smtp://{}", sink.address));
    let mailer = Arc::new(Mailer::new(Some(&url), Some(FROM))?);
    let ground = Ground::with_mailer(&place.url, Clock::System, Account::new(None)?, mailer).await?;
    // Nine was a minute ago, and they are a few milliseconds apart.
    let nine = Clock::System.now() - SignedDuration::from_secs(60);
    let due = |number: usize| nine + SignedDuration::from_millis(i64::try_from(number).unwrap_or(0));
    ground.seed_mails(mails, due).await?;
    let began = Instant::now();
    let done = ground.engine.tick().await?;
    let secs = began.elapsed().as_secs_f64();
    // One that has to wait for its domain is taken up again.
    anyhow::ensure!(done.mails >= mails as u64, "{done:?} instead of {mails} mails");
    let order = sink.order();
    anyhow::ensure!(order.len() == mails, "{} mails arrived instead of {mails}", order.len());
    ground.store.close().await?;
    place.leave().await?;
    Ok((rate(mails, secs), early(&order)))
}

/// The most mails that were due before some mail and left after it.
#[expect(clippy::cast_precision_loss, reason = "a count of mails")]
fn early(order: &[usize]) -> f64 {
    // Of those due before the nth, as many are missing when it leaves as its number is ahead of the count of smaller ones so far.
    let places = order.iter().enumerate().map(|(at, number)| {
        let before = order[..at].iter().filter(|earlier| *earlier < number).count();
        number - before
    });
    places.max().unwrap_or(0) as f64
}

#[expect(clippy::cast_precision_loss, reason = "a count of mails")]
fn rate(count: usize, secs: f64) -> f64 {
    count as f64 / secs
}
