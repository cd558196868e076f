//! Messages to customers that belong to no case, because nothing has failed yet. They are few, so they do not lie by month.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(manager, &UP).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(manager, &["DROP TABLE courtesies"]).await
    }
}

/// A period of a subscription is named by the instant at which it ends.
const UP: [&str; 5] = [
    "CREATE TABLE courtesies (
    id TEXT PRIMARY KEY NOT NULL,
    connection TEXT NOT NULL CHECK (connection <> ''),
    customer_id TEXT NOT NULL CHECK (customer_id <> ''),
    subscription_id TEXT NOT NULL CHECK (subscription_id <> ''),
    period_ends_at {int} NOT NULL,
    message TEXT NOT NULL CHECK (message <> ''),
    facts TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'sending', 'sent', 'kept', 'failed', 'unknown', 'superseded',
        'suppressed')),
    recipient TEXT,
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
    CONSTRAINT courtesy_live_until_ended CHECK ((status IN ('pending', 'sending')) = (ended_at IS NULL)),
    CONSTRAINT courtesy_sending_has_a_lease CHECK (status <> 'sending' OR lease_until IS NOT NULL),
    CONSTRAINT courtesy_lease_whole CHECK ((lease_owner IS NULL) = (lease_until IS NULL)),
    CONSTRAINT each_period_once UNIQUE (connection, subscription_id, period_ends_at, message)
){strict}",
    "CREATE INDEX courtesies_due ON courtesies (next_at, id) WHERE status = 'pending'",
    "CREATE INDEX courtesies_sending ON courtesies (lease_until) WHERE status = 'sending'",
    "CREATE INDEX courtesies_customer ON courtesies (customer_id, id)",
    "CREATE INDEX courtesies_ended ON courtesies (ended_at) WHERE ended_at IS NOT NULL",
];
