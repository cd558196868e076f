//! Addresses that are not written to any more. The list holds no address: each stands there by an HMAC under a key that is made here,
//! once for this database. Beside it, a second address of the customer of a case.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let random = match manager.get_database_backend() {
            DbBackend::Sqlite => "lower(hex(randomblob(32)))",
            _ => "replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '')",
        };
        let key = format!("INSERT INTO settings (name, value) VALUES ('suppressions.key', {random})");
        let alternate = "ALTER TABLE cases ADD COLUMN contact_alternate TEXT";
        crate::run(manager, &[SUPPRESSIONS, &key, alternate]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements = [
            "ALTER TABLE cases DROP COLUMN contact_alternate",
            "DELETE FROM settings WHERE name = 'suppressions.key'",
            "DROP TABLE suppressions",
        ];
        crate::run(manager, &statements).await
    }
}

const SUPPRESSIONS: &str = "CREATE TABLE suppressions (
    id TEXT PRIMARY KEY NOT NULL,
    address_key TEXT NOT NULL CHECK (address_key <> ''),
    scope TEXT NOT NULL CHECK (scope IN ('all', 'promotional')),
    why TEXT NOT NULL CHECK (why IN ('bounced', 'complained', 'unsubscribed', 'staff')),
    at {int} NOT NULL,
    CONSTRAINT each_scope_once UNIQUE (address_key, scope)
){strict}";
