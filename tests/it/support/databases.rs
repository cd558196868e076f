//! Fresh databases for a test: one of SQLite, one of PostgreSQL.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use recoup::clock;
use recoup::store::Store;
use sea_orm::ConnectionTrait;

/// Enough for the widest race of the tests.
const CONNECTIONS: u32 = 10;
const DEFAULT_POSTGRES: &str = "postgres://postgres@127.0.0.1:5432/test";

/// Runs the check on a migrated, empty database of each kind.
pub fn each_database(check: impl AsyncFn(Store)) {
    each_url(&async |url: &str| {
        let store = Store::connect(url, CONNECTIONS).await.unwrap();
        store.migrate().await.unwrap();
        check(store.clone()).await;
        store.close().await.unwrap();
    });
}

/// Runs the check with the URL of a database of each kind that has no table yet.
pub fn each_url(check: &impl AsyncFn(&str)) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("recoup.db").display());
    run(check(&url));

    let schema = format!("test_{:032x}", clock::entropy());
    let server = std::env::var("RECOUP_TEST_POSTGRES").unwrap_or_else(|_| DEFAULT_POSTGRES.to_owned());
    run(administer(&server, &format!("CREATE SCHEMA {schema}")));
    let mark = if server.contains('?') { '&' } else { '?' };
    let url = format!("{server}{mark}options[search_path]={schema}");
    let told = catch_unwind(AssertUnwindSafe(|| run(check(&url))));
    run(administer(&server, &format!("DROP SCHEMA {schema} CASCADE")));
    if let Err(panic) = told {
        resume_unwind(panic);
    }
}

fn run(check: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(check);
}

async fn administer(server: &str, sql: &str) {
    let store = Store::connect(server, 1).await.unwrap_or_else(|error| {
        panic!(
            "the tests need PostgreSQL: run them with `bash tests/run`, or name a server in RECOUP_TEST_POSTGRES \
             ({error})"
        )
    });
    store.conn().execute_unprepared(sql).await.unwrap();
    store.close().await.unwrap();
}
