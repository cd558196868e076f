//! What happens every day.

use recoup::sandbox::{NewCard, Outcome};

use crate::support::story::{Story, tell};

#[test]
fn recovered_on_the_second_retry() {
    tell("2026-03-02T08:30:00Z", &async |story: &mut Story| {
        let failed = story.failed_invoice("insufficient_funds");
        let outcomes = [Outcome::decline("insufficient_funds"), Outcome::Success];
        story.sandbox.script_outcomes(&failed.invoice, outcomes);
        story.advance("2026-04-10T00:00:00Z").await;
        let diary = story.diary(&failed.invoice).await;
        assert_eq!(diary, "
03-02 08:30 opened           insufficient_funds
03-02 08:30 planned          charges [03-03 08:00, 03-05 08:00, 03-09 08:00, 03-16 08:00] notice payment_failed 03-03 09:00
03-03 08:00 attempt_started  schedule
03-03 08:00 attempt_answered declined insufficient_funds
03-03 08:00 planned          charges [03-05 08:00, 03-09 08:00, 03-16 08:00] notice payment_failed 03-03 09:00
03-03 09:00 notice_queued    payment_failed
03-03 09:00 notice_ended     sent
03-05 08:00 attempt_started  schedule
03-05 08:00 attempt_answered succeeded
03-05 08:00 closed           recovered retry
03-05 08:00 notice_queued    payment_received
03-05 08:00 notice_ended     sent
03-02 08:30 the provider: Renewal insufficient_funds
03-03 08:00 the provider: Api insufficient_funds
03-05 08:00 the provider: Api paid
");
        let case = story.case(&failed.invoice).await;
        assert_eq!(
            story.attempts(&case.id).await,
            ["provider declined", "us declined", "us succeeded"]
        );
        let subjects = story.subjects(&case.id).await;
        let letters: Vec<String> = story.letters().into_iter().map(|letter| letter.subject).collect();
        assert_eq!(subjects, letters);
    });
}

#[test]
fn a_hard_decline_then_a_new_card() {
    tell("2026-03-02T08:30:00Z", &async |story: &mut Story| {
        let failed = story.failed_invoice("lost_card");
        story.advance("2026-03-05T15:00:00Z").await;
        story.sandbox.attach_card(&failed.customer, NewCard::default());
        story.advance("2026-04-10T00:00:00Z").await;
        assert_eq!(
            story.diary(&failed.invoice).await,
            "
03-02 08:30 opened           lost_stolen
03-02 08:30 planned          charges [] notice update_payment_method 03-02 10:30
03-02 10:30 notice_queued    update_payment_method
03-02 10:30 notice_ended     sent
03-05 15:00 method_changed   
03-05 15:00 notice_queued    payment_method_updated
03-05 15:00 attempt_started  card_update
03-05 15:00 attempt_answered succeeded
03-05 15:00 closed           recovered card_update
03-05 15:00 notice_queued    payment_received
03-05 15:00 notice_ended     sent
03-02 08:30 the provider: Renewal lost_card
03-05 15:00 the provider: Api paid
"
        );
        let charges = story.sandbox.books();
        let cards: Vec<&str> = charges
            .charges_of(&failed.invoice)
            .map(|entry| entry.fingerprint.as_str())
            .collect();
        assert_ne!(cards[0], cards[1], "the lost card is never charged again");
        for letter in story.letters() {
            let words = format!("{} {} {}", letter.subject, letter.text, letter.html).to_lowercase();
            for forbidden in ["lost", "stolen", "fraud", "verloren", "gestohlen", "betrug"] {
                assert!(!words.contains(forbidden), "{forbidden}");
            }
        }
    });
}

#[test]
fn the_customer_confirms_with_3d_secure() {
    tell("2026-03-02T08:30:00Z", &async |story: &mut Story| {
        let failed = story.failed_invoice("authentication_required");
        story.advance("2026-03-02T20:00:00Z").await;
        assert!(story.sandbox.world(|world| world.confirm_by_customer(&failed.invoice)));
        story.advance("2026-04-10T00:00:00Z").await;
        assert_eq!(
            story.diary(&failed.invoice).await,
            "
03-02 08:30 opened           authentication_required
03-02 08:30 planned          charges [] notice confirm_payment 03-02 08:30
03-02 08:30 notice_queued    confirm_payment
03-02 08:30 notice_ended     sent
03-02 20:00 closed           recovered customer
03-02 20:00 notice_queued    payment_received
03-02 20:00 notice_ended     sent
03-02 08:30 the provider: Renewal authentication_required
03-02 20:00 the provider: Customer paid
"
        );
    });
}

#[test]
fn exhausted_and_cancelled() {
    tell("2026-03-02T08:30:00Z", &async |story: &mut Story| {
        let failed = story.failed_invoice("insufficient_funds");
        let never = std::iter::repeat_n(Outcome::decline("insufficient_funds"), 10);
        story.sandbox.script_outcomes(&failed.invoice, never);
        story.advance("2026-04-10T00:00:00Z").await;
        assert_eq!(story.diary(&failed.invoice).await, "
03-02 08:30 opened           insufficient_funds
03-02 08:30 planned          charges [03-03 08:00, 03-05 08:00, 03-09 08:00, 03-16 08:00] notice payment_failed 03-03 09:00
03-03 08:00 attempt_started  schedule
03-03 08:00 attempt_answered declined insufficient_funds
03-03 08:00 planned          charges [03-05 08:00, 03-09 08:00, 03-16 08:00] notice payment_failed 03-03 09:00
03-03 09:00 notice_queued    payment_failed
03-03 09:00 notice_ended     sent
03-05 08:00 attempt_started  schedule
03-05 08:00 attempt_answered declined insufficient_funds
03-05 08:00 planned          charges [03-09 08:00, 03-16 08:00] notice reminder 03-09 09:00
03-09 08:00 attempt_started  schedule
03-09 08:00 attempt_answered declined insufficient_funds
03-09 08:00 planned          charges [03-16 08:00] notice reminder 03-09 09:00
03-09 09:00 notice_queued    reminder
03-09 09:00 notice_ended     sent
03-16 08:00 attempt_started  schedule
03-16 08:00 attempt_answered declined insufficient_funds
03-16 08:00 planned          charges [] notice final_notice 03-20 09:00
03-20 09:00 notice_queued    final_notice
03-20 09:00 notice_ended     sent
03-23 09:00 final_action     cancel
03-23 09:00 closed           exhausted attempts_spent cancelled
03-23 09:00 notice_queued    subscription_ended
03-23 09:00 notice_ended     sent
03-02 08:30 the provider: Renewal insufficient_funds
03-03 08:00 the provider: Api insufficient_funds
03-05 08:00 the provider: Api insufficient_funds
03-09 08:00 the provider: Api insufficient_funds
03-16 08:00 the provider: Api insufficient_funds
");
        let (status, case) = story
            .get(&format!("/v1/cases/{}", story.case(&failed.invoice).await.id))
            .await;
        assert_eq!(status, 200);
        assert_eq!(case["status"], "exhausted");
        assert_eq!(case["outcome"]["reason"], "attempts_spent");
        assert_eq!(case["outcome"]["then"], "cancelled");
    });
}

#[test]
fn the_customer_cancels_during_the_chase() {
    tell("2026-03-02T08:30:00Z", &async |story: &mut Story| {
        let failed = story.failed_invoice("do_not_honor");
        story.sandbox.fail_next(&failed.invoice, "do_not_honor");
        story.advance("2026-03-04T12:00:00Z").await;
        assert!(story.sandbox.cancel_subscription(&failed.subscription));
        story.advance("2026-04-10T00:00:00Z").await;
        assert_eq!(story.diary(&failed.invoice).await, "
03-02 08:30 opened           do_not_honor
03-02 08:30 planned          charges [03-03 08:00, 03-05 08:00, 03-09 08:00, 03-16 08:00] notice payment_failed 03-03 09:00
03-03 08:00 attempt_started  schedule
03-03 08:00 attempt_answered declined do_not_honor
03-03 08:00 planned          charges [03-05 08:00, 03-09 08:00, 03-16 08:00] notice payment_failed 03-03 09:00
03-03 09:00 notice_queued    payment_failed
03-03 09:00 notice_ended     sent
03-04 12:00 closed           stopped customer_cancelled
03-02 08:30 the provider: Renewal do_not_honor
03-03 08:00 the provider: Api do_not_honor
");
    });
}

#[test]
fn the_merchant_voids_the_invoice() {
    tell("2026-03-02T08:30:00Z", &async |story: &mut Story| {
        let failed = story.failed_invoice("insufficient_funds");
        story.advance("2026-03-02T12:00:00Z").await;
        assert!(story.sandbox.void(&failed.invoice));
        story.advance("2026-04-10T00:00:00Z").await;
        assert_eq!(story.diary(&failed.invoice).await, "
03-02 08:30 opened           insufficient_funds
03-02 08:30 planned          charges [03-03 08:00, 03-05 08:00, 03-09 08:00, 03-16 08:00] notice payment_failed 03-03 09:00
03-02 12:00 closed           stopped voided
03-02 08:30 the provider: Renewal insufficient_funds
");
    });
}

#[test]
fn the_merchant_gives_the_invoice_up() {
    tell("2026-03-02T08:30:00Z", &async |story: &mut Story| {
        let failed = story.failed_invoice("expired_card");
        story.advance("2026-03-02T12:00:00Z").await;
        assert!(story.sandbox.world(|world| world.mark_uncollectible(&failed.invoice)));
        story.advance("2026-04-10T00:00:00Z").await;
        assert_eq!(
            story.diary(&failed.invoice).await,
            "
03-02 08:30 opened           expired
03-02 08:30 planned          charges [] notice update_payment_method 03-02 10:30
03-02 10:30 notice_queued    update_payment_method
03-02 10:30 notice_ended     sent
03-02 12:00 closed           stopped written_off
03-02 08:30 the provider: Renewal expired_card
"
        );
    });
}

#[test]
fn a_dispute_after_the_recovery_is_a_reversal() {
    tell("2026-03-02T08:30:00Z", &async |story: &mut Story| {
        let failed = story.failed_invoice("insufficient_funds");
        story.advance("2026-03-04T00:00:00Z").await;
        assert!(story.sandbox.dispute(&failed.invoice).is_some());
        story.advance("2026-04-10T00:00:00Z").await;
        let recovered = story.case(&failed.invoice).await;
        assert_eq!(recovered.status().as_str(), "recovered", "an outcome is final");
        let (_, cases) = story.get(&format!("/v1/cases?invoice_id={}", failed.invoice)).await;
        let cases = cases["data"].as_array().unwrap();
        let reversal = cases.iter().find(|case| case["reversal_of"] == recovered.id.as_str());
        assert_eq!(reversal.unwrap()["outcome"]["why"], "disputed");
        assert_eq!(story.sandbox.books().charges_of(&failed.invoice).count(), 2);
    });
}

#[test]
fn issuer_down_is_tried_within_hours() {
    tell("2026-03-02T08:30:00Z", &async |story: &mut Story| {
        let failed = story.failed_invoice("issuer_not_available");
        let outcomes = [
            Outcome::decline("issuer_not_available"),
            Outcome::decline("issuer_not_available"),
        ];
        story.sandbox.script_outcomes(&failed.invoice, outcomes);
        story.advance("2026-04-10T00:00:00Z").await;
        assert_eq!(
            story.diary(&failed.invoice).await,
            "
03-02 08:30 opened           issuer_down
03-02 08:30 planned          charges [03-02 09:30, 03-02 14:30, 03-03 08:30] notice payment_failed 03-03 09:00
03-02 09:30 attempt_started  schedule
03-02 09:30 attempt_answered declined issuer_down
03-02 09:30 planned          charges [03-02 14:30, 03-03 08:30] notice payment_failed 03-03 09:00
03-02 14:30 attempt_started  schedule
03-02 14:30 attempt_answered declined issuer_down
03-02 14:30 planned          charges [03-03 08:30] notice payment_failed 03-03 09:00
03-03 08:30 attempt_started  schedule
03-03 08:30 attempt_answered succeeded
03-03 08:30 closed           recovered retry
03-03 08:30 notice_queued    payment_received
03-03 08:30 notice_ended     sent
03-02 08:30 the provider: Renewal issuer_not_available
03-02 09:30 the provider: Api issuer_not_available
03-02 14:30 the provider: Api issuer_not_available
03-03 08:30 the provider: Api paid
"
        );
    });
}
