//! A load client: raw HTTP/1.1 over connections that are kept open, one request at a time on each.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::event::Signed;
use super::service::Service;

/// The longest answer that is read, in bytes.
pub const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// What one run of load measured.
#[derive(Debug)]
pub struct Measured {
    /// Requests answered with 200, in a second.
    pub rate: f64,
    /// Processor time of the server for one request, in microseconds.
    pub cpu_us: f64,
    /// Times from the first byte written to the last byte read, sorted.
    latencies: Vec<Duration>,
}

impl Measured {
    /// The time, in milliseconds, below which `share` of the requests stayed.
    pub fn latency_ms(&self, share: f64) -> f64 {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank within a list that fits into memory"
        )]
        let rank = (share * (self.latencies.len() - 1) as f64).ceil() as usize;
        self.latencies[rank].as_secs_f64() * 1000.0
    }
}

/// Sends for as long as `time`, or until no event is left. Every answer must be 200.
pub async fn drive(
    service: &Service,
    connections: usize,
    time: Duration,
    events: &Arc<Signed>,
) -> anyhow::Result<Measured> {
    let mut streams = Vec::new();
    for _ in 0..connections {
        let stream = TcpStream::connect(service.address).await?;
        stream.set_nodelay(true)?;
        streams.push(stream);
    }
    let (began, cpu_began) = (Instant::now(), service.cpu_secs());
    let mut senders = JoinSet::new();
    for stream in streams {
        senders.spawn(send(stream, began + time, Arc::clone(events)));
    }
    let mut latencies = Vec::new();
    while let Some(sent) = senders.join_next().await {
        latencies.extend(sent??);
    }
    let secs = began.elapsed().as_secs_f64();
    anyhow::ensure!(!latencies.is_empty(), "no request was answered");
    latencies.sort_unstable();
    #[expect(clippy::cast_precision_loss, reason = "a count of requests")]
    let requests = latencies.len() as f64;
    Ok(Measured {
        rate: requests / secs,
        cpu_us: (service.cpu_secs() - cpu_began) * 1e6 / requests,
        latencies,
    })
}

async fn send(mut stream: TcpStream, until: Instant, events: Arc<Signed>) -> anyhow::Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    let (mut request, mut answer) = (Vec::new(), vec![0; ANSWER_BYTES_MAX]);
    while Instant::now() < until && events.next(&mut request) {
        let began = Instant::now();
        stream.write_all(&request).await?;
        let text = read(&mut stream, &mut answer).await?;
        latencies.push(began.elapsed());
        anyhow::ensure!(
            text.starts_with(b"HTTP/1.1 200 "),
            "the answer is no 200: {}",
            String::from_utf8_lossy(text)
        );
    }
    Ok(latencies)
}

/// Reads one whole answer.
pub async fn read<'a>(stream: &mut TcpStream, answer: &'a mut [u8]) -> anyhow::Result<&'a [u8]> {
    let mut filled = 0;
    loop {
        let read = stream.read(&mut answer[filled..]).await?;
        anyhow::ensure!(read > 0, "the connection was closed instead of an answer");
        filled += read;
        if let Some(end) = whole(&answer[..filled]) {
            anyhow::ensure!(filled == end, "more came than one answer");
            return Ok(&answer[..filled]);
        }
    }
}

/// Where an answer ends, once its head is there.
fn whole(answer: &[u8]) -> Option<usize> {
    let body = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&answer[..body]).ok()?.to_ascii_lowercase();
    let length: usize = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .map_or(0, |text| text.trim().parse().unwrap_or(0));
    (answer.len() >= body + length).then_some(body + length)
}
