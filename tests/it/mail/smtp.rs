//! How each send ends, against a scripted server.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use mail_parser::{MessageParser, MimeHeaders};
use recoup::mailer::{Mailer, SendOutcome};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::{email, now};
use crate::support::smtp::{Role, SmtpServer};

const FROM: &str = "Larkspur Abrechnung <billing@larkspur.example>";

/// Long enough for loopback on a busy machine, short enough to be waited for where the server is silent.
const SHORT: Duration = Duration::from_secs(2);

fn mailer(address: impl std::fmt::Display) -> Mailer {
    Mailer::new(Some(&format!("smtp://{address}").into()), Some(FROM)).unwrap()
}

async fn outcome_of(role: Role) -> (SendOutcome, SmtpServer) {
    let server = SmtpServer::start(&[role]).await;
    let outcome = mailer(server.addr)
        .with_send_timeout(SHORT)
        .send(&email("jo@example.com"), now())
        .await;
    (outcome, server)
}

#[tokio::test]
async fn a_sent_mail_arrives_as_it_was_written() {
    let server = SmtpServer::start(&[]).await;
    let mail = email("jo@example.com");
    assert_eq!(mailer(server.addr).send(&mail, now()).await, SendOutcome::Sent);
    let content = server.messages().remove(0).content;
    assert!(content.is_ascii(), "no relay needs 8BITMIME");
    let parsed = MessageParser::default().parse(&content).unwrap();
    assert_eq!(
        parsed.message_id(),
        Some(format!("{}@larkspur.example", mail.id).as_str())
    );
    assert_eq!(parsed.date().unwrap().to_rfc3339(), "2026-03-01T09:00:00Z");
    assert_eq!(parsed.header_raw("Auto-Submitted").unwrap().trim(), "auto-generated");
    assert_eq!(parsed.subject(), Some("Ihre Zahlung über 19,99 €"));
    let from = parsed.from().unwrap().first().unwrap();
    assert_eq!(
        (from.name(), from.address()),
        (Some("Larkspur Abrechnung"), Some("billing@larkspur.example"))
    );
    assert_eq!(parsed.to().unwrap().first().unwrap().name(), Some("Jürgen Groß"));
    assert_eq!(parsed.content_type().unwrap().subtype(), Some("alternative"));
    assert_eq!(
        (
            parsed.text_body_count(),
            parsed.html_body_count(),
            parsed.attachment_count()
        ),
        (1, 1, 0)
    );
    assert_eq!(parsed.body_text(0).unwrap().replace("\r\n", "\n"), mail.text);
    assert_eq!(parsed.body_html(0).unwrap(), mail.html);
    assert!(
        server
            .commands()
            .contains(&"MAIL FROM:<billing@larkspur.example>".to_owned())
    );
}

#[tokio::test]
async fn the_same_mail_gives_the_same_bytes() {
    let server = SmtpServer::start(&[]).await;
    let mailer = mailer(server.addr);
    for _ in 0..2 {
        assert_eq!(mailer.send(&email("jo@example.com"), now()).await, SendOutcome::Sent);
    }
    let messages = server.messages();
    assert_eq!(messages[0].content, messages[1].content);
}

#[tokio::test]
async fn a_kept_mail_is_a_success_without_a_connection() {
    let kept = Mailer::new(None, None).unwrap();
    assert_eq!(kept.send(&email("jo@example.com"), now()).await, SendOutcome::Kept);
}

#[tokio::test]
async fn a_relay_that_is_away_is_transient() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let outcome = mailer(address).send(&email("jo@example.com"), now()).await;
    assert_eq!(
        outcome,
        SendOutcome::Transient("the conversation with the relay failed at the connect".to_owned())
    );
}

#[tokio::test]
async fn a_refusal_is_read_by_its_code_and_its_place() {
    let transient = |text: &str| SendOutcome::Transient(text.to_owned());
    let permanent = |text: &str| SendOutcome::Permanent(text.to_owned());
    let cases = [
        (
            Role::Greet("421 too busy"),
            transient("the relay answered 421 at the connect"),
        ),
        (
            Role::Greet("554 your address is listed"),
            transient("the relay answered 554 at the connect"),
        ),
        (
            Role::AtSender("550 5.7.1 not your domain"),
            transient("the relay answered 550 at the sender"),
        ),
        (
            Role::AtRecipient("421 closing"),
            SendOutcome::Throttled("the relay answered 421 at the recipient".to_owned()),
        ),
        (
            Role::AtRecipient("451 greylisted"),
            transient("the relay answered 451 at the recipient"),
        ),
        (
            Role::AtRecipient("550 5.1.1 <jo@example.com> unknown"),
            SendOutcome::BadRecipient("the relay answered 550 at the recipient".to_owned()),
        ),
        (
            Role::AtContent("452 disk full"),
            transient("the relay answered 452 at the content"),
        ),
        (
            Role::AtContent("554 looks like spam"),
            permanent("the relay answered 554 at the content"),
        ),
    ];
    for (role, expected) in cases {
        let (outcome, server) = outcome_of(role).await;
        assert_eq!(outcome, expected, "{role:?}");
        assert_eq!(server.connections(), 1, "{role:?}: nothing is tried twice");
    }
}

#[tokio::test]
async fn silence_before_the_content_is_transient_and_after_it_unknown() {
    let ((greeting, _first), (recipient, _second), (content, _third)) = tokio::join!(
        outcome_of(Role::StallAtGreeting),
        outcome_of(Role::StallAtRecipient),
        outcome_of(Role::StallAfterData)
    );
    let transient = SendOutcome::Transient("the relay did not answer in time".to_owned());
    assert_eq!((greeting, recipient), (transient.clone(), transient));
    let late = "no answer in time after the message was handed over";
    assert_eq!(content, SendOutcome::Unknown(late.to_owned()));
}

#[tokio::test]
async fn a_drop_after_the_final_dot_is_unknown_and_the_server_has_the_mail() {
    let (outcome, server) = outcome_of(Role::DropAfterDot).await;
    let broke = "the connection broke after the message was handed over";
    assert_eq!(outcome, SendOutcome::Unknown(broke.to_owned()));
    assert_eq!(server.messages().len(), 1);
}

/// lettre's pool would park the stalled connection and read its late answer as the next mail's.
#[tokio::test]
async fn a_connection_given_up_is_never_used_again() {
    let server = SmtpServer::start(&[Role::HoldAfterDot, Role::AtRecipient("550 unknown")]).await;
    let mailer = mailer(server.addr).with_send_timeout(SHORT);
    assert!(matches!(
        mailer.send(&email("jo@example.com"), now()).await,
        SendOutcome::Unknown(_)
    ));
    server.release(1);
    let outcome = mailer.send(&email("gone@example.com"), now()).await;
    assert_eq!(
        outcome,
        SendOutcome::BadRecipient("the relay answered 550 at the recipient".to_owned())
    );
    assert_eq!((server.connections(), server.messages().len()), (2, 1));
}

#[tokio::test]
async fn a_clean_connection_is_used_again_until_it_is_old() {
    let server = SmtpServer::start(&[]).await;
    let mailer = mailer(server.addr);
    for (after_secs, connections) in [(0, 1), (20, 1), (40, 1), (80, 2)] {
        let at = now() + SignedDuration::from_secs(after_secs);
        assert_eq!(mailer.send(&email("jo@example.com"), at).await, SendOutcome::Sent);
        assert_eq!(server.connections(), connections, "after {after_secs} s");
    }
}

#[tokio::test]
async fn at_most_four_connections_are_open() {
    let server = SmtpServer::start(&[]).await;
    let mailer = Arc::new(mailer(server.addr));
    let mut sends = tokio::task::JoinSet::new();
    for n in 0..40 {
        let mailer = Arc::clone(&mailer);
        sends.spawn(async move { mailer.send(&email(&format!("jo{n}@example.com")), now()).await });
    }
    let outcomes = sends.join_all().await;
    assert!(
        outcomes.iter().all(|outcome| *outcome == SendOutcome::Sent),
        "{outcomes:?}"
    );
    assert_eq!(server.messages().len(), 40);
    assert!(
        (1..=4).contains(&server.open_peak()),
        "{} connections at once",
        server.open_peak()
    );
}

#[tokio::test]
async fn without_the_tls_it_was_promised_no_mail_leaves() {
    // This server offers no STARTTLS, as one does behind an attacker who strips it, and speaks no TLS at all.
    for form in ["smtp://u:hunter2@ADDR?tls=required", "smtps://u:hunter2@ADDR"] {
        let server = SmtpServer::start(&[]).await;
        let url = form.replace("ADDR", &server.addr.to_string()).into();
        let mailer = Mailer::new(Some(&url), Some(FROM)).unwrap().with_send_timeout(SHORT);
        let outcome = mailer.send(&email("jo@example.com"), now()).await;
        let SendOutcome::Transient(reason) = outcome else {
            panic!("{form}: {outcome:?}")
        };
        assert!(!reason.contains("hunter2"), "{reason}");
        assert!(server.messages().is_empty());
        let said = server.commands().join("\n");
        assert!(!said.contains("AUTH") && !said.contains("MAIL FROM"), "{form}: {said}");
    }
}

#[tokio::test]
async fn no_line_of_a_body_ends_the_message() {
    let server = SmtpServer::start(&[]).await;
    let mut mail = email("jo@example.com");
    for smuggled in ["\n.\n", "\r\n.\r\n", "\r.\r", "\n.\r\n", "\r.\r\n", "\n.\r"] {
        mail.text = format!("Guten Tag,{smuggled}MAIL FROM:<mallory@evil.example>\n");
        assert_eq!(
            mailer(server.addr).send(&mail, now()).await,
            SendOutcome::Sent,
            "{smuggled:?}"
        );
        let content = server.messages().pop().unwrap().content;
        assert!(
            content.ends_with(b"--\r\n") || content.ends_with(b"--\r\n\r\n"),
            "it is whole"
        );
        for (at, byte) in content.iter().enumerate() {
            match byte {
                b'\r' => assert_eq!(content.get(at + 1), Some(&b'\n'), "{smuggled:?}: a bare CR"),
                b'\n' => assert_eq!(content[at - 1], b'\r', "{smuggled:?}: a bare LF"),
                _ => {}
            }
        }
    }
    let senders = server.commands().iter().filter(|line| line.starts_with("MAIL")).count();
    assert_eq!((server.messages().len(), senders), (6, 6));
}

/// The limit of the send is far away: it is the length of the line that ends this.
#[tokio::test]
async fn a_line_without_end_is_not_read_into_memory() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let flood = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut sent = 0_usize;
        while stream.write_all(&[b'2'; 1024]).await.is_ok() {
            sent += 1024;
        }
        sent
    });
    let outcome = mailer(address).send(&email("jo@example.com"), now()).await;
    let broke = "the conversation with the relay failed at the connect";
    assert_eq!(outcome, SendOutcome::Transient(broke.to_owned()));
    // What the two kernels hold between us, and no more.
    let sent = flood.await.unwrap();
    assert!(sent < 64 * 1024 * 1024, "{sent} bytes");
}
