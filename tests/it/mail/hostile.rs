//! Facts from outside that try to break out of their place.

use mail_parser::MessageParser;
use recoup::domain::message::Message;
use recoup::mailer::{Email, MailContext, Mailer, SendOutcome};

use super::{all, email, now, render};
use crate::support::smtp::SmtpServer;

fn hostile_texts() -> Vec<String> {
    let texts = [
        "Bob\r\nBcc: mallory@evil.example",
        "Bob\nX-Injected: yes\n\nbody",
        "Bob\0Builder",
        "\u{202e}gnp.exe\u{202c}",
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "{{ 7*7 }}{% for x in range(9) %}",
        "👩\u{200d}👩\u{200d}👧 Σ ñ 漢字",
        "\"Bob\" <mallory@evil.example>,",
        "=?utf-8?Q?=0D=0ABcc:_x@evil.example?=",
        "\r\n.\r\nMAIL FROM:<mallory@evil.example>\r\n",
        "\u{2028}\u{85}\u{b}\u{c}",
        " ",
        "",
    ];
    texts
        .into_iter()
        .map(str::to_owned)
        .chain(["x".repeat(10_000), "é".repeat(10_000)])
        .collect()
}

fn context(message: Message, text: &str) -> MailContext {
    let mut context = MailContext::samples(message).remove(0);
    context.customer_name = Some(text.to_owned());
    context.plan = Some(text.to_owned());
    context.support_contact = Some(text.to_owned());
    context.company_name = format!("Larkspur {text}");
    if let Some(card) = &mut context.card {
        text.clone_into(&mut card.brand);
    }
    context
}

#[test]
fn hostile_facts_bring_no_markup_and_no_lines() {
    for (message, locale) in all() {
        for text in hostile_texts() {
            let mail = render(message, locale, &context(message, &text));
            let what = format!(
                "{message} in {} with {:?}",
                locale.tag(),
                text.get(..40).unwrap_or(&text)
            );
            for bad in [
                "<script",
                "<img src=x",
                "onerror=alert(1)>",
                "\0",
                "\u{202e}",
                "}}49",
                ">49",
                "</script",
            ] {
                assert!(!mail.html.contains(bad), "{what}: {bad:?}");
            }
            assert!(!mail.subject.contains(char::is_control), "{what}: {:?}", mail.subject);
            assert!(mail.subject.chars().count() <= 200, "{what}");
            assert!(
                !mail.text.contains("\nBcc") && !mail.text.contains("\nX-Injected"),
                "{what}"
            );
            assert!(
                mail.text.chars().count() < 4_000 && mail.html.len() < 40 * 1024,
                "{what}"
            );
        }
    }
}

#[test]
fn only_web_links_are_shown() {
    let links = [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        " javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "//evil.example",
        "http:",
        "https://bank.example@evil.example/",
        "not a link",
        "vbscript:x",
        "javascript://pay.example/%0aalert(1)",
        "ftp://evil.example/x",
        "java\nscript:x",
    ];
    for (message, locale) in all() {
        for link in links {
            let mut hostile = MailContext::samples(message).remove(0);
            hostile.action_url = Some(link.to_owned());
            hostile.stop_url = Some(link.to_owned());
            hostile.unsubscribe_url = Some(link.to_owned());
            hostile.look.logo_url = Some(link.to_owned());
            hostile.support_contact = Some(link.to_owned());
            let mail = render(message, locale, &hostile);
            assert!(!mail.html.contains("href"), "{message} in {}: {link}", locale.tag());
            hostile.support_contact = None;
            assert!(!render(message, locale, &hostile).text.contains("evil"), "{link}");
        }
        let mut quoted = MailContext::samples(message).remove(0);
        quoted.action_url = Some("https://pay.example/\"><script>x</script>\r\nBcc: x".to_owned());
        let mail = render(message, locale, &quoted);
        assert!(
            mail.html.contains("href=\"https:") && !mail.html.contains("<script"),
            "{}",
            mail.html
        );
        assert!(!mail.text.contains("\nBcc"), "{}", mail.text);
    }
}

#[tokio::test]
async fn hostile_names_and_subjects_bring_no_header() {
    let server = SmtpServer::start(&[]).await;
    let url = format!("smtp://{}", server.addr).into();
    let mailer = Mailer::new(Some(&url), Some("Larkspur <billing@larkspur.example>")).unwrap();
    for text in hostile_texts() {
        let mail = Email {
            to_name: Some(text.clone()),
            subject: text.clone(),
            ..email("jo@example.com")
        };
        assert_eq!(mailer.send(&mail, now()).await, SendOutcome::Sent, "{text:?}");
    }
    let messages = server.messages();
    assert_eq!(messages.len(), hostile_texts().len());
    for message in messages {
        let parsed = MessageParser::default().parse(&message.content).unwrap();
        let names: Vec<&str> = parsed.headers().iter().map(mail_parser::Header::name).collect();
        let expected = [
            "Message-ID",
            "Date",
            "From",
            "To",
            "Subject",
            "Auto-Submitted",
            "MIME-Version",
            "Content-Type",
        ];
        assert_eq!(names, expected, "{}", String::from_utf8_lossy(&message.content));
        assert_eq!(message.to, "jo@example.com");
        let to = parsed.to().unwrap();
        assert_eq!(to.iter().count(), 1);
        assert_eq!(to.first().unwrap().address(), Some("jo@example.com"));
        assert!(
            to.first()
                .unwrap()
                .name()
                .is_none_or(|name| name.chars().count() <= 128)
        );
    }
}

#[tokio::test]
async fn a_bad_address_is_refused_before_any_connection() {
    let server = SmtpServer::start(&[]).await;
    let url = format!("smtp://{}", server.addr).into();
    let smtp = Mailer::new(Some(&url), Some("billing@larkspur.example")).unwrap();
    let kept = Mailer::new(None, None).unwrap();
    let long = format!("{}@example.com", "x".repeat(10_000));
    let bad = [
        "",
        "jo",
        "@",
        "jo@",
        "@example.com",
        "jo@example.com\r\nRCPT TO:<x@evil.example>",
        "\"a\r\nb\"@example.com",
        "a b@example.com",
        "jo@example.com, x@evil.example",
        "Jo <jo@example.com>",
        "jo@exa\0mple.com",
        "jø@example.com",
        &long,
    ];
    for address in bad {
        for mailer in [&smtp, &kept] {
            let outcome = mailer.send(&email(address), now()).await;
            let SendOutcome::BadRecipient(reason) = outcome else {
                panic!("{address:?}: {outcome:?}")
            };
            assert_eq!(reason, "the recipient's address is not valid");
        }
    }
    assert_eq!(server.connections(), 0);
}
