//! What comes back: bounces and complaints, hours after a message left, by a signed webhook.

use jiff::{SignedDuration, Timestamp};
use recoup::domain::case::Warning;
use recoup::sandbox::hooks::signature;
use recoup::sandbox::{Letter, Shape, World};
use recoup::store::notifications;
use reqwest::{Client, RequestBuilder};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::support::story::{Failed, Story, tell_in};

const START: &str = "2026-03-02T08:30:00Z";
const SECRET: &str = "mail-events-secret";
const OLD_SECRET: &str = "mail-events-old";
const SETTINGS: [(&str, &str); 2] = [
    ("RECOUP__MAIL__EVENTS_SECRETS", "mail-events-secret,mail-events-old"),
    ("RECOUP__MAIL__RETURN_PATH", "bounces@mail.acme.example"),
];
const POSTFIX: &str = include_str!("../../fixtures/reports/postfix-550.eml");
const OPENSMTPD: &str = include_str!("../../fixtures/reports/opensmtpd-550.eml");
const COMPLAINT: &str = include_str!("../../fixtures/reports/complaint.eml");

/// The whole story of a bounce that comes an hour later.
const BOUNCED: &str = "
03-02 08:30 opened           expired
03-02 08:30 planned          charges [] notice update_payment_method 03-02 10:30
03-02 10:30 notice_queued    update_payment_method
03-02 10:30 notice_ended     sent
03-02 11:30 notice_ended     failed
03-02 11:30 contact_changed  
03-02 11:30 notice_queued    update_payment_method:alternate
03-02 11:30 notice_ended     sent
";

fn request(story: &Story, kind: &str, body: String, at: Timestamp, secret: &str) -> RequestBuilder {
    let sign = signature(&SecretString::from(secret), at, &body);
    Client::new()
        .post(format!("{}/mail-events", story.url))
        .header("Content-Type", kind)
        .header("Recoup-Signature", sign)
        .body(body)
}

async fn tell(story: &Story, kind: &str, body: String) -> (u16, Value) {
    let answer = request(story, kind, body, story.now(), SECRET).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
}

async fn tell_json(story: &Story, event: Value) -> (u16, Value) {
    tell(story, "application/json", json!({"events": [event]}).to_string()).await
}

/// A report as the mail server would write it about a letter.
fn about(report: &str, letter: &Letter) -> String {
    let token = letter.envelope_from.split(['+', '@']).nth(1).unwrap();
    let text = String::from_utf8_lossy(&letter.raw).into_owned();
    let id = text
        .split("Message-ID: <")
        .nth(1)
        .unwrap()
        .split('@')
        .next()
        .unwrap()
        .to_owned();
    report
        .replace("TOKEN", token)
        .replace("NOTIFICATION", &id)
        .replace("erika0@kunde.example", &letter.to)
}

async fn stands(story: &Story, invoice: &str) -> Vec<String> {
    let case = story.case(invoice).await;
    let rows = notifications::by_case(story.app.store.conn(), &case.id).await.unwrap();
    let line =
        |row: &notifications::NotificationRow| format!("{} {}", row.status, row.reason.as_deref().unwrap_or("-"));
    rows.iter().map(line).collect()
}

/// A case whose first mail was sent an hour ago, and that mail.
async fn mailed(story: &Story) -> (Failed, Letter) {
    let failed = story.failed_invoice("expired_card");
    story.advance("2026-03-02T11:30:00Z").await;
    let letter = story.letters().pop().expect("a letter");
    (failed, letter)
}

#[test]
fn each_mail_has_a_return_path_of_its_own() {
    tell_in(Shape::New, START, &SETTINGS, &async |story: &mut Story| {
        let (_, first) = mailed(story).await;
        story.advance("2026-03-09T11:30:00Z").await;
        let second = story.letters().pop().unwrap();
        assert_ne!(first.envelope_from, second.envelope_from);
        for letter in [&first, &second] {
            assert!(letter.envelope_from.starts_with("bounces+"), "{}", letter.envelope_from);
            assert!(
                letter.envelope_from.ends_with("@mail.acme.example"),
                "{}",
                letter.envelope_from
            );
            assert_eq!(letter.from, "billing@acme.example");
        }
    });
}

#[test]
fn a_bounce_that_comes_later_moves_the_case_to_its_second_address() {
    for report in [POSTFIX, OPENSMTPD] {
        tell_in(Shape::New, START, &SETTINGS, &async |story: &mut Story| {
            let failed = story.failed_invoice("expired_card");
            let named = story
                .sandbox
                .world(|world| world.name_alternate(&failed.customer, "books@kunde.example"));
            assert!(named);
            story.advance("2026-03-02T11:30:00Z").await;
            let letter = story.letters().pop().expect("a letter");
            // The same report again, as from a relay that did not hear the answer.
            for _ in 0..2 {
                let answer = tell(story, "message/rfc822", about(report, &letter)).await;
                assert_eq!(answer, (200, json!({"taken": 1, "ignored": 0})));
            }
            story.advance("2026-03-02T12:00:00Z").await;
            let diary = story.diary(&failed.invoice).await;
            let told = diary.split("03-02 08:30 the provider").next().unwrap();
            assert_eq!(told, BOUNCED, "{diary}");
            let letters = story.letters();
            assert_eq!(letters.len(), 2);
            assert_eq!(
                (letters[1].to.as_str(), &letters[1].subject),
                ("books@kunde.example", &letters[0].subject)
            );
            let (_, list) = story.get("/v1/suppressions").await;
            assert_eq!(list["data"].as_array().unwrap().len(), 1);
            assert_eq!(list["data"][0]["why"], "bounced");
            // The second address refuses it as well.
            let answer = tell(story, "message/rfc822", about(report, &letters[1])).await;
            assert_eq!(answer.1["taken"], 1);
            assert!(
                story
                    .case(&failed.invoice)
                    .await
                    .warnings
                    .contains(&Warning::MailBounced)
            );
            story.advance("2026-04-20T00:00:00Z").await;
            assert_eq!(story.letters().len(), 2);
        });
    }
}

#[test]
fn the_word_of_the_end_goes_to_the_second_address_although_the_case_is_closed() {
    tell_in(Shape::New, START, &SETTINGS, &async |story: &mut Story| {
        let failed = story.failed_invoice("lost_card");
        let named = |world: &mut World| world.name_alternate(&failed.customer, "books@kunde.example");
        assert!(story.sandbox.world(named));
        story.advance("2026-03-23T10:00:00Z").await;
        let closed = story.case(&failed.invoice).await;
        let letters = story.letters();
        let letter = letters.last().unwrap();
        // The same report again, and then the second address refuses it as well.
        for _ in 0..2 {
            assert_eq!(tell(story, "message/rfc822", about(POSTFIX, letter)).await.0, 200);
        }
        story.advance("2026-03-23T11:00:00Z").await;
        let again = story.letters().pop().unwrap();
        assert_eq!(
            (again.to.as_str(), &again.subject),
            ("books@kunde.example", &letter.subject)
        );
        assert_eq!(tell(story, "message/rfc822", about(POSTFIX, &again)).await.0, 200);
        story.advance("2026-04-20T00:00:00Z").await;
        assert_eq!(story.letters().len(), letters.len() + 1);
        let after = story.case(&failed.invoice).await;
        assert_eq!((&after.state, after.closed_at), (&closed.state, closed.closed_at));
        let diary = story.diary(&failed.invoice).await;
        let told: Vec<&str> = diary.lines().filter(|line| line.starts_with("03-23")).collect();
        assert_eq!(
            told,
            [
                "03-23 09:00 final_action     cancel",
                "03-23 09:00 closed           exhausted terminal_decline cancelled",
                "03-23 09:00 notice_queued    subscription_ended",
                "03-23 09:00 notice_ended     sent",
                "03-23 10:00 notice_ended     failed",
                "03-23 10:00 contact_changed  ",
                "03-23 10:00 notice_queued    subscription_ended:alternate",
                "03-23 10:00 notice_ended     sent",
                "03-23 11:00 notice_ended     failed",
            ]
        );
    });
}

#[test]
fn a_complaint_ends_all_mails_to_the_address() {
    tell_in(Shape::New, START, &SETTINGS, &async |story: &mut Story| {
        let (failed, letter) = mailed(story).await;
        for _ in 0..2 {
            let answer = tell(story, "message/rfc822", about(COMPLAINT, &letter)).await;
            assert_eq!(answer, (200, json!({"taken": 1, "ignored": 0})));
        }
        assert_eq!(stands(story, &failed.invoice).await, ["sent complained abuse"]);
        story.advance("2026-04-20T00:00:00Z").await;
        assert_eq!(story.letters().len(), 1);
        let later = stands(story, &failed.invoice).await;
        assert!(
            later[1..].iter().all(|line| line == "suppressed suppressed_complained"),
            "{later:?}"
        );
        let diary = story.diary(&failed.invoice).await;
        assert_eq!(diary.matches("03-02 11:30").count(), 1, "{diary}");
    });
}

#[test]
fn who_translates_a_services_hooks_is_understood() {
    tell_in(Shape::New, START, &SETTINGS, &async |story: &mut Story| {
        let (failed, letter) = mailed(story).await;
        let path = &letter.envelope_from;
        let later = json!({"kind": "bounced", "permanent": false, "return_path": path, "detail": "4.2.2", "at": "2026-03-02T11:00:00Z"});
        assert_eq!(tell_json(story, later).await.1["taken"], 1);
        assert_eq!(stands(story, &failed.invoice).await, ["sent delayed 4.2.2"]);
        let (_, list) = story.get("/v1/suppressions").await;
        assert_eq!(list["data"], json!([]));
        for (event, taken) in [
            (
                json!({"kind": "bounced", "permanent": true, "return_path": path, "recipient": "mo@example.com"}),
                0,
            ),
            (
                json!({"kind": "bounced", "permanent": true, "return_path": path.replace("mail.", "")}),
                0,
            ),
            (
                json!({"kind": "bounced", "permanent": true, "message_id": "<ntf_0@acme.example>"}),
                0,
            ),
            (
                json!({"kind": "delivered", "return_path": path, "provider": {"any": "thing"}}),
                1,
            ),
        ] {
            let answer = tell_json(story, event.clone()).await;
            assert_eq!(answer, (200, json!({"taken": taken, "ignored": 1 - taken})), "{event}");
        }
        assert_eq!(stands(story, &failed.invoice).await, ["sent delayed 4.2.2"]);
        let case = story.case(&failed.invoice).await;
        let row = notifications::by_case(story.app.store.conn(), &case.id)
            .await
            .unwrap()
            .remove(0);
        let id = format!("<{}@acme.example>", row.id);
        let gone = json!({"kind": "bounced", "permanent": true, "message_id": id, "recipient": case.contact.email,
                          "detail": "5.1.1 <erika0@kunde.example> unknown"});
        assert_eq!(tell_json(story, gone).await.1["taken"], 1);
        assert_eq!(stands(story, &failed.invoice).await, ["failed bounced 5.1.1"]);
        assert!(
            story
                .case(&failed.invoice)
                .await
                .warnings
                .contains(&Warning::MailBounced)
        );
    });
}

#[test]
fn what_is_not_signed_or_not_readable_is_refused() {
    tell_in(Shape::New, START, &SETTINGS, &async |story: &mut Story| {
        let (failed, letter) = mailed(story).await;
        let body = json!({"events": [{"kind": "complained", "return_path": letter.envelope_from}]}).to_string();
        let now = story.now();
        let send = async |at: Timestamp, secret: &str| {
            let answer = request(story, "application/json", body.clone(), at, secret)
                .send()
                .await
                .unwrap();
            (
                answer.status().as_u16(),
                answer.json::<Value>().await.unwrap()["code"].clone(),
            )
        };
        let refused = |code: &str| (400, json!(code));
        assert_eq!(send(now, "another-secret").await, refused("signature_no_match"));
        let minutes = |count: i64| SignedDuration::from_secs(count * 60 + 1);
        assert_eq!(send(now - minutes(5), SECRET).await, refused("signature_too_old"));
        assert_eq!(send(now + minutes(5), SECRET).await, refused("signature_in_future"));
        let bare = Client::new()
            .post(format!("{}/mail-events", story.url))
            .body(body.clone());
        assert_eq!(bare.send().await.unwrap().status().as_u16(), 400);
        assert_eq!(tell(story, "text/plain", body.clone()).await.0, 415);
        assert_eq!(tell(story, "application/json", "{".to_owned()).await.0, 400);
        let large = "x".repeat(256 * 1024 + 1);
        assert_eq!(tell(story, "message/rfc822", large).await.0, 413);
        for event in [
            json!({"kind": "opened", "return_path": "x"}),
            json!({"kind": "bounced", "return_path": "x"}),
            json!({"kind": "complained"}),
            json!({"kind": "complained", "return_path": "x", "at": "yesterday"}),
        ] {
            assert_eq!(tell_json(story, event.clone()).await.0, 422, "{event}");
        }
        let note = "From: jo@example.com\r\nSubject: Away\r\n\r\nI am on holiday.\r\n".to_owned();
        assert_eq!(
            tell(story, "message/rfc822", note).await,
            (200, json!({"taken": 0, "ignored": 1}))
        );
        assert_eq!(stands(story, &failed.invoice).await, ["sent -"]);
        // The old secret counts until it is taken away.
        assert_eq!(send(now, OLD_SECRET).await.0, 200);
        assert_eq!(stands(story, &failed.invoice).await, ["sent complained"]);
    });
    tell_in(Shape::New, START, &[], &async |story: &mut Story| {
        assert_eq!(
            tell_json(story, json!({"kind": "complained", "return_path": "x"}))
                .await
                .0,
            404
        );
        let (_, letter) = mailed(story).await;
        assert_eq!(letter.envelope_from, "billing@acme.example");
    });
}
