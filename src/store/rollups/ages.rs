//! How old cases were when they ended, and since when the others are open: what the report of times reads.

use jiff::civil::Date;
use sea_orm::{ConnectionTrait, Statement};

use super::MONTH;
use crate::domain::outcome::Status;
use crate::store::row::Row;
use crate::store::{StoreError, Tx};

/// Cases of a month that took as long as each other, or were opened in the same hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aged {
    /// The first day of the month.
    pub month: Date,
    /// How they stand.
    pub status: Status,
    /// The hours from that of their opening to that of their end; of open ones the hour of their opening, since 1970.
    pub hours: u64,
    /// How many.
    pub cases: u64,
}

/// What the rows of `source`, which has the columns of a delta, come to, `sign` times.
fn summed(source: &str, sign: &str) -> String {
    format!(
        "SELECT {MONTH} AS month, status, CAST(hours AS BIGINT) AS hours, CAST({sign}SUM(cases) AS BIGINT) AS cases \
         FROM {source} GROUP BY 1, 2, 3"
    )
}

/// Adds the rows of `source` to the roll-up.
pub(super) async fn add(tx: &Tx, source: &str) -> Result<(), StoreError> {
    let add = format!(
        "INSERT INTO report_ages (month, status, hours, cases) SELECT * FROM ({}) AS fresh WHERE cases <> 0 \
         ON CONFLICT (month, status, hours) DO UPDATE SET cases = report_ages.cases + excluded.cases",
        summed(source, "")
    );
    // Each case leaves the hour of its opening sooner or later.
    for sql in [add.as_str(), "DELETE FROM report_ages WHERE cases = 0"] {
        tx.conn().execute_raw(tx.statement(sql, [])).await?;
    }
    Ok(())
}

/// A statement that finds a row where roll-up and deltas do not say what a scan of all cases says.
pub(super) fn differing() -> String {
    format!(
        "SELECT 1 FROM (SELECT month, status, hours, cases FROM report_ages UNION ALL {} UNION ALL {}) AS every \
         GROUP BY month, status, hours HAVING SUM(cases) <> 0 LIMIT 1",
        summed("report_deltas", ""),
        summed("report_cases", "-")
    )
}

/// Makes the roll-up anew of all cases, while there is no delta.
pub(super) async fn make_anew(tx: &Tx) -> Result<(), StoreError> {
    tx.conn()
        .execute_raw(tx.statement("DELETE FROM report_ages", []))
        .await?;
    add(tx, "report_cases").await
}

/// The cases of the months of `[from, to)`, by month, as they are at this moment.
pub async fn ages<C: ConnectionTrait>(conn: &C, [from, to]: [Date; 2]) -> Result<Vec<Aged>, StoreError> {
    let sql = format!(
        "SELECT month, status, hours, CAST(SUM(cases) AS BIGINT) FROM (SELECT month, status, hours, cases FROM report_ages \
         UNION ALL {}) AS every WHERE month >= $1 AND month < $2 GROUP BY month, status, hours HAVING SUM(cases) <> 0 \
         ORDER BY month, status, hours",
        summed("report_deltas", "")
    );
    let values = [from.first_of_month(), to].map(|day| day.to_string().into());
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    let rows = conn.query_all_raw(statement).await?;
    rows.iter()
        .map(|found| {
            let month: String = found.try_get_by_index(0)?;
            let row = Row {
                table: "report_ages",
                id: &month,
            };
            let whole = |index: usize| found.try_get_by_index::<i64>(index).map(i64::cast_unsigned);
            Ok(Aged {
                month: month.parse().map_err(|_| row.corrupt("month: not a day"))?,
                status: row.word("status", &found.try_get_by_index::<String>(1)?)?,
                hours: whole(2)?,
                cases: whole(3)?,
            })
        })
        .collect()
}
