//! The codes of declines that nobody knows, each once.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(manager, &[UNKNOWN_CODES]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(manager, &["DROP TABLE unknown_codes"]).await
    }
}

const UNKNOWN_CODES: &str = "CREATE TABLE unknown_codes (
    connection TEXT NOT NULL CHECK (connection <> ''),
    section TEXT NOT NULL CHECK (section <> ''),
    code TEXT NOT NULL,
    first_seen {int} NOT NULL,
    last_seen {int} NOT NULL CHECK (last_seen >= first_seen),
    count {int} NOT NULL CHECK (count > 0),
    PRIMARY KEY (connection, section, code)
){strict}";
