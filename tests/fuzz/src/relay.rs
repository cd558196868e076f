//! A mail relay on loopback that keeps the newest message byte by byte, and the mailer that hands messages over to it.

use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use recoup::mailer::{Email, Mailer, SendOutcome};
use socket2::SockRef;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

/// The sender of every message.
pub const FROM: &str = "billing@larkspur.example";

/// What the relay heard since the last mail.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// The commands, as they came.
    pub commands: Vec<Vec<u8>>,
    /// The messages, with their dots unstuffed.
    pub messages: Vec<Vec<u8>>,
}

/// The relay and the mailer.
pub struct Relay {
    runtime: Runtime,
    mailer: Mailer,
    heard: Arc<Mutex<Heard>>,
}

impl Relay {
    /// Starts listening.
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let heard = Arc::new(Mutex::new(Heard::default()));
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("smtp://{}", listener.local_addr().unwrap()).into();
        runtime.spawn(listen(listener, Arc::clone(&heard)));
        let mailer = Mailer::new(Some(&url), Some(&format!("Larkspur <{FROM}>"))).unwrap();
        Self { runtime, mailer, heard }
    }

    /// Hands a mail over, and gives how that ended with what the relay heard.
    pub fn send(&self, mail: &Email, now: Timestamp) -> (SendOutcome, Heard) {
        *self.heard.lock().unwrap() = Heard::default();
        let outcome = self.runtime.block_on(self.mailer.send(mail, now));
        (outcome, self.heard.lock().unwrap().clone())
    }
}

async fn listen(listener: TcpListener, heard: Arc<Mutex<Heard>>) {
    while let Ok((connection, _)) = listener.accept().await {
        connection.set_nodelay(true).unwrap();
        let heard = Arc::clone(&heard);
        tokio::spawn(async move {
            // A client that goes away ends the conversation; what it said before is kept.
            drop(serve(BufReader::new(connection), &heard).await);
        });
    }
}

async fn serve(mut connection: BufReader<TcpStream>, heard: &Mutex<Heard>) -> std::io::Result<()> {
    say(&mut connection, "220 relay").await?;
    loop {
        let line = line(&mut connection).await?;
        let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
        heard.lock().unwrap().commands.push(line);
        match verb.as_slice() {
            b"DATA" => {
                say(&mut connection, "354 go on").await?;
                let message = message(&mut connection).await?;
                heard.lock().unwrap().messages.push(message);
                say(&mut connection, "250 taken").await?;
            }
            b"QUIT" => return say(&mut connection, "221 bye").await,
            _ => say(&mut connection, "250 ok").await?,
        }
    }
}

/// The next line. The client sends a message in two parts and waits between them until the first is acknowledged, for
/// which the system takes its time unless told each time not to.
async fn line(connection: &mut BufReader<TcpStream>) -> std::io::Result<Vec<u8>> {
    SockRef::from(connection.get_ref()).set_tcp_quickack(true)?;
    let mut line = Vec::new();
    connection.read_until(b'\n', &mut line).await?;
    if line.is_empty() {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line)
}

async fn say(connection: &mut BufReader<TcpStream>, line: &str) -> std::io::Result<()> {
    connection.get_mut().write_all(format!("{line}\r\n").as_bytes()).await
}

async fn message(connection: &mut BufReader<TcpStream>) -> std::io::Result<Vec<u8>> {
    let mut message = Vec::new();
    loop {
        let line = line(connection).await?;
        if line == b".\r\n" {
            return Ok(message);
        }
        message.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
    }
}
