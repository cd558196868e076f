//! A mail catcher: it speaks SMTP over TCP and keeps what it is given. The demo shows it, and the sandbox's customers read it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use mail_parser::MessageParser;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// The largest message that is taken, in bytes.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// The longest command line that is read, in bytes.
const LINE_BYTES_MAX: u64 = 4096;

/// Connections served at a time; more of them wait.
const CONNECTIONS_MAX: usize = 256;

/// One message as it came in.
#[derive(Clone, PartialEq, Eq)]
pub struct Letter {
    /// The sender of the envelope.
    pub envelope_from: String,
    /// The recipients of the envelope.
    pub envelope_to: Vec<String>,
    /// The `From` address.
    pub from: String,
    /// The first `To` address.
    pub to: String,
    /// The subject, decoded.
    pub subject: String,
    /// The first text part, decoded.
    pub text: String,
    /// The first HTML part, decoded; empty where there is none.
    pub html: String,
    /// The bytes, dot-unstuffed.
    pub raw: Vec<u8>,
}

impl std::fmt::Debug for Letter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Letter({} bytes)", self.raw.len())
    }
}

impl Letter {
    fn parse(envelope_from: String, envelope_to: Vec<String>, raw: Vec<u8>) -> Self {
        let message = MessageParser::default().parse(&raw).unwrap_or_default();
        let first = |address: Option<&mail_parser::Address<'_>>| {
            let address = address.and_then(|list| list.first()).and_then(|one| one.address());
            address.unwrap_or_default().to_owned()
        };
        let (from, to) = (first(message.from()), first(message.to()));
        let subject = message.subject().unwrap_or_default().to_owned();
        let text = message.body_text(0).unwrap_or_default().into_owned();
        let has_html = message.html_bodies().any(mail_parser::MessagePart::is_text_html);
        let html = if has_html {
            message.body_html(0).unwrap_or_default().into_owned()
        } else {
            String::new()
        };
        Self {
            envelope_from,
            envelope_to,
            from,
            to,
            subject,
            text,
            html,
            raw,
        }
    }

    /// The links in the text part, in their order.
    pub fn links(&self) -> Vec<&str> {
        let words = self
            .text
            .split(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"' | '(' | ')'));
        words
            .filter(|word| word.starts_with("http://") || word.starts_with("https://"))
            .collect()
    }
}

/// A running mail catcher; copies share the messages.
#[derive(Clone, Debug)]
pub struct Mailbox {
    /// Where it listens.
    pub addr: SocketAddr,
    letters: Arc<Mutex<Vec<Letter>>>,
}

impl Mailbox {
    /// Starts on a free port of the loopback interface; fails where there is none.
    pub async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let mailbox = Self {
            addr: listener.local_addr()?,
            letters: Arc::default(),
        };
        tokio::spawn(accept(listener, mailbox.clone()));
        Ok(mailbox)
    }

    /// Every message so far, oldest first.
    pub fn messages(&self) -> Vec<Letter> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The messages from the `from`th on, oldest first.
    pub fn messages_from(&self, from: usize) -> Vec<Letter> {
        self.letters
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .skip(from)
            .cloned()
            .collect()
    }

    fn keep(&self, letter: Letter) {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner).push(letter);
    }
}

async fn accept(listener: TcpListener, mailbox: Mailbox) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let place = Arc::clone(&places)
            .acquire_owned()
            .await
            .expect("nobody closes the semaphore");
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let mailbox = mailbox.clone();
        tokio::spawn(async move {
            // A client that breaks off loses its message and nothing else.
            let _ = converse(stream, &mailbox).await;
            drop(place);
        });
    }
}

/// One line without its end; nothing at the end of the stream.
async fn read_line(reader: &mut BufReader<TcpStream>, line: &mut Vec<u8>) -> std::io::Result<bool> {
    line.clear();
    let read = (&mut *reader).take(LINE_BYTES_MAX).read_until(b'\n', line).await?;
    Ok(read > 0)
}

async fn converse(stream: TcpStream, mailbox: &Mailbox) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    let (mut from, mut to): (Option<String>, Vec<String>) = (None, Vec::new());
    say(&mut reader, "220 sandbox ESMTP").await?;
    while read_line(&mut reader, &mut line).await? {
        let command = String::from_utf8_lossy(&line).trim_end().to_owned();
        let verb = command
            .split([' ', ':'])
            .next()
            .unwrap_or_default()
            .to_ascii_uppercase();
        let reply = match verb.as_str() {
            "EHLO" => "250-sandbox\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE 1048576",
            "HELO" | "NOOP" => "250 sandbox",
            "MAIL" => {
                (from, to) = (Some(path(&command)), Vec::new());
                "250 2.1.0 sender taken"
            }
            "RCPT" if from.is_none() => "503 5.5.1 MAIL comes first",
            "RCPT" => {
                to.push(path(&command));
                "250 2.1.5 recipient taken"
            }
            "DATA" if to.is_empty() => "503 5.5.1 RCPT comes first",
            "DATA" => {
                say(&mut reader, "354 end with a dot").await?;
                acknowledge_at_once(reader.get_ref())?;
                match read_message(&mut reader).await? {
                    None => "552 5.3.4 too large",
                    Some(raw) => {
                        let sender = from.take().unwrap_or_default();
                        mailbox.keep(Letter::parse(sender, std::mem::take(&mut to), raw));
                        "250 2.0.0 kept"
                    }
                }
            }
            "RSET" => {
                (from, to) = (None, Vec::new());
                "250 2.0.0 forgotten"
            }
            "QUIT" => {
                say(&mut reader, "221 2.0.0 bye").await?;
                return Ok(());
            }
            _ => "502 5.5.1 not spoken here",
        };
        say(&mut reader, reply).await?;
    }
    Ok(())
}

/// Many senders hold the end of a message back until its beginning is acknowledged, and systems put that off for 40 ms.
#[cfg(target_os = "linux")]
fn acknowledge_at_once(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_quickack(true)
}

/// Elsewhere each message takes its 40 ms.
#[cfg(not(target_os = "linux"))]
fn acknowledge_at_once(_: &TcpStream) -> std::io::Result<()> {
    Ok(())
}

async fn say(reader: &mut BufReader<TcpStream>, reply: &str) -> std::io::Result<()> {
    reader.get_mut().write_all(format!("{reply}\r\n").as_bytes()).await
}

/// The address between the angle brackets of a MAIL or RCPT command.
fn path(command: &str) -> String {
    let inner = command.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inner.map_or("", |(address, _)| address).to_owned()
}

/// Reads up to the lone dot; nothing where the message was too large, which is read to its end all the same.
async fn read_message(reader: &mut BufReader<TcpStream>) -> std::io::Result<Option<Vec<u8>>> {
    let (mut raw, mut line) = (Vec::new(), Vec::new());
    let mut fits = true;
    let mut at_line_start = true;
    loop {
        if !read_line(reader, &mut line).await? {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if at_line_start && (line == b".\r\n" || line == b".\n") {
            return Ok(fits.then_some(raw));
        }
        let stuffed = at_line_start && line.first() == Some(&b'.');
        fits &= raw.len() + line.len() <= MESSAGE_BYTES_MAX;
        if fits {
            raw.extend_from_slice(&line[usize::from(stuffed)..]);
        }
        at_line_start = line.ends_with(b"\n");
    }
}
