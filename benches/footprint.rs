//! What the service takes of a machine before it has anything to do: memory, time until it answers, disk.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use tokio::time::Instant;

use crate::support::database::{migrate, sqlite_url};
use crate::support::report::{Bound, Report};
use crate::support::service::Service;

/// How often the memory of an idle process is looked at, and how far apart.
const LOOKS: u32 = 5;
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);
const HEALTH: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n";
const MIB: f64 = 1024.0 * 1024.0;

pub async fn run(report: &mut Report) -> anyhow::Result<()> {
    let (starts, settle) = if report.quick {
        (5, Duration::from_secs(2))
    } else {
        (21, Duration::from_secs(15))
    };
    report.note(format!(
        "footprint: SQLite, a start is timed from before the process is made to the last byte of a 200 of /healthz, {starts} \
         starts; memory is read {settle:?} after the start"
    ));
    size(report)?;
    let folder = tempfile::tempdir()?;
    let (mut first, mut again) = (Vec::new(), Vec::new());
    for round in 0..=starts {
        let empty = sqlite_url(folder.path(), &format!("empty_{round}.db"));
        let known = sqlite_url(folder.path(), "known.db");
        if round == 0 {
            migrate(&known).await?;
        }
        let (empty, known) = (start_ms(folder.path(), &empty)?, start_ms(folder.path(), &known)?);
        // The first round brings the binary into the memory of the machine.
        if round > 0 {
            first.push(empty);
            again.push(known);
        }
    }
    let first = report.figure("footprint: first start, with all migrations", "ms", first);
    let again = report.figure("footprint: start", "ms", again);
    report.limit("first start to 200 in ms", first, Bound::AtMost(150.0));
    report.limit("start to 200 in ms", again, Bound::AtMost(150.0));
    memory(report, folder.path(), settle).await
}

/// The file as it is handed out: the release profile strips it.
fn size(report: &mut Report) -> anyhow::Result<()> {
    #[expect(clippy::cast_precision_loss, reason = "a file of less than 2^52 bytes")]
    let bytes = std::fs::metadata(Service::BINARY)?.len() as f64;
    let mib = report.figure("footprint: release binary, stripped", "MiB", vec![bytes / MIB]);
    report.limit("release binary in MiB", mib, Bound::AtMost(40.0));
    Ok(())
}

fn start_ms(folder: &Path, database: &str) -> anyhow::Result<f64> {
    let began = Instant::now();
    let service = Service::recoup(folder, database, &[], &[])?;
    let answer = health(service.address)?;
    let taken = began.elapsed();
    anyhow::ensure!(answer.starts_with("HTTP/1.1 200 "), "the answer is no 200: {answer}");
    Ok(taken.as_secs_f64() * 1000.0)
}

fn health(address: SocketAddr) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(HEALTH)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

async fn memory(report: &mut Report, folder: &Path, settle: Duration) -> anyhow::Result<()> {
    let service = Service::recoup(folder, &sqlite_url(folder, "idle.db"), &[], &[])?;
    tokio::time::sleep(settle).await;
    let mut looks = Vec::new();
    for _ in 0..LOOKS {
        looks.push(service.memory_mib().context("the process has no memory to read")?);
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    let mib = report.figure("footprint: resident memory when idle", "MiB", looks);
    report.limit("idle memory in MiB", mib, Bound::AtMost(40.0));
    Ok(())
}
