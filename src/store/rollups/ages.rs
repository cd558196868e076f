//! How old cases were when they ended, and since when the others are open: what the report of times reads.

use jiff::Timestamp;
use jiff::civil::Date;
use sea_orm::{ConnectionTrait, QueryResult, Statement};

use super::MONTH;
use crate::domain::outcome::Status;
use crate::domain::report::ages::Aged;
use crate::store::row::Row;
use crate::store::{StoreError, Tx};

/// The table of the roll-up.
pub(super) const TABLE: &str = "report_ages";
const HOUR_SECS: i64 = 3600;
/// What makes a row of the roll-up.
const KEY: &str = "month, currency, status, hours";
/// What is counted.
const SUMS: [&str; 3] = ["cases", "amount_minor", "recovered_minor"];

fn listed(each: impl Fn(&str) -> String) -> String {
    SUMS.map(each).join(", ")
}

/// What the rows of `source`, which has the columns of a change, come to, `sign` times.
fn summed(source: &str, sign: &str) -> String {
    let sums = listed(|name| format!("CAST({sign}SUM({name}) AS BIGINT) AS {name}"));
    format!(
        "SELECT {MONTH} AS month, currency, status, CAST(hours AS BIGINT) AS hours, {sums} FROM {source} GROUP BY 1, 2, 3, 4"
    )
}

/// Whether a row says anything.
fn any_sum() -> String {
    SUMS.map(|name| format!("{name} <> 0")).join(" OR ")
}

/// Adds the rows of `source` to the roll-up.
pub(super) async fn add(tx: &Tx, source: &str) -> Result<(), StoreError> {
    let add = format!(
        "INSERT INTO report_ages ({KEY}, {}) SELECT * FROM ({}) AS fresh WHERE {} ON CONFLICT ({KEY}) DO UPDATE SET {}",
        SUMS.join(", "),
        summed(source, ""),
        any_sum(),
        listed(|name| format!("{name} = report_ages.{name} + excluded.{name}"))
    );
    // Each case leaves the hour of its opening sooner or later.
    let gone = format!("DELETE FROM report_ages WHERE NOT ({})", any_sum());
    for sql in [add, gone] {
        tx.conn().execute_raw(tx.statement(&sql, [])).await?;
    }
    Ok(())
}

/// A statement that finds a row where roll-up and changes do not say what a scan of all cases says.
pub(super) fn differing() -> String {
    format!(
        "SELECT 1 FROM (SELECT {KEY}, {} FROM report_ages UNION ALL {} UNION ALL {}) AS every GROUP BY {KEY} HAVING {} LIMIT 1",
        SUMS.join(", "),
        summed("report_changes", ""),
        summed("report_counted", "-"),
        SUMS.map(|name| format!("SUM({name}) <> 0")).join(" OR ")
    )
}

/// Makes the roll-up anew of all cases, while there is no change.
pub(super) async fn make_anew(tx: &Tx, counted: &str) -> Result<(), StoreError> {
    tx.conn()
        .execute_raw(tx.statement("DELETE FROM report_ages", []))
        .await?;
    add(tx, counted).await
}

/// The cases of the months of `[from, to)` as they are at this moment, by how long they took or are open. How long those took that were
/// lost nobody asks, so they stand together, at nought hours.
pub async fn ages<C: ConnectionTrait>(
    conn: &C,
    [from, to]: [Date; 2],
    now: Timestamp,
) -> Result<Vec<Aged>, StoreError> {
    let sql = format!(
        "SELECT {KEY}, {} FROM (SELECT month, currency, status, \
         CASE WHEN status IN ('open', 'recovered') THEN hours ELSE 0 END AS hours, {} \
         FROM (SELECT {KEY}, {} FROM report_ages UNION ALL {}) AS kept WHERE month >= $1 AND month < $2) AS every \
         GROUP BY {KEY} HAVING SUM(cases) <> 0 ORDER BY {KEY}",
        listed(|name| format!("CAST(SUM({name}) AS BIGINT)")),
        SUMS.join(", "),
        SUMS.join(", "),
        summed("report_changes", "")
    );
    let values = [from.first_of_month(), to].map(|day| day.to_string().into());
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    let rows = conn.query_all_raw(statement).await?;
    let this_hour = now.as_second() / HOUR_SECS;
    rows.iter().map(|found| decode(found, this_hour)).collect()
}

fn decode(found: &QueryResult, this_hour: i64) -> Result<Aged, StoreError> {
    let text = |index: usize| found.try_get_by_index::<String>(index);
    let whole = |index: usize| found.try_get_by_index::<i64>(index);
    let month = text(0)?;
    let row = Row {
        table: "report_ages",
        id: &month,
    };
    let status = row.word("status", &text(2)?)?;
    let hours = whole(3)?;
    let hours = if status == Status::Open {
        this_hour - hours
    } else {
        hours
    };
    Ok(Aged {
        currency: row.word("currency", &text(1)?)?,
        status,
        hours: hours.max(0).unsigned_abs(),
        cases: whole(4)?,
        amount_minor: whole(5)?,
        recovered_minor: whole(6)?,
        month: month.parse().map_err(|_| row.corrupt("month: not a day"))?,
    })
}
