//! Laws, lists and bytes that cost more than they gave, for each event and for each step.
//!
//! An event is on no list by status until it ends otherwise than processed: one index less to write for each that arrives,
//! and one less again when it ends. Those that wait are found by the queue, and those that were processed, which nearly all
//! are, by their ids.
//!
//! SQLite compresses nothing by itself: the body of an event is packed by us, and `unpacked_bytes` says how long it was. Where that
//! is NULL the body is as it came.
//!
//! On PostgreSQL each line of a timeline looked for its case again, a third of what it cost to write. A line is written only
//! by the transaction that holds its case, and no case is ever removed.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{DbBackend, Statement};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(
            manager,
            &[
                "CREATE INDEX inbox_dead ON inbox (id) WHERE status = 'dead'",
                "CREATE INDEX inbox_ignored ON inbox (id) WHERE status = 'ignored'",
                "DROP INDEX inbox_status",
                "ALTER TABLE inbox ADD COLUMN unpacked_bytes {int}",
            ],
        )
        .await?;
        case_of_line(manager, "DROP CONSTRAINT timeline_case_id_fkey").await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        case_of_line(
            manager,
            "ADD CONSTRAINT timeline_case_id_fkey FOREIGN KEY (case_id) REFERENCES cases (id)",
        )
        .await?;
        unpack(manager).await?;
        crate::run(
            manager,
            &[
                "ALTER TABLE inbox DROP COLUMN unpacked_bytes",
                "CREATE INDEX inbox_status ON inbox (status, id)",
                "DROP INDEX inbox_ignored",
                "DROP INDEX inbox_dead",
            ],
        )
        .await
    }
}

async fn case_of_line(manager: &SchemaManager<'_>, change: &str) -> Result<(), DbErr> {
    match manager.get_database_backend() {
        DbBackend::Postgres => crate::run(manager, &[&format!("ALTER TABLE timeline {change}")]).await,
        _ => Ok(()),
    }
}

/// Puts every body back as it came.
async fn unpack(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let (conn, backend) = (manager.get_connection(), manager.get_database_backend());
    let packed = "SELECT id, body, unpacked_bytes FROM inbox WHERE unpacked_bytes IS NOT NULL LIMIT 1000";
    loop {
        let rows = conn.query_all_raw(Statement::from_string(backend, packed)).await?;
        if rows.is_empty() {
            return Ok(());
        }
        for row in rows {
            let (id, body): (String, Vec<u8>) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            let bytes = usize::try_from(row.try_get_by_index::<i64>(2)?).unwrap_or_default();
            let whole = lz4_flex::block::decompress(&body, bytes)
                .map_err(|error| DbErr::Custom(format!("the body of event {id} cannot be unpacked: {error}")))?;
            let sql = "UPDATE inbox SET body = $1, unpacked_bytes = NULL WHERE id = $2";
            let back = Statement::from_sql_and_values(backend, sql, [whole.into(), id.into()]);
            conn.execute_raw(back).await?;
        }
    }
}
