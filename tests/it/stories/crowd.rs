//! Many at once: whoever reads a lot must not keep the money waiting.

use std::cell::Cell;

use sea_orm::TransactionTrait;

use crate::support::story::{Story, tell};

#[test]
fn webhooks_are_taken_in_while_every_connection_of_the_reports_is_in_use() {
    tell("2026-03-02T08:30:00Z", &async |story: &mut Story| {
        let failed = story.failed_invoice("insufficient_funds");
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(story.app.reports.conn().begin().await.unwrap());
        }
        let answered = Cell::new(false);
        let report = async {
            let (status, _) = story
                .get("/v1/reports/recovery?from=2026-03-01&to=2026-04-01&cohort=month")
                .await;
            answered.set(true);
            status
        };
        let others = async {
            story.settle().await;
            assert!(story.has_case(&failed.invoice).await);
            assert!(!answered.get(), "the report takes no connection of the others");
            drop(held);
        };
        let (status, ()) = tokio::join!(report, others);
        assert_eq!(status, 200, "it had to wait, and got its answer then");
    });
}
