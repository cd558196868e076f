//! Customers who are not chased any more, whatever fails; and acts that wait for a second person.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(manager, &[EXCLUSIONS, APPROVALS, ONE_WAITS, BY_CASE]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(manager, &["DROP TABLE approvals", "DROP TABLE exclusions"]).await
    }
}

const EXCLUSIONS: &str = "CREATE TABLE exclusions (
    id TEXT PRIMARY KEY NOT NULL,
    connection TEXT NOT NULL CHECK (connection <> ''),
    customer_id TEXT NOT NULL CHECK (customer_id <> ''),
    at {int} NOT NULL,
    actor TEXT NOT NULL CHECK (actor <> ''),
    comment TEXT,
    CONSTRAINT each_customer_once UNIQUE (connection, customer_id)
){strict}";

/// Nobody decides on what they asked for themselves, whoever writes.
const APPROVALS: &str = "CREATE TABLE approvals (
    id TEXT PRIMARY KEY NOT NULL,
    case_id TEXT NOT NULL,
    act TEXT NOT NULL CHECK (act <> ''),
    amount_minor {int} NOT NULL CHECK (amount_minor >= 0),
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    asked_by TEXT NOT NULL CHECK (asked_by <> ''),
    asker_id TEXT NOT NULL CHECK (asker_id <> ''),
    asked_at {int} NOT NULL,
    expires_at {int} NOT NULL,
    comment TEXT,
    status TEXT NOT NULL CHECK (status IN ('pending', 'approved', 'refused', 'expired')),
    ruled_by TEXT,
    ruler_id TEXT,
    ruled_at {int},
    ruling_comment TEXT,
    CONSTRAINT ruled_whole CHECK ((status IN ('approved', 'refused')) = (ruled_at IS NOT NULL)
        AND (ruled_at IS NULL) = (ruled_by IS NULL) AND (ruled_at IS NULL) = (ruler_id IS NULL)),
    CONSTRAINT by_another_person CHECK (ruler_id IS NULL OR ruler_id <> asker_id)
){strict}";

const ONE_WAITS: &str = "CREATE UNIQUE INDEX approvals_one_waits ON approvals (case_id, act) WHERE status = 'pending'";
const BY_CASE: &str = "CREATE INDEX approvals_case ON approvals (case_id, id)";
