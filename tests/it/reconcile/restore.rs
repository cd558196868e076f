//! The drill: a copy of the database is made in the middle, a day goes on, and the copy comes back.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use recoup::app::App;
use recoup::domain::outcome::Status;
use recoup::sandbox::{Letter, Shape};
use recoup::store::notifications::{self, NotificationStatus};
use recoup::store::{Dialect, Store, cases};
use sea_orm::ConnectionTrait;

use crate::support::story::{Story, tell_in};

/// The tables in the order in which their rows may come.
const TABLES: [&str; 13] = [
    "cases",
    "attempts",
    "notifications",
    "timeline",
    "late_money",
    "inbox",
    "campaigns",
    "api_keys",
    "audit",
    "idempotency",
    "settings",
    "ledger",
    "audit_chain",
];

/// Copies the database as an operator would: `recoup backup` for a file; for PostgreSQL the rows go into new tables, as they do with a
/// dump that is brought back.
async fn copy(story: &Story, folder: &Path) -> String {
    match story.app.store.dialect() {
        Dialect::Sqlite => {
            let file = folder.join("copy.db");
            let database = story.database();
            let output = Command::new(env!("CARGO_BIN_EXE_recoup"))
                .args(["backup", file.to_str().unwrap()])
                .env_clear()
                .env("RECOUP__DATABASE__URL", database)
                .current_dir(folder)
                .output()
                .unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            format!("sqlite://{}", file.display())
        }
        Dialect::Postgres => {
            let database = story.database();
            let (server, schema) = database.split_once("search_path]=").unwrap();
            let copy = format!("{schema}_copy");
            let conn = story.app.store.conn();
            conn.execute_unprepared(&format!("CREATE SCHEMA {copy}")).await.unwrap();
            let url = format!("{server}search_path]={copy}");
            let restored = Store::connect(&url, 1).await.unwrap();
            restored.migrate().await.unwrap();
            // A schema is born with a key of its own, which gives way to that of the copy.
            conn.execute_unprepared(&format!("DELETE FROM {copy}.settings"))
                .await
                .unwrap();
            for table in TABLES {
                let sql = format!("INSERT INTO {copy}.{table} SELECT * FROM {schema}.{table}");
                conn.execute_unprepared(&sql).await.unwrap();
            }
            restored.close().await.unwrap();
            url
        }
    }
}

async fn drop_copy(story: &Story) {
    if story.app.store.dialect() == Dialect::Postgres {
        let database = story.database();
        let (_, schema) = database.split_once("search_path]=").unwrap();
        let sql = format!("DROP SCHEMA {schema}_copy CASCADE");
        story.app.store.conn().execute_unprepared(&sql).await.unwrap();
    }
}

/// How often each subject went to each address.
fn letters(story: &Story) -> BTreeMap<(String, String), usize> {
    let mut count = BTreeMap::new();
    for Letter {
        envelope_to, subject, ..
    } in story.letters()
    {
        *count.entry((envelope_to.join(","), subject)).or_default() += 1;
    }
    count
}

async fn status(app: &App, invoice: &str) -> Status {
    let conn = app.store.conn();
    let id = cases::by_invoice(conn, "stripe", invoice).await.unwrap();
    let case = cases::find(conn, &id.expect("it has a case")).await.unwrap();
    case.unwrap().status()
}

#[test]
fn an_older_copy_charges_nobody_twice_and_repeats_no_mail() {
    tell_in(Shape::New, "2026-03-02T08:30:00Z", &[], &async |story: &mut Story| {
        let folder = tempfile::tempdir().unwrap();
        // One that is charged on the next morning, one that gets its first mail then, one that fails only then.
        let charged = story.failed_invoice("insufficient_funds");
        let written = story.failed_invoice("expired_card");
        story.advance("2026-03-02T20:00:00Z").await;
        let url = copy(story, folder.path()).await;

        story.advance("2026-03-03T06:00:00Z").await;
        let fresh = story.failed_invoice("expired_card");
        story.advance("2026-03-03T20:00:00Z").await;
        assert_eq!(story.case(&charged.invoice).await.status(), Status::Recovered);
        let seen = letters(story);
        assert!(seen.len() >= 3, "{seen:?}");
        assert_eq!(story.sandbox.books().successes(&charged.invoice), 1);

        // The copy comes back a day later, and the service with it.
        let restored = story.on_database(&url).await;
        restored.engine.advance(story.now()).await.unwrap();
        assert!(!restored.engine.is_reconciling());
        assert_eq!(letters(story), seen, "whoever was written to is not written to again");
        assert_eq!(status(&restored, &charged.invoice).await, Status::Recovered);
        assert_eq!(status(&restored, &written.invoice).await, Status::Open);
        assert_eq!(status(&restored, &fresh.invoice).await, Status::Open);
        let rows = notifications::list(restored.store.conn(), None, None, 50)
            .await
            .unwrap();
        let held_back = |row: &&notifications::NotificationRow| row.status == NotificationStatus::Superseded;
        let reasons: Vec<_> = rows.iter().filter(held_back).map(|row| row.reason.as_deref()).collect();
        assert_eq!(
            reasons,
            [Some("restored")],
            "the receipt had left, and is not sent again"
        );

        // And it goes on: later messages leave once, nothing is charged twice.
        restored
            .engine
            .advance("2026-04-20T00:00:00Z".parse().unwrap())
            .await
            .unwrap();
        let after = letters(story);
        assert!(after.len() > seen.len(), "{after:?}");
        assert!(after.iter().all(|(_, times)| *times == 1), "{after:?}");
        for failed in [&charged, &written, &fresh] {
            assert!(story.sandbox.books().successes(&failed.invoice) <= 1);
        }
        restored.stop().await.unwrap();
        story.sandbox.lose_webhooks();
        drop_copy(story).await;
    });
}
