//! Signed mails, verified by a second implementation with the public key alone. The keys were made for these tests.

use recoup::mailer::dkim::Dkim;
use recoup::mailer::{Email, Mailer, MailerError, SendOutcome};
use ring::signature::{ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use sha2::{Digest, Sha256};

use super::{email, now};
use crate::support::smtp::SmtpServer;

const FROM: &str = "Larkspur Abrechnung <billing@larkspur.example>";
const RSA: &str = include_str!("../../fixtures/dkim/rsa.pem");
const RSA_PKCS1: &str = include_str!("../../fixtures/dkim/rsa-pkcs1.pem");
const ED25519_KEY: &str = include_str!("../../fixtures/dkim/ed25519.pem");
const RSA_PUBLIC: &str = include_str!("../../fixtures/dkim/rsa.pub.hex");
const ED25519_PUBLIC: &str = include_str!("../../fixtures/dkim/ed25519.pub.hex");
/// What receivers look at, and what the standard for one-click unsubscribing asks to be signed.
const COVERED: [&str; 9] = [
    "from",
    "to",
    "subject",
    "date",
    "message-id",
    "mime-version",
    "content-type",
    "list-unsubscribe",
    "list-unsubscribe-post",
];

fn signer(key: &str) -> Result<Dkim, MailerError> {
    Dkim::new("larkspur.example", "2026a", &key.into())
}

/// The content as the relay got it, signed with `key`.
async fn captured(key: &str, mail: &Email) -> String {
    let server = SmtpServer::start(&[]).await;
    let mailer = Mailer::new(Some(&format!("smtp://{}", server.addr).into()), Some(FROM))
        .unwrap()
        .signing(signer(key).unwrap());
    assert_eq!(mailer.send(mail, now()).await, SendOutcome::Sent);
    String::from_utf8(server.messages().remove(0).content).unwrap()
}

/// A mail with all that signing could stumble over: lone dots, blanks at ends, empty lines at the end, any end of line.
fn awkward() -> Email {
    let text = "Guten Tag,\n.\r\n..\n  zwei  Leerzeichen \t\r.Punkt am Anfang\n\nGrüße   \n\n\n\n".to_owned();
    let subject =
        "Ihre Zahlung über 19,99 € steht noch aus, und dieser Betreff ist so lang, dass er gefaltet wird".to_owned();
    Email {
        text,
        subject,
        pictures: Vec::new(),
        unsubscribe_url: Some("https://pay.larkspur.example/p/00".to_owned()),
        ..email("jo@example.com")
    }
}

fn collapsed(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            ' ' | '\t' if out.ends_with(' ') => {}
            ' ' | '\t' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// The value of a tag of a signature.
fn tag<'t>(value: &'t str, name: &str) -> &'t str {
    let tags = value.split(';').filter_map(|tag| tag.trim().split_once('='));
    let mut found = tags.filter(|(tag, _)| *tag == name).map(|(_, value)| value);
    found.next().unwrap_or_else(|| panic!("{name} is missing in {value}"))
}

/// Verifies as RFC 6376 says, section 6.1; gives the headers that are covered.
fn verified(content: &str, public_hex: &str) -> Result<Vec<String>, &'static str> {
    let (head, body) = content.split_once("\r\n\r\n").expect("a head and a body");
    let unfolded = head.replace("\r\n\t", "\t").replace("\r\n ", " ");
    let headers: Vec<(&str, &str)> = unfolded
        .split("\r\n")
        .map(|line| line.split_once(':').unwrap())
        .collect();
    let (_, value) = headers
        .iter()
        .find(|(name, _)| *name == "DKIM-Signature")
        .ok_or("no signature")?;
    for (name, expected) in [
        ("v", "1"),
        ("c", "relaxed/relaxed"),
        ("d", "larkspur.example"),
        ("s", "2026a"),
    ] {
        assert_eq!(tag(value, name), expected);
    }
    assert_eq!(tag(value, "t"), now().as_second().to_string());
    let mut lines: Vec<String> = body
        .split("\r\n")
        .map(|line| collapsed(line).trim_end().to_owned())
        .collect();
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines.push(String::new());
    let body = lines.join("\r\n");
    let decoded = |text: &str| {
        let compact: String = text.split_whitespace().collect();
        base64::Engine::decode(&base64::prelude::BASE64_STANDARD, compact).unwrap()
    };
    if decoded(tag(value, "bh")) != Sha256::digest(body).to_vec() {
        return Err("the body is another one");
    }
    let mut left = headers.clone();
    let mut data = Vec::new();
    let names: Vec<String> = tag(value, "h")
        .split(':')
        .map(|name| name.trim().to_lowercase())
        .collect();
    for name in &names {
        // From the bottom up; one that is not there counts as nothing.
        if let Some(at) = left
            .iter()
            .rposition(|(other, _)| other.trim().eq_ignore_ascii_case(name))
        {
            let (_, value) = left.remove(at);
            data.push(format!("{name}:{}", collapsed(value).trim()));
        }
    }
    let signature = tag(value, "b");
    data.push(format!(
        "dkim-signature:{}",
        collapsed(&value.replace(signature, "")).trim()
    ));
    let data = data.join("\r\n");
    let public = hex::decode(public_hex.trim()).unwrap();
    let signature = decoded(signature);
    let good = match tag(value, "a") {
        "rsa-sha256" => UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public).verify(data.as_bytes(), &signature),
        "ed25519-sha256" => UnparsedPublicKey::new(&ED25519, public).verify(&Sha256::digest(data), &signature),
        other => panic!("{other}"),
    };
    good.map(|()| names).map_err(|_| "the headers are other ones")
}

#[tokio::test]
async fn what_the_relay_is_given_is_signed() {
    for (key, public) in [
        (RSA, RSA_PUBLIC),
        (RSA_PKCS1, RSA_PUBLIC),
        (ED25519_KEY, ED25519_PUBLIC),
    ] {
        let content = captured(key, &awkward()).await;
        let covered = verified(&content, public).unwrap();
        for name in COVERED {
            assert!(
                covered.iter().any(|one| one == name),
                "{name} is not covered: {covered:?}"
            );
        }
        let plain = captured(key, &email("jo@example.com")).await;
        let covered = verified(&plain, public).unwrap();
        assert!(!covered.iter().any(|name| name.starts_with("list-")), "{covered:?}");
    }
}

#[tokio::test]
async fn what_a_relay_may_do_to_a_mail_is_survived_and_nothing_else() {
    let content = captured(RSA, &awkward()).await;
    let survived = [
        content.replace("Subject: ", "SUBJECT:   "),
        content.replace("\r\n\r\n--", "  \r\n\r\n--"),
        format!("Received: from here\r\n{content}"),
        format!("{content}\r\n\r\n"),
    ];
    for changed in survived {
        assert!(verified(&changed, RSA_PUBLIC).is_ok(), "{changed}");
    }
    let caught = [
        content.replace("jo@example.com", "mo@example.com"),
        content.replace("Guten", "Guter"),
        content.replace("pay.larkspur.example", "pay.evil.example"),
        content.replacen("From: ", "From: mallory@evil.example\r\nFrom: ", 1),
        format!("{content}one more line\r\n"),
    ];
    for changed in caught {
        assert_ne!(changed, content);
        assert!(verified(&changed, RSA_PUBLIC).is_err(), "{changed}");
    }
    assert!(verified(&content, ED25519_PUBLIC).is_err());
}

#[test]
fn a_key_that_cannot_sign_names_its_setting_and_not_itself() {
    for key in [
        "",
        "hunter2",
        include_str!("../../fixtures/dkim/short.pem"),
        include_str!("../../fixtures/dkim/p256.pem"),
        &RSA.replace("PRIVATE KEY", "PUBLIC KEY"),
        &RSA[..400],
    ] {
        let Err(fault) = signer(key) else { panic!("{key}") };
        let text = fault.to_string();
        assert!(text.starts_with("mail.dkim_key: "), "{text}");
        assert!(!text.contains("hunter2") && !text.contains("MII"), "{text}");
    }
}
