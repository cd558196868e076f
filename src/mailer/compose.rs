//! From an [`Email`] to the message as it goes over the wire.

use std::time::SystemTime;

use jiff::Timestamp;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::{Address, Message};

use super::text::{TEXT_CHARS_MAX, one_line};
use super::{Email, MailerError};

/// The most characters of a subject; ours stay below 50, so this only bounds hostile ones.
const SUBJECT_CHARS_MAX: usize = 200;

/// The sender's mailbox from `mail.from`.
pub(super) fn sender(from: &str) -> Result<Mailbox, MailerError> {
    let mailbox: Mailbox = from.parse().map_err(|_| MailerError::From)?;
    let address = address(mailbox.email.as_ref()).ok_or(MailerError::From)?;
    Ok(Mailbox::new(mailbox.name.as_deref().and_then(clean_name), address))
}

/// The message with all its headers, or why this mail can never be one.
pub(super) fn compose(mail: &Email, from: &Mailbox, now: Timestamp) -> Result<Message, &'static str> {
    let to = address(&mail.to).ok_or("the recipient's address is not valid")?;
    let name = mail.to_name.as_deref().and_then(clean_name);
    // The identifier stands in two headers, one of which lettre parses and panics over: only its own alphabet passes.
    let id: String = mail
        .id
        .as_str()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
        .collect();
    let auto_submitted = HeaderValue::new(
        HeaderName::new_from_ascii_str("Auto-Submitted"),
        "auto-generated".to_owned(),
    );
    // A fixed boundary keeps the bytes a function of the mail; no line of ours starts with it.
    let body = MultiPart::alternative()
        .boundary(format!("=_{id}"))
        .singlepart(SinglePart::plain(mail.text.clone()))
        .singlepart(SinglePart::html(mail.html.clone()));
    Message::builder()
        .message_id(Some(format!("<{id}@{}>", from.email.domain())))
        .date(SystemTime::from(now.max(Timestamp::UNIX_EPOCH)))
        .from(from.clone())
        .to(Mailbox::new(name, to))
        .subject(one_line(&mail.subject, SUBJECT_CHARS_MAX).unwrap_or_default())
        .raw_header(auto_submitted)
        .multipart(body)
        .map_err(|_| "the message could not be composed")
}

/// lettre panics over a line break in a display name, so names are cleaned before they reach it.
fn clean_name(name: &str) -> Option<String> {
    one_line(name, TEXT_CHARS_MAX)
}

/// A plain ASCII address. A quoted local part may hold blanks and line breaks, which no real customer's address does.
fn address(text: &str) -> Option<Address> {
    let plain = text.is_ascii() && !text.contains(|c: char| c.is_ascii_control() || c.is_ascii_whitespace());
    plain.then(|| text.parse().ok()).flatten()
}
