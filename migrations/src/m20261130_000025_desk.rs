//! What the desk of billing staff looks for: cases by address, by amount and by the last digits of a card; the views that people
//! keep of the list; and the audit log by who did something, and to what.
//!
//! None of the indexed columns changes on the way of a case, so PostgreSQL goes on to spare the indexes when a step is written.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // What older cases remember of their card stands in their document.
        let kept = match manager.get_database_backend() {
            DbBackend::Sqlite => {
                "UPDATE cases SET card_last4 = json_extract(memory, '$.memory.card.last4')
                 WHERE json_extract(memory, '$.memory.card.last4') IS NOT NULL"
            }
            _ => {
                "UPDATE cases SET card_last4 = memory::json #>> '{memory,card,last4}'
                 WHERE memory::json #>> '{memory,card,last4}' IS NOT NULL"
            }
        };
        crate::run(manager, &["ALTER TABLE cases ADD COLUMN card_last4 TEXT", kept]).await?;
        crate::run(manager, &UP).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(manager, &DOWN).await
    }
}

/// A view belongs to a person or a key, by whose id it is kept; one of its names is one view.
const UP: [&str; 7] = [
    "CREATE INDEX audit_actor ON audit (actor, id)",
    "CREATE INDEX audit_object ON audit (object, id)",
    "CREATE INDEX cases_email ON cases (LOWER(contact_email), id) WHERE contact_email IS NOT NULL",
    "CREATE INDEX cases_alternate ON cases (LOWER(contact_alternate), id) WHERE contact_alternate IS NOT NULL",
    "CREATE INDEX cases_amount ON cases (amount_minor, id)",
    "CREATE INDEX cases_last4 ON cases (card_last4, id) WHERE card_last4 IS NOT NULL",
    "CREATE TABLE views (
    id TEXT PRIMARY KEY NOT NULL,
    owner TEXT NOT NULL CHECK (owner <> ''),
    name TEXT NOT NULL CHECK (name <> ''),
    query TEXT NOT NULL,
    created_at {int} NOT NULL,
    CONSTRAINT one_view_a_name UNIQUE (owner, name)
){strict}",
];

const DOWN: [&str; 8] = [
    "DROP INDEX audit_object",
    "DROP INDEX audit_actor",
    "DROP TABLE views",
    "DROP INDEX cases_last4",
    "DROP INDEX cases_amount",
    "DROP INDEX cases_alternate",
    "DROP INDEX cases_email",
    "ALTER TABLE cases DROP COLUMN card_last4",
];
