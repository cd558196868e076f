//! The desk of staff as a page: a second person decides, an act is undone, a customer is excluded, an invoice is put in, and
//! what is done to many is done once.

use recoup::clock::Clock;
use recoup::domain::role::Role;
use recoup::http::Options;
use serde_json::json;

use super::browser::{joined, later, led_to};
use super::{BOOTSTRAP, Stage, at, stage};
use crate::support::databases::each_database;

#[test]
fn a_second_person_decides_on_the_page() {
    each_database(async |store| {
        let options = Options {
            bootstrap_key: Some(BOOTSTRAP.into()),
            approval_above: vec!["10 EUR".parse().unwrap()],
            ..Options::default()
        };
        let stage = Stage::new(store, Clock::test(at("2026-03-02T10:00:00Z")), options).await;
        let id = stage.open_case("insufficient_funds").await;
        let case = format!("/dashboard/cases/{id}");
        let (ada, bo) = (
            joined(&stage, "Ada", Role::Billing).await,
            joined(&stage, "Bo", Role::Billing).await,
        );
        ada.get(&case).await;
        let asked = ada
            .post(&format!("{case}/stop"), &[("comment", "they pay by bank")])
            .await;
        led_to(&asked, &case);
        assert!(
            ada.get(&case)
                .await
                .text
                .contains("A second person has to approve this")
        );
        let own = ada.get("/dashboard/desk").await;
        assert!(
            own.text.contains("You asked for it, so another person decides."),
            "{}",
            own.text
        );
        let desk = bo.get("/dashboard/desk").await;
        assert!(
            desk.text.contains("they pay by bank")
                && desk.text.contains("Approve and do it")
                && desk.text.contains("10.00 EUR"),
            "{}",
            desk.text
        );
        let ruling = desk
            .text
            .split("/dashboard/desk/approvals/")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap();
        let ruling = format!("/dashboard/desk/approvals/{ruling}");
        led_to(
            &ada.post(&ruling, &[("ruling", "approve")]).await,
            "/dashboard/desk?refused=own_approval",
        );
        assert_eq!(bo.post(&ruling, &[("ruling", "perhaps")]).await.status, 400);
        led_to(
            &bo.post(&ruling, &[("ruling", "approve")]).await,
            "/dashboard/desk?done=approve",
        );
        let desk = bo.get("/dashboard/desk?done=approve").await;
        assert!(
            desk.text.contains("Approved, and done.") && desk.text.contains("Decided lately"),
            "{}",
            desk.text
        );
        assert!(bo.get(&case).await.text.contains("stopped"));
        let viewer = joined(&stage, "Vi", Role::Viewer).await;
        assert_eq!(viewer.get("/dashboard/desk").await.status, 403);
        stage.end().await;
    });
}

#[test]
fn an_act_is_undone_on_the_page_of_the_case() {
    stage(async |stage| {
        let id = stage.open_case("insufficient_funds").await;
        let case = format!("/dashboard/cases/{id}");
        let ada = joined(stage, "Ada", Role::Billing).await;
        let seen = ada.get(&case).await;
        for offered in [
            "8 of 8 are left by eight retries",
            "The charge at 3 Mar 2026",
            "Hold for a dispute",
            "Exclude the customer",
        ] {
            assert!(seen.text.contains(offered), "{offered}: {}", seen.text);
        }
        led_to(
            &ada.post(&format!("{case}/write-off"), &[]).await,
            &format!("{case}?done=write-off"),
        );
        let seen = ada.get(&case).await;
        assert!(
            seen.text.contains("can be undone until 2 Mar 2026, 10:01 UTC"),
            "{}",
            seen.text
        );
        led_to(
            &ada.post(&format!("{case}/undo"), &[]).await,
            &format!("{case}?done=undo"),
        );
        let seen = ada.get(&case).await;
        assert!(
            seen.text.contains("took back: write-off") && !seen.text.contains("can be undone until"),
            "{}",
            seen.text
        );
        led_to(
            &ada.post(&format!("{case}/hold"), &[("comment", "wrong amount")]).await,
            &format!("{case}?done=hold"),
        );
        let seen = ada.get(&case).await;
        assert!(
            seen.text.contains("Release the hold")
                && seen.text.contains("wrong amount")
                && !seen.text.contains("Skip a step"),
            "{}",
            seen.text
        );
        stage.clock.advance_to(later(stage.clock.now(), 5)).unwrap();
        assert!(
            !ada.get(&case).await.text.contains("can be undone until"),
            "the minute is over"
        );
        for (verb, fields) in [
            ("release", &[][..]),
            ("skip", &[("choice", "charge")][..]),
            ("extend", &[("days", "5")][..]),
        ] {
            led_to(
                &ada.post(&format!("{case}/{verb}"), fields).await,
                &format!("{case}?done={verb}"),
            );
            ada.get(&case).await;
        }
        assert_eq!(
            ada.post(&format!("{case}/extend"), &[("days", "many")]).await.status,
            400
        );
    });
}

#[test]
fn customers_are_excluded_and_invoices_put_in_at_the_desk() {
    stage(async |stage| {
        let id = stage.open_case("insufficient_funds").await;
        let case = stage.get(&format!("/v1/cases/{id}")).await.json();
        let ada = joined(stage, "Ada", Role::Billing).await;
        ada.get("/dashboard/desk").await;
        let invoice = [
            ("connection", "stripe"),
            ("invoice_id", case["invoice_id"].as_str().unwrap()),
        ];
        let put_in = async |fields: &[(&str, &str)]| ada.post("/dashboard/desk/invoices", fields).await;
        led_to(&put_in(&invoice).await, "/dashboard/desk?refused=already_chased");
        led_to(&put_in(&[]).await, "/dashboard/desk?refused=bad_field");
        let missing = [("connection", "stripe"), ("invoice_id", "in_none")];
        led_to(&put_in(&missing).await, "/dashboard/desk?refused=unknown_to_provider");
        let customer = [
            ("connection", "stripe"),
            ("customer_id", case["customer_id"].as_str().unwrap()),
            ("comment", "in court"),
        ];
        led_to(
            &ada.post("/dashboard/desk/exclusions/add", &customer).await,
            "/dashboard/desk?done=exclude",
        );
        let desk = ada.get("/dashboard/desk").await;
        assert!(desk.text.contains("in court"), "{}", desk.text);
        let stopped = stage.get(&format!("/v1/cases/{id}")).await.json();
        assert_eq!(stopped["outcome"]["why"], "staff");
        led_to(
            &ada.post("/dashboard/desk/exclusions/lift", &customer).await,
            "/dashboard/desk?done=lift",
        );
        assert!(ada.get("/dashboard/desk").await.text.contains("Nobody is excluded."));
    });
}

#[test]
fn acting_on_many_asks_for_a_second_person_where_acting_on_one_does() {
    each_database(async |store| {
        let options = Options {
            bootstrap_key: Some(BOOTSTRAP.into()),
            approval_above: vec!["10 EUR".parse().unwrap()],
            ..Options::default()
        };
        let stage = Stage::new(store, Clock::test(at("2026-03-02T10:00:00Z")), options).await;
        let ids = [
            stage.open_case("insufficient_funds").await,
            stage.open_case("insufficient_funds").await,
        ];
        let stop = async |dry_run: bool| {
            let body = json!({"action": "stop", "ids": ids, "dry_run": dry_run});
            let done = stage.post("/v1/cases/bulk", &body).await;
            assert_eq!(done.status, 200, "{}", done.text);
            done.json()
        };
        for dry_run in [true, false] {
            let told = stop(dry_run).await;
            assert_eq!((&told["done"], &told["waiting"]), (&json!(0), &json!(2)), "{told}");
            assert_eq!(told["results"][0]["result"], "waits", "{told}");
        }
        let again = stop(false).await;
        assert_eq!(
            (&again["results"][1]["result"], &again["results"][1]["code"]),
            (&json!("refused"), &json!("approval_pending"))
        );
        let waiting = stage.get("/v1/approvals").await.json();
        assert_eq!(waiting["data"].as_array().unwrap().len(), 2, "{waiting}");
        let open = stage.get("/v1/cases?status=open").await.json();
        assert_eq!(open["data"].as_array().unwrap().len(), 2, "nothing was stopped");
    });
}

/// The key that the form of the page carries.
pub fn once(page: &str) -> String {
    let (_, rest) = page.split_once("name=\"once\" value=\"").unwrap();
    rest.split('"').next().unwrap().to_owned()
}

#[test]
fn an_act_on_many_that_is_sent_again_is_not_done_again() {
    stage(async |stage| {
        let id = stage.open_case("insufficient_funds").await;
        let staff = joined(stage, "Bea", Role::Billing).await;
        staff.get("/dashboard/cases").await;
        let ask = [("action", "note"), ("comment", "called"), ("id", id.as_str())];
        let told = staff.post("/dashboard/bulk", &ask).await;
        let once = once(&told.text);
        let key = [("sure", "yes"), ("once", once.as_str())];
        let sure = [&ask[..], &key[..]].concat();
        let result = format!("/dashboard/bulk?once={once}");
        for _ in 0..2 {
            led_to(&staff.post("/dashboard/bulk", &sure).await, &result);
        }
        for _ in 0..2 {
            let seen = staff.get(&result).await;
            assert!(
                seen.status == 200 && seen.text.contains("Done to 1 of 1 cases"),
                "{}",
                seen.text
            );
        }
        let timeline = stage.get(&format!("/v1/cases/{id}/timeline")).await.text;
        assert_eq!(timeline.matches("called").count(), 1, "{timeline}");
        let other = [&[("action", "stop"), ("id", id.as_str())][..], &key[..]].concat();
        let seen = staff.post("/dashboard/bulk", &other).await;
        assert!(
            seen.status == 422 && seen.text.contains("idempotency_mismatch"),
            "{}",
            seen.text
        );
        let without = [&ask[..], &[("sure", "yes")]].concat();
        assert_eq!(staff.post("/dashboard/bulk", &without).await.status, 400);
        assert_eq!(stage.get(&format!("/v1/cases/{id}")).await.json()["status"], "open");

        // What became of it is for who did it alone.
        let other = joined(stage, "Bo", Role::Billing).await;
        assert_eq!(other.get(&result).await.status, 404);
        assert_eq!(staff.get("/dashboard/bulk?once=none").await.status, 404);
        led_to(&staff.get("/dashboard/bulk").await, "/dashboard/cases");
        let marketing = joined(stage, "Mo", Role::Marketing).await;
        assert_eq!(marketing.get(&result).await.status, 403);
    });
}
