//! From a mail to its bytes: the headers that we write and no others, exactly one recipient, and what a reader gets back
//! is what was handed over.
//!
//! Parts: address, name, subject, identifier, text, HTML.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mail_parser::{Header, MessageParser};
use recoup::mailer::{Email, SendOutcome};
use recoup_fuzz::parts::{parts, some_text, text};
use recoup_fuzz::relay::{FROM, Heard, Relay};

static RELAY: LazyLock<Relay> = LazyLock::new(Relay::start);

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
/// The longest line that SMTP carries, without its end.
const LINE_BYTES_MAX: usize = 998;

fuzz_target!(|input: &[u8]| {
    let [to, name, subject, id, plain, html] = parts(input);
    let mail = Email {
        // Identifiers are ours, and short.
        id: text(id).chars().take(60).collect::<String>().into(),
        to: text(to),
        to_name: some_text(name),
        subject: text(subject),
        text: body(plain),
        html: body(html),
        pictures: Vec::new(),
        unsubscribe_url: None,
    };
    let (outcome, heard) = RELAY.send(&mail, "2026-03-02T10:00:00Z".parse().unwrap());
    match outcome {
        SendOutcome::Sent => sent(&mail, &heard),
        SendOutcome::BadRecipient(reason) => {
            assert!(heard.commands.is_empty(), "{reason}: {heard:?}");
            assert!(!is_ordinary(&mail.to), "{:?}: {reason}", mail.to);
        }
        outcome => panic!("{outcome:?}"),
    }
});

/// A body as templates write them: the target `templates` shows that no control characters are in it but the ends of lines;
/// and nothing in it is like the mark that stands between two bodies, of which each has an underscore.
fn body(part: &[u8]) -> String {
    let written = |c: &char| *c == '\n' || !c.is_control();
    text(part).chars().filter(written).collect::<String>().replace('_', "-")
}

/// An address as nearly all are, which must not be refused.
fn is_ordinary(address: &str) -> bool {
    let plain = |text: &str| (1..=60).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let Some((local, domain)) = address.split_once('@') else {
        return false;
    };
    plain(local) && domain.split('.').count() == 2 && domain.split('.').all(plain)
}

fn sent(mail: &Email, heard: &Heard) {
    let verbs = ["EHLO", "NOOP"];
    let commands: Vec<String> = heard.commands.iter().map(|line| unquoted(&text(line))).collect();
    let said: Vec<&str> = commands
        .iter()
        .map(String::as_str)
        .filter(|line| !verbs.contains(&&line[..4]))
        .collect();
    let expected = [
        format!("MAIL FROM:<{FROM}>\r\n"),
        format!("RCPT TO:<{}>\r\n", unquoted(&mail.to)),
        "DATA\r\n".to_owned(),
    ];
    assert_eq!(said, expected);
    let [bytes] = &heard.messages[..] else {
        panic!("{} messages", heard.messages.len())
    };
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let line = line
            .strip_suffix(b"\r\n")
            .unwrap_or_else(|| panic!("a line without its end: {}", text(line)));
        assert!(line.len() <= LINE_BYTES_MAX && line.is_ascii(), "{}", text(line));
        assert!(!line.contains(&b'\r') && !line.contains(&0), "{:?}", text(line));
    }
    let parsed = MessageParser::default()
        .parse(bytes)
        .expect("a message that can be read");
    let names: Vec<&str> = parsed.headers().iter().map(Header::name).collect();
    assert_eq!(names, HEADERS, "{}", text(bytes));
    if mail.to.contains('"') {
        // The parser does not know quotes within an address; that it stands there can be seen without it.
        let line = unquoted(parsed.header_raw("To").unwrap());
        assert!(line.contains(&unquoted(&mail.to)), "{}", text(bytes));
    } else {
        let [to] = &parsed.to().unwrap().clone().into_list()[..] else {
            panic!("{:?}", parsed.to())
        };
        assert_eq!(to.address.as_deref(), Some(mail.to.as_str()), "{}", text(bytes));
        same_line(to.name.as_deref(), mail.to_name.as_deref(), 128, bytes);
    }
    same_line(parsed.subject(), Some(&mail.subject), 200, bytes);
    let bodies = [(parsed.body_text(0), &mail.text), (parsed.body_html(0), &mail.html)];
    assert_eq!(
        (parsed.text_body_count(), parsed.html_body_count()),
        (1, 1),
        "{}",
        text(bytes)
    );
    assert_eq!(parsed.attachment_count(), 0);
    for (read, written) in bodies {
        assert_eq!(lines(&read.unwrap_or_default()), lines(written), "{}", text(bytes));
    }
}

/// An address without its quotes, which are only written where they are needed.
fn unquoted(address: &str) -> String {
    address.replace(['"', '\\'], "")
}

/// What stands in a header is what was given, apart from blanks and from what cannot be seen; where it was too long, the
/// begin of it.
fn same_line(read: Option<&str>, given: Option<&str>, chars_max: usize, bytes: &[u8]) {
    let (read, given) = (read.unwrap_or_default(), given.unwrap_or_default());
    // What looks like an encoded word is handed on as it is, and read as what it encodes: also where only what cannot be seen
    // stood within its mark.
    if seen(given).contains("=?") {
        return;
    }
    assert!(
        read.chars().count() <= chars_max && !read.contains(char::is_control),
        "{read:?}"
    );
    let (kept, all) = (seen(read), seen(given));
    let whole = given.chars().count() <= chars_max;
    let same = if whole { kept == all } else { all.starts_with(&kept) };
    assert!(same, "{given:?} became {read:?} in {}", text(bytes));
}

fn seen(line: &str) -> String {
    let hidden = |c: char| {
        matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
    };
    line.chars()
        .filter(|c| !c.is_control() && !c.is_whitespace() && !hidden(*c))
        .collect()
}

/// A body with one kind of line end, and without the empty lines at its end.
fn lines(body: &str) -> String {
    let body = body.replace("\r\n", "\n").replace('\r', "\n");
    body.trim_end_matches('\n').to_owned()
}
