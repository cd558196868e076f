//! Who came back after a subscription was cancelled for a failed payment.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use sea_orm::{ConnectionTrait, Statement};

use super::row::Row;
use super::{StoreError, Tx};
use crate::domain::case::Case;
use crate::domain::ids::CaseId;
use crate::domain::money::Currency;
use crate::domain::report::churn::WonBack;

/// The cases that a subscription, paid for the first time at `at`, wins back: those for which one subscription of the customer was
/// cancelled before. That is the one which it won back already, as far as an earlier try came; else the one that was lost last.
pub(super) async fn due<C: ConnectionTrait>(
    conn: &C,
    connection: &str,
    [customer_id, subscription_id]: [&str; 2],
    at: Timestamp,
) -> Result<Vec<CaseId>, StoreError> {
    let sql = "SELECT id, subscription_id, won_back_by FROM cases WHERE customer_id = $1 AND connection = $2 \
               AND status = 'exhausted' AND outcome_then = 'cancelled' AND reversal_of IS NULL \
               AND closed_at <= $3 AND subscription_id <> $4 ORDER BY closed_at DESC, id DESC";
    let values = [
        customer_id.into(),
        connection.into(),
        at.as_millisecond().into(),
        subscription_id.into(),
    ];
    let found = conn
        .query_all_raw(Statement::from_sql_and_values(conn.get_database_backend(), sql, values))
        .await?;
    let mut lost: Vec<(String, String, Option<String>)> = Vec::new();
    for row in &found {
        lost.push((
            row.try_get_by_index(0)?,
            row.try_get_by_index(1)?,
            row.try_get_by_index(2)?,
        ));
    }
    let is_its = |(_, _, by): &&(String, String, Option<String>)| by.as_deref() == Some(subscription_id);
    let is_free = |(_, _, by): &&(String, String, Option<String>)| by.is_none();
    let Some((_, won, _)) = lost.iter().find(is_its).or_else(|| lost.iter().find(is_free)) else {
        return Ok(Vec::new());
    };
    let free = lost.iter().filter(is_free).filter(|(_, of, _)| of == won);
    Ok(free.map(|(id, ..)| CaseId::from(id.clone())).collect())
}

/// Records that the customer of a case is back. The caller holds the lock of the case.
pub(super) async fn record(tx: &Tx, case: &Case, subscription_id: &str, at: Timestamp) -> Result<(), StoreError> {
    let sql = "UPDATE cases SET won_back_at = $1, won_back_by = $2 WHERE id = $3 AND won_back_at IS NULL";
    let values = [
        at.as_millisecond().into(),
        subscription_id.into(),
        case.id.as_str().into(),
    ];
    tx.conn().execute_raw(tx.statement(sql, values)).await?;
    Ok(())
}

/// Those of the cases which ended on the days `[from, to)` whose customers came back since, by the month of the end.
pub async fn by_month<C: ConnectionTrait>(
    conn: &C,
    [from, to]: [Date; 2],
) -> Result<BTreeMap<(String, Currency), WonBack>, StoreError> {
    let sql = "SELECT substr(closed_day, 1, 7), currency, COUNT(*), CAST(SUM(monthly_minor) AS BIGINT) FROM report_won_back \
               WHERE closed_day >= $1 AND closed_day < $2 GROUP BY substr(closed_day, 1, 7), currency";
    let values = [from, to].map(|day| day.to_string().into());
    let found = conn
        .query_all_raw(Statement::from_sql_and_values(conn.get_database_backend(), sql, values))
        .await?;
    let mut months = BTreeMap::new();
    for row in &found {
        let month: String = row.try_get_by_index(0)?;
        let place = Row {
            table: "report_won_back",
            id: &month,
        };
        let currency = place.word("currency", &row.try_get_by_index::<String>(1)?)?;
        let won = WonBack {
            cases: row.try_get_by_index::<i64>(2)?.unsigned_abs(),
            monthly_minor: row.try_get_by_index(3)?,
        };
        months.insert((month, currency), won);
    }
    Ok(months)
}
