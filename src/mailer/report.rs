//! What became of a message after the relay took it: reports of delivery (RFC 3464) and of complaints (RFC 5965), as they arrive at the
//! return path.
//!
//! Only the machine's part of a report is believed, never its prose. `OpenSMTPD` sends `multipart/mixed` where the standard says
//! `multipart/report`: so a report is known by its parts, and not by what is written on the whole.

use mail_parser::{Message, MessageParser, MimeHeaders};

use super::smtp::Blame;
use super::wire::Reply;
use crate::domain::words::words;

/// The most recipients of one report that are looked at; our messages have one.
const RECIPIENTS_MAX: usize = 20;
/// The longest text of a report that is kept, in characters.
const TEXT_CHARS_MAX: usize = 320;

words! {
    /// What became of a message.
    Fate {
        /// The address refused it for good: nothing more should be sent there.
        Bounced = "bounced",
        /// It was refused for good, and that says nothing about the address.
        Refused = "refused",
        /// It is not there yet, or was given up, and another one may arrive.
        Delayed = "delayed",
        /// Its reader called it spam.
        Complained = "complained",
        /// It arrived.
        Delivered = "delivered",
    }
}

/// What became of a message, and which one it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What became of it.
    pub fate: Fate,
    /// The addresses among which the return path of the message may be.
    pub return_paths: Vec<String>,
    /// The Message-ID of the message, without its brackets.
    pub message_id: Option<String>,
    /// Whom it was for, as the report says.
    pub recipient: Option<String>,
    /// Whether that is whom we wrote to; a mail server may name whom it forwards to.
    pub is_exact: bool,
    /// The status code behind it, such as `5.1.1`.
    pub detail: Option<String>,
}

/// What a message that arrived at the return path reports; nothing where it is no report.
pub fn read(raw: &[u8]) -> Vec<Report> {
    let Some(message) = MessageParser::default().parse(raw) else {
        return Vec::new();
    };
    let part = |subtype: &str| {
        let named = |part: &&mail_parser::MessagePart<'_>| {
            part.content_type()
                .is_some_and(|kind| kind.ctype().eq_ignore_ascii_case("message") && is(kind.subtype(), subtype))
        };
        let found = message.parts.iter().find(named);
        found.map(|part| String::from_utf8_lossy(part.contents()).into_owned())
    };
    let original = original(&message);
    let mut return_paths = addresses(&message);
    return_paths.extend(original.return_path);
    let report = |fate, recipient: Option<String>, detail: Option<String>| Report {
        fate,
        return_paths: return_paths.clone(),
        message_id: original.message_id.clone(),
        recipient,
        is_exact: false,
        detail,
    };
    if let Some(status) = part("delivery-status") {
        let recipients = groups(&status).into_iter().take(RECIPIENTS_MAX);
        return recipients
            .filter_map(|fields| {
                let fate = fate(&fields)?;
                let recipient = field(&fields, "original-recipient").or(field(&fields, "final-recipient"));
                Some(report(
                    fate,
                    recipient.map(address),
                    field(&fields, "status").map(first_word),
                ))
            })
            .collect();
    }
    let Some(feedback) = part("feedback-report") else {
        return Vec::new();
    };
    let all = groups(&feedback);
    let Some(fields) = all.first() else { return Vec::new() };
    let kind = field(fields, "feedback-type").map(str::to_ascii_lowercase);
    if !matches!(kind.as_deref(), Some("abuse" | "fraud")) {
        return Vec::new();
    }
    let mut complaint = report(Fate::Complained, field(fields, "original-rcpt-to").map(address), kind);
    complaint
        .return_paths
        .extend(field(fields, "original-mail-from").map(address));
    vec![complaint]
}

/// What a recipient's fields say; nothing where they say nothing of how it ended.
fn fate(fields: &Fields) -> Option<Fate> {
    let status = field(fields, "status").map(first_word).unwrap_or_default();
    match field(fields, "action")?.to_ascii_lowercase().as_str() {
        "delivered" => Some(Fate::Delivered),
        "delayed" => Some(Fate::Delayed),
        "failed" if status.starts_with('4') => Some(Fate::Delayed),
        "failed" => Some(match blame(&status, field(fields, "diagnostic-code")) {
            Blame::Address => Fate::Bounced,
            Blame::Message | Blame::Us => Fate::Refused,
        }),
        // Handed on to who does not report, or to a list: nothing is known.
        _ => None,
    }
}

/// What a failure says of the address. Where the status says no more than that it failed, the mail server's words are asked.
fn blame(status: &str, diagnostic: Option<&str>) -> Blame {
    match status {
        // No such host: the domain of the address.
        "5.4.4" => Blame::Address,
        "" | "5.0.0" => diagnostic.and_then(said).as_ref().map_or(Blame::Address, Blame::of),
        status => Blame::of_status(status).unwrap_or(Blame::Message),
    }
}

/// The answer of a mail server as `Diagnostic-Code` quotes it: `smtp; 550 5.1.1 no such user`.
fn said(diagnostic: &str) -> Option<Reply> {
    let (kind, words) = diagnostic.split_once(';')?;
    let (code, text) = words.trim().split_at_checked(3)?;
    Some(Reply {
        code: code.parse().ok().filter(|_| kind.trim().eq_ignore_ascii_case("smtp"))?,
        text: text.trim_start_matches([' ', '-']).to_owned(),
    })
}

/// What is known of the message that a report is about.
#[derive(Default)]
struct Original {
    message_id: Option<String>,
    return_path: Option<String>,
}

/// The message that came back, whole or only its headers.
fn original(report: &Message<'_>) -> Original {
    for part in report.parts.iter().skip(1) {
        if let Some(message) = part.message() {
            return original_of(message);
        }
        let headers_only = part
            .content_type()
            .is_some_and(|kind| kind.ctype().eq_ignore_ascii_case("text") && is(kind.subtype(), "rfc822-headers"));
        if headers_only && let Some(message) = MessageParser::default().parse(part.contents()) {
            return original_of(&message);
        }
    }
    Original::default()
}

fn original_of(message: &Message<'_>) -> Original {
    Original {
        message_id: message.message_id().map(shown),
        return_path: message.header_raw("Return-Path").map(address_of),
    }
}

/// Where the report itself went.
fn addresses(report: &Message<'_>) -> Vec<String> {
    let to = report.to().into_iter().flat_map(|list| list.iter());
    let to = to.filter_map(|one| one.address()).map(shown);
    let by_server = ["Delivered-To", "X-Original-To"];
    let by_server = by_server
        .iter()
        .filter_map(|name| report.header_raw(*name))
        .map(address_of);
    to.chain(by_server).take(RECIPIENTS_MAX).collect()
}

/// The fields of one group by their names in small letters.
type Fields = std::collections::BTreeMap<String, String>;

fn field<'f>(fields: &'f Fields, name: &str) -> Option<&'f str> {
    fields.get(name).map(String::as_str)
}

/// The groups of fields that empty lines part from each other. A line that begins with a blank goes on with the one before.
fn groups(text: &str) -> Vec<Fields> {
    let mut groups = vec![Fields::new()];
    let mut last: Option<String> = None;
    for line in text.lines() {
        if line.trim().is_empty() {
            groups.push(Fields::new());
            last = None;
        } else if line.starts_with([' ', '\t']) {
            let fields = groups.last_mut().expect("there is always one");
            if let Some(value) = last.as_ref().and_then(|name| fields.get_mut(name)) {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            let name = name.trim().to_ascii_lowercase();
            let fields = groups.last_mut().expect("there is always one");
            // Who writes a field twice does not change what was said first.
            fields.entry(name.clone()).or_insert_with(|| value.trim().to_owned());
            last = Some(name);
        }
    }
    groups.retain(|fields| !fields.is_empty());
    groups
}

/// The address of a field such as `rfc822; jo@example.com`, or of one without its kind.
fn address(field: &str) -> String {
    let text = field.rsplit_once(';').map_or(field, |(_, address)| address);
    address_of(text)
}

fn address_of(text: &str) -> String {
    shown(text.trim().trim_matches(['<', '>']))
}

fn first_word(text: &str) -> String {
    shown(text.split_whitespace().next().unwrap_or_default())
}

fn shown(text: &str) -> String {
    text.chars().take(TEXT_CHARS_MAX).collect()
}

fn is(subtype: Option<&str>, wanted: &str) -> bool {
    subtype.is_some_and(|subtype| subtype.eq_ignore_ascii_case(wanted))
}
