//! The ledger of attempts by instrument: what the rules of card networks and bank debits are judged by. It has no expiry, for
//! some of them look back half a year and some for ever.
//!
//! What stands in `attempts` already goes in by its payment method, since nobody noted the instrument behind it.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(
            manager,
            &[
                "CREATE TABLE instrument_attempts (
                    id TEXT NOT NULL PRIMARY KEY,
                    connection TEXT NOT NULL,
                    instrument TEXT NOT NULL,
                    network TEXT NOT NULL,
                    country TEXT,
                    funding TEXT,
                    bank_group TEXT,
                    case_id TEXT NOT NULL,
                    origin TEXT NOT NULL,
                    at {int} NOT NULL,
                    amount_minor {int} NOT NULL,
                    currency TEXT NOT NULL,
                    status TEXT NOT NULL,
                    known_at {int},
                    decline_kind TEXT,
                    decline_disposition TEXT,
                    provider_code TEXT,
                    network_code TEXT,
                    advice_code TEXT
                ){strict}",
                "CREATE INDEX instrument_attempts_instrument ON instrument_attempts (instrument, connection, at, id)",
                "CREATE INDEX instrument_attempts_bank ON instrument_attempts (bank_group, connection, at, id)",
                "CREATE TABLE blocked_attempts (
                    id TEXT NOT NULL PRIMARY KEY,
                    connection TEXT NOT NULL,
                    instrument TEXT NOT NULL,
                    network TEXT NOT NULL,
                    case_id TEXT NOT NULL,
                    at {int} NOT NULL,
                    rule TEXT NOT NULL,
                    until {int}
                ){strict}",
                "CREATE INDEX blocked_attempts_at ON blocked_attempts (at)",
                "INSERT INTO instrument_attempts (id, connection, instrument, network, case_id, origin, at, amount_minor,
                     currency, status, known_at, decline_kind, decline_disposition, provider_code, network_code, advice_code)
                 SELECT id, connection, COALESCE(payment_method, 'case:' || case_id), 'unknown', case_id, origin, started_at,
                     amount_minor, currency, status, ended_at, decline_kind, decline_disposition, provider_code, network_code,
                     advice_code
                 FROM attempts",
            ],
        )
        .await?;
        // Attempts are written in the order of their time, and each once more when it ends: that second writing finds room beside
        // the first, and reports find a span of days by ranges of blocks.
        let by_time: &[&str] = match manager.get_database_backend() {
            DbBackend::Postgres => &[
                "ALTER TABLE instrument_attempts SET (fillfactor = 80)",
                "CREATE INDEX instrument_attempts_at ON instrument_attempts USING brin (at) WITH (autosummarize = on)",
            ],
            _ => &["CREATE INDEX instrument_attempts_at ON instrument_attempts (at)"],
        };
        crate::run(manager, by_time).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(
            manager,
            &["DROP TABLE blocked_attempts", "DROP TABLE instrument_attempts"],
        )
        .await
    }
}
