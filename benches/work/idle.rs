//! How long it takes from the first byte of a webhook until its case is decided on and committed, where nothing else goes on.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use recoup::clock::Clock;
use recoup::http::{self, HttpState, Options};
use recoup::store::cases;
use recoup::telemetry::metric;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::account::Account;
use super::seed::Ground;
use crate::support::event::Signed;
use crate::support::load::{ANSWER_BYTES_MAX, read};
use crate::support::report::{Bound, Report, median};

/// Events that follow one another in a round.
const EVENTS: u64 = 40;
/// Whoever waits longer waits for ever.
const PATIENCE: Duration = Duration::from_secs(10);

pub async fn run(report: &mut Report, rounds: usize, name: &str, url: &str) -> anyhow::Result<()> {
    let ground = Ground::prepare(url, Clock::System, Account::new(None)?).await?;
    let stores = [ground.store.clone(), ground.store.beside(url, 1).await?];
    let state = HttpState::new(
        ground.engine.clone(),
        stores,
        metric::recorder().clone(),
        Arc::new(AtomicBool::new(false)),
        &Options::default(),
    );
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut stream = TcpStream::connect(listener.local_addr()?).await?;
    stream.set_nodelay(true)?;
    let server = http::serve(listener, Arc::new(state), None)?;
    let handle = server.handle();
    let serving = tokio::spawn(server);
    let engine = ground.engine.clone();
    let working = tokio::spawn(async move { engine.work().await });
    let mut medians = Vec::new();
    for round in 0..=rounds as u64 {
        let mut times = Vec::new();
        for number in 0..EVENTS {
            times.push(decided(&ground, &mut stream, 1 + round * EVENTS + number).await?);
        }
        // The first round only warms up.
        if round > 0 {
            medians.push(median(&times));
        }
    }
    ground.engine.stop();
    working.await??;
    handle.stop(false).await;
    serving.await??;
    let time = report.figure(&format!("work: {name}, webhook to decision"), "ms", medians);
    let limit = format!("work: {name}, webhook to decision in ms");
    report.limit(&limit, time, Bound::AtMost(10.0));
    Ok(())
}

/// Sends one webhook and waits until its case is there; gives the time in milliseconds.
async fn decided(ground: &Ground, stream: &mut TcpStream, number: u64) -> anyhow::Result<f64> {
    let (mut request, mut answer) = (Vec::new(), vec![0; ANSWER_BYTES_MAX]);
    anyhow::ensure!(
        Signed::new("/webhooks/stripe", number, 1).next(&mut request),
        "an event is left"
    );
    let invoice = format!("in_{number:016x}");
    let began = Instant::now();
    stream.write_all(&request).await?;
    let text = read(stream, &mut answer).await?;
    anyhow::ensure!(text.starts_with(b"HTTP/1.1 200 "), "the answer is no 200");
    let found = async {
        while cases::latest_by_invoice(ground.store.conn(), "stripe", &invoice)
            .await?
            .is_none()
        {
            tokio::task::yield_now().await;
        }
        anyhow::Ok(())
    };
    timeout(PATIENCE, found).await??;
    Ok(began.elapsed().as_secs_f64() * 1000.0)
}
