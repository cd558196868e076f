//! Who is signed in at the dashboard: of the token in the browser only its hash.

use jiff::Timestamp;
use sea_orm::{ConnectionTrait, FromQueryResult, Statement};

use super::StoreError;
use super::people::run;
use super::row::Row;
use crate::domain::ids::{KeyId, PersonId};
use crate::domain::role::Role;

/// How many sessions of one holder there are; a further one ends the oldest.
const SESSIONS_MAX: i64 = 20;

/// Whose session it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A person who gave a password.
    Person(PersonId),
    /// Whoever has an API key.
    Key(KeyId),
}

impl Holder {
    const fn column(&self) -> &'static str {
        match self {
            Self::Person(_) => "person_id",
            Self::Key(_) => "key_id",
        }
    }

    fn id(&self) -> &str {
        match self {
            Self::Person(id) => id.as_str(),
            Self::Key(id) => id.as_str(),
        }
    }
}

/// A session with what its holder may do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow {
    /// Whose it is.
    pub holder: Holder,
    /// Name and role of the holder; nothing where there is no such person or key, or where it is let in no more.
    pub known: Option<(String, Role)>,
    /// When it was used last, to the minute.
    pub last_seen_at: Timestamp,
    /// When it ends in any case.
    pub expires_at: Timestamp,
}

/// Begins a session.
pub async fn insert<C: ConnectionTrait>(
    conn: &C,
    token_hash: &[u8; 32],
    holder: &Holder,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<(), StoreError> {
    let column = holder.column();
    let sql = format!(
        "INSERT INTO sessions (token_hash, {column}, created_at, last_seen_at, expires_at) VALUES ($1, $2, $3, $3, $4)"
    );
    let values = vec![
        token_hash.to_vec().into(),
        holder.id().into(),
        now.as_millisecond().into(),
        expires_at.as_millisecond().into(),
    ];
    run(conn, &sql, values).await?;
    let trim = format!(
        "DELETE FROM sessions WHERE {column} = $1 AND token_hash NOT IN (SELECT token_hash FROM sessions \
         WHERE {column} = $1 ORDER BY created_at DESC, token_hash LIMIT $2)"
    );
    run(conn, &trim, vec![holder.id().into(), SESSIONS_MAX.into()]).await?;
    Ok(())
}

/// The session of that token.
pub async fn find<C: ConnectionTrait>(conn: &C, token_hash: &[u8; 32]) -> Result<Option<SessionRow>, StoreError> {
    let sql = "SELECT s.person_id, s.key_id, s.last_seen_at, s.expires_at, \
               COALESCE(p.name, k.name) AS name, COALESCE(p.role, k.role) AS role FROM sessions s \
               LEFT JOIN people p ON p.id = s.person_id AND p.disabled_at IS NULL \
               LEFT JOIN api_keys k ON k.id = s.key_id AND k.revoked_at IS NULL WHERE s.token_hash = $1";
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, [token_hash.to_vec().into()]);
    let found = Found::find_by_statement(statement).one(conn).await?;
    found.map(decode).transpose()
}

/// Notes that a session was used.
pub async fn touch<C: ConnectionTrait>(conn: &C, token_hash: &[u8; 32], now: Timestamp) -> Result<(), StoreError> {
    let sql = "UPDATE sessions SET last_seen_at = $2 WHERE token_hash = $1 AND last_seen_at < $2";
    run(conn, sql, vec![token_hash.to_vec().into(), now.as_millisecond().into()]).await?;
    Ok(())
}

/// Ends a session.
pub async fn end<C: ConnectionTrait>(conn: &C, token_hash: &[u8; 32]) -> Result<(), StoreError> {
    let sql = "DELETE FROM sessions WHERE token_hash = $1";
    run(conn, sql, vec![token_hash.to_vec().into()]).await?;
    Ok(())
}

/// Ends every session of a holder.
pub async fn end_all<C: ConnectionTrait>(conn: &C, holder: &Holder) -> Result<(), StoreError> {
    let sql = format!("DELETE FROM sessions WHERE {} = $1", holder.column());
    run(conn, &sql, vec![holder.id().into()]).await?;
    Ok(())
}

#[derive(FromQueryResult)]
struct Found {
    person_id: Option<String>,
    key_id: Option<String>,
    last_seen_at: i64,
    expires_at: i64,
    name: Option<String>,
    role: Option<String>,
}

fn decode(found: Found) -> Result<SessionRow, StoreError> {
    let holder = match (found.person_id, found.key_id) {
        (Some(id), _) => Holder::Person(id.into()),
        (None, id) => Holder::Key(id.unwrap_or_default().into()),
    };
    let row = Row {
        table: "sessions",
        id: holder.id(),
    };
    let role = row.maybe_word("role", found.role.as_deref())?;
    Ok(SessionRow {
        known: found.name.zip(role),
        last_seen_at: row.instant("last_seen_at", found.last_seen_at)?,
        expires_at: row.instant("expires_at", found.expires_at)?,
        holder,
    })
}
