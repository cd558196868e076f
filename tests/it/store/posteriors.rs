//! Posteriors are let go of once no decision names them, and never before.

use jiff::{SignedDuration, Timestamp};
use recoup::domain::command::{Entry, EntryKind};
use recoup::domain::ids::TimelineId;
use recoup::domain::learning::Learned;
use recoup::domain::retention::Retention;
use recoup::store::changes::Line;
use recoup::store::learning::{Posterior, keep, newest, of_version};
use recoup::store::{Oversight, Store};
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};

use super::samples::{append, case, ended, now, open, save};
use crate::support::databases::each_database;

/// One was made every hour.
fn made_at(version: u64) -> Timestamp {
    now() + SignedDuration::from_hours(i64::try_from(version).unwrap())
}

async fn make(store: &Store, versions: std::ops::RangeInclusive<u64>) {
    for version in versions {
        let posterior = Posterior {
            version,
            at: made_at(version),
            document: Learned::nothing().model.document(),
        };
        assert!(keep(store, &posterior, &[]).await.unwrap());
    }
}

fn plan(at: Timestamp, data: Value) -> Line {
    Line {
        id: TimelineId::new(at.as_millisecond(), recoup::clock::entropy()),
        at,
        actor: "engine".to_owned(),
        entry: Entry {
            kind: EntryKind::Planned,
            text: "Planned.".to_owned(),
            data,
        },
    }
}

/// Writes plans of the first case: each by a posterior, a minute after it was made.
async fn decide(store: &Store, by: &[u64]) {
    for version in by {
        let at = made_at(*version) + SignedDuration::from_mins(1);
        // The arm was drawn by another posterior; what the decision is derived from is the one among its inputs.
        let data = json!({"inputs": {"version": version, "choice": {"version": 1}}, "campaign": {"version": 3}});
        let tx = store.begin().await.unwrap();
        append(
            &tx,
            &case(1).id,
            &[plan(at, data), plan(at, json!({"arm": "campaign"}))],
            at,
        )
        .await
        .unwrap();
        tx.commit().await.unwrap();
    }
}

async fn kept(store: &Store) -> Vec<i64> {
    let sql = "SELECT version FROM posteriors ORDER BY version";
    let statement = Statement::from_string(store.conn().get_database_backend(), sql);
    let rows = store.conn().query_all_raw(statement).await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

/// As many turns as go once over all of them, and begin again.
async fn turns(store: &Store, at: Timestamp) {
    for _ in 0..6 {
        store.tidy(at).await.unwrap();
    }
}

#[test]
fn the_newest_and_those_that_a_decision_names_stay() {
    each_database(async |store| {
        open(&store, &case(1)).await.unwrap();
        make(&store, 1..=60).await;
        decide(&store, &[2, 30, 31]).await;
        // For a day somebody may still plan by what was the newest.
        turns(&store, made_at(24)).await;
        assert_eq!(kept(&store).await.len(), 60);
        turns(&store, made_at(61) + SignedDuration::from_hours(25)).await;
        assert_eq!(kept(&store).await, [2, 30, 31, 60]);
        let conn = store.conn();
        assert!(of_version(conn, 30).await.unwrap().is_some() && of_version(conn, 3).await.unwrap().is_none());
        // What is made later goes as well, and what was looked at before stays.
        make(&store, 61..=63).await;
        turns(&store, made_at(200)).await;
        assert_eq!(kept(&store).await, [2, 30, 31, 63]);
        assert_eq!(newest(conn).await.unwrap().unwrap().version, 63);
    });
}

#[test]
fn what_the_last_history_named_goes_with_it() {
    each_database(async |store| {
        let retention = Retention {
            inbox_days: None,
            closed_cases_months: Some(1),
        };
        let store = store.keeping(retention);
        store.make_months(now()).await.unwrap();
        open(&store, &case(1)).await.unwrap();
        make(&store, 1..=5).await;
        decide(&store, &[2, 4]).await;
        turns(&store, made_at(100)).await;
        assert_eq!(kept(&store).await, [2, 4, 5]);
        let closed = recoup::domain::case::Case {
            id: case(1).id,
            ..ended(
                1,
                recoup::domain::outcome::Outcome::Recovered {
                    by: recoup::domain::outcome::RecoveredBy::Retry,
                },
            )
        };
        let tx = store.begin().await.unwrap();
        save(&tx, &closed, made_at(100)).await.unwrap();
        tx.commit().await.unwrap();
        turns(&store, now() + SignedDuration::from_hours(24 * 90)).await;
        assert_eq!(kept(&store).await, [5]);
    });
}
