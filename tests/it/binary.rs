//! The real binary, as an operator runs it: what it prints, how it exits, what it never shows.

mod canary;
mod commands;
mod import;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// Far longer than any answer takes.
const PATIENCE: Duration = Duration::from_mins(2);

/// The binary with these variables and nothing else from outside, working in `folder`.
fn recoup(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_recoup"));
    command
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .envs(variables.iter().copied())
        .stdin(Stdio::null());
    command
}

fn run(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    recoup(folder, arguments, variables).output().unwrap()
}

/// What a command wrote: stdout and stderr, one after the other.
fn written(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8(text).unwrap()
}

/// A running `recoup serve`.
struct Service {
    child: Child,
    stdout: BufReader<ChildStdout>,
    address: SocketAddr,
    folder: TempDir,
}

impl Service {
    /// Starts it on a free port and waits for its first line, as its operators do. Its log goes to a file.
    fn start(folder: TempDir, variables: &[(&str, &str)]) -> Self {
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut child = recoup(folder.path(), &["serve"], variables)
            .env("RECOUP__HTTP__LISTEN", "127.0.0.1:0")
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = line
            .strip_prefix("listening on http://")
            .map(|rest| rest.trim().parse());
        let Some(Ok(address)) = address else {
            panic!("the first line is {line:?}; the log: {}", log_of(folder.path()));
        };
        Self {
            child,
            stdout,
            address,
            folder,
        }
    }

    fn get(&self, path: &str, key: Option<&str>) -> (u16, String) {
        self.send("GET", path, key, "")
    }

    /// One request over a connection of its own; gives the status and the body.
    fn send(&self, method: &str, path: &str, key: Option<&str>, body: &str) -> (u16, String) {
        let authorization = key.map_or_else(String::new, |key| format!("Authorization: Bearer {key}\r\n"));
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{authorization}\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n",
            self.address
        );
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head ends with an empty line");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }

    /// Ends it as a supervisor does. Gives its exit code, what it wrote to stdout after the first line, and its log.
    fn terminate(mut self) -> (Option<i32>, String, String) {
        // The shell's own `kill`: there need be no other, and signals are unsafe code in Rust.
        let order = format!("kill -TERM {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &order]).status().unwrap().success());
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        let code = self.child.wait().unwrap().code();
        (code, rest, log_of(self.folder.path()))
    }
}

impl Drop for Service {
    /// A story that fails on its way leaves no process behind.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn log_of(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("log")).unwrap()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| panic!("no JSON: {text}"))
}
