//! Schema of Recoup: the same tables, laws and indexes on SQLite and PostgreSQL.
//!
//! A migration that was released is frozen. A change is a new migration that works beside the code before it.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

pub use sea_orm_migration::MigratorTrait;

pub mod chain;
mod m20261121_000001_cases;
mod m20261121_000002_service;
mod m20261122_000003_intake;
mod m20261122_000004_due_cases;
mod m20261122_000005_ledger;
mod m20261122_000006_partitions;
mod m20261122_000007_lists;
mod m20261122_000008_plans;
mod m20261128_000009_less_to_write;
mod m20261129_000010_unknown_codes;
mod m20261129_000012_learning;
mod m20261129_000013_instruments;
mod m20261129_000014_lines_by_time;
mod m20261129_000015_touches;
mod m20261129_000016_suppressions;
mod m20261129_000017_courtesies;
mod m20261129_000018_shadows;
mod m20261130_000019_digests;
mod m20261130_000020_people;
mod m20261130_000021_rollups;
mod m20261130_000022_metrics;
mod m20261130_000023_figures;
mod m20261130_000024_actions;
mod m20261130_000025_desk;
mod m20261130_000026_identities;
mod m20261130_000027_publications;
mod m20261130_000028_ways;
mod m20261130_000029_win_back;

/// Every migration, in order.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261121_000001_cases::Migration),
            Box::new(m20261121_000002_service::Migration),
            Box::new(m20261122_000003_intake::Migration),
            Box::new(m20261122_000004_due_cases::Migration),
            Box::new(m20261122_000005_ledger::Migration),
            Box::new(m20261122_000006_partitions::Migration),
            Box::new(m20261122_000007_lists::Migration),
            Box::new(m20261122_000008_plans::Migration),
            Box::new(m20261128_000009_less_to_write::Migration),
            Box::new(m20261129_000010_unknown_codes::Migration),
            Box::new(m20261129_000012_learning::Migration),
            Box::new(m20261129_000013_instruments::Migration),
            Box::new(m20261129_000014_lines_by_time::Migration),
            Box::new(m20261129_000015_touches::Migration),
            Box::new(m20261129_000016_suppressions::Migration),
            Box::new(m20261129_000017_courtesies::Migration),
            Box::new(m20261129_000018_shadows::Migration),
            Box::new(m20261130_000019_digests::Migration),
            Box::new(m20261130_000020_people::Migration),
            Box::new(m20261130_000021_rollups::Migration),
            Box::new(m20261130_000022_metrics::Migration),
            Box::new(m20261130_000023_figures::Migration),
            Box::new(m20261130_000024_actions::Migration),
            Box::new(m20261130_000025_desk::Migration),
            Box::new(m20261130_000026_identities::Migration),
            Box::new(m20261130_000027_publications::Migration),
            Box::new(m20261130_000028_ways::Migration),
            Box::new(m20261130_000029_win_back::Migration),
        ]
    }
}

/// Runs the statements in order. `{int}` is the type of instants and amounts, `{bytes}` that of bytes, `{strict}` ends
/// a table that must take no value of another type (PostgreSQL never does).
async fn run(manager: &SchemaManager<'_>, statements: &[&str]) -> Result<(), DbErr> {
    let [int, bytes, strict] = match manager.get_database_backend() {
        DbBackend::Sqlite => ["INTEGER", "BLOB", " STRICT"],
        _ => ["BIGINT", "BYTEA", ""],
    };
    for statement in statements {
        let sql = statement
            .replace("{int}", int)
            .replace("{bytes}", bytes)
            .replace("{strict}", strict);
        manager.get_connection().execute_unprepared(&sql).await?;
    }
    Ok(())
}

/// Lets a table only grow: the database itself refuses to change or remove what stands there.
async fn make_append_only(manager: &SchemaManager<'_>, table: &str) -> Result<(), DbErr> {
    let statements = match manager.get_database_backend() {
        DbBackend::Sqlite => ["UPDATE", "DELETE"]
            .iter()
            .map(|verb| {
                format!(
                    "CREATE TRIGGER {table}_no_{} BEFORE {verb} ON {table} \
                     BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END",
                    verb.to_lowercase()
                )
            })
            .collect(),
        _ => vec![
            format!(
                "CREATE FUNCTION {table}_is_append_only() RETURNS trigger LANGUAGE plpgsql AS \
                 $$ BEGIN RAISE EXCEPTION '{table} is append-only'; END $$"
            ),
            format!(
                "CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} \
                 FOR EACH STATEMENT EXECUTE FUNCTION {table}_is_append_only()"
            ),
        ],
    };
    for statement in statements {
        manager.get_connection().execute_unprepared(&statement).await?;
    }
    Ok(())
}

/// Takes an append-only table away together with its guard.
async fn drop_append_only(manager: &SchemaManager<'_>, table: &str) -> Result<(), DbErr> {
    let connection = manager.get_connection();
    connection.execute_unprepared(&format!("DROP TABLE {table}")).await?;
    if manager.get_database_backend() == DbBackend::Postgres {
        connection
            .execute_unprepared(&format!("DROP FUNCTION {table}_is_append_only()"))
            .await?;
    }
    Ok(())
}
