//! Invitations can be ended by one click, and only they are.

use recoup::domain::ids::NotificationId;
use recoup::domain::money::Money;
use recoup::domain::outcome::Status;
use recoup::sandbox::{Letter, Shape};
use recoup::store::notifications;
use reqwest::{Client, StatusCode};
use sea_orm::ConnectionTrait;

use crate::support::story::{Story, tell_in};

const START: &str = "2026-02-09T08:30:00Z";
const PUBLIC: &str = "https://pay.acme.example";
const SETTINGS: [(&str, &str); 1] = [("RECOUP__HTTP__PUBLIC_URL", PUBLIC)];

/// A case that ended without money, and an invitation that is due now. (The campaign of the stories sends none by itself.)
async fn invited(story: &Story) -> String {
    let failed = story.failed_invoice("expired_card");
    story.advance("2026-03-04T12:00:00Z").await;
    assert_eq!(story.case(&failed.invoice).await.status(), Status::Exhausted);
    invite(story, &failed.invoice, 1).await;
    failed.invoice
}

async fn invite(story: &Story, invoice: &str, number: u128) {
    let case = story.case(invoice).await.id;
    let now = story.now().as_millisecond();
    let id = NotificationId::new(now, number);
    let sql = format!(
        "INSERT INTO notifications (id, connection, case_id, message, step, status, queued_at, next_at) \
         VALUES ('{id}', 'stripe', '{case}', 'win_back', 'win_back_{number}', 'pending', {now}, {now})"
    );
    story.app.store.conn().execute_unprepared(&sql).await.unwrap();
    Box::pin(story.settle()).await;
}

async fn last(story: &Story, invoice: &str) -> String {
    let case = story.case(invoice).await;
    let rows = notifications::by_case(story.app.store.conn(), &case.id).await.unwrap();
    let row = rows.last().unwrap();
    format!(
        "{} {} {}",
        row.message,
        row.status,
        row.reason.as_deref().unwrap_or("-")
    )
}

fn header<'l>(letter: &'l Letter, name: &str) -> Option<&'l str> {
    let text = std::str::from_utf8(&letter.raw).unwrap();
    let head = text.split("\r\n\r\n").next().unwrap();
    let line = |line: &'l str| line.strip_prefix(name)?.strip_prefix(": ");
    head.split("\r\n").find_map(line)
}

/// The path behind the link by which a letter's invitations end; it stands in its headers and in both its bodies.
fn one_click(letter: &Letter) -> String {
    let post = header(letter, "List-Unsubscribe-Post");
    assert_eq!(post, Some("List-Unsubscribe=One-Click"));
    let link = header(letter, "List-Unsubscribe").expect("a link in the headers");
    let url = link.strip_prefix('<').unwrap().strip_suffix('>').unwrap();
    assert!(
        letter.text.contains(url) && letter.html.contains(url),
        "{url}\n{}",
        letter.text
    );
    url.strip_prefix(PUBLIC).expect("a link to our page").to_owned()
}

#[test]
fn one_click_ends_invitations_and_nothing_else() {
    tell_in(Shape::New, START, &SETTINGS, &async |story: &mut Story| {
        let invoice = invited(story).await;
        assert_eq!(last(story, &invoice).await, "win_back sent -");
        let letter = story.letters().pop().unwrap();
        let path = &one_click(&letter);
        let here = format!("{}{path}", story.url);
        // Looking changes nothing.
        for _ in 0..2 {
            let page = Client::new().get(&here).send().await.unwrap();
            assert_eq!(page.status(), StatusCode::OK);
            let page = page.text().await.unwrap();
            assert!(
                page.contains(&format!("<form method=\"post\" action=\"{path}\">")),
                "{page}"
            );
        }
        let (_, list) = story.get("/v1/suppressions").await;
        assert!(list["data"].as_array().unwrap().is_empty());
        for act in ["stop", "promise", "update", "answer"] {
            let answer = Client::new()
                .post(format!("{here}/{act}"))
                .form(&[("on", "x")])
                .send()
                .await;
            assert_eq!(answer.unwrap().status(), StatusCode::NOT_FOUND, "{act}");
        }
        for _ in 0..2 {
            let click = Client::new().post(&here).form(&[("List-Unsubscribe", "One-Click")]);
            let answer = click.send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
            assert!(!answer.text().await.unwrap().contains("<form"));
        }
        let (_, list) = story.get("/v1/suppressions").await;
        assert_eq!(list["data"].as_array().unwrap().len(), 1);
        assert_eq!(
            (list["data"][0]["why"].as_str(), list["data"][0]["scope"].as_str()),
            (Some("unsubscribed"), Some("promotional"))
        );
        invite(story, &invoice, 2).await;
        assert_eq!(
            last(story, &invoice).await,
            "win_back suppressed suppressed_unsubscribed"
        );
        // Another invoice of the same customer is written about as ever.
        let customer = story.case(&invoice).await.customer_id;
        let price = Money::new(1999, "EUR".parse().unwrap());
        let renews = "2030-01-01T00:00:00Z".parse().unwrap();
        let subscription = story.sandbox.add_subscription(&customer, price, renews);
        let second = story.sandbox.open_invoice(&subscription, "expired_card");
        story.advance("2026-03-05T12:00:00Z").await;
        assert_eq!(last(story, &second).await, "update_payment_method sent -");
        story.advance("2026-05-04T00:00:00Z").await;
        let gone = Client::new().post(&here).send().await.unwrap();
        assert_eq!(gone.status(), StatusCode::NOT_FOUND, "after two months");
    });
}

#[test]
fn messages_about_payments_have_no_such_header_and_their_links_end_no_invitations() {
    tell_in(Shape::New, START, &SETTINGS, &async |story: &mut Story| {
        story.failed_invoice("expired_card");
        story.advance("2026-02-09T12:00:00Z").await;
        let letter = story.letters().pop().unwrap();
        assert_eq!(header(&letter, "List-Unsubscribe"), None);
        assert_eq!(header(&letter, "List-Unsubscribe-Post"), None);
        for link in letter.links().iter().filter_map(|link| link.strip_prefix(PUBLIC)) {
            let answer = Client::new().post(format!("{}{link}", story.url)).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{link}");
        }
    });
}

#[test]
fn who_could_not_say_no_is_not_invited() {
    tell_in(Shape::New, START, &[], &async |story: &mut Story| {
        let invoice = invited(story).await;
        assert_eq!(last(story, &invoice).await, "win_back suppressed no_unsubscribe_link");
    });
}
