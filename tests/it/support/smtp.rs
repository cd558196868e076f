//! A scripted SMTP server on loopback: it plays one role per connection and keeps what it was sent, byte by byte.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// How one connection is served; connections take the roles in order, and those beyond the script accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Takes every message.
    Accept,
    /// Answers the greeting with this line instead of 220.
    Greet(&'static str),
    /// Answers MAIL FROM with this line.
    AtSender(&'static str),
    /// Answers RCPT TO with this line.
    AtRecipient(&'static str),
    /// Answers the content with this line.
    AtContent(&'static str),
    /// Says nothing at all after the connect.
    StallAtGreeting,
    /// Says nothing after RCPT TO.
    StallAtRecipient,
    /// Says 354 and reads on, but never answers the content.
    StallAfterData,
    /// Reads the whole content, then closes without an answer.
    DropAfterDot,
    /// Takes the content only once the test has called `release`.
    HoldAfterDot,
}

/// One message as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    /// The address of RCPT TO.
    pub to: String,
    /// Headers and body, dots unstuffed.
    pub content: Vec<u8>,
}

#[derive(Default)]
struct Seen {
    messages: Vec<Received>,
    commands: Vec<String>,
    connections: usize,
    open: usize,
    open_peak: usize,
}

/// The running server; it ends with the test's runtime.
pub struct SmtpServer {
    /// Where it listens.
    pub addr: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    gate: Arc<Semaphore>,
}

impl SmtpServer {
    /// Starts a server that plays `script`.
    pub async fn start(script: &[Role]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let gate = Arc::new(Semaphore::new(0));
        let mut roles: VecDeque<Role> = script.iter().copied().collect();
        let (shared, held) = (Arc::clone(&seen), Arc::clone(&gate));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let role = roles.pop_front().unwrap_or(Role::Accept);
                let (shared, held) = (Arc::clone(&shared), Arc::clone(&held));
                tokio::spawn(async move {
                    enter(&shared);
                    // A client that goes away ends the conversation; what it said before is kept.
                    let _ = serve(stream, role, &shared, &held).await;
                    shared.lock().unwrap().open -= 1;
                });
            }
        });
        Self { addr, seen, gate }
    }

    /// The messages received so far.
    pub fn messages(&self) -> Vec<Received> {
        self.seen.lock().unwrap().messages.clone()
    }

    /// The commands received so far, in order, upper case verbs as sent.
    pub fn commands(&self) -> Vec<String> {
        self.seen.lock().unwrap().commands.clone()
    }

    /// How many connections were accepted so far.
    pub fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }

    /// The most connections that were open at the same time.
    pub fn open_peak(&self) -> usize {
        self.seen.lock().unwrap().open_peak
    }

    /// Lets `messages` held messages go.
    pub fn release(&self, messages: usize) {
        self.gate.add_permits(messages);
    }
}

fn enter(seen: &Mutex<Seen>) {
    let mut seen = seen.lock().unwrap();
    seen.connections += 1;
    seen.open += 1;
    seen.open_peak = seen.open_peak.max(seen.open);
}

async fn serve(stream: TcpStream, role: Role, seen: &Mutex<Seen>, gate: &Semaphore) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    match role {
        Role::StallAtGreeting => return stall(&mut stream).await,
        Role::Greet(line) => say(&mut stream, line).await?,
        _ => say(&mut stream, "220 test ready").await?,
    }
    let (mut line, mut to) = (String::new(), String::new());
    while {
        line.clear();
        stream.read_line(&mut line).await?
    } > 0
    {
        let command = line.trim_end().to_owned();
        seen.lock().unwrap().commands.push(command.clone());
        let verb = command.get(..4).unwrap_or_default().to_ascii_uppercase();
        match (verb.as_str(), role) {
            ("EHLO", _) => say(&mut stream, "250-test\r\n250 8BITMIME").await?,
            ("MAIL", Role::AtSender(answer)) | ("RCPT", Role::AtRecipient(answer)) => say(&mut stream, answer).await?,
            ("RCPT", Role::StallAtRecipient) => return stall(&mut stream).await,
            ("RCPT", _) => {
                command
                    .trim_start_matches("RCPT TO:")
                    .trim_matches(['<', '>'])
                    .clone_into(&mut to);
                say(&mut stream, "250 ok").await?;
            }
            ("DATA", _) => {
                say(&mut stream, "354 go on").await?;
                if role == Role::StallAfterData {
                    return stall(&mut stream).await;
                }
                let content = content(&mut stream).await?;
                seen.lock().unwrap().messages.push(Received {
                    to: to.clone(),
                    content,
                });
                match role {
                    Role::DropAfterDot => return Ok(()),
                    Role::AtContent(answer) => say(&mut stream, answer).await?,
                    Role::HoldAfterDot => {
                        gate.acquire().await.expect("the gate is never closed").forget();
                        say(&mut stream, "250 taken").await?;
                    }
                    _ => say(&mut stream, "250 taken").await?,
                }
            }
            ("QUIT", _) => return say(&mut stream, "221 bye").await,
            _ => say(&mut stream, "250 ok").await?,
        }
    }
    Ok(())
}

async fn say(stream: &mut BufReader<TcpStream>, line: &str) -> std::io::Result<()> {
    stream.get_mut().write_all(format!("{line}\r\n").as_bytes()).await
}

/// Reads and never answers, until the client gives up.
async fn stall(stream: &mut BufReader<TcpStream>) -> std::io::Result<()> {
    stream.read_to_end(&mut Vec::new()).await.map(|_| ())
}

async fn content(stream: &mut BufReader<TcpStream>) -> std::io::Result<Vec<u8>> {
    let mut content = Vec::new();
    loop {
        let mut line = Vec::new();
        if stream.read_until(b'\n', &mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if line == b".\r\n" {
            return Ok(content);
        }
        content.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
    }
}
