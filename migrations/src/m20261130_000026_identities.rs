//! Which account at an identity provider belongs to which person. An account is named by the issuer and what that calls it, which
//! never changes, and not by a mail address, which may pass to somebody else.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(manager, &[IDENTITIES]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(manager, &["DROP TABLE identities"]).await
    }
}

// A person has one account at an issuer, and an account one person. Another issuer, after a change of provider, is another row.
const IDENTITIES: &str = "CREATE TABLE identities (
    issuer TEXT NOT NULL CHECK (issuer <> ''),
    subject TEXT NOT NULL CHECK (subject <> ''),
    person_id TEXT NOT NULL REFERENCES people (id),
    created_at {int} NOT NULL,
    PRIMARY KEY (issuer, subject),
    CONSTRAINT one_account_a_person UNIQUE (person_id, issuer)
){strict}";
