//! Migrations, and the laws that the database itself holds, whoever writes.

use migrations::{Migrator, MigratorTrait};
use recoup::domain::case::Origin;
use recoup::domain::outcome::{Outcome, RecoveredBy};
use recoup::store::inbox::{self, NewInbox};
use recoup::store::{Dialect, Store, StoreError, attempts, audit, timeline};
use sea_orm::{ConnectionTrait, Statement};

use super::ledger::{audit_entry, lines};
use super::samples::{append, case, case_id, ended, event, insert, now, open, open_attempt, save};
use crate::support::databases::{each_database, each_url};

#[test]
fn the_schema_goes_up_and_down_and_up_again() {
    each_url(&async |url: &str| {
        let store = Store::connect(url, 2).await.unwrap();
        assert!(store.migrations_pending().await.unwrap());
        store.migrate().await.unwrap();
        assert!(!store.migrations_pending().await.unwrap());
        // PostgreSQL keeps bodies apart and charges by name, and four tables by month: three months, and the rest.
        let by_month = match store.dialect() {
            Dialect::Sqlite => 0,
            Dialect::Postgres => 2 + 4 * (3 + 1),
        };
        assert_eq!(tables(&store).await.len(), 42 + 1 + by_month);

        Migrator::down(store.conn(), None).await.unwrap();
        assert_eq!(tables(&store).await, ["seaql_migrations"]);
        assert!(store.migrations_pending().await.unwrap());

        store.migrate().await.unwrap();
        assert!(open(&store, &case(1)).await.unwrap());
        store.migrate().await.unwrap();
        store.ping().await.unwrap();
        store.close().await.unwrap();
    });
}

#[test]
fn bodies_are_compressed_by_lz4_where_the_server_can() {
    each_database(async |store| {
        if store.dialect() == Dialect::Sqlite {
            return;
        }
        let body = NewInbox {
            body: b"{\"id\": \"evt_1\"}".repeat(300),
            ..event(1)
        };
        inbox::insert(&store, &body).await.unwrap();
        let ask = async |sql: &str| -> Option<String> {
            let statement = Statement::from_string(sea_orm::DbBackend::Postgres, sql);
            let row = store.conn().query_one_raw(statement).await.unwrap()?;
            row.try_get_by_index(0).unwrap()
        };
        let knows = ask("SELECT name FROM pg_settings WHERE 'lz4' = ANY (enumvals)")
            .await
            .is_some();
        let method = ask("SELECT pg_column_compression(body) FROM inbox_bodies").await;
        assert_eq!(method.as_deref(), Some(if knows { "lz4" } else { "pglz" }));
        let found = inbox::list(store.conn(), None, None, 9).await.unwrap();
        assert_eq!(found[0].body, body.body);
    });
}

#[test]
fn replicas_may_migrate_at_once_and_an_older_one_beside_a_newer_schema() {
    each_url(&async |url: &str| {
        let mut replicas = Vec::new();
        for _ in 0..4 {
            replicas.push(Store::connect(url, 1).await.unwrap());
        }
        let migrating = replicas
            .iter()
            .cloned()
            .map(|replica| tokio::spawn(async move { replica.migrate().await }));
        for done in migrating.collect::<Vec<_>>() {
            done.await.unwrap().unwrap();
        }
        let newer = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m2099', 1)";
        replicas[0].conn().execute_unprepared(newer).await.unwrap();
        assert!(!replicas[0].migrations_pending().await.unwrap());
        replicas[0].migrate().await.unwrap();
        for replica in replicas {
            replica.close().await.unwrap();
        }
    });
}

#[test]
fn an_invoice_has_one_open_case_and_a_case_one_open_attempt() {
    each_database(async |store| {
        let first = case(1);
        assert!(open(&store, &first).await.unwrap());
        let mut second = case(2);
        second.invoice_id.clone_from(&first.invoice_id);
        assert!(!open(&store, &second).await.unwrap());
        let by_hand = format!(
            "UPDATE cases SET invoice_id = '{}' WHERE id = '{}'",
            first.invoice_id,
            case_id(3)
        );
        open(&store, &case(3)).await.unwrap();
        assert!(matches!(refused(&store, &by_hand).await, StoreError::Conflict(_)));

        let tx = store.begin().await.unwrap();
        attempts::open(&tx, &[(&first, &open_attempt(1), Origin::Us)])
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let tx = store.begin().await.unwrap();
        let twice = attempts::open(&tx, &[(&first, &open_attempt(2), Origin::Us)]).await;
        assert!(matches!(twice, Err(StoreError::Conflict(_))), "{twice:?}");
        drop(tx);

        // Once the first case has ended, the invoice may be chased again, for the money was taken back.
        second.reversal_of = Some(first.id.clone());
        let tx = store.begin().await.unwrap();
        let recovered = ended(1, Outcome::Recovered { by: RecoveredBy::Retry });
        save(&tx, &recovered, now()).await.unwrap();
        assert!(insert(&tx, &second).await.unwrap());
        tx.commit().await.unwrap();
    });
}

#[test]
fn half_an_end_is_refused() {
    each_database(async |store| {
        open(&store, &case(1)).await.unwrap();
        let not_due = "next_action_at = NULL, next_action_kind = NULL, next_action_why = NULL";
        let closed = format!("status = 'recovered', state = 'closed', closed_at = 1, {not_due}");
        let cases = [
            (format!("closed_at = 1, {not_due}"), "open_until_closed"),
            ("status = 'recovered'".to_owned(), ""),
            (
                "outcome_kind = 'recovered', outcome_detail = 'retry'".to_owned(),
                "one_outcome",
            ),
            (closed.clone(), "one_outcome"),
            (format!("{closed}, outcome_kind = 'recovered'"), "one_outcome"),
            (
                format!("{closed}, outcome_kind = 'recovered', outcome_detail = 'staff'"),
                "one_outcome",
            ),
            (
                "status = 'stopped', state = 'closed', closed_at = 1, outcome_kind = 'stopped', \
                 outcome_detail = 'staff'"
                    .to_owned(),
                "closed_is_never_due",
            ),
            ("next_action_kind = NULL".to_owned(), "next_action_whole"),
            ("status = 'lost'".to_owned(), ""),
            ("decline_kind = 'bad_luck'".to_owned(), ""),
            ("currency = 'EURO'".to_owned(), ""),
            ("amount_minor = -1".to_owned(), ""),
            ("reversal_of = 'case_none'".to_owned(), ""),
        ];
        for (change, law) in cases {
            let refusal = refused(&store, &format!("UPDATE cases SET {change}")).await;
            assert!(matches!(refusal, StoreError::Other(_)), "{change}: {refusal}");
            assert!(refusal.to_string().contains(law), "{change}: {refusal}");
        }
        let refusal = refused(&store, "UPDATE due_cases SET lease_owner = 'me'").await;
        assert!(refusal.to_string().contains("lease_whole"), "{refusal}");
        let whole = format!("UPDATE cases SET {closed}, outcome_kind = 'recovered', outcome_detail = 'retry'");
        store.conn().execute_unprepared(&whole).await.unwrap();
    });
}

#[test]
fn timeline_and_audit_only_grow() {
    each_database(async |store| {
        open(&store, &case(1)).await.unwrap();
        let tx = store.begin().await.unwrap();
        append(&tx, &case_id(1), &lines(&["one"]), now()).await.unwrap();
        audit::append(&tx, &audit_entry(1)).await.unwrap();
        tx.commit().await.unwrap();

        for table in ["timeline", "audit"] {
            for sql in [
                format!("UPDATE {table} SET actor = 'x'"),
                format!("DELETE FROM {table}"),
            ] {
                let refusal = refused(&store, &sql).await.to_string();
                assert!(refusal.contains("append-only"), "{sql}: {refusal}");
            }
        }
        if store.dialect() == Dialect::Postgres {
            refused(&store, "TRUNCATE timeline").await;
        }
        assert_eq!(
            timeline::by_case(store.conn(), &case_id(1), 10, None)
                .await
                .unwrap()
                .len(),
            1
        );
    });
}

#[test]
fn sqlite_is_durable_and_tidy_on_every_connection() {
    each_database(async |store| {
        let settings: &[(&str, &str)] = match store.dialect() {
            Dialect::Sqlite => &[
                ("PRAGMA journal_mode", "wal"),
                ("PRAGMA synchronous", "2"),
                ("PRAGMA foreign_keys", "1"),
                ("PRAGMA busy_timeout", "5000"),
            ],
            Dialect::Postgres => &[
                ("SHOW statement_timeout", "15s"),
                ("SHOW lock_timeout", "5s"),
                ("SHOW idle_in_transaction_session_timeout", "30s"),
                ("SHOW transaction_isolation", "read committed"),
            ],
        };
        for (ask, answer) in settings {
            let statement = Statement::from_string(store.conn().get_database_backend(), *ask);
            let row = store.conn().query_one_raw(statement).await.unwrap().unwrap();
            let value = row
                .try_get_by_index::<String>(0)
                .or_else(|_| row.try_get_by_index::<i32>(0).map(|number| number.to_string()));
            assert_eq!(value.unwrap(), *answer, "{ask}");
        }
    });
}

#[test]
fn a_transaction_that_is_dropped_leaves_nothing() {
    each_database(async |store| {
        let tx = store.begin().await.unwrap();
        insert(&tx, &case(1)).await.unwrap();
        drop(tx);
        assert!(open(&store, &case(1)).await.unwrap());
    });
}

async fn refused(store: &Store, sql: &str) -> StoreError {
    StoreError::from(store.conn().execute_unprepared(sql).await.expect_err(sql))
}

async fn tables(store: &Store) -> Vec<String> {
    let sql = match store.dialect() {
        Dialect::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name",
        Dialect::Postgres => {
            "SELECT CAST(tablename AS TEXT) FROM pg_tables WHERE schemaname = current_schema() ORDER BY tablename"
        }
    };
    let statement = Statement::from_string(store.conn().get_database_backend(), sql);
    let rows = store.conn().query_all_raw(statement).await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}
