//! What staff does, through the API.

use recoup::sandbox::{Fault, Outcome, Shape};
use serde_json::json;

use crate::support::campaigns::DAYS;
use crate::support::story::{Story, tell, tell_in};

#[test]
fn a_retry_by_staff_does_not_eat_the_ladder() {
    tell("2026-03-02T08:30:00Z", &async |story: &mut Story| {
        let failed = story.failed_invoice("insufficient_funds");
        let never = std::iter::repeat_n(Outcome::decline("insufficient_funds"), 10);
        story.sandbox.script_outcomes(&failed.invoice, never);
        story.advance("2026-03-02T12:00:00Z").await;
        let id = story.case(&failed.invoice).await.id;
        let (status, _) = story
            .post(
                &format!("/v1/cases/{id}/retry"),
                &json!({"comment": "asked on the phone"}),
            )
            .await;
        assert_eq!(status, 200);
        story.advance("2026-04-10T00:00:00Z").await;
        assert_eq!(story.diary(&failed.invoice).await, "
03-02 08:30 opened           insufficient_funds
03-02 08:30 planned          charges [03-03 08:00, 03-05 08:00, 03-09 08:00, 03-16 08:00] notice payment_failed 03-03 09:00
03-02 12:00 staff            retry
03-02 12:00 attempt_started  staff
03-02 12:00 attempt_answered declined insufficient_funds
03-02 12:00 planned          charges [03-03 08:00, 03-05 08:00, 03-09 08:00, 03-16 08:00] notice payment_failed 03-03 09:00
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
03-02 12:00 the provider: Api insufficient_funds
03-03 08:00 the provider: Api insufficient_funds
03-05 08:00 the provider: Api insufficient_funds
03-09 08:00 the provider: Api insufficient_funds
03-16 08:00 the provider: Api insufficient_funds
");
    });
}

#[test]
fn a_pause_skips_what_falls_into_it() {
    tell("2026-03-02T08:30:00Z", &async |story: &mut Story| {
        let failed = story.failed_invoice("insufficient_funds");
        let never = std::iter::repeat_n(Outcome::decline("insufficient_funds"), 10);
        story.sandbox.script_outcomes(&failed.invoice, never);
        story.advance("2026-03-02T12:00:00Z").await;
        let id = story.case(&failed.invoice).await.id;
        let (status, case) = story
            .post(
                &format!("/v1/cases/{id}/pause"),
                &json!({"until": "2026-03-10T12:00:00Z"}),
            )
            .await;
        assert_eq!((status, case["state"].as_str()), (200, Some("paused")));
        let (status, problem) = story
            .post(
                &format!("/v1/cases/{id}/pause"),
                &json!({"until": "2026-03-01T00:00:00Z"}),
            )
            .await;
        assert_eq!((status, problem["code"].as_str()), (409, Some("not_in_future")));
        story.advance("2026-04-10T00:00:00Z").await;
        assert_eq!(story.diary(&failed.invoice).await, "
03-02 08:30 opened           insufficient_funds
03-02 08:30 planned          charges [03-03 08:00, 03-05 08:00, 03-09 08:00, 03-16 08:00] notice payment_failed 03-03 09:00
03-02 12:00 staff            pause
03-10 12:00 notice_skipped   payment_failed reminder
03-10 12:00 planned          
03-10 12:00 planned          charges [03-16 08:00] notice final_notice 03-20 09:00
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
03-16 08:00 the provider: Api insufficient_funds
");
    });
}

#[test]
fn the_ceiling_stands_above_staff() {
    tell("2026-03-02T08:30:00Z", &async |story: &mut Story| {
        let failed = story.failed_invoice("stolen_card");
        story.advance("2026-03-02T12:00:00Z").await;
        let id = story.case(&failed.invoice).await.id;
        let (status, problem) = story.post(&format!("/v1/cases/{id}/retry"), &json!({})).await;
        assert_eq!((status, problem["code"].as_str()), (409, Some("never_on_this_method")));
        let (status, case) = story.post(&format!("/v1/cases/{id}/write-off"), &json!({})).await;
        assert_eq!((status, case["state"].as_str()), (200, Some("ending")));
        story.advance("2026-03-03T12:00:00Z").await;
        assert_eq!(
            story.diary(&failed.invoice).await,
            "
03-02 08:30 opened           lost_stolen
03-02 08:30 planned          charges [] notice update_payment_method 03-02 10:30
03-02 10:30 notice_queued    update_payment_method
03-02 10:30 notice_ended     sent
03-02 12:00 stood_back       retry terminal_decline
03-02 12:00 staff            write-off
03-02 12:00 final_action     mark_uncollectible
03-02 12:00 closed           stopped written_off
03-02 08:30 the provider: Renewal stolen_card
"
        );
        let (status, problem) = story.post(&format!("/v1/cases/{id}/stop"), &json!({})).await;
        assert_eq!((status, problem["code"].as_str()), (409, Some("case_closed")));
    });
}

#[test]
fn two_systems_never_retry_one_invoice() {
    tell("2026-03-02T08:30:00Z", &async |story: &mut Story| {
        let failed = story.failed_invoice("insufficient_funds");
        assert!(
            story
                .sandbox
                .world(|world| world.plan_provider_retry(&failed.invoice, 72))
        );
        story.sandbox.fail_next(&failed.invoice, "insufficient_funds");
        story.advance("2026-03-03T12:00:00Z").await;
        let id = story.case(&failed.invoice).await.id;
        let (_, case) = story.get(&format!("/v1/cases/{id}")).await;
        assert_eq!(case["warnings"], json!(["provider_retries_on"]));
        story.advance("2026-04-10T00:00:00Z").await;
        assert_eq!(story.diary(&failed.invoice).await, "
03-02 08:30 opened           insufficient_funds
03-02 08:30 warned           provider_retries_on
03-02 08:30 planned          charges [03-03 08:00, 03-05 08:00, 03-09 08:00, 03-16 08:00] notice payment_failed 03-03 09:00
03-03 08:00 stood_back       
03-03 09:00 notice_queued    payment_failed
03-03 09:00 notice_ended     sent
03-05 08:30 attempt_seen     provider insufficient_funds
03-05 08:30 planned          charges [03-09 08:00, 03-16 08:00] notice reminder 03-09 09:00
03-09 08:00 attempt_started  schedule
03-09 08:00 attempt_answered succeeded
03-09 08:00 closed           recovered retry
03-09 08:00 notice_queued    payment_received
03-09 08:00 notice_ended     sent
03-02 08:30 the provider: Renewal insufficient_funds
03-05 08:30 the provider: Provider insufficient_funds
03-09 08:00 the provider: Api paid
");
    });
}

#[test]
fn the_other_final_actions() {
    for (action, kind) in [
        ("pause", "paused"),
        ("mark_uncollectible", "uncollectible"),
        ("leave_open", "left_open"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let text = DAYS;
        let text = text.replace("action = \"cancel\"", &format!("action = \"{action}\""));
        std::fs::write(folder.path().join("default.toml"), text).unwrap();
        let dir = folder.path().display().to_string();
        tell_in(
            Shape::New,
            "2026-03-02T08:30:00Z",
            &[("RECOUP__CAMPAIGNS__DIR", &dir)],
            &async |story: &mut Story| {
                let failed = story.failed_invoice("lost_card");
                // The answer to the final action is lost once; it is sent again and done once.
                story
                    .sandbox
                    .faults(|faults| faults.next(&failed.subscription, Fault::CutAnswer, 1));
                story.advance("2026-04-10T00:00:00Z").await;
                let (_, case) = story
                    .get(&format!("/v1/cases/{}", story.case(&failed.invoice).await.id))
                    .await;
                assert_eq!(case["outcome"]["reason"], "terminal_decline", "{action}");
                assert_eq!(case["outcome"]["then"], kind);
                assert_eq!(story.sandbox.books().charges_of(&failed.invoice).count(), 1);
            },
        );
    }
}
