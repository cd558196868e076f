//! People who sign in, the links that let them in for the first time, and who is signed in. No secret stands here: of a token only
//! its hash, of a password what argon2id makes of it.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let of_person = "CREATE INDEX sessions_person ON sessions (person_id)";
        let of_key = "CREATE INDEX sessions_key ON sessions (key_id)";
        let by_end = "CREATE INDEX sessions_end ON sessions (expires_at)";
        crate::run(manager, &[PEOPLE, INVITATIONS, SESSIONS, of_person, of_key, by_end]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let drops = ["sessions", "invitations", "people"].map(|table| format!("DROP TABLE {table}"));
        crate::run(manager, &drops.each_ref().map(String::as_str)).await
    }
}

const PEOPLE: &str = "CREATE TABLE people (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL CHECK (name <> ''),
    email TEXT NOT NULL UNIQUE CHECK (email <> ''),
    role TEXT NOT NULL CHECK (role IN ('viewer', 'marketing', 'billing', 'admin')),
    password_hash TEXT CHECK (password_hash LIKE '$argon2id$%'),
    created_at {int} NOT NULL,
    disabled_at {int}
){strict}";

// Whoever is invited has one link, so that a new one replaces the old; the first admin, who is nobody yet, is named `first`.
const INVITATIONS: &str = "CREATE TABLE invitations (
    person_id TEXT NOT NULL PRIMARY KEY,
    token_hash {bytes} NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    created_at {int} NOT NULL,
    expires_at {int} NOT NULL,
    used_at {int}
){strict}";

const SESSIONS: &str = "CREATE TABLE sessions (
    token_hash {bytes} NOT NULL PRIMARY KEY CHECK (length(token_hash) = 32),
    person_id TEXT REFERENCES people (id),
    key_id TEXT,
    created_at {int} NOT NULL,
    last_seen_at {int} NOT NULL,
    expires_at {int} NOT NULL,
    CONSTRAINT one_holder CHECK ((person_id IS NULL) <> (key_id IS NULL))
){strict}";
