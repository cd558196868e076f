//! Why what comes next comes when it comes: the campaign, the step, and from when it is counted.

use serde_json::Value;

use crate::support::story::{Story, tell};

const START: &str = "2026-03-02T08:30:00Z";

/// Why the next step of a case comes when it comes.
async fn why(story: &Story, invoice: &str) -> String {
    let id = story.case(invoice).await.id;
    let (status, explained) = story.get(&format!("/v1/cases/{id}/explain")).await;
    assert_eq!(status, 200, "{explained}");
    let Value::String(sentence) = &explained["sentence"] else {
        panic!("{explained}")
    };
    sentence.rsplit("; ").next().unwrap_or_default().to_owned()
}

#[test]
fn the_step_of_the_campaign_is_named_with_the_instant_it_counts_from() {
    tell(START, &async |story: &mut Story| {
        let poor = story.failed_invoice("insufficient_funds");
        let lost = story.failed_invoice("lost_card");
        story.settle().await;
        let mut told = vec![why(story, &poor.invoice).await, why(story, &lost.invoice).await];
        for day in ["2026-03-03T12:00:00Z", "2026-03-06T12:00:00Z", "2026-03-16T12:00:00Z"] {
            story.sandbox.fail_next(&poor.invoice, "insufficient_funds");
            story.advance(day).await;
            told.push(why(story, &poor.invoice).await);
            told.push(why(story, &lost.invoice).await);
        }
        let charges = |at: &str, days: &str| {
            format!(
                "next comes charge at {at} 08:00 UTC because default version 1 charges for insufficient_funds {days} after \
                 2026-03-02 08:30 UTC, at 09:00 where the customer lives (Europe/Berlin)."
            )
        };
        let sends =
            |at: &str, what: &str| format!("next comes notify at {at} UTC because default version 1 sends {what}.");
        let reminder = sends(
            "2026-03-09 09:00",
            "reminder 7 days after 2026-03-02 08:30 UTC, at 10:00 where the customer lives (Europe/Berlin)",
        );
        assert_eq!(
            told,
            [
                charges("2026-03-03", "1 day"),
                sends(
                    "2026-03-02 10:30",
                    "update_payment_method 2 hours after 2026-03-02 08:30 UTC"
                ),
                charges("2026-03-05", "3 days"),
                reminder.clone(),
                charges("2026-03-09", "7 days"),
                reminder,
                "The invoice was paid by retry, so nothing more happens.".to_owned(),
                sends(
                    "2026-03-20 09:00",
                    "final_notice 3 days before the end at 2026-03-23 09:00 UTC, at 10:00 where the customer lives (Europe/Berlin)",
                ),
            ]
        );
    });
}
