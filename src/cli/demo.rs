//! `recoup demo`.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret;
use tempfile::TempDir;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::clock::{Clock, Stopwatch};

pub mod audit;
pub mod progress;
pub mod town;
mod trial;

use audit::Audit;
use progress::Progress;
use town::{Plan, Town};

/// How many customers the town has: enough for three hundred first failures with any seed.
const CUSTOMERS: usize = 950;
/// Where the demo listens unless told otherwise.
const PORT: u16 = 8080;

/// What can be given to `demo`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The address to listen on; without it port 8080 of this machine, or any free port where that one is taken.
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,
    /// What the customers' lives are drawn from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A folder of campaigns to play by; without it the one that is built in, beside a new version of it for half of the customers.
    #[arg(long, value_name = "FOLDER")]
    campaigns: Option<PathBuf>,
    /// How many days are played; fewer are ready sooner.
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(i64).range(1..=366))]
    days: i64,
    /// Stop after the summary; exit 1 where the provider's books and the cases disagree.
    #[arg(long)]
    exit: bool,
}

/// Plays the demo, then serves until Ctrl-C or SIGTERM. Everything it wrote is gone when it returns, also with an error.
pub async fn run(given: &Arguments) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    let folder = temporary_folder()?;
    let done = played_in(&folder, given, &mut signals).await;
    folder.close()?;
    done
}

async fn played_in(folder: &TempDir, given: &Arguments, signals: &mut Signals) -> anyhow::Result<()> {
    let end = midnight(Clock::System.now());
    let plan = Plan {
        seed: given.seed,
        customers: CUSTOMERS,
        start: end - SignedDuration::from_hours(24 * given.days),
        listen: given.listen.unwrap_or_else(free_address),
        campaigns: given.campaigns.clone(),
    };
    let town = tokio::select! {
        town = Town::start(folder.path(), &plan) => town?,
        () = signals.wait() => return Ok(()),
    };
    let played = tokio::select! {
        played = play(&town, &plan, end, given.exit) => played,
        () = signals.wait() => Ok(()),
    };
    let stopped = tokio::select! {
        stopped = town.stop() => stopped,
        () = signals.wait() => Ok(()),
    };
    played.and(stopped)
}

/// The whole play, from the first line to the end of the audience's patience.
async fn play(town: &Town, plan: &Plan, end: Timestamp, exit: bool) -> anyhow::Result<()> {
    print(&format!("listening on {}\n", town.url))?;
    let watch = Stopwatch::start();
    let mut progress = Progress::start(plan.start, end, std::io::stderr().is_terminal());
    town.play(end, &mut progress).await?;
    progress.finish();
    let audit = audit::audit(&town.app.store, &town.sandbox.books()).await?;
    let seconds = watch.elapsed().as_secs_f64();
    print(&summary(town, plan, &audit, seconds)?)?;
    anyhow::ensure!(
        audit.faults.is_empty(),
        "the provider's books and the cases disagree:\n{}",
        audit.faults.join("\n")
    );
    if exit {
        return Ok(());
    }
    print("\nCtrl-C ends the demo and removes everything it wrote.\n")?;
    town.live_on().await
}

fn summary(town: &Town, plan: &Plan, audit: &Audit, seconds: f64) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    let end = town.clock.now().strftime("%F");
    let (start, customers, seed) = (plan.start.strftime("%F"), plan.customers, plan.seed);
    writeln!(
        text,
        "\n{start} to {end}, {customers} customers, seed {seed}, in {seconds:.1} seconds\n"
    )?;
    let closed = audit.recovered + audit.exhausted + audit.stopped;
    let share = |part, whole| audit::percent(part, whole).unwrap_or_else(|| "-".to_owned());
    let rows = [
        (
            "failures",
            audit.failures,
            "invoices whose first charge was refused".to_owned(),
        ),
        ("cases", audit.cases, format!("{} still open", audit.cases - closed)),
        (
            "recovered",
            audit.recovered,
            format!(
                "{} % of all cases, {} % of the closed ones",
                share(audit.recovered, audit.cases),
                share(audit.recovered, closed)
            ),
        ),
        ("exhausted", audit.exhausted, "campaign ended without money".to_owned()),
        ("stopped", audit.stopped, "the chase became pointless".to_owned()),
        ("mails", town.letters() as u64, "arrived over SMTP".to_owned()),
        (
            "paid twice",
            audit.paid_twice,
            format!("of {} charges in the provider's books", audit.charges),
        ),
    ];
    for (name, count, note) in rows {
        writeln!(text, "  {name:<14}{count:>6}  {note}")?;
    }
    for (currency, money) in &audit.money {
        let recovered = audit::decimal(money.recovered_minor, *currency);
        let owed = audit::decimal(money.owed_minor, *currency);
        writeln!(text, "  {:<8}{recovered:>12}  recovered of {owed}", currency.code())?;
    }
    let url = &town.url;
    writeln!(text, "\n  dashboard    {url}/dashboard")?;
    if let Some(case) = &audit.worth_reading {
        writeln!(text, "  one case     {url}/dashboard/cases/{case}")?;
    }
    writeln!(text, "  API          {url}/docs/")?;
    writeln!(text, "  API key      {}", town.admin_key.expose_secret())?;
    Ok(text)
}

fn print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// A folder in memory unless `TMPDIR` names another place: nothing in it is to survive, and each of the many commits would
/// wait for the disk.
fn temporary_folder() -> std::io::Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    let builder = builder.prefix("recoup-demo-");
    if std::env::var_os("TMPDIR").is_none()
        && let Ok(folder) = builder.tempdir_in("/dev/shm")
    {
        return Ok(folder);
    }
    builder.tempdir()
}

/// The beginning of the day (UTC), so that the same day gives the same demo.
fn midnight(now: Timestamp) -> Timestamp {
    let day = now.to_zoned(TimeZone::UTC).start_of_day();
    day.map_or(now, |day| day.timestamp())
}

fn free_address() -> SocketAddr {
    let usual = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
    match TcpListener::bind(usual) {
        Ok(_) => usual,
        Err(_) => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
    }
}

/// What ends the demo.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
