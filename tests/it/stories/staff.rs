//! What staff does, through the API.

use recoup::sandbox::{Fault, Outcome, Shape};
use serde_json::json;

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
        assert_eq!(story.diary(&failed.invoice).await, "@@1");
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
        assert_eq!(story.diary(&failed.invoice).await, "@@2");
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
        assert_eq!(story.diary(&failed.invoice).await, "@@3");
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
        assert_eq!(story.diary(&failed.invoice).await, "@@4");
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
        let text = include_str!("../../../src/domain/campaign/default.toml");
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
