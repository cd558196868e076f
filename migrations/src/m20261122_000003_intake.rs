//! Events are compressed by lz4 where PostgreSQL was built with it: it costs a fraction of the time of its own method.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{DbBackend, Statement};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        compress(manager, "lz4").await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        compress(manager, "DEFAULT").await
    }
}

/// Names the method for what is stored from now on; what is there stays as it is.
async fn compress(manager: &SchemaManager<'_>, method: &str) -> Result<(), DbErr> {
    if manager.get_database_backend() != DbBackend::Postgres {
        return Ok(());
    }
    let known = Statement::from_string(
        DbBackend::Postgres,
        "SELECT 1 FROM pg_settings WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)",
    );
    let connection = manager.get_connection();
    if connection.query_one_raw(known).await?.is_some() {
        let sql = format!("ALTER TABLE inbox ALTER COLUMN body SET COMPRESSION {method}");
        connection.execute_unprepared(&sql).await?;
    }
    Ok(())
}
