//! Weekly digests to staff: a row for each week and address, made when the week's digest is due. The unique key lets it be sent once,
//! however many processes find it due. What a digest counts of messages that were not delivered has an index, which is small.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(manager, &UP).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(manager, &["DROP INDEX notifications_failed", "DROP TABLE digests"]).await
    }
}

/// A week is named as ISO 8601 does: `2026-W10`.
const UP: [&str; 4] = [
    "CREATE TABLE digests (
    id TEXT PRIMARY KEY NOT NULL,
    week TEXT NOT NULL CHECK (week <> ''),
    recipient TEXT NOT NULL CHECK (recipient <> ''),
    facts TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'sending', 'sent', 'kept', 'failed', 'unknown', 'superseded')),
    locale TEXT,
    subject TEXT,
    body_text TEXT,
    body_html TEXT,
    queued_at {int} NOT NULL,
    next_at {int} NOT NULL,
    ended_at {int},
    tries {int} NOT NULL DEFAULT 0 CHECK (tries >= 0),
    reason TEXT,
    lease_owner TEXT,
    lease_until {int},
    CONSTRAINT digest_live_until_ended CHECK ((status IN ('pending', 'sending')) = (ended_at IS NULL)),
    CONSTRAINT digest_sending_has_a_lease CHECK (status <> 'sending' OR lease_until IS NOT NULL),
    CONSTRAINT digest_lease_whole CHECK ((lease_owner IS NULL) = (lease_until IS NULL)),
    CONSTRAINT each_week_once UNIQUE (week, recipient)
){strict}",
    "CREATE INDEX digests_due ON digests (next_at, id) WHERE status = 'pending'",
    "CREATE INDEX digests_sending ON digests (lease_until) WHERE status = 'sending'",
    "CREATE INDEX notifications_failed ON notifications (ended_at) WHERE status = 'failed'",
];
