//! The queue of the cases: one narrow row for each open case, which is claimed and moved on its own.
//!
//! A claim used to write the whole case anew, with an entry in each of its indexes. Now the case is written only when it
//! changes, and none of its indexed columns changes while it is open. The columns of leases stay behind in `cases`,
//! unused, for a binary that still reads them.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(manager, &UP).await?;
        leave_room(manager, &ROOM).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(manager, &DOWN).await?;
        leave_room(manager, &["ALTER TABLE cases RESET (fillfactor)"]).await
    }
}

/// A row lives as long as its case is open, due or not, so that the number of its claims is never forgotten.
const UP: [&str; 4] = [
    "CREATE TABLE due_cases (
    case_id TEXT PRIMARY KEY NOT NULL REFERENCES cases (id),
    connection TEXT NOT NULL,
    invoice_id TEXT NOT NULL,
    due_at {int},
    lease_owner TEXT,
    lease_until {int},
    fence {int} NOT NULL DEFAULT 0,
    CONSTRAINT lease_whole CHECK ((lease_owner IS NULL) = (lease_until IS NULL))
){strict}",
    "CREATE INDEX due_cases_due ON due_cases (due_at, case_id) WHERE due_at IS NOT NULL",
    "INSERT INTO due_cases (case_id, connection, invoice_id, due_at, lease_owner, lease_until, fence)
    SELECT id, connection, invoice_id, next_action_at, lease_owner, lease_until, fence FROM cases
    WHERE closed_at IS NULL",
    "DROP INDEX cases_due",
];

const DOWN: [&str; 3] = [
    "CREATE INDEX cases_due ON cases (next_action_at, id) WHERE closed_at IS NULL",
    "UPDATE cases SET lease_owner = due_cases.lease_owner, lease_until = due_cases.lease_until, fence = due_cases.fence
    FROM due_cases WHERE due_cases.case_id = cases.id",
    "DROP TABLE due_cases",
];

/// PostgreSQL writes a changed row beside the old one and spares the indexes where both fit into one page.
const ROOM: [&str; 2] = [
    "ALTER TABLE cases SET (fillfactor = 80)",
    "ALTER TABLE due_cases SET (fillfactor = 50)",
];

async fn leave_room(manager: &SchemaManager<'_>, statements: &[&str]) -> Result<(), DbErr> {
    match manager.get_database_backend() {
        DbBackend::Postgres => crate::run(manager, statements).await,
        _ => Ok(()),
    }
}
