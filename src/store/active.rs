//! How many subscriptions were active when a month began: uploaded by staff, since a dunning service hears only of those whose
//! payments fail.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sea_orm::{ConnectionTrait, QueryResult, Statement};

use super::row::Row;
use super::{StoreError, Tx};

/// A number that staff uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActiveRow {
    /// The connection.
    pub connection: String,
    /// The month, `2026-03`.
    pub month: String,
    /// How many subscriptions were active when it began.
    pub subscriptions: u64,
    /// Where the number comes from.
    pub source: String,
    /// When it was uploaded.
    pub uploaded_at: Timestamp,
}

/// Puts numbers in; one that was there for the month is replaced.
pub async fn put(tx: &Tx, rows: &[ActiveRow]) -> Result<(), StoreError> {
    let sql = "INSERT INTO active_subscriptions (connection, month, subscriptions, source, uploaded_at) \
               VALUES ($1, $2, $3, $4, $5) ON CONFLICT (connection, month) DO UPDATE SET \
               subscriptions = excluded.subscriptions, source = excluded.source, uploaded_at = excluded.uploaded_at";
    for row in rows {
        let subscriptions = i64::try_from(row.subscriptions).map_err(|error| StoreError::Other(error.to_string()))?;
        let values = [
            row.connection.as_str().into(),
            row.month.as_str().into(),
            subscriptions.into(),
            row.source.as_str().into(),
            row.uploaded_at.as_millisecond().into(),
        ];
        tx.conn().execute_raw(tx.statement(sql, values)).await?;
    }
    Ok(())
}

/// All that were uploaded, newest month first.
pub async fn list<C: ConnectionTrait>(conn: &C) -> Result<Vec<ActiveRow>, StoreError> {
    let sql = "SELECT connection, month, subscriptions, source, uploaded_at FROM active_subscriptions \
               ORDER BY month DESC, connection";
    let statement = Statement::from_string(conn.get_database_backend(), sql);
    conn.query_all_raw(statement).await?.iter().map(decode).collect()
}

/// The numbers by month and connection.
pub async fn by_month<C: ConnectionTrait>(conn: &C) -> Result<BTreeMap<(String, String), u64>, StoreError> {
    let rows = list(conn).await?.into_iter();
    Ok(rows
        .map(|row| ((row.month, row.connection), row.subscriptions))
        .collect())
}

fn decode(found: &QueryResult) -> Result<ActiveRow, StoreError> {
    let month: String = found.try_get_by_index(1)?;
    let row = Row {
        table: "active_subscriptions",
        id: &month,
    };
    let subscriptions: i64 = found.try_get_by_index(2)?;
    Ok(ActiveRow {
        connection: found.try_get_by_index(0)?,
        subscriptions: u64::try_from(subscriptions).map_err(|_| row.corrupt("subscriptions: below nought"))?,
        source: found.try_get_by_index(3)?,
        uploaded_at: row.instant("uploaded_at", found.try_get_by_index(4)?)?,
        month: month.clone(),
    })
}
