//! Addresses that staff do not want written to.

use recoup::sandbox::Shape;
use recoup::store::notifications;
use serde_json::json;

use crate::support::story::{Story, tell_in};

const START: &str = "2026-03-02T08:30:00Z";

async fn stands(story: &Story, invoice: &str) -> Vec<String> {
    let case = story.case(invoice).await;
    let rows = notifications::by_case(story.app.store.conn(), &case.id).await.unwrap();
    let line = |row: &notifications::NotificationRow| format!("{} {:?}", row.status, row.reason);
    rows.iter().map(line).collect()
}

#[test]
fn an_address_on_the_list_gets_nothing_and_its_case_says_why() {
    tell_in(Shape::New, START, &[], &async |story: &mut Story| {
        let [one, other] = [0, 1].map(|_| story.failed_invoice("expired_card"));
        story.settle().await;
        let case = story.case(&one.invoice).await;
        assert!(case.contact.email.is_some());
        let body = json!({"address": " nobody ", "scope": "all"});
        assert_eq!(story.post("/v1/suppressions", &body).await.0, 422);
        let (status, entry) = story
            .post(
                "/v1/suppressions",
                &json!({"address": case.contact.email, "scope": "all", "comment": "asked by phone"}),
            )
            .await;
        assert_eq!(
            (status, entry["data"][0]["why"].as_str()),
            (200, Some("staff")),
            "{entry}"
        );
        story.advance("2026-03-02T08:31:00Z").await;
        // Who wants no invitations still hears of payments.
        let second = story.case(&other.invoice).await.contact.email;
        let body = json!({"address": second, "scope": "promotional"});
        assert_eq!(story.post("/v1/suppressions", &body).await.0, 200);
        story.advance("2026-03-02T12:00:00Z").await;
        assert_eq!(
            stands(story, &one.invoice).await,
            ["suppressed Some(\"suppressed_staff\")"]
        );
        assert_eq!(stands(story, &other.invoice).await, ["sent None"]);
        assert_eq!(story.letters().len(), 1);
        let (_, page) = story.get("/v1/suppressions?limit=1").await;
        let cursor = page["next_cursor"].as_str().expect("there are two").to_owned();
        assert_eq!(page["data"][0]["scope"], "promotional");
        let (_, rest) = story.get(&format!("/v1/suppressions?cursor={cursor}")).await;
        assert_eq!(
            (rest["data"][0]["scope"].as_str(), rest["next_cursor"].is_null()),
            (Some("all"), true)
        );
        let (_, audit) = story.get("/v1/audit").await;
        let entries = audit["data"].as_array().unwrap();
        let added = entries.last().unwrap();
        assert_eq!(
            (added["action"].as_str(), added["comment"].as_str()),
            (Some("suppressions.add"), Some("asked by phone"))
        );
        assert!(!format!("{page}{rest}{audit}").contains("kunde.example"));
    });
}
