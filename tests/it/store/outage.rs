//! A database that is away, busy or misnamed is told apart.

use std::net::TcpListener;
use std::time::Duration;

use recoup::store::inbox::{self, NewInbox, Received};
use recoup::store::{Dialect, Store, StoreError};
use sea_orm::ConnectionTrait;
use tokio::time::timeout;

use super::samples::event;
use crate::support::databases::{each_database, each_url};

/// One second above the time that a caller waits for a connection.
const PATIENCE: Duration = Duration::from_secs(4);

#[tokio::test]
async fn a_server_that_is_away_or_silent_is_unavailable_in_time() {
    let away = TcpListener::bind("127.0.0.1:0").unwrap();
    let away_port = away.local_addr().unwrap().port();
    drop(away);
    // Takes connections into its backlog and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_port = silent.local_addr().unwrap().port();

    let connect = async |port: u16| {
        let url = format!("postgres://postgres@127.0.0.1:{port}/test");
        timeout(PATIENCE, Store::connect(&url, 2))
            .await
            .expect("an answer in time")
            .unwrap_err()
    };
    let (away, silent) = tokio::join!(connect(away_port), connect(silent_port));
    for error in [away, silent] {
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        assert!(error.is_transient());
    }
}

#[tokio::test]
async fn a_writer_that_waited_too_long_is_told_that_the_file_is_busy() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("recoup.db").display());
    let (first, second) = (
        Store::connect(&url, 1).await.unwrap(),
        Store::connect(&url, 1).await.unwrap(),
    );
    let writing = first.begin().await.unwrap();
    let error = second.begin().await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    drop(writing);
    second.begin().await.unwrap().commit().await.unwrap();
}

/// SQLite ends a transaction by itself where the disk is full, and the pool's driver does not notice: on such a connection the
/// next transaction would not be one that takes the write lock, and a failure in it would leave it in a read for ever.
#[tokio::test]
async fn a_connection_whose_transaction_the_database_ended_is_not_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("recoup.db").display());
    let (first, second) = (
        Store::connect(&url, 1).await.unwrap(),
        Store::connect(&url, 1).await.unwrap(),
    );
    let ended = first.begin().await.unwrap();
    ended.conn().execute_unprepared("ROLLBACK").await.unwrap();
    ended.commit().await.unwrap_err();

    second
        .conn()
        .execute_unprepared("PRAGMA busy_timeout = 0")
        .await
        .unwrap();
    let writing = first.begin().await.unwrap();
    let error = second.begin().await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    writing.commit().await.unwrap();
    second.begin().await.unwrap().commit().await.unwrap();
}

#[tokio::test]
async fn what_can_never_work_is_not_called_unavailable() {
    for url in [
        "mysql://localhost/x",
        "sqlite::memory:",
        "postgres://bad url",
        "recoup.db",
    ] {
        let error = Store::connect(url, 1).await.unwrap_err();
        assert!(matches!(error, StoreError::Other(_)), "{url}: {error}");
    }
}

#[test]
fn a_connection_that_the_server_ends_is_unavailable_and_the_next_one_works() {
    each_database(async |store| {
        if store.dialect() == Dialect::Postgres {
            let end = "SELECT pg_terminate_backend(pg_backend_pid())";
            let error = StoreError::from(store.conn().execute_unprepared(end).await.unwrap_err());
            assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        }
        store.ping().await.unwrap();
    });
}

#[test]
fn a_full_disk_is_unavailable_and_what_is_there_can_be_read() {
    each_url(&async |url: &str| {
        let store = Store::connect(url, 1).await.unwrap();
        store.migrate().await.unwrap();
        assert_eq!(inbox::insert(&store, &event(1)).await.unwrap(), Received::Accepted);
        if store.dialect() == Dialect::Sqlite {
            // No page more than there are: what a full disk does to SQLite.
            store
                .conn()
                .execute_unprepared("PRAGMA max_page_count = 1")
                .await
                .unwrap();
            // What no packing makes smaller.
            let noise = std::iter::repeat_with(|| recoup::clock::entropy().to_le_bytes());
            let big = NewInbox {
                body: noise.take(1 << 16).flatten().collect(),
                ..event(2)
            };
            let error = inbox::insert(&store, &big).await.unwrap_err();
            assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        }
        let found = inbox::list(store.conn(), None, None, 9).await.unwrap();
        assert_eq!(found.len(), 1);
        store.close().await.unwrap();
    });
}
