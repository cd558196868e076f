//! The ledger of attempts by instrument: what the rules of card networks and bank debits are judged by. It has no expiry, for
//! some of them look back half a year and some for ever.
//!
//! What stands in `attempts` already goes in by its payment method, since nobody noted the instrument behind it.

use sea_orm_migration::prelude::*;

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
                "CREATE INDEX instrument_attempts_instrument ON instrument_attempts (connection, instrument, at)",
                "CREATE INDEX instrument_attempts_bank ON instrument_attempts (connection, bank_group, at)",
                "CREATE INDEX instrument_attempts_at ON instrument_attempts (at)",
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
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(
            manager,
            &["DROP TABLE blocked_attempts", "DROP TABLE instrument_attempts"],
        )
        .await
    }
}
