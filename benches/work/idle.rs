//! How long it takes from the first byte of a webhook until its case is decided on and committed, where nothing else goes on.

use std::path::Path;
use std::time::Duration;

use recoup::store::{Store, cases};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::support::event::Signed;
use crate::support::load::{ANSWER_BYTES_MAX, read};
use crate::support::report::{Bound, Report, median};
use crate::support::service::Service;

/// Events that follow one another in a round.
const EVENTS: u64 = 40;
/// Whoever waits longer waits for ever.
const PATIENCE: Duration = Duration::from_secs(10);

pub async fn run(report: &mut Report, rounds: usize, name: &str, folder: &Path, url: &str) -> anyhow::Result<()> {
    let service = Service::working(folder, url)?;
    let store = Store::connect(url, 1).await?;
    let mut stream = TcpStream::connect(service.address).await?;
    stream.set_nodelay(true)?;
    let mut medians = Vec::new();
    for round in 0..=rounds as u64 {
        let mut times = Vec::new();
        for number in 0..EVENTS {
            times.push(decided(&store, &mut stream, 1 + round * EVENTS + number).await?);
        }
        // The first round only warms up.
        if round > 0 {
            medians.push(median(&times));
        }
    }
    store.close().await?;
    let time = report.figure(&format!("work: {name}, webhook to decision"), "ms", medians);
    let limit = format!("work: {name}, webhook to decision in ms");
    report.limit(&limit, time, Bound::AtMost(10.0));
    Ok(())
}

/// Sends one webhook and waits until its case is there; gives the time in milliseconds.
async fn decided(store: &Store, stream: &mut TcpStream, number: u64) -> anyhow::Result<f64> {
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
        while cases::by_invoice(store.conn(), "stripe", &invoice).await?.is_none() {
            tokio::task::yield_now().await;
        }
        anyhow::Ok(())
    };
    timeout(PATIENCE, found).await??;
    Ok(began.elapsed().as_secs_f64() * 1000.0)
}
