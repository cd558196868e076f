//! What the service keeps beside the cases: inbox, campaigns, API keys, audit, idempotency, settings.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(manager, &INBOX).await?;
        crate::run(manager, &[CAMPAIGNS, API_KEYS, AUDIT]).await?;
        crate::make_append_only(manager, "audit").await?;
        crate::run(manager, &IDEMPOTENCY).await?;
        crate::run(manager, &[SETTINGS]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::drop_append_only(manager, "audit").await?;
        crate::run(
            manager,
            &[
                "DROP TABLE settings",
                "DROP TABLE idempotency",
                "DROP TABLE api_keys",
                "DROP TABLE campaigns",
                "DROP TABLE inbox",
            ],
        )
        .await
    }
}

const INBOX: [&str; 3] = [
    "CREATE TABLE inbox (
    id TEXT PRIMARY KEY NOT NULL,
    connection TEXT NOT NULL CHECK (connection <> ''),
    event_id TEXT NOT NULL CHECK (event_id <> ''),
    kind TEXT NOT NULL,
    body {bytes} NOT NULL,
    received_at {int} NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'processed', 'ignored', 'dead')),
    tries {int} NOT NULL DEFAULT 0 CHECK (tries >= 0),
    next_at {int} NOT NULL,
    reason TEXT,
    ended_at {int},
    lease_owner TEXT,
    lease_until {int},
    CONSTRAINT pending_until_ended CHECK ((status = 'pending') = (ended_at IS NULL)),
    CONSTRAINT lease_whole CHECK ((lease_owner IS NULL) = (lease_until IS NULL)),
    CONSTRAINT each_event_once UNIQUE (connection, event_id)
){strict}",
    "CREATE INDEX inbox_due ON inbox (next_at, id) WHERE ended_at IS NULL",
    "CREATE INDEX inbox_status ON inbox (status, id)",
];

const CAMPAIGNS: &str = "CREATE TABLE campaigns (
    name TEXT NOT NULL CHECK (name <> ''),
    version {int} NOT NULL CHECK (version > 0),
    content TEXT NOT NULL,
    created_at {int} NOT NULL,
    PRIMARY KEY (name, version)
){strict}";

const API_KEYS: &str = "CREATE TABLE api_keys (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('viewer', 'marketing', 'billing', 'admin')),
    secret_hash {bytes} NOT NULL CHECK (length(secret_hash) = 32),
    created_at {int} NOT NULL,
    revoked_at {int}
){strict}";

const AUDIT: &str = "CREATE TABLE audit (
    id TEXT PRIMARY KEY NOT NULL,
    at {int} NOT NULL,
    actor TEXT NOT NULL CHECK (actor <> ''),
    action TEXT NOT NULL CHECK (action <> ''),
    object TEXT NOT NULL,
    comment TEXT
){strict}";

const IDEMPOTENCY: [&str; 2] = [
    "CREATE TABLE idempotency (
    key_id TEXT NOT NULL,
    idem_key TEXT NOT NULL CHECK (idem_key <> ''),
    route TEXT NOT NULL,
    request_hash {bytes} NOT NULL,
    status {int} CHECK (status BETWEEN 100 AND 599),
    body {bytes},
    created_at {int} NOT NULL,
    CONSTRAINT answer_whole CHECK ((status IS NULL) = (body IS NULL)),
    PRIMARY KEY (key_id, idem_key)
){strict}",
    "CREATE INDEX idempotency_created ON idempotency (created_at)",
];

const SETTINGS: &str = "CREATE TABLE settings (
    name TEXT PRIMARY KEY NOT NULL CHECK (name <> ''),
    value TEXT NOT NULL
){strict}";
