//! One relay, spoken to command by command.
//!
//! lettre writes the messages and the commands; its transport is not used. It cannot say whether an error came before or
//! after the message was handed over; its timeout covers the connect only; it takes any positive code for a yes, keeps
//! what was said before STARTTLS for the answer that comes after it, and reads a line without end into memory; and a send
//! that is given up parks its half-read connection in the pool, where the next mail reads the answers meant for this one.
//! Here a connection that is not known to be clean is dropped with the send.

use std::fmt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lettre::address::Envelope;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::commands::{Data, Mail, Noop, Quit, Rcpt};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;
use url::Url;

use super::tls::Tls;
use super::wire::{DONE, Fault, GO_ON, Reply, Wire};
use super::{MailerError, SendOutcome};

/// The longest one whole send may take, the wait for a free connection included; it stays below every lease.
const SEND_TIMEOUT: Duration = Duration::from_secs(20);
/// The most connections held to the relay at once.
pub const CONNECTIONS_MAX: usize = 4;
/// A connection idle for longer is not used again: relays close theirs, and a fresh one is cheaper than a stalled one.
const IDLE_MAX: SignedDuration = SignedDuration::from_secs(30);

/// What a relay says when a domain, or it itself, gets more than it takes for now.
const TOO_MANY: [&str; 5] = ["too many", "too fast", "rate limit", "ratelimit", "throttl"];

/// A mail relay and the idle connections to it.
pub struct Relay {
    host: String,
    port: u16,
    security: Security,
    credentials: Option<Credentials>,
    slots: Semaphore,
    idle: Mutex<Vec<Idle>>,
    send_timeout: Duration,
}

enum Security {
    Plain,
    StartTls(Tls),
    Tls(Tls),
}

struct Idle {
    wire: Wire,
    parked_at: Timestamp,
}

/// The step of the conversation that failed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Connect,
    StartTls,
    Login,
    Sender,
    Recipient,
    Data,
    Content,
}

struct Refusal {
    stage: Stage,
    fault: Fault,
}

impl Relay {
    /// A relay from `mail.smtp_url`, whose certificate must lead to one of `ca_file` where that is given. The error never
    /// quotes the URL, which holds the password.
    pub(super) fn from_url(url: &SecretString, ca_file: Option<&Path>) -> Result<Self, MailerError> {
        let fault = MailerError::SmtpUrl;
        let url = Url::parse(url.expose_secret())
            .map_err(|_| fault("not a URL such as smtp://HOST:PORT or smtps://USER:PASSWORD@HOST"))?;
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        if host.is_empty() || !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err(fault(
                "expected a host, an optional port, and nothing after them but ?tls=required",
            ));
        }
        let tls = || Tls::new(&host, ca_file);
        let (security, default_port) = match (url.scheme(), url.query()) {
            ("smtp", None) => (Security::Plain, 25),
            ("smtp", Some("tls=required")) => (Security::StartTls(tls()?), 587),
            ("smtps", None | Some("tls=required")) => (Security::Tls(tls()?), 465),
            ("smtp" | "smtps", _) => return Err(fault("the only parameter is ?tls=required")),
            _ => return Err(fault("the scheme is smtp or smtps")),
        };
        let credentials = credentials(&url)?;
        if matches!(security, Security::Plain) {
            if ca_file.is_some() {
                return Err(MailerError::CaFile("it is set, and mail.smtp_url has no TLS"));
            }
            if credentials.is_some() && !is_loopback(&host) {
                return Err(fault("a password needs TLS: use smtps:// or add ?tls=required"));
            }
        }
        Ok(Self {
            port: url.port().unwrap_or(default_port),
            host,
            security,
            credentials,
            slots: Semaphore::new(CONNECTIONS_MAX),
            idle: Mutex::new(Vec::new()),
            send_timeout: SEND_TIMEOUT,
        })
    }

    pub(super) fn set_send_timeout(&mut self, limit: Duration) {
        self.send_timeout = limit;
    }

    /// Sends one message and says how it ended; `now` only ages the idle connections.
    pub(super) async fn deliver(&self, envelope: &Envelope, content: &[u8], now: Timestamp) -> SendOutcome {
        let mut handed_over = false;
        let conversation = self.converse(envelope, content, now, &mut handed_over);
        match tokio::time::timeout(self.send_timeout, conversation).await {
            Ok(Ok(())) => SendOutcome::Sent,
            Ok(Err(refusal)) => refusal.outcome(handed_over),
            Err(_) if handed_over => SendOutcome::Unknown("no answer in time after the message was handed over".into()),
            Err(_) => SendOutcome::Transient("the relay did not answer in time".into()),
        }
    }

    async fn converse(
        &self,
        envelope: &Envelope,
        content: &[u8],
        now: Timestamp,
        handed_over: &mut bool,
    ) -> Result<(), Refusal> {
        let _slot = self.slots.acquire().await.expect("the semaphore is never closed");
        if let Some(wire) = self.idle_wire(now).await {
            match self.transact(wire, envelope, content, now, handed_over).await {
                // The relay was through with the connection before a word of the message was said.
                Err(refusal) if refusal.is_about_the_connection() => {}
                ended => return ended,
            }
        }
        let wire = self.connect().await?;
        self.transact(wire, envelope, content, now, handed_over).await
    }

    async fn transact(
        &self,
        mut wire: Wire,
        envelope: &Envelope,
        content: &[u8],
        now: Timestamp,
        handed_over: &mut bool,
    ) -> Result<(), Refusal> {
        let sender = Mail::new(envelope.from().cloned(), Vec::new());
        Stage::Sender.check(wire.command(sender, DONE).await)?;
        for to in envelope.to() {
            let recipient = Rcpt::new(to.clone(), Vec::new());
            Stage::Recipient.check(wire.command(recipient, DONE).await)?;
        }
        crate::failpoint!("mail_before_data");
        Stage::Data.check(wire.command(Data, GO_ON).await)?;
        crate::failpoint!("mail_before_content");
        Stage::Content.check(wire.content(content).await)?;
        *handed_over = true;
        crate::failpoint!("mail_before_end");
        Stage::Content.check(wire.end().await)?;
        crate::failpoint!("mail_accepted");
        let idle = Idle { wire, parked_at: now };
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(idle);
        Ok(())
    }

    /// Connects, greets, logs in and hangs up.
    pub(super) async fn greet(&self) -> Result<(), String> {
        match tokio::time::timeout(self.send_timeout, self.connect()).await {
            Ok(Ok(mut wire)) => {
                // Whether the relay says goodbye does not matter.
                let _ = wire.command(Quit, DONE).await;
                Ok(())
            }
            Ok(Err(refusal)) => Err(match &refusal.fault {
                Fault::Refused(reply) => format!("the relay answered {} at {}", reply.code, refusal.stage),
                Fault::Broken => format!("the conversation with the relay failed at {}", refusal.stage),
            }),
            Err(_) => Err("the relay did not answer in time".to_owned()),
        }
    }

    async fn idle_wire(&self, now: Timestamp) -> Option<Wire> {
        loop {
            let Idle { mut wire, parked_at } = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            let knock = tokio::time::timeout(self.send_timeout / 4, wire.command(Noop, DONE));
            if now.duration_since(parked_at) <= IDLE_MAX && matches!(knock.await, Ok(Ok(()))) {
                return Some(wire);
            }
        }
    }

    async fn connect(&self) -> Result<Wire, Refusal> {
        let implicit = match &self.security {
            Security::Tls(tls) => Some(tls),
            Security::Plain | Security::StartTls(_) => None,
        };
        let mut wire = Stage::Connect.check(Wire::connect(&self.host, self.port, implicit).await)?;
        if let Security::StartTls(tls) = &self.security {
            wire = Stage::StartTls.check(wire.start_tls(tls).await)?;
        }
        if let Some(credentials) = &self.credentials {
            Stage::Login.check(wire.log_in(credentials).await)?;
        }
        Ok(wire)
    }
}

impl Stage {
    fn check<T>(self, result: Result<T, Fault>) -> Result<T, Refusal> {
        result.map_err(|fault| Refusal { stage: self, fault })
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "the connect",
            Self::StartTls => "STARTTLS",
            Self::Login => "the login",
            Self::Sender => "the sender",
            Self::Recipient => "the recipient",
            Self::Data => "DATA",
            Self::Content => "the content",
        })
    }
}

impl Refusal {
    /// Only the code and the step are told: the relay's own words often quote the address.
    fn outcome(&self, handed_over: bool) -> SendOutcome {
        let stage = self.stage;
        let Fault::Refused(reply) = &self.fault else {
            return if handed_over {
                SendOutcome::Unknown("the connection broke after the message was handed over".into())
            } else {
                SendOutcome::Transient(format!("the conversation with the relay failed at {stage}"))
            };
        };
        let reason = format!("the relay answered {} at {stage}", reply.code);
        match (stage, reply.code) {
            (Stage::Connect | Stage::StartTls | Stage::Login | Stage::Sender, _) => SendOutcome::Transient(reason),
            (_, ..500) if is_too_many(reply) => SendOutcome::Throttled(reason),
            (_, ..500) => SendOutcome::Transient(reason),
            (Stage::Recipient, _) => match Blame::of(reply) {
                Blame::Address => SendOutcome::BadRecipient(reason),
                Blame::Message => SendOutcome::Permanent(reason),
                Blame::Us => SendOutcome::Transient(reason),
            },
            (Stage::Data | Stage::Content, _) => SendOutcome::Permanent(reason),
        }
    }

    /// Whether a connection that was used before is all that is wrong.
    fn is_about_the_connection(&self) -> bool {
        let gone = match &self.fault {
            Fault::Broken => true,
            Fault::Refused(reply) => reply.code == 421,
        };
        gone && self.stage == Stage::Sender
    }
}

fn is_too_many(reply: &Reply) -> bool {
    let text = reply.text.to_lowercase();
    reply.code == 421 || TOO_MANY.iter().any(|words| text.contains(words))
}

/// What is wrong when a recipient is refused for good.
pub(super) enum Blame {
    /// The address.
    Address,
    /// This message.
    Message,
    /// Who sends it.
    Us,
}

impl Blame {
    /// Reads the enhanced status code of RFC 3463 where there is one, else the plain code. A relay that does not know us,
    /// or does not let us relay, says nothing about the address.
    pub(super) fn of(reply: &Reply) -> Self {
        let enhanced = reply.text.split_whitespace().next().unwrap_or_default();
        Self::of_status(enhanced).unwrap_or(match reply.code {
            550 | 551 | 553 => Self::Address,
            500..=549 => Self::Us,
            _ => Self::Message,
        })
    }

    /// Reads an enhanced status code; nothing where it is none of a refusal.
    pub(super) fn of_status(status: &str) -> Option<Self> {
        let mut parts = status.split('.').map(str::parse::<u16>);
        let (Some(Ok(5)), Some(Ok(subject)), Some(Ok(detail)), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        Some(match (subject, detail) {
            (1, 7 | 8) | (5 | 7, _) => Self::Us,
            (1, _) | (2, 1) => Self::Address,
            _ => Self::Message,
        })
    }
}

/// User and password of the URL, percent-decoded.
fn credentials(url: &Url) -> Result<Option<Credentials>, MailerError> {
    let decoded = |text| percent_decoded(text).ok_or(MailerError::SmtpUrl("user and password must be UTF-8"));
    match (url.username(), url.password()) {
        ("", None) => Ok(None),
        (_, None) | ("", Some(_)) => Err(MailerError::SmtpUrl("a user and a password are given together")),
        (user, Some(password)) => Ok(Some(Credentials::new(decoded(user)?, decoded(password)?))),
    }
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = (*first == b'%').then(|| tail.get(..2)).flatten();
        let byte = escaped
            .and_then(|pair| hex::decode(pair).ok())
            .and_then(|decoded| decoded.first().copied());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8(bytes).ok()
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}
