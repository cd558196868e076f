//! An address that refused us is written to no more, by nobody's case; the customer's second address takes its place.

use std::time::Duration;

use recoup::domain::case::Warning;
use recoup::mailer::Mailer;
use recoup::sandbox::Outcome;
use serde_json::json;

use super::crew::{Crew, mails, number, play};
use crate::support::smtp::{Role, SmtpServer};
use crate::support::story::{Failed, Story};

const START: &str = "2026-03-02T08:30:00Z";
/// Just before the message `update_payment_method` of an expired card is due.
const BEFORE: &str = "2026-03-02T10:29:00Z";
const MAIL_DUE: &str = "2026-03-02T10:30:00Z";
const SHORT: Duration = Duration::from_secs(2);
const REFUSES: Role = Role::AtRecipient("550 5.1.1 no such user");

async fn crew(story: &Story, script: &[Role]) -> (Crew, SmtpServer) {
    let server = SmtpServer::start(script).await;
    let url = format!("smtp://{}", server.addr).into();
    let mailer = Mailer::new(Some(&url), Some("Acme <billing@acme.example>")).unwrap();
    (Crew::with_mailer(story, mailer.with_send_timeout(SHORT)), server)
}

/// An invoice that is never charged again by itself, of a customer with a second address.
async fn with_second_address(story: &Story) -> Failed {
    let failed = story.failed_invoice("expired_card");
    let named =
        |world: &mut recoup::sandbox::world::World| world.name_alternate(&failed.customer, "books@kunde.example");
    assert!(story.sandbox.world(named));
    story.advance(BEFORE).await;
    failed
}

fn recipients(server: &SmtpServer) -> Vec<String> {
    server.messages().into_iter().map(|message| message.to).collect()
}

#[test]
fn an_address_that_refused_us_gets_nothing_for_whoever_has_it() {
    play(START, &async |story: &mut Story| {
        let first = story.failed_invoice("expired_card");
        story.advance(BEFORE).await;
        let (crew, server) = crew(story, &[REFUSES]).await;
        crew.advance(story, MAIL_DUE).await;
        let (_, list) = story.get("/v1/suppressions").await;
        let entry = &list["data"][0];
        assert_eq!(
            (entry["why"].as_str(), entry["scope"].as_str()),
            (Some("bounced"), Some("all"))
        );
        assert!(!list.to_string().contains("erika0"), "{list}");
        // Another customer with the same address: capitals do not make it another one.
        let other = story.sandbox.add_customer("Erik Beispiel", "Erika0@Kunde.example");
        let price = recoup::domain::money::Money::new(1999, "EUR".parse().unwrap());
        let subscription = story
            .sandbox
            .add_subscription(&other, price, "2030-01-01T00:00:00Z".parse().unwrap());
        let second = story.sandbox.open_invoice(&subscription, "expired_card");
        crew.advance(story, "2026-03-03T10:30:00Z").await;
        assert_eq!(
            mails(story, &second).await,
            ["update_payment_method suppressed: suppressed_bounced"]
        );
        for invoice in [&first.invoice, &second] {
            assert!(story.case(invoice).await.warnings.contains(&Warning::MailBounced));
        }
        assert_eq!(server.messages().len(), 0);
    });
}

#[test]
fn what_staff_takes_off_the_list_is_written_to_again() {
    play(START, &async |story: &mut Story| {
        let failed = story.failed_invoice("expired_card");
        story.advance(BEFORE).await;
        let (crew, server) = crew(story, &[REFUSES]).await;
        crew.advance(story, MAIL_DUE).await;
        let body = json!({"address": "ERIKA0@kunde.example", "comment": "they mended it"});
        let (status, lifted) = story.post("/v1/suppressions/lift", &body).await;
        assert_eq!((status, lifted["data"][0]["why"].as_str()), (200, Some("bounced")));
        assert!(story.case(&failed.invoice).await.warnings.is_empty());
        let (_, again) = story.post("/v1/suppressions/lift", &body).await;
        assert_eq!(again["data"], json!([]));
        crew.advance(story, "2026-03-09T12:00:00Z").await;
        let sent = mails(story, &failed.invoice).await;
        assert!(sent.iter().any(|line| line.ends_with(" sent")), "{sent:?}");
        assert_eq!(recipients(&server)[0], "erika0@kunde.example");
        let (_, audit) = story.get("/v1/audit").await;
        let entry = &audit["data"][0];
        assert_eq!(
            (entry["action"].as_str(), entry["comment"].as_str()),
            (Some("suppressions.lift"), Some("they mended it"))
        );
        assert_eq!(entry["object"], lifted["data"][0]["address_key"]);
    });
}

#[test]
fn a_second_address_gets_the_message_that_the_first_one_refused_and_all_later_ones() {
    play(START, &async |story: &mut Story| {
        let failed = with_second_address(story).await;
        let (crew, server) = crew(story, &[REFUSES]).await;
        crew.advance(story, MAIL_DUE).await;
        let mut both = mails(story, &failed.invoice).await;
        // Both were queued in the same instant.
        both.sort();
        assert!(both[0].starts_with("update_payment_method failed: "), "{both:?}");
        assert_eq!(both[1..], ["update_payment_method sent"]);
        assert!(story.case(&failed.invoice).await.warnings.is_empty());
        let diary = story.diary(&failed.invoice).await;
        let told = "03-02 10:30 contact_changed  \n03-02 10:30 notice_queued    ";
        assert!(diary.contains(told) && diary.contains(":alternate\n"), "{diary}");
        crew.advance(story, "2026-04-20T00:00:00Z").await;
        let all = recipients(&server);
        assert!(
            all.len() > 2 && all.iter().all(|to| to == "books@kunde.example"),
            "{all:?}"
        );
        let first = server.commands().iter().filter(|line| line.contains("erika0")).count();
        assert_eq!(first, 1, "the first address is asked for once");
    });
}

#[test]
fn where_the_second_address_refuses_us_too_a_person_should_know() {
    play(START, &async |story: &mut Story| {
        let failed = with_second_address(story).await;
        let (crew, server) = crew(story, &[REFUSES, REFUSES]).await;
        crew.advance(story, MAIL_DUE).await;
        let both = mails(story, &failed.invoice).await;
        assert!(
            both.len() == 2
                && both
                    .iter()
                    .all(|line| line.starts_with("update_payment_method failed: ")),
            "{both:?}"
        );
        assert!(
            story
                .case(&failed.invoice)
                .await
                .warnings
                .contains(&Warning::MailBounced)
        );
        crew.advance(story, "2026-04-20T00:00:00Z").await;
        assert_eq!(server.messages().len(), 0);
        assert_eq!(number(story, "SELECT COUNT(*) FROM suppressions").await, 2);
    });
}

#[test]
fn a_new_address_is_tried_although_both_old_ones_refused_us() {
    play(START, &async |story: &mut Story| {
        let failed = with_second_address(story).await;
        story
            .sandbox
            .script_outcomes(&failed.invoice, std::iter::empty::<Outcome>());
        let (crew, server) = crew(story, &[REFUSES, REFUSES]).await;
        crew.advance(story, MAIL_DUE).await;
        let named =
            |world: &mut recoup::sandbox::world::World| world.name_alternate(&failed.customer, "new@kunde.example");
        assert!(story.sandbox.world(named));
        crew.advance(story, "2026-04-20T00:00:00Z").await;
        let all = recipients(&server);
        assert!(
            !all.is_empty() && all.iter().all(|to| to == "new@kunde.example"),
            "{all:?}"
        );
    });
}
