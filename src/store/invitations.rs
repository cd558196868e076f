//! Links that let a person choose a password: of the token in them only its hash. Whoever is invited has one, so that a new one
//! replaces the old.

use jiff::Timestamp;
use sea_orm::{ConnectionTrait, FromQueryResult, Statement};

use super::StoreError;
use super::people::run;
use super::row::Row;
use crate::domain::ids::PersonId;

/// What stands for the first admin, who has no id yet.
const FIRST: &str = "first";

/// Who is invited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invited {
    /// The first admin, whose name nobody knows yet.
    First,
    /// A person.
    Person(PersonId),
}

impl Invited {
    fn as_str(&self) -> &str {
        match self {
            Self::First => FIRST,
            Self::Person(id) => id.as_str(),
        }
    }
}

/// Keeps a link until `expires_at`, in place of the one that was there before.
pub async fn put<C: ConnectionTrait>(
    conn: &C,
    invited: &Invited,
    token_hash: &[u8; 32],
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO invitations (person_id, token_hash, created_at, expires_at) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (person_id) DO UPDATE SET token_hash = excluded.token_hash, created_at = excluded.created_at, \
               expires_at = excluded.expires_at, used_at = NULL";
    let values = vec![
        invited.as_str().into(),
        token_hash.to_vec().into(),
        now.as_millisecond().into(),
        expires_at.as_millisecond().into(),
    ];
    run(conn, sql, values).await?;
    Ok(())
}

/// Who is invited by a link, where it is still good.
pub async fn find<C: ConnectionTrait>(
    conn: &C,
    token_hash: &[u8; 32],
    now: Timestamp,
) -> Result<Option<Invited>, StoreError> {
    let sql = "SELECT person_id, expires_at FROM invitations WHERE token_hash = $1 AND used_at IS NULL";
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, [token_hash.to_vec().into()]);
    let Some(found) = Found::find_by_statement(statement).one(conn).await? else {
        return Ok(None);
    };
    let row = Row {
        table: "invitations",
        id: &found.person_id,
    };
    if row.instant("expires_at", found.expires_at)? <= now {
        return Ok(None);
    }
    Ok(Some(match found.person_id.as_str() {
        FIRST => Invited::First,
        _ => Invited::Person(found.person_id.into()),
    }))
}

/// Uses a link up; says whether it was still good. Of several at once, one is told so.
pub async fn use_up<C: ConnectionTrait>(conn: &C, token_hash: &[u8; 32], now: Timestamp) -> Result<bool, StoreError> {
    let sql = "UPDATE invitations SET used_at = $2 WHERE token_hash = $1 AND used_at IS NULL AND expires_at > $2";
    let values = vec![token_hash.to_vec().into(), now.as_millisecond().into()];
    Ok(run(conn, sql, values).await? == 1)
}

/// Takes the link of a person back.
pub async fn withdraw<C: ConnectionTrait>(conn: &C, id: &PersonId) -> Result<(), StoreError> {
    run(
        conn,
        "DELETE FROM invitations WHERE person_id = $1",
        vec![id.as_str().into()],
    )
    .await?;
    Ok(())
}

#[derive(FromQueryResult)]
struct Found {
    person_id: String,
    expires_at: i64,
}
