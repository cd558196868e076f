//! What reports read instead of every case: sums by one thing that cases differ in, by day and by month, and ages by month. Each
//! change of a case leaves deltas in the transaction that made it (triggers of the schema see to that, whoever wrote it); [`merge`]
//! moves them into the roll-ups. Whoever reads adds both in one statement, so the sums are those of a scan at that very moment.

mod ages;
mod merge;

pub use ages::ages;
pub use merge::{merge, verify};

use jiff::ToSpan;
use jiff::civil::Date;
use sea_orm::{ConnectionTrait, QueryResult, Statement};

use super::row::Row;
use super::{StoreError, cases};
use crate::domain::money::Currency;
use crate::domain::report::{By, Cell, Cohort, Counts};

/// What is counted, as columns of the roll-up and of the deltas.
const MEASURES: [&str; 10] = [
    "cases",
    "amount_minor",
    "recovered_minor",
    "late_payments",
    "late_minor",
    "reversals",
    "reversed_minor",
    "monthly_minor",
    "attempts",
    "messages",
];
/// What makes a row of the roll-up besides its dimension, its day and its value.
const KEYS: &str = "connection, currency, status, outcome_detail, outcome_then, retryable";
/// The cases by the day on which they ended.
const CLOSED: &str = "closed";
/// The month of a day, as its first day.
const MONTH: &str = "substr(day, 1, 8) || '01'";
/// What is written behind the name of a dimension where its sums are those of whole months.
const BY_MONTH: &str = ".month";
/// Dimensions, and the column of a delta that is the value of each; nothing where there is only one value.
const DIMENSIONS: [(&str, &str); 18] = [
    ("all", "''"),
    (CLOSED, "''"),
    ("decline_kind", "decline_kind"),
    ("decline_code", "decline_code"),
    ("network", "network"),
    ("country", "country"),
    ("funding", "funding"),
    ("plan", "plan"),
    ("amount", "amount"),
    ("tenure", "tenure"),
    ("campaign", "campaign"),
    ("arm", "arm"),
    ("collector", "collector"),
    ("message", "message"),
    ("step", "step"),
    ("attempt", "attempt"),
    ("weekday", "weekday"),
    ("hour", "hour"),
];
/// The cases opened on the days `[from, to)`, split and summed as asked.
pub async fn recovery<C: ConnectionTrait>(
    conn: &C,
    days: [Date; 2],
    by: By,
    cohort: Cohort,
) -> Result<Vec<Cell>, StoreError> {
    let dimension = DIMENSIONS.iter().find(|(name, _)| *name == by.dimension());
    let dimension = dimension.unwrap_or(&DIMENSIONS[0]);
    match cohort {
        Cohort::Month => read(conn, days, *dimension, [MONTH, "day"], whole_months(days)).await,
        Cohort::Week | Cohort::Day => read(conn, days, *dimension, ["day", "day"], None).await,
    }
}

/// The cases that ended on the days `[from, to)`, by month.
pub async fn closed<C: ConnectionTrait>(conn: &C, days: [Date; 2]) -> Result<Vec<Cell>, StoreError> {
    read(conn, days, (CLOSED, "''"), [MONTH, "closed_day"], None).await
}

/// The first days of the months `[first, last)` that lie whole within the days `[from, to)`.
fn whole_months([from, to]: [Date; 2]) -> Option<[Date; 2]> {
    let first = from.first_of_month();
    let first = if first < from {
        first.checked_add(1.month()).ok()?
    } else {
        first
    };
    let last = to.first_of_month();
    (first < last).then_some([first, last])
}

/// Sums of the roll-up and of the deltas: `day` is what days are summed by, `at` what a delta has for the day of its dimension, and
/// `months` are those whose sums are read as they are.
async fn read<C: ConnectionTrait>(
    conn: &C,
    [from, to]: [Date; 2],
    (dimension, column): (&str, &str),
    [day, at]: [&str; 2],
    months: Option<[Date; 2]>,
) -> Result<Vec<Cell>, StoreError> {
    let measures = MEASURES.join(", ");
    let sums: Vec<String> = MEASURES
        .iter()
        .map(|name| format!("CAST(SUM({name}) AS BIGINT)"))
        .collect();
    let rolled = format!("SELECT day, value, {KEYS}, {measures} FROM report_rollup WHERE dimension =");
    let by_day = format!("{rolled} $1 AND day >= $2 AND day <");
    let (first, last) = months.map_or((to, to), |[first, last]| (first, last));
    let sql = format!(
        "SELECT {day} AS cohort, value, {KEYS}, {} FROM ({by_day} $4 UNION ALL {rolled} $6 AND day >= $4 AND day < $5 \
         UNION ALL {rolled} $1 AND day >= $5 AND day < $3 \
         UNION ALL SELECT day, value, {KEYS}, {measures} FROM (SELECT {at} AS day, {column} AS value, {KEYS}, {measures} \
         FROM report_deltas) AS deltas WHERE day >= $2 AND day < $3) AS every \
         GROUP BY 1, 2, {KEYS} HAVING SUM(cases) <> 0 ORDER BY 1, 2, {KEYS}",
        sums.join(", ")
    );
    let [from, to, first, last] = [from, to, first, last].map(|day| day.to_string());
    let by_month = format!("{dimension}{BY_MONTH}");
    let values = [
        dimension.into(),
        from.into(),
        to.into(),
        first.into(),
        last.into(),
        by_month.into(),
    ];
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    conn.query_all_raw(statement).await?.iter().map(decode).collect()
}

fn decode(found: &QueryResult) -> Result<Cell, StoreError> {
    let text = |index: usize| found.try_get_by_index::<String>(index);
    let number = |nth: usize| found.try_get_by_index::<i64>(8 + nth);
    let day = text(0)?;
    let row = Row {
        table: "report_rollup",
        id: &day,
    };
    let [status, detail, then] = [text(4)?, text(5)?, text(6)?];
    let outcome = match status.as_str() {
        "open" => None,
        _ => cases::outcome(row, [Some(&status), some(&detail), some(&then)])?,
    };
    let currency: Currency = row.word("currency", &text(3)?)?;
    Ok(Cell {
        value: text(1)?,
        connection: text(2)?,
        currency,
        outcome,
        retryable: text(7)? == "yes",
        counts: Counts {
            cases: number(0)?,
            amount_minor: number(1)?,
            recovered_minor: number(2)?,
            late_payments: number(3)?,
            late_minor: number(4)?,
            reversals: number(5)?,
            reversed_minor: number(6)?,
            monthly_minor: number(7)?,
            attempts: number(8)?,
            messages: number(9)?,
        },
        day: day.parse().map_err(|_| row.corrupt("day: not a day"))?,
    })
}

fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}
