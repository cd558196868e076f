//! `recoup serve`.

use std::io::Write;

use tokio::signal::unix::{SignalKind, signal};

use crate::app::{App, Role, Setting};
use crate::config::Config;

/// What can be given to `serve`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Which part of the work this process does.
    #[arg(long, value_enum, default_value_t = Role::All)]
    role: Role,
}

/// Serves until SIGTERM or Ctrl-C; a second signal ends it at once.
pub async fn run(config: &Config, given: &Arguments) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let app = App::start(config, given.role, Setting::default()).await?;
    let mut out = std::io::stdout();
    writeln!(out, "listening on http://{}", app.address)?;
    out.flush()?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping: what is in flight is finished first");
    tokio::select! {
        done = app.stop() => done,
        _ = terminate.recv() => anyhow::bail!("stopped at once by a second signal"),
        _ = interrupt.recv() => anyhow::bail!("stopped at once by a second signal"),
    }
}
