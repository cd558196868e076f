//! What happens every day.

use recoup::sandbox::Outcome;

use crate::support::story::{Story, tell};

#[test]
fn recovered_on_the_second_retry() {
    tell("2026-03-02T08:30:00Z", async |story: &mut Story| {
        let failed = story.failed_invoice("insufficient_funds");
        let outcomes = [Outcome::decline("insufficient_funds"), Outcome::Success];
        story.sandbox.script_outcomes(&failed.invoice, outcomes);
        story.advance("2026-04-10T00:00:00Z").await;
        let diary = story.diary(&failed.invoice).await;
        assert_eq!(diary, "");
    });
}
