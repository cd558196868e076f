//! One relay, spoken to command by command.
//!
//! lettre's ready transport is not used, for three reasons: it cannot say whether an error came before or after the
//! message was handed over, its timeout covers the connect only, and a send that is given up parks its half-read
//! connection in the pool, where the next mail reads the answers meant for this one. Here a connection that is not
//! known to be clean is dropped with the send.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lettre::address::Envelope;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;
use url::Url;

use super::{MailerError, SendOutcome};

/// The longest one whole send may take, the wait for a free connection included; it stays below every lease.
const SEND_TIMEOUT: Duration = Duration::from_secs(20);
/// The most connections held to the relay at once.
const CONNECTIONS_MAX: usize = 4;
/// A connection idle for longer is not used again: relays close theirs, and a fresh one is cheaper than a stalled one.
const IDLE_MAX: SignedDuration = SignedDuration::from_secs(30);

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
    StartTls(TlsParameters),
    Tls(TlsParameters),
}

struct Idle {
    connection: AsyncSmtpConnection,
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
    error: lettre::transport::smtp::Error,
}

impl Relay {
    /// A relay from `mail.smtp_url`. The error never quotes the URL, which holds the password.
    pub(super) fn from_url(url: &SecretString) -> Result<Self, MailerError> {
        let fault = MailerError::SmtpUrl;
        let url = Url::parse(url.expose_secret())
            .map_err(|_| fault("not a URL such as smtp://HOST:PORT or smtps://USER:PASSWORD@HOST"))?;
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        if host.is_empty() || !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err(fault(
                "expected a host, an optional port, and nothing after them but ?tls=required",
            ));
        }
        let tls = || {
            TlsParameters::new(host.clone()).map_err(|_| {
                fault("TLS cannot be set up: is the host a server name, and are CA certificates installed?")
            })
        };
        let (security, default_port) = match (url.scheme(), url.query()) {
            ("smtp", None) => (Security::Plain, 25),
            ("smtp", Some("tls=required")) => (Security::StartTls(tls()?), 587),
            ("smtps", None | Some("tls=required")) => (Security::Tls(tls()?), 465),
            ("smtp" | "smtps", _) => return Err(fault("the only parameter is ?tls=required")),
            _ => return Err(fault("the scheme is smtp or smtps")),
        };
        let credentials = credentials(&url)?;
        if credentials.is_some() && matches!(security, Security::Plain) && !is_loopback(&host) {
            return Err(fault("a password needs TLS: use smtps:// or add ?tls=required"));
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
            Ok(Err(refusal)) => refusal.outcome(),
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
        let mut connection = match self.idle_connection(now).await {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let sender = Mail::new(envelope.from().cloned(), Vec::new());
        Stage::Sender.check(connection.command(sender).await)?;
        for to in envelope.to() {
            Stage::Recipient.check(connection.command(Rcpt::new(to.clone(), Vec::new())).await)?;
        }
        Stage::Data.check(connection.command(Data).await)?;
        *handed_over = true;
        Stage::Content.check(connection.message(content).await)?;
        let idle = Idle {
            connection,
            parked_at: now,
        };
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(idle);
        Ok(())
    }

    async fn idle_connection(&self, now: Timestamp) -> Option<AsyncSmtpConnection> {
        loop {
            let Idle {
                mut connection,
                parked_at,
            } = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            if now.duration_since(parked_at) <= IDLE_MAX && connection.test_connected().await {
                return Some(connection);
            }
        }
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Refusal> {
        let hello = ClientId::default();
        let implicit = match &self.security {
            Security::Tls(parameters) => Some(parameters.clone()),
            Security::Plain | Security::StartTls(_) => None,
        };
        let address = (self.host.as_str(), self.port);
        let connecting = AsyncSmtpConnection::connect_tokio1(address, None, &hello, implicit, None);
        let mut connection = Stage::Connect.check(connecting.await)?;
        if let Security::StartTls(parameters) = &self.security {
            Stage::StartTls.check(connection.starttls(parameters.clone(), &hello).await)?;
        }
        if let Some(credentials) = &self.credentials {
            Stage::Login.check(connection.auth(DEFAULT_MECHANISMS, credentials).await.map(drop_reply))?;
        }
        Ok(connection)
    }
}

impl Stage {
    fn check<T>(self, result: Result<T, lettre::transport::smtp::Error>) -> Result<T, Refusal> {
        result.map_err(|error| Refusal { stage: self, error })
    }

    /// Whether a refusal here is about this recipient or this message rather than about us.
    fn is_about_the_message(self) -> bool {
        match self {
            Self::Recipient | Self::Data | Self::Content => true,
            Self::Connect | Self::StartTls | Self::Login | Self::Sender => false,
        }
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
    fn outcome(&self) -> SendOutcome {
        let stage = self.stage;
        match self.error.status() {
            Some(code) if self.error.is_permanent() && stage == Stage::Recipient => {
                SendOutcome::BadRecipient(format!("the relay answered {code} at {stage}"))
            }
            Some(code) if self.error.is_permanent() && stage.is_about_the_message() => {
                SendOutcome::Permanent(format!("the relay answered {code} at {stage}"))
            }
            Some(code) => SendOutcome::Transient(format!("the relay answered {code} at {stage}")),
            None if stage == Stage::Content => {
                SendOutcome::Unknown("the connection broke after the message was handed over".into())
            }
            None => SendOutcome::Transient(format!("the conversation with the relay failed at {stage}")),
        }
    }
}

fn drop_reply(_: Response) {}

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
