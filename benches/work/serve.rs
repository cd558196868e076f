//! The service with an account that answers in its own process, as a process of its own: it takes webhooks in and works.

use std::io::Write;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use recoup::clock::Clock;
use recoup::http::{self, HttpState, Options};
use recoup::telemetry::{self, Form, metric};

use super::account::Account;
use super::seed::Ground;

/// Serves and works on the database until it is killed.
pub async fn serve(url: &str) -> anyhow::Result<()> {
    telemetry::start(Form::Json, None)?;
    let ground = Ground::prepare(url, Clock::System, Account::new(None)?).await?;
    let stores = [ground.store.clone(), ground.store.beside(1).await?];
    let state = HttpState::new(
        ground.engine.clone(),
        stores,
        metric::recorder().clone(),
        Arc::new(AtomicBool::new(false)),
        &Options::default(),
    );
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("listening on http://{}", listener.local_addr()?);
    std::io::stdout().flush()?;
    let server = http::serve(listener, Arc::new(state), None)?;
    let serving = tokio::spawn(server);
    ground.engine.work().await?;
    Ok(serving.await??)
}
