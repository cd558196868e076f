//! What comes too late: news that is days old, and a service that was away itself.

use recoup::sandbox::events::Snapshot;

use crate::support::story::{Story, tell};

#[test]
fn a_failure_told_of_two_days_after_the_payment_opens_nothing() {
    tell("2026-03-02T08:30:00Z", &async |story: &mut Story| {
        let failed = story.failed_invoice("insufficient_funds");
        let told = story.sandbox.world(|world| world.events().to_vec());
        let failure = told.into_iter().find(|event| {
            event.kind == "invoice.payment_failed"
                && matches!(&event.snapshot, Snapshot::Invoice(seen) if seen.id == failed.invoice)
        });
        assert!(story.sandbox.pay_by_customer(&failed.invoice));
        story.sandbox.lose_webhooks();
        story.advance("2026-03-04T08:30:00Z").await;
        story.deliver(&failure.unwrap()).await;
        story.advance("2026-03-20T00:00:00Z").await;
        assert!(!story.has_case(&failed.invoice).await);
        assert!(story.letters().is_empty());
    });
}

/// Everything that fell due while nobody worked is done once, as it stands now: one charge, and no burst of mails.
#[test]
fn a_service_that_was_away_for_a_week_makes_one_charge_and_writes_once() {
    tell("2026-03-02T08:30:00Z", &async |story: &mut Story| {
        let failed = story.failed_invoice("insufficient_funds");
        story.settle().await;
        story.sandbox.fail_next(&failed.invoice, "insufficient_funds");
        // Charges of the 3rd, 5th and 9th and two messages are overdue when it comes back.
        story.clock.advance_to("2026-03-10T10:00:00Z".parse().unwrap()).unwrap();
        story.settle().await;
        story.advance("2026-03-10T23:00:00Z").await;
        assert_eq!(story.diary(&failed.invoice).await, "
03-02 08:30 opened           insufficient_funds
03-02 08:30 planned          charges [03-03 08:00, 03-05 08:00, 03-09 08:00, 03-16 08:00] notice payment_failed 03-03 09:00
03-10 10:00 attempt_started  schedule
03-10 10:00 attempt_answered declined insufficient_funds
03-10 10:00 planned          charges [03-16 08:00] notice reminder 03-09 09:00
03-10 10:00 notice_queued    reminder
03-10 10:00 notice_ended     sent
03-02 08:30 the provider: Renewal insufficient_funds
03-10 10:00 the provider: Api insufficient_funds
");
    });
}
