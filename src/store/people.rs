//! The people who sign in: of their passwords only what argon2id makes of them.

use std::fmt;

use jiff::Timestamp;
use sea_orm::{ConnectionTrait, FromQueryResult, Statement, Value};

use super::StoreError;
use super::row::Row;
use crate::domain::ids::PersonId;
use crate::domain::role::Role;

const COLUMNS: &str = "id, name, email, role, password_hash, created_at, disabled_at";
/// The columns, and whether an account at an identity provider is theirs.
const READ: &str = "id, name, email, role, password_hash, created_at, disabled_at, \
                    (SELECT COUNT(*) FROM identities WHERE person_id = people.id) AS accounts";

/// One person.
#[derive(Clone, PartialEq, Eq)]
pub struct PersonRow {
    /// Their id.
    pub id: PersonId,
    /// Their name, under which acts are recorded.
    pub name: String,
    /// Their mail address, in small letters; nobody else has it.
    pub email: String,
    /// What they may do.
    pub role: Role,
    /// Their password as a PHC string of argon2id; none until they choose one.
    pub password_hash: Option<String>,
    /// When they were invited.
    pub created_at: Timestamp,
    /// Since when they are not let in.
    pub disabled_at: Option<Timestamp>,
    /// Whether they signed in by an identity provider; it is only read here.
    pub bound: bool,
}

impl PersonRow {
    /// Whether they have used their invitation, one way or the other.
    pub fn joined(&self) -> bool {
        self.password_hash.is_some() || self.bound
    }
}

impl fmt::Debug for PersonRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PersonRow")
            .field("id", &self.id)
            .field("role", &self.role)
            .field("disabled_at", &self.disabled_at)
            .finish_non_exhaustive()
    }
}

/// Stores a new person; one of the same address is a `Conflict`.
pub async fn insert<C: ConnectionTrait>(conn: &C, person: &PersonRow) -> Result<(), StoreError> {
    let sql = format!("INSERT INTO people ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7)");
    run(conn, &sql, values(person)).await?;
    Ok(())
}

/// Writes all of a person anew, but for the id and the accounts.
pub async fn update<C: ConnectionTrait>(conn: &C, person: &PersonRow) -> Result<(), StoreError> {
    let sql = "UPDATE people SET name = $2, email = $3, role = $4, password_hash = $5, created_at = $6, disabled_at = $7 \
               WHERE id = $1";
    run(conn, sql, values(person)).await?;
    Ok(())
}

/// The person of that id.
pub async fn find<C: ConnectionTrait>(conn: &C, id: &PersonId) -> Result<Option<PersonRow>, StoreError> {
    let sql = format!("SELECT {READ} FROM people WHERE id = $1");
    Ok(rows(conn, &sql, vec![id.as_str().into()]).await?.pop())
}

/// The same, held until the transaction ends.
pub async fn find_locked(tx: &super::Tx, id: &PersonId) -> Result<Option<PersonRow>, StoreError> {
    let lock = match tx.dialect() {
        super::Dialect::Sqlite => "",
        super::Dialect::Postgres => " FOR UPDATE",
    };
    let sql = format!("SELECT {READ} FROM people WHERE id = $1{lock}");
    Ok(rows(tx.conn(), &sql, vec![id.as_str().into()]).await?.pop())
}

/// The person of that address, which is in small letters.
pub async fn find_by_email<C: ConnectionTrait>(conn: &C, email: &str) -> Result<Option<PersonRow>, StoreError> {
    let sql = format!("SELECT {READ} FROM people WHERE email = $1");
    Ok(rows(conn, &sql, vec![email.into()]).await?.pop())
}

/// People, oldest first: at most `limit` after `cursor`.
pub async fn list<C: ConnectionTrait>(
    conn: &C,
    cursor: Option<&PersonId>,
    limit: u64,
) -> Result<Vec<PersonRow>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let after = cursor.map_or("", PersonId::as_str);
    let sql = format!("SELECT {READ} FROM people WHERE id > $1 ORDER BY id LIMIT $2");
    rows(conn, &sql, vec![after.into(), limit.into()]).await
}

/// Whether there is anybody at all.
pub async fn any<C: ConnectionTrait>(conn: &C) -> Result<bool, StoreError> {
    Ok(!list(conn, None, 1).await?.is_empty())
}

#[derive(FromQueryResult)]
struct Found {
    id: String,
    name: String,
    email: String,
    role: String,
    password_hash: Option<String>,
    created_at: i64,
    disabled_at: Option<i64>,
    accounts: i64,
}

fn values(person: &PersonRow) -> Vec<Value> {
    vec![
        person.id.as_str().into(),
        person.name.as_str().into(),
        person.email.as_str().into(),
        person.role.as_str().into(),
        person.password_hash.as_deref().into(),
        person.created_at.as_millisecond().into(),
        person.disabled_at.map(Timestamp::as_millisecond).into(),
    ]
}

/// Runs a statement and says how many rows it concerned.
pub(super) async fn run<C: ConnectionTrait>(conn: &C, sql: &str, values: Vec<Value>) -> Result<u64, StoreError> {
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    Ok(conn.execute_raw(statement).await?.rows_affected())
}

async fn rows<C: ConnectionTrait>(conn: &C, sql: &str, values: Vec<Value>) -> Result<Vec<PersonRow>, StoreError> {
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    let found = Found::find_by_statement(statement).all(conn).await?;
    found.into_iter().map(decode).collect()
}

fn decode(found: Found) -> Result<PersonRow, StoreError> {
    let row = Row {
        table: "people",
        id: &found.id,
    };
    Ok(PersonRow {
        name: found.name,
        email: found.email,
        role: row.word("role", &found.role)?,
        password_hash: found.password_hash,
        created_at: row.instant("created_at", found.created_at)?,
        disabled_at: row.maybe_instant("disabled_at", found.disabled_at)?,
        bound: found.accounts > 0,
        id: PersonId::from(found.id.clone()),
    })
}
