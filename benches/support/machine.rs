//! On what was measured.

use std::fs;
use std::process::Command;

use serde::Serialize;

/// The machine, the code, and what else was going on.
#[derive(Debug, Serialize)]
pub struct Machine {
    pub processor: String,
    pub cores: usize,
    pub memory_gib: u64,
    pub kernel: String,
    /// The commit, with a mark where the tree differs from it.
    pub commit: String,
    /// How many processes wanted to run, on average over one minute, when the suite began.
    pub load_before: String,
}

impl Machine {
    pub fn look() -> Self {
        let memory_kib: u64 = line_of("/proc/meminfo", "MemTotal:")
            .and_then(|text| text.split_whitespace().next()?.parse().ok())
            .unwrap_or(0);
        Self {
            processor: line_of("/proc/cpuinfo", "model name")
                .map_or_else(String::new, |text| text.trim_start_matches([' ', '\t', ':']).to_owned()),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_gib: memory_kib >> 20,
            kernel: first_line("/proc/sys/kernel/osrelease"),
            commit: output("git", &["describe", "--always", "--dirty", "--exclude=*"]),
            load_before: load(),
        }
    }
}

/// The load average over one minute.
pub fn load() -> String {
    let text = first_line("/proc/loadavg");
    text.split(' ').next().unwrap_or_default().to_owned()
}

fn first_line(path: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().next().unwrap_or_default().to_owned()
}

/// What follows `name` on its line.
fn line_of(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(rest.trim().to_owned())
}

fn output(program: &str, arguments: &[&str]) -> String {
    let given = Command::new(program).args(arguments).output();
    given.map_or_else(
        |_| "unknown".to_owned(),
        |given| String::from_utf8_lossy(&given.stdout).trim().to_owned(),
    )
}
