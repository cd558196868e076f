//! Customers who are excluded: Recoup neither charges them nor writes to them.

use jiff::Timestamp;
use sea_orm::{ConnectionTrait, FromQueryResult, Statement, Value};

use super::StoreError;
use super::row::Row;
use crate::domain::ids::{CaseId, ExclusionId};

const COLUMNS: &str = "id, connection, customer_id, at, actor, comment";

/// A customer who is excluded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExclusionRow {
    /// The id of the entry.
    pub id: ExclusionId,
    /// The connection of the customer.
    pub connection: String,
    /// The provider's name for the customer.
    pub customer_id: String,
    /// Since when.
    pub at: Timestamp,
    /// Who said so.
    pub actor: String,
    /// The remark given with it.
    pub comment: Option<String>,
}

/// Puts a customer on the list; says whether that is news.
pub async fn put<C: ConnectionTrait>(conn: &C, row: &ExclusionRow) -> Result<bool, StoreError> {
    let sql = format!(
        "INSERT INTO exclusions ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (connection, customer_id) DO NOTHING"
    );
    let values = [
        row.id.as_str().into(),
        row.connection.as_str().into(),
        row.customer_id.as_str().into(),
        row.at.as_millisecond().into(),
        row.actor.as_str().into(),
        row.comment.clone().into(),
    ];
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    Ok(conn.execute_raw(statement).await?.rows_affected() > 0)
}

/// Takes a customer off the list; says whether they were on it.
pub async fn lift<C: ConnectionTrait>(conn: &C, connection: &str, customer_id: &str) -> Result<bool, StoreError> {
    let sql = "DELETE FROM exclusions WHERE connection = $1 AND customer_id = $2";
    let values = [connection.into(), customer_id.into()];
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    Ok(conn.execute_raw(statement).await?.rows_affected() > 0)
}

/// The entry of a customer.
pub async fn find<C: ConnectionTrait>(
    conn: &C,
    connection: &str,
    customer_id: &str,
) -> Result<Option<ExclusionRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM exclusions WHERE connection = $1 AND customer_id = $2");
    let values = vec![connection.into(), customer_id.into()];
    Ok(rows(conn, &sql, values).await?.pop())
}

/// Whether the customer of a case is excluded.
pub async fn holds_case<C: ConnectionTrait>(conn: &C, case: &CaseId) -> Result<bool, StoreError> {
    let sql = "SELECT 1 AS found FROM cases JOIN exclusions ON exclusions.connection = cases.connection \
               AND exclusions.customer_id = cases.customer_id WHERE cases.id = $1";
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, [case.as_str().into()]);
    Ok(conn.query_one_raw(statement).await?.is_some())
}

/// Entries, newest first: at most `limit` after `cursor`.
pub async fn list<C: ConnectionTrait>(
    conn: &C,
    cursor: Option<&ExclusionId>,
    limit: u64,
) -> Result<Vec<ExclusionRow>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let (after, values) = match cursor {
        Some(cursor) => ("WHERE id < $2", vec![limit.into(), cursor.as_str().into()]),
        None => ("", vec![limit.into()]),
    };
    let sql = format!("SELECT {COLUMNS} FROM exclusions {after} ORDER BY id DESC LIMIT $1");
    rows(conn, &sql, values).await
}

#[derive(FromQueryResult)]
struct Found {
    id: String,
    connection: String,
    customer_id: String,
    at: i64,
    actor: String,
    comment: Option<String>,
}

async fn rows<C: ConnectionTrait>(conn: &C, sql: &str, values: Vec<Value>) -> Result<Vec<ExclusionRow>, StoreError> {
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    let found = Found::find_by_statement(statement).all(conn).await?;
    found.into_iter().map(decode).collect()
}

fn decode(found: Found) -> Result<ExclusionRow, StoreError> {
    let row = Row {
        table: "exclusions",
        id: &found.id,
    };
    Ok(ExclusionRow {
        at: row.instant("at", found.at)?,
        connection: found.connection,
        customer_id: found.customer_id,
        actor: found.actor,
        comment: found.comment,
        id: ExclusionId::from(found.id.clone()),
    })
}
