//! A database that is away, busy or misnamed is told apart.

use std::net::TcpListener;
use std::time::Duration;

use recoup::store::{Store, StoreError};
use tokio::time::timeout;

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
