//! F2: one message to one recipient, rendered from typed contexts and handed to a relay or kept in the database.
//!
//! There is no retry in here and no state beyond idle connections: the engine decides what an outcome means.

mod catalogue;
mod charts;
mod compose;
pub mod context;
mod digest;
pub mod dkim;
pub mod escape;
pub mod locale;
pub mod render;
pub mod report;
mod samples;
mod smtp;
mod text;
mod tls;
mod wire;

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use lettre::address::Envelope;
use lettre::message::Mailbox;
use secrecy::SecretString;

use crate::domain::ids::NotificationId;
use crate::return_path::ReturnPath;

pub use context::MailContext;
pub use dkim::Dkim;
pub use locale::Locale;
pub use render::{Rendered, Templates};
pub use smtp::{CONNECTIONS_MAX, Relay};

/// The sender of mails that are only kept, where none is configured.
const KEPT_FROM: &str = "Billing <billing@localhost>";

/// Where mails go; a closed set.
pub enum Transport {
    /// To a relay, over SMTP.
    Smtp(Box<Relay>),
    /// Nowhere: the notification row is the mail, and the dashboard shows it.
    Kept,
}

/// The way out for mails: a transport and the sender's mailbox.
pub struct Mailer {
    transport: Transport,
    from: Mailbox,
    dkim: Option<Dkim>,
    return_path: Option<ReturnPath>,
}

/// The mail settings cannot be used. The text names the key and never holds the password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MailerError {
    /// `mail.smtp_url` cannot be used, with the reason.
    #[error("mail.smtp_url: {0}")]
    SmtpUrl(&'static str),
    /// `mail.smtp_ca_file` cannot be used, with the reason.
    #[error("mail.smtp_ca_file: {0}")]
    CaFile(&'static str),
    /// `mail.from` is no mailbox.
    #[error("mail.from is not a mailbox: expected `billing@example.com` or `Billing <billing@example.com>`")]
    From,
    /// `mail.dkim_key` cannot be used, with the reason.
    #[error("mail.dkim_key: {0}")]
    DkimKey(&'static str),
    /// `mail.smtp_url` is set and `mail.from` is not.
    #[error("mail.from is missing: it is needed as soon as mail.smtp_url is set")]
    MissingFrom,
}

/// A picture that travels in the message, so that nothing is fetched from elsewhere to show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    /// How the HTML names it, after `cid:`: letters, digits, dots, hyphens and one at-sign.
    pub cid: String,
    /// The picture as PNG.
    pub png: Vec<u8>,
}

impl Picture {
    /// The HTML with this picture inside it, for a browser, which knows no other part of the message.
    pub fn inside(&self, html: &str) -> String {
        let data = format!("data:image/png;base64,{}", STANDARD.encode(&self.png));
        html.replace(&format!("cid:{}", self.cid), &data)
    }
}

/// One message to one recipient.
pub struct Email {
    /// The notification it belongs to; the Message-ID is derived from it.
    pub id: NotificationId,
    /// The recipient's address.
    pub to: String,
    /// The recipient's name, as the provider gave it: nothing about it is trusted.
    pub to_name: Option<String>,
    /// The subject.
    pub subject: String,
    /// The body as plain text.
    pub text: String,
    /// The body as HTML.
    pub html: String,
    /// The pictures that the HTML shows.
    pub pictures: Vec<Picture>,
    /// Where one click ends messages of its kind; such a message says so in its headers.
    pub unsubscribe_url: Option<String>,
}

/// How a send ended. Reasons name the step and the reply code, never an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendOutcome {
    /// The relay took responsibility for the message.
    Sent,
    /// Nothing was to be sent: the mail stays in the database.
    Kept,
    /// Certainly not sent, and worth another try later. A relay that refuses us ourselves (at the greeting, the login
    /// or the sender) belongs here too, whatever the code: it says nothing about the recipient.
    Transient(String),
    /// The same, because there were too many mails for the recipient's domain just now: the others to it should wait, too.
    Throttled(String),
    /// Certainly not sent, because the recipient's address is no good: nothing more should be sent to it.
    BadRecipient(String),
    /// Certainly not sent, and this message will be refused again; it says nothing about the recipient.
    Permanent(String),
    /// The message was handed over and no answer came: it may have been sent, so it must not be sent again.
    Unknown(String),
}

/// The port of the engine to the way out for mails. In production that is a `Mailer`; the simulation brings its own.
#[async_trait]
pub trait Courier: Send + Sync {
    /// Hands `mail` over once, dated `now`. It never panics and ends in less than a quarter of a lease.
    async fn send(&self, mail: &Email, now: Timestamp) -> SendOutcome;
}

#[async_trait]
impl Courier for Mailer {
    async fn send(&self, mail: &Email, now: Timestamp) -> SendOutcome {
        Self::send(self, mail, now).await
    }
}

impl Mailer {
    /// A mailer from the settings `mail.smtp_url` and `mail.from`. Without a relay mails are kept.
    ///
    /// The URL is `smtp://HOST:PORT` (no TLS), `smtp://USER:PASSWORD@HOST:PORT?tls=required` (STARTTLS, and no mail
    /// without it) or `smtps://USER:PASSWORD@HOST:PORT` (TLS from the first byte). Fails where a setting is unusable.
    pub fn new(smtp_url: Option<&SecretString>, from: Option<&str>) -> Result<Self, MailerError> {
        Self::trusting(None, smtp_url, from)
    }

    /// The same with the setting `mail.smtp_ca_file`: the relay's certificate must lead to one of that file, instead of to
    /// one that this machine trusts.
    pub fn trusting(
        ca_file: Option<&Path>,
        smtp_url: Option<&SecretString>,
        from: Option<&str>,
    ) -> Result<Self, MailerError> {
        let transport = match smtp_url {
            Some(url) => Transport::Smtp(Box::new(Relay::from_url(url, ca_file)?)),
            None => Transport::Kept,
        };
        let from = match (from, &transport) {
            (Some(from), _) => compose::sender(from)?,
            (None, Transport::Smtp(_)) => return Err(MailerError::MissingFrom),
            (None, Transport::Kept) => compose::sender(KEPT_FROM)?,
        };
        Ok(Self {
            transport,
            from,
            dkim: None,
            return_path: None,
        })
    }

    /// The same mailer, which signs what the relay is given.
    #[must_use]
    pub fn signing(mut self, dkim: Dkim) -> Self {
        self.dkim = Some(dkim);
        self
    }

    /// The same mailer, to which what cannot be delivered comes back at an address of its own for each message.
    #[must_use]
    pub fn returning_to(mut self, path: ReturnPath) -> Self {
        self.return_path = Some(path);
        self
    }

    /// The same mailer with another limit for one whole send; the default is 20 seconds.
    #[must_use]
    pub fn with_send_timeout(mut self, limit: Duration) -> Self {
        if let Transport::Smtp(relay) = &mut self.transport {
            relay.set_send_timeout(limit);
        }
        self
    }

    /// Speaks to the relay up to the point where a mail would begin; no where there is none. The error says at which step it
    /// failed, and never an address or a password.
    pub async fn greet(&self) -> Result<bool, String> {
        match &self.transport {
            Transport::Smtp(relay) => relay.greet().await.map(|()| true),
            Transport::Kept => Ok(false),
        }
    }

    /// Hands `mail` over once, dated `now`. It never panics and ends within the send timeout.
    pub async fn send(&self, mail: &Email, now: Timestamp) -> SendOutcome {
        let message = match compose::compose(mail, &self.from, now) {
            Ok(message) => message,
            Err(reason) => return SendOutcome::BadRecipient(reason.to_owned()),
        };
        let Transport::Smtp(relay) = &self.transport else {
            return SendOutcome::Kept;
        };
        let content = message.formatted();
        let content = match &self.dkim {
            Some(dkim) => match dkim.signed(&content, now) {
                Ok(signed) => signed,
                Err(reason) => return SendOutcome::Transient(reason.to_owned()),
            },
            None => content,
        };
        match self.envelope(mail, message.envelope()) {
            Some(envelope) => relay.deliver(&envelope, &content, now).await,
            None => relay.deliver(message.envelope(), &content, now).await,
        }
    }

    /// The envelope by which a message that cannot be delivered comes back to its own address, where there is one.
    fn envelope(&self, mail: &Email, plain: &Envelope) -> Option<Envelope> {
        let sender = self.return_path.as_ref()?.address(&mail.id)?.parse().ok()?;
        Envelope::new(Some(sender), plain.to().to_vec()).ok()
    }
}
