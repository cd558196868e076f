//! From an [`Email`] to the message as it goes over the wire.

use std::time::SystemTime;

use jiff::Timestamp;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart};
use lettre::{Address, Message};

use super::text::{TEXT_CHARS_MAX, one_line};
use super::{Email, MailerError, Picture};

/// The most characters of a subject; ours stay below 50, so this only bounds hostile ones.
const SUBJECT_CHARS_MAX: usize = 200;

/// The longest link that stands in a header: a line of SMTP has at most 998 bytes.
const LINK_BYTES_MAX: usize = 900;

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
    // As it stands: an encoded word, which lettre makes of what is long, is no link to anybody.
    let raw = |name: &'static str, text: String| {
        HeaderValue::dangerous_new_pre_encoded(HeaderName::new_from_ascii_str(name), text.clone(), text)
    };
    let one_click = mail.unsubscribe_url.as_deref().filter(|url| is_plain_link(url));
    // A fixed boundary keeps the bytes a function of the mail; no line of ours starts with it.
    let body = MultiPart::alternative()
        .boundary(format!("=_{id}"))
        .singlepart(SinglePart::plain(mail.text.clone()));
    let html = SinglePart::html(mail.html.clone());
    let body = if mail.pictures.is_empty() {
        body.singlepart(html)
    } else {
        body.multipart(with_pictures(html, &mail.pictures, &format!("r=_{id}"))?)
    };
    let mut builder = Message::builder()
        .message_id(Some(format!("<{id}@{}>", from.email.domain())))
        .date(SystemTime::from(now.max(Timestamp::UNIX_EPOCH)))
        .from(from.clone())
        .to(Mailbox::new(name, to))
        .subject(one_line(&mail.subject, SUBJECT_CHARS_MAX).unwrap_or_default())
        .raw_header(raw("Auto-Submitted", "auto-generated".to_owned()));
    if let Some(url) = one_click {
        builder = builder
            .raw_header(raw("List-Unsubscribe", format!("<{url}>")))
            .raw_header(raw("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned()));
    }
    builder.multipart(body).map_err(|_| "the message could not be composed")
}

/// The HTML together with the pictures that it names.
fn with_pictures(html: SinglePart, pictures: &[Picture], boundary: &str) -> Result<MultiPart, &'static str> {
    let png = ContentType::parse("image/png").map_err(|_| "the message could not be composed")?;
    let related = MultiPart::related().boundary(boundary).singlepart(html);
    Ok(pictures.iter().fold(related, |related, picture| {
        let inline = Attachment::new_inline(picture.cid.clone());
        related.singlepart(inline.body(picture.png.clone(), png.clone()))
    }))
}

/// Whether a link can stand in a header as it is.
fn is_plain_link(url: &str) -> bool {
    url.len() <= LINK_BYTES_MAX
        && url
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>'))
}

/// lettre panics over a line break in a display name, so names are cleaned before they reach it.
fn clean_name(name: &str) -> Option<String> {
    one_line(name, TEXT_CHARS_MAX)
}

/// A plain ASCII address. A quoted local part may hold blanks and line breaks, which no real customer's address does; and what
/// begins like an encoded word is read by some programs as the word it encodes, which is another address.
fn address(text: &str) -> Option<Address> {
    let blank = |c: char| c.is_ascii_control() || c.is_ascii_whitespace();
    let plain = text.is_ascii() && !text.contains(blank) && !text.contains("=?");
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use mail_parser::MessageParser;

    use super::*;
    use crate::clock;
    use crate::domain::ids::NotificationId;

    const NAMES: u32 = 10_000;
    const HEADERS: [&str; 8] = [
        "Message-ID",
        "Date",
        "From",
        "To",
        "Subject",
        "Auto-Submitted",
        "MIME-Version",
        "Content-Type",
    ];
    /// What breaks headers, in the hands of somebody who tries.
    const HOSTILE: [&str; 24] = [
        "\r\n",
        "\n",
        "\r",
        "\0",
        "\r\n\r\n",
        "Bcc: x@evil.example",
        "\nTo: y@evil.example",
        "\"",
        "\\",
        "<",
        ">",
        "@",
        ",",
        ";",
        ":",
        "(",
        ")",
        "=?utf-8?Q?=0D=0ABcc:?=",
        "=?utf-8?B?DQo=?=",
        "?=",
        "\u{202e}",
        "\u{2028}",
        "\u{7f}",
        "\u{85}",
    ];

    /// A generator by steps (splitmix64), so that a seed tells the whole corpus.
    fn next(seed: &mut u64) -> u64 {
        *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (*seed ^ (*seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 16
    }

    fn hostile_name(seed: &mut u64) -> String {
        let mut name = String::new();
        for _ in 0..next(seed) % 24 {
            let pick = next(seed);
            let scalar = u32::try_from(pick >> 8 & 0x1f_ffff).expect("21 bits");
            match pick % 4 {
                0 => name.push_str(HOSTILE[usize::try_from(pick >> 8).expect("64 bits") % HOSTILE.len()]),
                1 => name.extend(char::from_u32(scalar)),
                2 => name.extend(char::from_u32(scalar % 0x80)),
                _ => name.push_str(&"Groß Ågård ".repeat(usize::try_from(pick >> 8 & 0xf).expect("4 bits"))),
            }
        }
        name
    }

    #[test]
    fn no_hostile_name_brings_a_header_or_a_recipient() {
        let first_seed = u64::try_from(clock::entropy() >> 64).expect("64 bits");
        let mut seed = first_seed;
        let from = sender("Larkspur <billing@larkspur.example>").unwrap();
        let now: Timestamp = "2026-03-01T09:00:00Z".parse().unwrap();
        for number in 0..NAMES {
            let name = hostile_name(&mut seed);
            let what = format!("seed {first_seed}, number {number}: {name:?}");
            let mail = Email {
                id: NotificationId::new(now.as_millisecond(), 7),
                to: "jo@example.com".to_owned(),
                to_name: Some(name.clone()),
                subject: name.clone(),
                text: "Guten Tag".to_owned(),
                html: "<p>Guten Tag</p>".to_owned(),
                pictures: Vec::new(),
                unsubscribe_url: None,
            };
            let message = compose(&mail, &from, now).unwrap_or_else(|reason| panic!("{what}: {reason}"));
            let bytes = message.formatted();
            let parsed = MessageParser::default().parse(&bytes).expect("a message");
            let names: Vec<&str> = parsed.headers().iter().map(mail_parser::Header::name).collect();
            assert_eq!(names, HEADERS, "{what}");
            assert_eq!(message.envelope().to().len(), 1, "{what}");
            let to = parsed.to().expect("a recipient");
            assert_eq!(to.iter().count(), 1, "{what}");
            let to = to.first().expect("a recipient");
            assert_eq!(to.address(), Some("jo@example.com"), "{what}");
            let shown = to.name().unwrap_or_default();
            assert!(shown.chars().count() <= TEXT_CHARS_MAX, "{what}: {shown:?}");
            assert!(!shown.contains(char::is_control), "{what}: {shown:?}");
            assert_eq!(to.name().map(str::to_owned), clean_name(&name), "{what}");
        }
    }

    #[test]
    fn an_address_is_the_same_for_whoever_reads_it() {
        for kept in ["jo@example.com", "jo+a=b@example.com", "who?@example.com"] {
            assert_eq!(address(kept).map(|address| address.to_string()).as_deref(), Some(kept));
        }
        for refused in [
            "=?utf-8?Q?jo?=@example.com",
            "j o@example.com",
            "\"j\n\"@example.com",
            "jö@example.com",
        ] {
            assert_eq!(address(refused), None, "{refused}");
        }
    }
}
