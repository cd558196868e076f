//! Versions of campaigns that wait for a second person before they are published.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(manager, &[PUBLICATIONS, ONE_WAITS]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(manager, &["DROP TABLE publications"]).await
    }
}

/// Nobody decides on what they asked for themselves, whoever writes.
const PUBLICATIONS: &str = "CREATE TABLE publications (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL CHECK (name <> ''),
    version {int} NOT NULL CHECK (version > 0),
    source TEXT NOT NULL CHECK (source <> ''),
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

const ONE_WAITS: &str =
    "CREATE UNIQUE INDEX publications_one_waits ON publications (name, version) WHERE status = 'pending'";
