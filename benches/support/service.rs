//! Servers as processes of their own: the service as it ships, and the bare one that it is compared with.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::Context;

use super::event::SECRET;

/// The first word of this program's arguments that makes it the bare server.
pub const BARE: &str = "bare-server";
/// The first word that makes it the service with an account inside; the database's address follows.
pub const WORKING: &str = "working-server";
/// What a server says first.
const LISTENING: &str = "listening on http://";

/// A server that is killed when it is not needed any more.
pub struct Service {
    child: Child,
    pub address: SocketAddr,
}

impl Service {
    /// The service in the same build as this program.
    pub const BINARY: &str = env!("CARGO_BIN_EXE_recoup");

    /// `recoup serve` in the same build as this program, on this database, with these further arguments and settings.
    pub fn recoup(
        folder: &Path,
        database: &str,
        arguments: &[&str],
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(Self::BINARY);
        command
            .arg("serve")
            .args(arguments)
            .current_dir(folder)
            .env_clear()
            .env("RECOUP__DATABASE__URL", database)
            .env("RECOUP__HTTP__LISTEN", "127.0.0.1:0")
            .env("RECOUP__STRIPE__API_BASE", "http://127.0.0.1:9")
            .env("RECOUP__STRIPE__API_KEY", "sk_test_of_the_benchmarks")
            .env("RECOUP__STRIPE__WEBHOOK_SECRETS", SECRET)
            .envs(settings.iter().copied())
            .stderr(File::create(folder.join("recoup.log"))?);
        Self::start(command)
    }

    /// This program as the bare server.
    pub fn bare() -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(BARE);
        Self::start(command)
    }

    /// This program as the service with an account inside, on this database; its log lines go to a file in `folder`.
    pub fn working(folder: &Path, database: &str) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args([WORKING, database])
            .stderr(File::create(folder.join("working.log"))?);
        Self::start(command)
    }

    /// The processor time that the server has used so far, in seconds.
    pub fn cpu_secs(&self) -> f64 {
        let path = format!("/proc/{}/stat", self.child.id());
        let text = std::fs::read_to_string(path).unwrap_or_default();
        // The name of the program, which may hold anything, ends with the last parenthesis.
        let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace();
        let ticks = fields.skip(11).take(2).filter_map(|field| field.parse::<u32>().ok());
        // Linux counts hundredths of a second here, whatever the kernel's own tick is.
        ticks.map(f64::from).sum::<f64>() / 100.0
    }

    /// The memory that the server holds, in MiB, where the system tells.
    pub fn memory_mib(&self) -> Option<f64> {
        self.status_mib("VmRSS:")
    }

    /// The most memory that it held so far, in MiB, where the system tells.
    pub fn memory_peak_mib(&self) -> Option<f64> {
        self.status_mib("VmHWM:")
    }

    fn status_mib(&self, name: &str) -> Option<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: u32 = line.split_whitespace().next()?.parse().ok()?;
        Some(f64::from(kib) / 1024.0)
    }

    fn start(mut command: Command) -> anyhow::Result<Self> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        let stdout = child.stdout.take().context("the output is piped")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line
            .trim()
            .strip_prefix(LISTENING)
            .context("the server did not start")?;
        Ok(Self {
            address: address.parse()?,
            child,
        })
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
