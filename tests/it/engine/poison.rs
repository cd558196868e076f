//! Events and cases that cannot be handled: the others go on, the end is visible, and a person can have them run again.

use recoup::clock::entropy;
use recoup::domain::ids::{CaseId, InboxId};
use recoup::store::Dialect;
use recoup::store::inbox::{self, InboxRow, InboxStatus, NewInbox};
use serde_json::{Value, json};

use super::crew::{Crew, play, run};
use crate::support::story::{Failed, Story};

const START: &str = "2026-03-02T08:30:00Z";
/// Ten tries with doubling waits of at most an hour are over by then.
const TRIES_OVER: &str = "2026-03-02T14:30:00Z";
/// When the first charge of `insufficient_funds` is due.
const CHARGE_DUE: &str = "2026-03-03T08:00:00Z";

/// Puts an event into the inbox as if it had been received.
async fn receive(story: &Story, connection: &str, body: &Value) -> InboxId {
    let id = InboxId::new(story.now().as_millisecond(), entropy());
    let event = NewInbox {
        id: id.clone(),
        connection: connection.to_owned(),
        event_id: format!("evt_{id}"),
        kind: "invoice.payment_failed".to_owned(),
        body: body.to_string().into_bytes(),
        received_at: story.now(),
        status: InboxStatus::Pending,
        reason: None,
    };
    inbox::insert(&story.app.store, &event).await.unwrap();
    id
}

/// A failed charge as the provider tells of it.
fn failure(invoice: &str, livemode: bool) -> Value {
    json!({"id": format!("evt_of_{invoice}"), "object": "event", "type": "invoice.payment_failed", "created": 1_772_440_200,
           "livemode": livemode, "data": {"object": {"id": invoice, "object": "invoice"}}})
}

async fn row(story: &Story, id: &InboxId) -> InboxRow {
    let conn = story.app.store.conn();
    inbox::find(conn, id).await.unwrap().unwrap()
}

async fn end(story: &Story, id: &InboxId) -> (InboxStatus, String) {
    let row = row(story, id).await;
    (row.status, row.reason.unwrap_or_default())
}

#[test]
fn an_event_that_panics_dies_alone_and_can_be_run_again() {
    play(START, &async |story: &mut Story| {
        let failed = story.failed_invoice("expired_card");
        let healthy = story.failed_invoice("expired_card");
        story.sandbox.lose_webhooks();
        let crew = Crew::new(story);
        crew.puppet.poison(Some(&failed.invoice));
        let poison = receive(story, "stripe", &failure(&failed.invoice, false)).await;
        let sound = receive(story, "stripe", &failure(&healthy.invoice, false)).await;
        crew.settle(story).await;
        assert_eq!(row(story, &sound).await.status, InboxStatus::Processed);
        let waiting = row(story, &poison).await;
        assert_eq!((waiting.status, waiting.tries), (InboxStatus::Pending, 1));
        crew.advance(story, TRIES_OVER).await;
        assert_eq!(
            end(story, &poison).await,
            (InboxStatus::Dead, "handling it panicked".to_owned())
        );
        assert!(!story.has_case(&failed.invoice).await);

        crew.puppet.poison(None);
        let (_, dead) = story.get("/v1/inbox?status=dead").await;
        assert_eq!(dead["data"][0]["id"], poison.to_string());
        let path = format!("/v1/inbox/{poison}/rerun");
        assert_eq!(story.post(&path, &json!({})).await.0, 200);
        assert_eq!(story.post(&path, &json!({})).await.0, 409, "it waits already");
        crew.settle(story).await;
        assert_eq!(row(story, &poison).await.status, InboxStatus::Processed);
        assert!(story.has_case(&failed.invoice).await);
    });
}

#[test]
fn an_event_whose_case_cannot_be_read_dies_and_can_be_run_again() {
    play(START, &async |story: &mut Story| {
        let failed = story.failed_invoice("expired_card");
        let healthy = story.failed_invoice("expired_card");
        story.settle().await;
        let id = story.case(&failed.invoice).await.id;
        run(
            story,
            &format!("UPDATE cases SET zone = memory, memory = '{{}}' WHERE id = '{id}'"),
        )
        .await;
        assert!(story.sandbox.pay_by_customer(&failed.invoice));
        story.sandbox.lose_webhooks();
        let poison = receive(story, "stripe", &failure(&failed.invoice, false)).await;
        story.advance(TRIES_OVER).await;
        let (status, reason) = end(story, &poison).await;
        assert_eq!(status, InboxStatus::Dead);
        assert!(reason.contains("corrupt"), "{reason}");
        assert_eq!(story.letters().len(), 1, "the other case goes on");
        assert_eq!(story.case(&healthy.invoice).await.notifications, 1);

        run(
            story,
            &format!("UPDATE cases SET memory = zone, zone = 'Europe/Berlin' WHERE id = '{id}'"),
        )
        .await;
        story.app.store.end_leases().await.unwrap();
        assert_eq!(
            story.post(&format!("/v1/inbox/{poison}/rerun"), &json!({})).await.0,
            200
        );
        story.settle().await;
        assert_eq!(story.case(&failed.invoice).await.status().as_str(), "recovered");
    });
}

#[test]
fn events_that_are_not_for_us_end_with_their_reason() {
    play(START, &async |story: &mut Story| {
        let failed = story.failed_invoice("expired_card");
        story.sandbox.lose_webhooks();
        let ignored = |reason: &str| (InboxStatus::Ignored, reason.to_owned());
        for (connection, body, expected) in [
            ("stripe", failure(&failed.invoice, true), ignored("livemode_mismatch")),
            ("stripe", failure("in_nowhere", false), ignored("unknown_to_provider")),
            (
                "elsewhere",
                failure(&failed.invoice, false),
                (InboxStatus::Dead, "its connection is not configured".to_owned()),
            ),
        ] {
            let id = receive(story, connection, &body).await;
            story.settle().await;
            assert_eq!(end(story, &id).await, expected);
        }
        assert!(!story.has_case(&failed.invoice).await);
    });
}

/// Lets the database refuse every line of one case, or no longer.
async fn refuse_lines(story: &Story, case: &CaseId, refused: bool) {
    let sql = match (story.app.store.dialect(), refused) {
        (Dialect::Sqlite, true) => format!(
            "CREATE TRIGGER refused BEFORE INSERT ON timeline WHEN NEW.case_id = '{case}' \
             BEGIN SELECT RAISE(ABORT, 'refused'); END"
        ),
        (Dialect::Sqlite, false) => "DROP TRIGGER refused".to_owned(),
        (Dialect::Postgres, true) => {
            format!("ALTER TABLE timeline ADD CONSTRAINT refused CHECK (case_id <> '{case}') NOT VALID")
        }
        (Dialect::Postgres, false) => "ALTER TABLE timeline DROP CONSTRAINT refused".to_owned(),
    };
    run(story, &sql).await;
}

#[test]
fn one_case_of_fifty_that_cannot_be_written_takes_no_other_with_it() {
    play(START, &async |story: &mut Story| {
        let failed: Vec<Failed> = (0..50).map(|_| story.failed_invoice("insufficient_funds")).collect();
        story.advance("2026-03-02T12:00:00Z").await;
        let (bad, others) = failed.split_first().unwrap();
        let case = story.case(&bad.invoice).await.id;
        refuse_lines(story, &case, true).await;
        // All of them are due at once, and share transactions.
        story.clock.advance_to(CHARGE_DUE.parse().unwrap()).unwrap();
        story.settle().await;
        for other in others {
            let case = story.case(&other.invoice).await;
            assert_eq!(story.attempts(&case.id).await, ["provider declined", "us succeeded"]);
        }
        assert_eq!(
            story.attempts(&case).await,
            ["provider declined"],
            "nothing is charged before it is on record"
        );
        assert_eq!(story.case(&bad.invoice).await.status().as_str(), "open");

        refuse_lines(story, &case, false).await;
        story.app.store.end_leases().await.unwrap();
        story.settle().await;
        assert_eq!(
            story.attempts(&case).await,
            ["provider declined", "us succeeded"],
            "it was only late"
        );
    });
}
