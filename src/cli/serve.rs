//! `recoup serve`.

use std::io::Write;

use tokio::signal::unix::{SignalKind, signal};

use crate::app::{App, Role, Setting};
use crate::config::Config;
use crate::http::people::{self, FIRST_LINK_HOURS};

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
    if given.role != Role::Worker {
        show_first_link(config, &app).await;
    }
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

/// Shows the way in while nobody has one, in the one place that an operator has before anybody is let in: the log, of which each
/// line stays what a collector reads. The service works without it.
async fn show_first_link(config: &Config, app: &App) {
    match people::first_link(&app.store, app.engine.clock().now()).await {
        Ok(None) => {}
        Ok(Some(link)) => {
            let base = match &config.http.public_url {
                Some(url) => url.to_string(),
                None => format!("http://{}", app.address),
            };
            tracing::warn!(
                link = link.url(&base),
                hours = FIRST_LINK_HOURS,
                "nobody can sign in yet: the first admin does it here, once; links of earlier starts and other replicas are no \
                 longer good"
            );
        }
        Err(error) => tracing::warn!(%error, "there is no link for the first admin"),
    }
}
