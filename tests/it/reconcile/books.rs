//! The ledger, held against the provider's own books, the report and the database's laws.

use recoup::domain::outcome::{Outcome, RecoveredBy, Status};
use recoup::sandbox::{NewCard, Shape};
use sea_orm::ConnectionTrait;
use serde_json::json;

use super::{accounts_of, all_drift, number, run};
use crate::support::story::{Failed, Story, tell, tell_in};

/// Four months of everything that can become of a case.
async fn play(story: &Story) -> Vec<Failed> {
    let mut all = Vec::new();
    for code in [
        "insufficient_funds",
        "expired_card",
        "stolen_card",
        "do_not_honor",
        "insufficient_funds",
    ] {
        all.push(story.failed_invoice(code));
    }
    // Never to be had: it is written off, and paid late all the same.
    for _ in 0..9 {
        story.sandbox.fail_next(&all[3].invoice, "do_not_honor");
    }
    story.settle().await;
    story.advance("2026-03-02T20:00:00Z").await;
    assert!(story.sandbox.pay_out_of_band(&all[4].invoice));
    story.advance("2026-03-05T10:00:00Z").await;
    assert!(story.sandbox.refund(&all[0].invoice));
    story.sandbox.attach_card(&all[1].customer, NewCard::default());
    story.advance("2026-03-20T10:00:00Z").await;
    story.sandbox.dispute(&all[1].invoice);
    story.advance("2026-04-20T10:00:00Z").await;
    assert_eq!(story.case(&all[3].invoice).await.status(), Status::Exhausted);
    story.sandbox.pay_by_customer(&all[3].invoice);
    story.advance("2026-06-20T10:00:00Z").await;
    all
}

#[test]
fn the_ledger_the_report_and_the_provider_say_the_same() {
    tell("2026-03-02T08:30:00Z", &async |story: &mut Story| {
        let before = all_drift();
        let all = play(story).await;
        let books = story.sandbox.books();
        // What came while it was chased, by the provider's own account.
        let mut recovered = 0;
        for failed in &all {
            let case = story.case(&failed.invoice).await;
            // The linked case of a dispute is the newest one of its invoice.
            let (id, chased) = match &case.reversal_of {
                Some(of) => (of.clone(), true),
                None => (case.id.clone(), case.status() == Status::Recovered),
            };
            let by_charges = books.paid_minor.get(&failed.invoice).copied().unwrap_or(0);
            let elsewhere = books.out_of_band_minor.get(&failed.invoice).copied().unwrap_or(0);
            let here = number(
                story,
                &format!(
                    "SELECT CAST(COALESCE(SUM(amount_minor), 0) AS BIGINT) FROM ledger WHERE case_id = '{id}' \
                     AND account IN ('provider_clearing', 'elsewhere', 'suspense') AND kind NOT IN ('refund', 'dispute')"
                ),
            )
            .await;
            assert_eq!(here, by_charges + elsewhere, "{}", failed.invoice);
            let back = number(
                story,
                &format!(
                    "SELECT CAST(COALESCE(SUM(amount_minor), 0) AS BIGINT) FROM ledger WHERE case_id = '{id}' \
                     AND account = 'taken_back' AND kind = 'refund'"
                ),
            )
            .await;
            let refunded = books.refunded_minor.get(&failed.invoice).copied().unwrap_or(0);
            assert_eq!(back, refunded, "{}", failed.invoice);
            if chased {
                recovered += by_charges + elsewhere;
            }
        }
        assert!(recovered > 0);
        assert_eq!(
            number(story, "SELECT CAST(SUM(amount_minor) AS BIGINT) FROM ledger").await,
            0
        );
        let (status, report) = story.get("/v1/reports/recovery?from=2026-03-01&to=2026-07-01").await;
        assert_eq!(status, 200);
        let reported: i64 = report["totals"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|row| row["recovered"]["amount_minor"].as_i64())
            .sum();
        assert_eq!(reported, recovered, "{report:#}");
        assert_eq!(all_drift(), before, "nothing is wrong, so nothing is found");
    });
}

/// The refund and the dispute are told of at once, the payments that they take back only by the sweep an hour later.
#[test]
fn money_that_is_taken_back_came_first() {
    tell("2026-03-02T08:30:00Z", &async |story: &mut Story| {
        let (refunded, disputed) = (
            story.failed_invoice("insufficient_funds"),
            story.failed_invoice("insufficient_funds"),
        );
        story.advance("2026-03-02T12:00:00Z").await;
        assert!(story.sandbox.pay_by_customer(&refunded.invoice) && story.sandbox.pay_by_customer(&disputed.invoice));
        assert!(story.sandbox.lose_webhooks() > 0);
        assert!(story.sandbox.refund(&refunded.invoice) && story.sandbox.dispute(&disputed.invoice).is_some());
        story.advance("2026-03-03T12:00:00Z").await;
        for failed in [&refunded, &disputed] {
            let by = RecoveredBy::Customer;
            let outcome = story.case(&failed.invoice).await.outcome();
            assert_eq!(
                outcome,
                Some(Outcome::Recovered { by }),
                "{}",
                story.diary(&failed.invoice).await
            );
            let accounts = accounts_of(story, &failed.invoice).await;
            assert_eq!(accounts, ["invoiced -1999", "taken_back 1999"]);
        }
    });
}

#[test]
fn the_database_itself_keeps_the_ledger() {
    tell_in(Shape::New, "2026-03-02T08:30:00Z", &[], &async |story: &mut Story| {
        let failed = story.failed_invoice("insufficient_funds");
        story.advance("2026-03-04T00:00:00Z").await;
        let accounts = accounts_of(story, &failed.invoice).await;
        assert_eq!(accounts, ["invoiced -1999", "provider_clearing 1999"]);
        let conn = story.app.store.conn();
        for sql in ["UPDATE ledger SET amount_minor = 1", "DELETE FROM ledger"] {
            let refused = conn.execute_unprepared(sql).await;
            assert!(refused.unwrap_err().to_string().contains("append-only"), "{sql}");
        }
        let twice = "INSERT INTO ledger SELECT 'again', account, connection, case_id, invoice_id, kind, amount_minor, \
                     currency, reference, booked_at FROM ledger WHERE kind = 'payment'";
        let refused = conn.execute_unprepared(twice).await;
        assert!(refused.unwrap_err().to_string().to_lowercase().contains("unique"));
    });
}

#[test]
fn a_charge_that_two_cases_claim_loses_no_answer() {
    tell_in(Shape::New, "2026-03-02T08:30:00Z", &[], &async |story: &mut Story| {
        let (first, second) = (
            story.failed_invoice("insufficient_funds"),
            story.failed_invoice("expired_card"),
        );
        story.settle().await;
        // The books hold the charge already that the first one's recovery will bring: as if another case had it.
        let other = story.case(&second.invoice).await.id;
        story.advance("2026-03-02T20:00:00Z").await;
        assert!(story.sandbox.pay_by_customer(&first.invoice));
        let charge = story.sandbox.books().charges.last().unwrap().charge.clone();
        for (account, minor) in [("provider_clearing", 1999), ("receivable", -1999)] {
            let sql = format!(
                "INSERT INTO ledger VALUES ('trf_by_hand', '{account}', 'stripe', '{other}', '{}', 'overpayment', \
                 {minor}, 'EUR', '{charge}', 1)",
                second.invoice
            );
            run(story, &sql).await;
        }
        story.settle().await;
        let case = story.case(&first.invoice).await;
        assert_eq!(case.status(), Status::Recovered, "the true answer is kept");
        let accounts = accounts_of(story, &first.invoice).await;
        assert_eq!(accounts, ["invoiced -1999", "suspense 1999"]);
        story.advance("2026-03-03T09:00:00Z").await;
        let warnings = story.get(&format!("/v1/cases/{}", case.id)).await.1["warnings"].clone();
        assert_eq!(warnings, json!(["books_disagree"]));
    });
}
