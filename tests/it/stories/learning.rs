//! Charges that an arm plans: what was decided, what was learned of it, and that both can be told again.

use std::process::{Command, Output};

use recoup::domain::money::Money;
use recoup::sandbox::{Outcome, Shape};
use recoup::store::learning;
use sea_orm::{ConnectionTrait, Statement};
use serde_json::Value;

use crate::support::story::{Story, tell_in};

pub const START: &str = "2026-03-02T08:30:00Z";
pub const CUSTOMERS: usize = 12;

/// A folder with the built-in campaign, which leaves its charges to the arms.
pub fn learning_campaign() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = include_str!("../../../src/domain/campaign/default.toml");
    assert!(text.contains("planned = { charges = 5, within_days = 14 }"));
    std::fs::write(folder.path().join("default.toml"), text).unwrap();
    folder
}

/// Invoices whose first charge fails and that are paid at the third of ours.
pub fn failed_invoices(story: &Story) -> Vec<String> {
    let fail = |_| {
        let failed = story.failed_invoice("insufficient_funds");
        let no = || Outcome::decline("insufficient_funds");
        let outcomes = [no(), no(), Outcome::Success];
        story.sandbox.script_outcomes(&failed.invoice, outcomes);
        failed.invoice
    };
    (0..CUSTOMERS).map(fail).collect()
}

pub fn replay(story: &Story, given: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_recoup"));
    command.arg("replay").args(given).envs(story.variables());
    command.output().unwrap()
}

async fn plans(story: &Story, case: &str) -> Vec<Value> {
    let (_, lines) = story.get(&format!("/v1/cases/{case}/timeline?limit=200")).await;
    let lines = lines["data"].as_array().unwrap();
    let planned = lines.iter().filter(|line| line["kind"] == "planned");
    planned.map(|line| line["data"].clone()).collect()
}

#[test]
fn an_arm_plans_and_learns_and_every_decision_can_be_told_again() {
    let folder = learning_campaign();
    let dir = folder.path().display().to_string();
    let settings = [("RECOUP__CAMPAIGNS__DIR", dir.as_str())];
    tell_in(Shape::New, START, &settings, &async |story: &mut Story| {
        let invoices = failed_invoices(story);
        story.advance("2026-03-03T09:30:00Z").await;
        let case = story.case(&invoices[0]).await;
        explained(story).await;
        story.advance("2026-03-18T00:00:00Z").await;
        for invoice in &invoices {
            let case = story.case(invoice).await;
            assert_eq!(case.memory.charges, 3, "{invoice}");
            let of_case = plans(story, case.id.as_str()).await;
            // One plan at the beginning, and one after each decline; the arm stays, and is drawn once.
            assert_eq!(of_case.len(), 3, "{of_case:?}");
            assert!(
                of_case.iter().all(|plan| plan["arm"] == of_case[0]["arm"]),
                "{of_case:?}"
            );
            assert!(of_case[0]["chosen"].is_object() && of_case[1]["chosen"].is_null());
            assert!(of_case[0]["propensity"].as_f64().unwrap() >= 0.03);
        }
        let conn = story.app.store.conn();
        let newest = learning::newest(conn).await.unwrap().unwrap();
        let kind = &newest.document.kinds[&recoup::domain::decline::DeclineKind::InsufficientFunds];
        let seen: u32 = kind.arms.values().map(|arm| arm.n).sum();
        assert_eq!(seen as usize, CUSTOMERS, "each case is a result of its arm");
        assert_eq!(learning::waiting(conn, 10).await.unwrap(), []);
        told_again(story, case.id.as_str()).await;
    });
}

/// Where a charge of an arm comes next, one sentence says why then.
async fn explained(story: &Story) {
    let (_, cases) = story.get("/v1/cases?status=open").await;
    let cases = cases["data"].as_array().unwrap();
    let waiting = cases.iter().filter(|case| case["next_action"]["kind"] == "charge");
    let ids: Vec<&str> = waiting.map(|case| case["id"].as_str().unwrap()).collect();
    assert!(!ids.is_empty(), "some charge comes next: {cases:?}");
    for id in ids {
        let (_, why) = story.get(&format!("/v1/cases/{id}/explain")).await;
        let sentence = why["sentence"].as_str().unwrap();
        assert!(sentence.contains("because the arm "), "{sentence}");
    }
}

/// Every decision is derived again alike; from a posterior that somebody changed, it is not.
async fn told_again(story: &Story, case: &str) {
    let all = replay(story, &["--since", START]);
    let said = String::from_utf8_lossy(&all.stdout).into_owned();
    let wanted = format!("{} decisions of arms derived again", 3 * CUSTOMERS);
    assert!(all.status.success() && said.contains(&wanted), "{all:?}");
    assert!(replay(story, &["--case", case]).status.success());
    assert_eq!(replay(story, &["--case", "case_none"]).status.code(), Some(1));
    let conn = story.app.store.conn();
    let changed = "UPDATE posteriors SET document = REPLACE(document, '\"precision\":', '\"precision\":9')";
    conn.execute_unprepared(changed).await.unwrap();
    let other = replay(story, &["--since", START]);
    let said = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(
        other.status.code() == Some(1) && said.contains("it was decided"),
        "{other:?}"
    );
}

#[test]
fn who_is_held_out_is_planned_by_the_baseline_and_money_taken_back_is_unlearned() {
    let folder = learning_campaign();
    let dir = folder.path().display().to_string();
    let settings = [
        ("RECOUP__CAMPAIGNS__DIR", dir.as_str()),
        ("RECOUP__LEARNING__HOLDOUT_PERCENT", "50"),
    ];
    tell_in(Shape::Old, START, &settings, &async |story: &mut Story| {
        let invoices = failed_invoices(story);
        story.advance("2026-03-18T00:00:00Z").await;
        let mut held_out = 0;
        for invoice in &invoices {
            let choice = story.case(invoice).await.memory.choice.unwrap();
            held_out += usize::from(choice.held_out);
            assert!(!choice.held_out || choice.arm == recoup::domain::learning::arms::BASELINE);
        }
        assert!((2..CUSTOMERS - 1).contains(&held_out), "{held_out}");
        let price = Money::new(1999, "EUR".parse().unwrap());
        assert_eq!(story.case(&invoices[0]).await.amount_due, price);
        story.sandbox.dispute(&invoices[0]).unwrap();
        story.advance("2026-03-18T06:00:00Z").await;
        assert!(story.case(&invoices[0]).await.memory.reversed);
        let conn = story.app.store.conn();
        let taken_back = "SELECT COUNT(*) FROM evidence WHERE fact LIKE '%taken_back%' AND version IS NOT NULL";
        let found = conn.query_one_raw(Statement::from_string(conn.get_database_backend(), taken_back));
        let count: i64 = found.await.unwrap().unwrap().try_get_by_index(0).unwrap();
        assert_eq!(count, 1, "it is in a posterior");
    });
}
