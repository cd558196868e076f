//! Drift that is put in by hand: each is found within its time, and a clean service finds none.

use recoup::domain::case::{State, Warning};
use recoup::domain::ids::{AttemptId, KeyId};
use recoup::domain::outcome::{Outcome, RecoveredBy, Status};
use recoup::sandbox::{Fault, Shape};
use recoup::store::{Dialect, idempotency};
use serde_json::json;

use super::{accounts_of, all_drift, counted, drift, number, run};
use crate::support::story::{Story, tell, tell_in};

/// The provider makes no event any more that anybody sees.
fn lose_every_event(story: &Story) {
    story.sandbox.lose_webhooks();
    let (from, to) = (story.now(), "2027-01-01T00:00:00Z".parse().unwrap());
    story
        .sandbox
        .faults(|faults| faults.between("/v1/events", Fault::Error, from, to));
}

#[test]
fn a_payment_that_no_event_told_of_is_found_within_a_day() {
    tell("2026-03-02T08:30:00Z", &async |story: &mut Story| {
        let before = drift("invoices");
        let failed = story.failed_invoice("insufficient_funds");
        story.settle().await;
        let id = story.case(&failed.invoice).await.id;
        let pause = json!({"until": "2026-06-01T00:00:00Z"});
        assert_eq!(story.post(&format!("/v1/cases/{id}/pause"), &pause).await.0, 200);
        story.advance("2026-03-05T12:00:00Z").await;
        assert!(story.sandbox.pay_by_customer(&failed.invoice));
        lose_every_event(story);
        // Somebody rings now and then; nothing is due.
        story.advance("2026-03-06T00:00:00Z").await;
        story.advance("2026-03-06T12:10:00Z").await;
        let by = RecoveredBy::Customer;
        assert_eq!(
            story.case(&failed.invoice).await.outcome(),
            Some(Outcome::Recovered { by })
        );
        assert_eq!(drift("invoices") - before, 1);
    });
}

#[test]
fn a_failed_invoice_that_no_event_told_of_gets_its_case_within_a_day() {
    tell("2026-03-02T08:30:00Z", &async |story: &mut Story| {
        let before = all_drift();
        // What failed before this service was here is not its own.
        let older = story.failed_invoice("insufficient_funds");
        story.sandbox.lose_webhooks();
        story.clock.advance_to("2026-03-02T08:40:00Z".parse().unwrap()).unwrap();
        story.advance("2026-03-02T09:00:00Z").await;
        let failed = story.failed_invoice("insufficient_funds");
        lose_every_event(story);
        story.advance("2026-03-03T09:10:00Z").await;
        assert_eq!(story.case(&failed.invoice).await.status(), Status::Open);
        assert!(!story.has_case(&older.invoice).await);
        assert_eq!((drift("missing") > 0, all_drift() - before), (true, 1));
        story.advance("2026-04-10T00:00:00Z").await;
        assert_eq!(story.case(&failed.invoice).await.status(), Status::Recovered);
        assert_eq!(story.sandbox.books().successes(&failed.invoice), 1);
    });
}

#[test]
fn a_second_charge_by_whomever_is_booked_and_told_within_a_day() {
    tell("2026-03-02T08:30:00Z", &async |story: &mut Story| {
        let (before, overpaid) = (drift("charges"), counted("recoup_overpayments_total"));
        let failed = story.failed_invoice("insufficient_funds");
        story.advance("2026-03-04T00:00:00Z").await;
        assert_eq!(story.case(&failed.invoice).await.status(), Status::Recovered);
        story
            .sandbox
            .world(|world| world.charge_again(&failed.invoice))
            .unwrap();
        story.advance("2026-03-05T09:00:00Z").await;
        story.advance("2026-03-08T09:00:00Z").await;
        let case = story.case(&failed.invoice).await;
        assert_eq!(
            (case.status(), &case.warnings[..]),
            (Status::Recovered, &[Warning::Overpaid][..])
        );
        assert_eq!(drift("charges") - before, 1, "it is told once");
        assert_eq!(counted("recoup_overpayments_total") - overpaid, 1);
        assert_eq!(
            accounts_of(story, &failed.invoice).await,
            ["receivable -1999", "invoiced -1999", "provider_clearing 3998"]
        );
    });
}

#[test]
fn an_attempt_that_nobody_waits_for_ends_and_a_person_knows() {
    tell_in(Shape::New, "2026-03-02T08:30:00Z", &[], &async |story: &mut Story| {
        let before = drift("attempts");
        let failed = story.failed_invoice("insufficient_funds");
        story.settle().await;
        let case = story.case(&failed.invoice).await;
        let stray = AttemptId::new(story.now().as_millisecond(), 5);
        run(
            story,
            &format!(
                "INSERT INTO attempts (id, connection, case_id, origin, status, amount_minor, currency, started_at) \
                 VALUES ('{stray}', 'stripe', '{}', 'us', 'open', 1999, 'EUR', {})",
                case.id,
                story.now().as_millisecond()
            ),
        )
        .await;
        story.advance("2026-03-02T08:36:00Z").await;
        let case = story.case(&failed.invoice).await;
        assert_eq!(
            (&case.state, &case.warnings[..]),
            (&State::NeedsPerson, &[Warning::AttemptUnresolved][..])
        );
        assert!(story.attempts(&case.id).await.contains(&"us unresolved".to_owned()));
        assert_eq!(drift("attempts") - before, 1);
    });
}

#[test]
fn a_lease_that_nobody_can_hold_keeps_no_case_waiting() {
    tell_in(Shape::New, "2026-03-02T08:30:00Z", &[], &async |story: &mut Story| {
        let before = drift("leases");
        let failed = story.failed_invoice("insufficient_funds");
        story.settle().await;
        run(
            story,
            "UPDATE due_cases SET lease_owner = 'ghost', lease_until = 9999999999999",
        )
        .await;
        story.advance("2026-03-03T08:00:00Z").await;
        assert_eq!(story.case(&failed.invoice).await.status(), Status::Recovered);
        assert_eq!(drift("leases") - before, 1);
    });
}

#[test]
fn an_event_that_vanished_is_missed() {
    tell_in(Shape::New, "2026-03-02T08:30:00Z", &[], &async |story: &mut Story| {
        let before = all_drift();
        story.advance("2026-03-02T09:00:00Z").await;
        let _ = story.failed_invoice("insufficient_funds");
        story.advance("2026-03-02T12:00:00Z").await;
        story.advance("2026-03-03T08:31:00Z").await;
        run(story, "DELETE FROM inbox WHERE kind = 'charge.failed'").await;
        story.advance("2026-03-04T09:00:00Z").await;
        assert_eq!((drift("events") > 0, all_drift() - before), (true, 1));
    });
}

#[test]
fn an_edited_row_does_not_fit_with_the_books_any_more() {
    tell_in(Shape::New, "2026-03-02T08:30:00Z", &[], &async |story: &mut Story| {
        let before = drift("books");
        let failed = story.failed_invoice("expired_card");
        story.advance("2026-03-02T10:00:00Z").await;
        run(story, "UPDATE cases SET amount_minor = 2999").await;
        story.sandbox.faults(|faults| {
            let (from, to) = (story.now(), "2027-01-01T00:00:00Z".parse().unwrap());
            faults.between("/v1/invoices/", Fault::Unavailable, from, to);
        });
        story.advance("2026-03-03T08:40:00Z").await;
        assert!(drift("books") > before);
        let case = story.case(&failed.invoice).await;
        assert!(case.warnings.contains(&Warning::BooksDisagree), "{:?}", case.warnings);
        story.sandbox.faults(recoup::sandbox::Faults::clear);
        story.advance("2026-03-03T12:00:00Z").await;
    });
}

#[test]
fn an_audit_log_that_was_written_anew_is_found() {
    tell_in(Shape::New, "2026-03-02T08:30:00Z", &[], &async |story: &mut Story| {
        let before = drift("chain");
        let failed = story.failed_invoice("insufficient_funds");
        story.settle().await;
        let id = story.case(&failed.invoice).await.id;
        for comment in ["one", "two", "three"] {
            let note = json!({"comment": comment});
            assert_eq!(story.post(&format!("/v1/cases/{id}/notes"), &note).await.0, 200);
        }
        story.advance("2026-03-03T09:00:00Z").await;
        assert_eq!(drift("chain"), before, "what was not touched is whole");
        let unlocked = match story.app.store.dialect() {
            Dialect::Sqlite => "DROP TRIGGER audit_no_update",
            Dialect::Postgres => "ALTER TABLE audit DISABLE TRIGGER audit_no_change",
        };
        run(story, unlocked).await;
        run(story, "UPDATE audit SET comment = 'never said' WHERE comment = 'two'").await;
        assert_eq!(
            number(story, "SELECT COUNT(*) FROM audit WHERE comment = 'never said'").await,
            1
        );
        story.advance("2026-03-04T10:00:00Z").await;
        assert_eq!(drift("chain") - before, 1);
    });
}

#[test]
fn answers_that_nobody_asks_for_again_are_forgotten() {
    tell_in(Shape::New, "2026-03-02T08:30:00Z", &[], &async |story: &mut Story| {
        let (store, key) = (&story.app.store, KeyId::new(0, 1));
        story.settle().await;
        idempotency::begin(store, &key, "old", "/v1/x", &[1; 32], story.now())
            .await
            .unwrap();
        story.advance("2026-03-20T09:00:00Z").await;
        idempotency::begin(store, &key, "new", "/v1/x", &[1; 32], story.now())
            .await
            .unwrap();
        story.advance("2026-04-02T09:00:00Z").await;
        let left = number(story, "SELECT COUNT(*) FROM idempotency WHERE idem_key = 'new'").await;
        assert_eq!((left, number(story, "SELECT COUNT(*) FROM idempotency").await), (1, 1));
    });
}
