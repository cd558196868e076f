//! A database from before the ledger: its books are begun from what stands in the tables, and its audit log is chained.

use migrations::{Migrator, MigratorTrait};
use recoup::domain::ids::CaseId;
use recoup::store::{Oversight, Store, ledger};
use sea_orm::ConnectionTrait;

use super::samples::now;
use crate::support::databases::each_url;

/// The migrations that were there before.
const BEFORE: u32 = 2;

fn case(id: &str, status: &str, outcome: [&str; 3]) -> String {
    let closed = if status == "open" { "NULL" } else { "2000" };
    let state = if status == "open" { "waiting" } else { "closed" };
    let quoted = outcome.map(|word| {
        if word.is_empty() {
            "NULL".to_owned()
        } else {
            format!("'{word}'")
        }
    });
    format!(
        "INSERT INTO cases (id, connection, invoice_id, customer_id, amount_minor, currency, status, state, \
         decline_kind, decline_disposition, campaign_name, campaign_version, collector, opened_at, closed_at, \
         outcome_kind, outcome_detail, outcome_then, attempts, notifications, zone, warnings, memory, updated_at) \
         VALUES ('{id}', 'stripe', 'in_{id}', 'cus_1', 1999, 'EUR', '{status}', '{state}', 'limit', 'retry', \
         'default', 1, 'us', 1000, {closed}, {}, {}, {}, 1, 0, 'UTC', '[]', '{{}}', 2000)",
        quoted[0], quoted[1], quoted[2]
    )
}

/// What the tables held.
fn rows() -> Vec<String> {
    let mut rows = vec![
        case("case_1", "open", ["", "", ""]),
        case("case_2", "recovered", ["recovered", "retry", ""]),
        case("case_3", "recovered", ["recovered", "customer", ""]),
        case("case_4", "recovered", ["recovered", "out_of_band", ""]),
        case("case_5", "exhausted", ["exhausted", "attempts_spent", "uncollectible"]),
        case("case_6", "stopped", ["stopped", "voided", ""]),
        case("case_7", "stopped", ["stopped", "staff", ""]),
    ];
    rows.push(
        "INSERT INTO attempts (id, connection, case_id, origin, status, amount_minor, currency, charge_id, \
         started_at, ended_at) VALUES ('att_1', 'stripe', 'case_2', 'us', 'succeeded', 1999, 'EUR', 'ch_1', 1, 2)"
            .to_owned(),
    );
    for (case, seq, kind) in [
        ("case_3", 1, "refund"),
        ("case_3", 2, "dispute"),
        ("case_7", 1, "late_recovery"),
    ] {
        rows.push(format!(
            "INSERT INTO late_money (connection, case_id, seq, kind, amount_minor, currency, booked_at) \
             VALUES ('stripe', '{case}', {seq}, '{kind}', 500, 'EUR', 3000)"
        ));
    }
    for number in 1..=3 {
        rows.push(format!(
            "INSERT INTO audit (id, at, actor, action, object) VALUES ('aud_{number}', {number}, 'eve', 'stop', 'x')"
        ));
    }
    rows
}

#[test]
fn books_are_begun_for_what_happened_before() {
    each_url(&async |url: &str| {
        let store = Store::connect(url, 2).await.unwrap();
        Migrator::up(store.conn(), Some(BEFORE)).await.unwrap();
        for row in &rows() {
            store.conn().execute_unprepared(row).await.unwrap();
        }
        store.migrate().await.unwrap();

        let page = store.check_books(None, 100).await.unwrap();
        assert_eq!(page.wrong, []);
        assert_eq!(page.last, Some(CaseId::from("case_7".to_owned())));
        let mut ends = Vec::new();
        for number in 2..=7 {
            let case = CaseId::from(format!("case_{number}"));
            let entries = ledger::by_case(store.conn(), &case).await.unwrap();
            let arrived = |entry: &&ledger::Entry| entry.amount.amount_minor > 0 && entry.kind.as_str() != "owed";
            ends.extend(
                entries
                    .iter()
                    .filter(arrived)
                    .map(|entry| format!("{number} {} {}", entry.kind, entry.account)),
            );
        }
        ends.sort_unstable();
        assert_eq!(
            ends,
            [
                "2 payment provider_clearing",
                "3 dispute taken_back",
                "3 payment suspense",
                "3 refund taken_back",
                "4 payment elsewhere",
                "5 write_off given_up",
                "6 abandoned given_up",
                "7 abandoned given_up",
                "7 late_recovery suspense",
            ]
        );
        let paid = ledger::recovered(
            store.conn(),
            now() - jiff::SignedDuration::from_hours(24 * 36_500),
            now(),
        );
        assert_eq!(paid.await.unwrap().values().sum::<i64>(), 3 * 1999);
        let chain = store.check_chain().await.unwrap();
        assert_eq!((chain.length, chain.broken), (3, None));
        store.close().await.unwrap();
    });
}
