//! The views that people keep of the list of cases: a name, and what the list is asked.

use jiff::Timestamp;
use sea_orm::{ConnectionTrait, FromQueryResult, Statement, Value};

use super::StoreError;
use super::row::Row;
use crate::domain::ids::ViewId;

const COLUMNS: &str = "id, owner, name, query, created_at";

/// One view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewRow {
    /// Its id.
    pub id: ViewId,
    /// The id of the person or the key it belongs to.
    pub owner: String,
    /// What its owner calls it.
    pub name: String,
    /// What the list is asked, as the query of an address.
    pub query: String,
    /// When it was kept.
    pub created_at: Timestamp,
}

/// Keeps a view; one of the same owner and name is replaced, and keeps its id, so that links to it stay good.
pub async fn keep<C: ConnectionTrait>(conn: &C, view: &ViewRow) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO views ({COLUMNS}) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (owner, name) DO UPDATE SET query = excluded.query, created_at = excluded.created_at"
    );
    let values = [
        view.id.as_str().into(),
        view.owner.as_str().into(),
        view.name.as_str().into(),
        view.query.as_str().into(),
        view.created_at.as_millisecond().into(),
    ];
    super::people::run(conn, &sql, values.into()).await?;
    Ok(())
}

/// Forgets a view of that owner; says whether there was one.
pub async fn forget<C: ConnectionTrait>(conn: &C, owner: &str, id: &ViewId) -> Result<bool, StoreError> {
    let sql = "DELETE FROM views WHERE owner = $1 AND id = $2";
    let gone = super::people::run(conn, sql, vec![owner.into(), id.as_str().into()]).await?;
    Ok(gone == 1)
}

/// The view of that id, whoever it belongs to: its link is there to be passed on.
pub async fn find<C: ConnectionTrait>(conn: &C, id: &ViewId) -> Result<Option<ViewRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM views WHERE id = $1");
    Ok(rows(conn, &sql, vec![id.as_str().into()]).await?.pop())
}

/// The views of an owner by name, at most `limit`.
pub async fn of<C: ConnectionTrait>(conn: &C, owner: &str, limit: u64) -> Result<Vec<ViewRow>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let sql = format!("SELECT {COLUMNS} FROM views WHERE owner = $1 ORDER BY name LIMIT $2");
    rows(conn, &sql, vec![owner.into(), limit.into()]).await
}

#[derive(FromQueryResult)]
struct Found {
    id: String,
    owner: String,
    name: String,
    query: String,
    created_at: i64,
}

async fn rows<C: ConnectionTrait>(conn: &C, sql: &str, values: Vec<Value>) -> Result<Vec<ViewRow>, StoreError> {
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    let found = Found::find_by_statement(statement).all(conn).await?;
    found.into_iter().map(decode).collect()
}

fn decode(found: Found) -> Result<ViewRow, StoreError> {
    let row = Row {
        table: "views",
        id: &found.id,
    };
    Ok(ViewRow {
        created_at: row.instant("created_at", found.created_at)?,
        owner: found.owner,
        name: found.name,
        query: found.query,
        id: ViewId::from(found.id.clone()),
    })
}
