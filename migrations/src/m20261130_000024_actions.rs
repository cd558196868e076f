//! Customers who are not chased any more, whatever fails.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(manager, &[EXCLUSIONS]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(manager, &["DROP TABLE exclusions"]).await
    }
}

const EXCLUSIONS: &str = "CREATE TABLE exclusions (
    id TEXT PRIMARY KEY NOT NULL,
    connection TEXT NOT NULL CHECK (connection <> ''),
    customer_id TEXT NOT NULL CHECK (customer_id <> ''),
    at {int} NOT NULL,
    actor TEXT NOT NULL CHECK (actor <> ''),
    comment TEXT,
    CONSTRAINT each_customer_once UNIQUE (connection, customer_id)
){strict}";
