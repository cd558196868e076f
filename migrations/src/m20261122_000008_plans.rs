//! Two things that a database without fresh statistics got wrong, and that cost most under load.
//!
//! Whoever looks for the cases of an invoice, a customer or a subscription names the connection too, which nearly all cases
//! share. With an index of its own the connection was as good a guess as the invoice, and every new case read all others.
//! Now one index has both columns.
//!
//! An open case changes at each step. Where its new row fits beside the old one, none of its indexes is touched; a fifth of a
//! page was room for one case of five.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        index(manager, "connection, ").await?;
        leave_room(manager, 50).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        index(manager, "").await?;
        leave_room(manager, 80).await
    }
}

/// Makes the indexes by which cases are looked for anew, with these columns between the name and the id.
async fn index(manager: &SchemaManager<'_>, between: &str) -> Result<(), DbErr> {
    for (name, narrowed) in [
        ("invoice", ""),
        ("customer", ""),
        ("subscription", " WHERE subscription_id IS NOT NULL"),
    ] {
        // Together, since another connection of a pool may believe for a while that the old one is still there.
        let sql =
            format!("DROP INDEX cases_{name}; CREATE INDEX cases_{name} ON cases ({name}_id, {between}id){narrowed}");
        crate::run(manager, &[&sql]).await?;
    }
    Ok(())
}

/// Fills new pages of `cases` up to so many hundredths on PostgreSQL; SQLite has no such setting.
async fn leave_room(manager: &SchemaManager<'_>, filled: u8) -> Result<(), DbErr> {
    if manager.get_database_backend() != DbBackend::Postgres {
        return Ok(());
    }
    let sql = format!("ALTER TABLE cases SET (fillfactor = {filled})");
    manager.get_connection().execute_unprepared(&sql).await?;
    Ok(())
}
