//! F5: the commands, one file each.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::Config;
use crate::config::log::Format;
use crate::telemetry::{self, Form};

mod backup;
mod campaigns;
mod check;
mod compliance;
pub mod demo;
mod doctor;
mod healthcheck;
mod import;
mod keys;
mod migrate;
mod openapi;
mod people;
mod replay;
mod serve;
mod simulate;

/// Self-hosted dunning and payment recovery.
#[derive(Debug, Parser)]
#[command(name = "recoup", version, about)]
struct Arguments {
    /// The configuration file; without it `recoup.toml` is read where it is there.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Migrate, serve and work until SIGTERM.
    Serve(serve::Arguments),
    /// Play three months of failed payments, or as many days as you say, with a sandboxed provider, and show them; needs no configuration.
    Demo(demo::Arguments),
    /// Bring the schema up to date.
    Migrate,
    /// Check configuration, campaigns and templates; exit 1 and a list on a fault.
    Check,
    /// Check all that can go wrong while it runs, and say what to do; exit 1 where something is.
    Doctor(doctor::Arguments),
    /// Copy a SQLite database while it is in use.
    Backup(backup::Arguments),
    /// Compare ways of retrying in generated worlds; needs no configuration, network or database.
    Simulate(simulate::Arguments),
    /// Derive stored decisions again; exit 1 at the first that differs.
    Replay(replay::Arguments),
    /// Audit the charges of a span by the rules of card networks and bank debits; exit 1 where one of ours broke a rule.
    Compliance(compliance::Arguments),
    /// Print the OpenAPI document.
    Openapi(openapi::Arguments),
    /// Compare, show and publish campaigns.
    #[command(subcommand)]
    Campaigns(campaigns::Command),
    /// Read in the time before Recoup, so that reports have a past.
    #[command(subcommand)]
    Import(import::Command),
    /// Manage API keys.
    #[command(subcommand)]
    Keys(keys::Command),
    /// Let people sign in at the dashboard.
    #[command(subcommand)]
    People(people::Command),
    /// Ask a running service whether it is well; exit 1 where it is not.
    Healthcheck(healthcheck::Arguments),
}

/// Runs the command that the arguments name.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match &arguments.command {
        Command::Openapi(given) => {
            openapi::run(given);
            Ok(())
        }
        Command::Simulate(given) => simulate::run(given),
        Command::Healthcheck(given) => in_runtime(healthcheck::run(given)),
        Command::Demo(given) => start_quiet_logging().and_then(|()| in_runtime(demo::run(given))),
        Command::Check => match configured(&arguments) {
            Ok(config) => check::run(&config),
            Err(error) => Err(error),
        },
        Command::Serve(_)
        | Command::Migrate
        | Command::Keys(_)
        | Command::People(_)
        | Command::Campaigns(_)
        | Command::Import(_)
        | Command::Doctor(_)
        | Command::Backup(_)
        | Command::Replay(_)
        | Command::Compliance(_) => with_config(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("recoup: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn with_config(arguments: &Arguments) -> anyhow::Result<()> {
    let config = configured(arguments)?;
    start_logging(&config)?;
    in_runtime(async {
        match &arguments.command {
            Command::Serve(given) => serve::run(&config, given).await,
            Command::Migrate => migrate::run(&config).await,
            Command::Keys(command) => keys::run(&config, command).await,
            Command::People(command) => people::run(&config, command).await,
            Command::Campaigns(command) => campaigns::run(&config, command).await,
            Command::Import(command) => import::run(&config, command).await,
            Command::Doctor(given) => doctor::run(&config, given).await,
            Command::Backup(given) => backup::run(&config, given).await,
            Command::Replay(given) => replay::run(&config, given).await,
            Command::Compliance(given) => compliance::run(&config, given).await,
            Command::Check
            | Command::Openapi(_)
            | Command::Simulate(_)
            | Command::Healthcheck(_)
            | Command::Demo(_) => Ok(()),
        }
    })
}

fn in_runtime(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(work)
}

/// Reads the configuration. A variable that is not text cannot be ours and is passed over.
fn configured(arguments: &Arguments) -> anyhow::Result<Config> {
    let text = |value: OsString| value.into_string().ok();
    let variables = std::env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?)));
    Ok(Config::load(arguments.config.as_deref(), variables)?)
}

fn start_logging(config: &Config) -> anyhow::Result<()> {
    let terminal = std::io::stderr().is_terminal();
    let form = match config.log.form(terminal) {
        Format::Text => Form::Text { colours: terminal },
        Format::Json => Form::Json,
    };
    let filter = std::env::var("RUST_LOG").ok();
    telemetry::start(form, filter.as_deref())?;
    Ok(())
}

/// Only what goes wrong: the demo shows its progress on stderr, too.
fn start_quiet_logging() -> anyhow::Result<()> {
    let colours = std::io::stderr().is_terminal();
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| "warn".to_owned());
    telemetry::start(Form::Text { colours }, Some(&filter))?;
    Ok(())
}
