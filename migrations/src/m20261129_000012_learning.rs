//! What is learned from, and what was learned.
//!
//! Evidence is written by the transaction in which a charge or a case ends, and only ever read again by whoever makes the next
//! posterior of it: `version` says in which one it is. A posterior never changes once it is stored, so that a decision can be
//! derived again from the one that it names.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(
            manager,
            &[
                "CREATE TABLE evidence (
                    id TEXT NOT NULL PRIMARY KEY,
                    connection TEXT NOT NULL,
                    case_id TEXT NOT NULL,
                    at {int} NOT NULL,
                    kind TEXT NOT NULL,
                    fact TEXT NOT NULL,
                    version {int}
                ){strict}",
                "CREATE INDEX evidence_waiting ON evidence (id) WHERE version IS NULL",
                "CREATE INDEX evidence_case ON evidence (case_id)",
                "CREATE TABLE posteriors (
                    version {int} NOT NULL PRIMARY KEY,
                    at {int} NOT NULL,
                    document TEXT NOT NULL
                ){strict}",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(manager, &["DROP TABLE posteriors", "DROP TABLE evidence"]).await
    }
}
