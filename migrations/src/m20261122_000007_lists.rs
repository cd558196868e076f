//! Lists that are narrowed by a kind of decline or by a connection, however rare it is, read no more than they show.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(
            manager,
            &[
                "CREATE INDEX cases_decline ON cases (decline_kind, id)",
                "CREATE INDEX cases_connection ON cases (connection, id)",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(manager, &["DROP INDEX cases_connection", "DROP INDEX cases_decline"]).await
    }
}
