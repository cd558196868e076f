//! Lines of timelines can be found by when they were written: whoever lets go of posteriors asks which of them the decisions of
//! some days name. On PostgreSQL a timeline lies by month of its case and is found by its case; the index is one of block ranges,
//! which costs a line next to nothing, since lines are only ever added. On SQLite the key of a line begins with its time.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        match manager.get_database_backend() {
            DbBackend::Postgres => {
                let index = "CREATE INDEX timeline_at ON timeline USING brin (at) WITH (autosummarize = on)";
                crate::run(manager, &[index]).await
            }
            _ => Ok(()),
        }
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        match manager.get_database_backend() {
            DbBackend::Postgres => crate::run(manager, &["DROP INDEX timeline_at"]).await,
            _ => Ok(()),
        }
    }
}
