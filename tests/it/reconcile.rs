//! Reconciliation: what no event told of is found in time, what is right raises no alarm, and who cannot vouch for what it knows
//! looks before it acts.

mod account;
mod books;
mod boot;
mod doctor;
mod drift;
mod lists;
mod restore;
mod waits;

use std::collections::BTreeMap;

use recoup::store::ledger;
use recoup::telemetry::metric;
use sea_orm::{ConnectionTrait, Statement};

use crate::support::story::Story;

/// What one counter of this process says, its labels as they are rendered; nothing where it was never counted.
fn counted(series: &str) -> u64 {
    let text = metric::recorder().render();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map_or(0, |number| number.parse().unwrap())
}

/// How much drift a job found so far.
fn drift(job: &str) -> u64 {
    counted(&format!("recoup_drift_found_total{{job=\"{job}\"}}"))
}

/// How much drift was found so far, by all jobs.
fn all_drift() -> u64 {
    let text = metric::recorder().render();
    let lines = text
        .lines()
        .filter(|line| line.starts_with("recoup_drift_found_total{"));
    lines
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}

/// Runs a statement on the story's database.
async fn run(story: &Story, sql: &str) {
    story.app.store.conn().execute_unprepared(sql).await.unwrap();
}

/// The number that a statement selects.
async fn number(story: &Story, sql: &str) -> i64 {
    let conn = story.app.store.conn();
    let statement = Statement::from_string(conn.get_database_backend(), sql);
    let row = conn.query_one_raw(statement).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

/// What stands on each account for an invoice's newest case, in minor units.
async fn accounts_of(story: &Story, invoice: &str) -> Vec<String> {
    let case = story.case(invoice).await;
    let mut accounts = BTreeMap::<_, i64>::new();
    for entry in ledger::by_case(story.app.store.conn(), &case.id).await.unwrap() {
        *accounts.entry(entry.account).or_default() += entry.amount.amount_minor;
    }
    let accounts = accounts.into_iter().filter(|(_, minor)| *minor != 0);
    accounts.map(|(account, minor)| format!("{account} {minor}")).collect()
}
