//! Pictures that travel in a mail.

use mail_parser::{MessageParser, MimeHeaders};
use recoup::domain::message::Message;
use recoup::mailer::{Email, Locale, MailContext, Mailer, SendOutcome};

use super::{all, email, now, render};
use crate::support::smtp::SmtpServer;

#[test]
fn a_digest_brings_the_pictures_that_its_html_names() {
    for (message, locale) in all() {
        for sample in MailContext::samples(message) {
            let mail = render(message, locale, &sample);
            let named = mail.html.matches("\"cid:").count();
            assert_eq!(named, mail.pictures.len(), "{message} in {}", locale.tag());
            assert_eq!(mail.pictures.is_empty(), message != Message::StaffDigest);
        }
    }
}

#[test]
fn what_a_picture_shows_is_told_without_it() {
    let sample = &MailContext::samples(Message::StaffDigest)[0];
    let mail = render(Message::StaffDigest, Locale::of("en").unwrap(), sample);
    for told in [
        "September 21, 2026: €619.80 / €2,286.40",
        "Recovered: 402 cases",
        "Ended without payment: 67 cases",
    ] {
        assert!(mail.text.contains(told), "{told} in\n{}", mail.text);
        let alts = mail
            .html
            .split(" alt=\"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next());
        assert_eq!(
            alts.filter(|alt| alt.contains(told)).count(),
            1,
            "{told} in\n{}",
            mail.html
        );
    }
}

#[tokio::test]
async fn pictures_are_related_to_the_html_and_not_attached() {
    let server = SmtpServer::start(&[]).await;
    let url = format!("smtp://{}", server.addr).into();
    let mailer = Mailer::new(Some(&url), Some("Larkspur <billing@larkspur.example>")).unwrap();
    let sample = &MailContext::samples(Message::StaffDigest)[0];
    let rendered = render(Message::StaffDigest, Locale::of("ja").unwrap(), sample);
    let mail = Email {
        subject: rendered.subject.clone(),
        text: rendered.text.clone(),
        html: rendered.html.clone(),
        pictures: rendered.pictures.clone(),
        ..email("ops@larkspur.example")
    };
    assert_eq!(mailer.send(&mail, now()).await, SendOutcome::Sent);
    let messages = server.messages();
    let parsed = MessageParser::default().parse(&messages[0].content).unwrap();
    let kinds: Vec<String> = parsed
        .parts
        .iter()
        .map(|part| {
            let kind = part.content_type().unwrap();
            format!("{}/{}", kind.ctype(), kind.subtype().unwrap())
        })
        .collect();
    let whole = [
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
        "image/png",
        "image/png",
    ];
    assert_eq!(kinds, whole);
    let plain = |text: &str| text.replace("\r\n", "\n");
    assert_eq!(plain(&parsed.body_text(0).unwrap()), plain(&rendered.text));
    assert_eq!(plain(&parsed.body_html(0).unwrap()), plain(&rendered.html));
    for (part, picture) in parsed.parts[4..].iter().zip(&rendered.pictures) {
        assert_eq!(part.content_id(), Some(picture.cid.as_str()));
        assert_eq!(part.content_disposition().unwrap().ctype(), "inline");
        assert!(part.contents() == picture.png);
    }
}
