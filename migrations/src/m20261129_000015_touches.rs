//! Which customers were written to, and when: so that somebody who owes several invoices is not written to about each of them on the
//! same day. A row lives for as long as a campaign looks back.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let index = "CREATE INDEX touches_customer ON touches (customer_id, connection, at)";
        crate::run(manager, &[TOUCHES, index]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(manager, &["DROP TABLE touches"]).await
    }
}

const TOUCHES: &str = "CREATE TABLE touches (
    notification_id TEXT PRIMARY KEY NOT NULL,
    connection TEXT NOT NULL CHECK (connection <> ''),
    customer_id TEXT NOT NULL CHECK (customer_id <> ''),
    at {int} NOT NULL
){strict}";
