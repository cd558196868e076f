//! A mail server that plays any dialogue, breaks it at any step, and keeps a book of what it took.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::smtp::Received;

/// A point at which the client waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Greeting,
    Hello,
    StartTls,
    Login,
    Noop,
    Sender,
    Recipient,
    Data,
    Dot,
}

/// What comes instead of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection closes.
    Drop,
    /// Nothing, for ever.
    Stall,
    /// A line that is no answer.
    Garbage,
    /// The answer without its end, then the connection closes.
    Cut,
}

/// What a server says where it does not say the usual.
#[derive(Clone, Default)]
pub struct Script {
    /// Answers by step, each given once.
    pub says: Vec<(Step, &'static str)>,
    /// The fault, which comes once.
    pub fault: Option<(Step, Fault)>,
    /// How it speaks TLS, where it can.
    pub tls: Option<TlsAcceptor>,
    /// Whether it does so from the first byte.
    pub tls_at_once: bool,
    /// Whether all this only begins with `arm`.
    pub later: bool,
}

/// What a server saw.
#[derive(Clone, Default)]
pub struct Book {
    /// The messages it took, whether or not it could say so.
    pub taken: Vec<Received>,
    /// The steps it came to once the script was on.
    pub steps: Vec<Step>,
    /// The lines it was sent, contents aside.
    pub lines: Vec<String>,
    /// How many connections it accepted.
    pub connections: usize,
}

/// The running server; it ends with the test's runtime.
#[derive(Clone)]
pub struct Dialogue {
    /// Where it listens.
    pub addr: SocketAddr,
    script: Arc<Mutex<Script>>,
    armed: Arc<AtomicBool>,
    book: Arc<Mutex<Book>>,
}

enum End {
    Over,
    BeginTls,
}

impl Step {
    fn usual(self) -> &'static str {
        match self {
            Self::Greeting => "220 relay.example",
            Self::Hello => "250-relay.example\r\n250-SIZE 1000000\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN",
            Self::StartTls => "220 go on",
            Self::Login => "235 welcome",
            Self::Data => "354 go on",
            Self::Noop | Self::Sender | Self::Recipient | Self::Dot => "250 ok",
        }
    }

    fn of(line: &str) -> Self {
        match line.split([' ', '\r', '\n']).next().unwrap_or_default() {
            "EHLO" => Self::Hello,
            "STARTTLS" => Self::StartTls,
            "NOOP" => Self::Noop,
            "MAIL" => Self::Sender,
            "RCPT" => Self::Recipient,
            "DATA" => Self::Data,
            // What else comes are the lines of a login.
            _ => Self::Login,
        }
    }
}

impl Dialogue {
    /// Starts a server that plays `script`.
    pub async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            addr: listener.local_addr().unwrap(),
            armed: Arc::new(AtomicBool::new(!script.later)),
            script: Arc::new(Mutex::new(script)),
            book: Arc::default(),
        };
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                serving.book.lock().unwrap().connections += 1;
                let server = serving.clone();
                // A client that goes away ends the conversation; what it said before is kept.
                tokio::spawn(async move { server.serve(tcp).await });
            }
        });
        server
    }

    /// Lets the script begin.
    pub fn arm(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }

    /// The book as it stands.
    pub fn book(&self) -> Book {
        self.book.lock().unwrap().clone()
    }

    async fn serve(&self, tcp: tokio::net::TcpStream) -> std::io::Result<()> {
        tcp.set_nodelay(true)?;
        let (tls, at_once) = {
            let script = self.script.lock().unwrap();
            (script.tls.clone(), script.tls_at_once)
        };
        let Some(tls) = tls else {
            return self.talk(&mut BufReader::new(tcp), true).await.map(drop);
        };
        if at_once {
            let mut secured = BufReader::new(tls.accept(tcp).await?);
            return self.talk(&mut secured, true).await.map(drop);
        }
        let mut plain = BufReader::new(tcp);
        if matches!(self.talk(&mut plain, true).await?, End::BeginTls) {
            let mut secured = BufReader::new(tls.accept(plain.into_inner()).await?);
            self.talk(&mut secured, false).await?;
        }
        Ok(())
    }

    async fn talk<S>(&self, stream: &mut BufReader<S>, greets: bool) -> std::io::Result<End>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        if greets {
            self.answer(stream, Step::Greeting).await?;
        }
        let mut to = String::new();
        let mut line = String::new();
        while stream.read_line(&mut line).await? > 0 {
            self.book.lock().unwrap().lines.push(line.trim_end().to_owned());
            let step = Step::of(&line);
            if step == Step::Recipient {
                to = line
                    .trim_end()
                    .trim_start_matches("RCPT TO:<")
                    .trim_end_matches('>')
                    .to_owned();
            }
            line.clear();
            let said = self.answer(stream, step).await?;
            match step {
                Step::StartTls if said.starts_with("220") => return Ok(End::BeginTls),
                Step::Data if said.starts_with("354") => {
                    let content = content(stream).await?;
                    if self.says(Step::Dot).starts_with('2') {
                        let to = to.clone();
                        self.book.lock().unwrap().taken.push(Received { to, content });
                    }
                    self.answer(stream, Step::Dot).await?;
                }
                _ => {}
            }
        }
        Ok(End::Over)
    }

    /// The answer that comes next at this step.
    fn says(&self, step: Step) -> String {
        let script = self.script.lock().unwrap();
        let own = script
            .says
            .iter()
            .find(|(at, _)| *at == step && self.armed.load(Ordering::SeqCst));
        own.map_or(step.usual(), |(_, said)| said).to_owned()
    }

    async fn answer<S>(&self, stream: &mut BufReader<S>, step: Step) -> std::io::Result<String>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let said = self.says(step);
        let fault = {
            let mut script = self.script.lock().unwrap();
            if self.armed.load(Ordering::SeqCst) {
                self.book.lock().unwrap().steps.push(step);
                if let Some(own) = script.says.iter().position(|(at, _)| *at == step) {
                    script.says.remove(own);
                }
                script.fault.take_if(|(at, _)| *at == step).map(|(_, fault)| fault)
            } else {
                None
            }
        };
        let gone = Err(std::io::ErrorKind::ConnectionAborted.into());
        match fault {
            None => say(stream, &format!("{said}\r\n")).await.map(|()| said),
            Some(Fault::Drop) => gone,
            Some(Fault::Cut) => {
                say(stream, &said[..said.len() - 1]).await?;
                stream.get_mut().shutdown().await?;
                gone
            }
            Some(fault) => {
                if fault == Fault::Garbage {
                    say(stream, "\u{16}\u{3}\u{1} what is this\r\n").await?;
                }
                stream.read_to_end(&mut Vec::new()).await?;
                gone
            }
        }
    }
}

async fn say<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufReader<S>, text: &str) -> std::io::Result<()> {
    stream.get_mut().write_all(text.as_bytes()).await?;
    stream.get_mut().flush().await
}

async fn content<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufReader<S>) -> std::io::Result<Vec<u8>> {
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
