//! A campaign rehearsed over cases that have ended: the one that led them would have done what was done, and another one counts apart.

use recoup::sandbox::{Outcome, Shape};
use serde_json::{Value, json};

use crate::support::campaigns::DAYS;
use crate::support::story::{Story, tell_in};

async fn rehearsed(story: &Story, text: &str) -> Value {
    let (status, told) = story.post("/v1/campaigns/rehearse", &json!({"text": text})).await;
    assert_eq!(status, 200, "{told}");
    told
}

/// Cases, charges made and planned, messages queued and planned, days and planned days.
fn figures(compared: &Value) -> [u64; 7] {
    [
        "cases",
        "charges",
        "charges_planned",
        "messages",
        "messages_planned",
        "days",
        "days_planned",
    ]
    .map(|key| compared[key].as_u64().unwrap())
}

#[test]
fn the_campaign_that_led_cases_would_have_done_what_was_done() {
    tell_in(Shape::New, "2026-03-02T08:30:00Z", &[], &async |story: &mut Story| {
        let refuse = |invoice: &str, charges: usize| {
            let refused = std::iter::repeat_n(Outcome::decline("insufficient_funds"), charges);
            story.sandbox.script_outcomes(invoice, refused);
        };
        // The first charge of the second day brings the first one, the customer the second one on the 12th, nothing the third.
        story.failed_invoice("insufficient_funds");
        let by_customer = story.failed_invoice("insufficient_funds");
        let lost = story.failed_invoice("insufficient_funds");
        refuse(&by_customer.invoice, 3);
        refuse(&lost.invoice, 4);
        story.advance("2026-03-12T12:30:00Z").await;
        assert!(story.sandbox.pay_by_customer(&by_customer.invoice));
        story.advance("2026-04-10T00:00:00Z").await;

        let same = rehearsed(story, DAYS).await;
        assert_eq!((&same["looked_at"], &same["taken"]), (&json!(3), &json!(3)));
        // No plan knows of receipts and the word of the end, one for each case, nor of the word that the customer's new card was taken.
        assert_eq!(figures(&same["recovered"]), [2, 1 + 3, 1 + 3, 2 + 2 + 1, 2, 10, 10]);
        assert_eq!(figures(&same["not_recovered"]), [1, 4, 4, 3 + 1, 3, 21, 21]);
        assert_eq!(same["recovered_after_its_end"], json!({}));

        // One that ends after eight days, with charges on the second and fourth only, would have missed the customer,
        // to whom its last notice had gone on the sixth, before the reminder of the eighth.
        let short = DAYS.replace("version = 1", "version = 2");
        let short = short
            .replace("days = [1, 3, 7, 14]", "days = [1, 3]")
            .replace("after_days = 21", "after_days = 8");
        let short = rehearsed(story, &short).await;
        assert_eq!(figures(&short["recovered"]), [2, 4, 1 + 2, 5, 3, 10, 8]);
        assert_eq!(figures(&short["not_recovered"]), [1, 4, 2, 4, 3, 21, 8]);
        let missed = json!({"EUR": {"cases": 1, "amount_minor": 1999}});
        assert_eq!(short["recovered_after_its_end"], missed);

        // One for others takes none of them, and one with a fault is refused with its place.
        let french = DAYS.replace("name = \"default\"", "name = \"french\"");
        let french = french.replace("version = 1", "version = 1\n[[for]]\ncountries = [\"FR\"]\n");
        let french = rehearsed(story, &french).await;
        assert_eq!((&french["looked_at"], &french["taken"]), (&json!(3), &json!(0)));
        let (status, problem) = story.post("/v1/campaigns/rehearse", &json!({"text": "name = 1"})).await;
        assert_eq!(
            (status, &problem["code"], &problem["errors"][0]["column"]),
            (422, &json!("bad_campaign"), &json!(8))
        );
        // A rehearsal stores nothing.
        assert_eq!(story.get("/v1/campaigns/default").await.1["version"], 1);
        assert_eq!(story.get("/v1/campaigns/french").await.0, 404);
    });
}
