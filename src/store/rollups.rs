//! What reports read instead of every case: sums by day and by one thing that cases differ in. Each change of a case leaves deltas in
//! the transaction that made it (triggers of the schema see to that, whoever wrote it); [`merge`] moves them into the roll-up. Whoever
//! reads adds both in one statement, so the sums are those of a scan at that very moment.

use jiff::Timestamp;
use jiff::civil::Date;
use sea_orm::{ConnectionTrait, QueryResult, Statement};

use super::row::Row;
use super::{Dialect, Store, StoreError, Tx, cases};
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
/// The cases by the month of their cohort and the whole hours from their opening to their end.
const HOURS: &str = "hours";
/// The cases by the day on which they ended.
const CLOSED: &str = "closed";
/// Dimensions, and the column of a delta that is the value of each; nothing where there is only one value.
const DIMENSIONS: [(&str, &str); 19] = [
    ("all", "''"),
    (CLOSED, "''"),
    (HOURS, "hours"),
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
/// How many deltas one transaction merges, and how many such transactions follow each other.
const MERGED_AT_ONCE: u32 = 20_000;
const MERGES_MAX: u32 = 10_000;
/// A scan of all cases takes longer than any statement that somebody waits for.
const UNHURRIED: &str = "SET LOCAL statement_timeout = 0";
/// Whoever merges holds this lock until it has committed.
const LOCK: &str = "SELECT pg_try_advisory_xact_lock(hashtextextended('recoup rollup ' || current_schema(), 0))";

/// The day under which a dimension keeps a case.
fn day_of(dimension: &str) -> &'static str {
    match dimension {
        CLOSED => "closed_day",
        HOURS => "substr(day, 1, 8) || '01'",
        _ => "day",
    }
}

/// Sums of the rows of `source`, which has the columns of a delta, in the columns of the roll-up, `sign` times.
fn exploded(source: &str, dimensions: &[(&str, &str)], sign: &str) -> String {
    let names: Vec<String> = dimensions
        .iter()
        .map(|(name, _)| format!("SELECT '{name}' AS dimension"))
        .collect();
    let values: Vec<String> = dimensions
        .iter()
        .map(|(name, column)| format!("WHEN '{name}' THEN {column}"))
        .collect();
    let sums: Vec<String> = MEASURES
        .iter()
        .map(|name| format!("CAST({sign}SUM({name}) AS BIGINT) AS {name}"))
        .collect();
    format!(
        "SELECT dimension, CASE dimension WHEN '{CLOSED}' THEN {} WHEN '{HOURS}' THEN {} ELSE day END AS day, \
         CASE dimension {} END AS value, {KEYS}, {} FROM {source} CROSS JOIN ({}) AS dimensions \
         WHERE dimension <> '{CLOSED}' OR closed_day <> '' GROUP BY 1, 2, 3, {KEYS}",
        day_of(CLOSED),
        day_of(HOURS),
        values.join(" "),
        sums.join(", "),
        names.join(" UNION ALL ")
    )
}

/// Moves what has changed into the roll-up, so much at a time that no statement takes long; says how many changes that were. Where
/// somebody else is at it, there is nothing to do.
pub async fn merge(store: &Store) -> Result<u64, StoreError> {
    let mut all = 0;
    for _ in 0..MERGES_MAX {
        let any = "SELECT 1 FROM report_deltas LIMIT 1";
        if store.query(any, []).await?.is_empty() {
            break;
        }
        let Some(tx) = begin(store).await? else { break };
        all += merge_in(&tx).await?;
        tx.commit().await?;
    }
    Ok(all)
}

/// Begins a transaction that sees one state of the database and in which nobody else merges; none where somebody does.
async fn begin(store: &Store) -> Result<Option<Tx>, StoreError> {
    let tx = store.begin().await?;
    if tx.dialect() == Dialect::Postgres {
        for sql in ["SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", UNHURRIED] {
            tx.conn().execute_unprepared(sql).await?;
        }
        let got = tx.conn().query_one_raw(tx.statement(LOCK, [])).await?;
        let got = got.map(|row| row.try_get_by_index::<bool>(0)).transpose()?;
        if got != Some(true) {
            return Ok(None);
        }
    }
    Ok(Some(tx))
}

/// Merges the oldest deltas.
async fn merge_in(tx: &Tx) -> Result<u64, StoreError> {
    let oldest =
        format!("SELECT MAX(id) FROM (SELECT id FROM report_deltas ORDER BY id LIMIT {MERGED_AT_ONCE}) AS oldest");
    let last = tx.conn().query_one_raw(tx.statement(&oldest, [])).await?;
    let last = last.map(|row| row.try_get_by_index::<Option<i64>>(0)).transpose()?;
    let Some(last) = last.flatten() else { return Ok(0) };
    let nothing: Vec<String> = MEASURES.iter().map(|name| format!("{name} = 0")).collect();
    let some = format!("(SELECT * FROM report_deltas WHERE id <= {last}) AS oldest");
    let fresh = exploded(&some, &DIMENSIONS, "");
    let added: Vec<String> = MEASURES
        .iter()
        .map(|name| format!("{name} = report_rollup.{name} + excluded.{name}"))
        .collect();
    let sql = format!(
        "INSERT INTO report_rollup (dimension, day, value, {KEYS}, {}) SELECT * FROM ({fresh}) AS fresh WHERE NOT ({}) \
         ON CONFLICT (dimension, day, value, {KEYS}) DO UPDATE SET {}",
        MEASURES.join(", "),
        nothing.join(" AND "),
        added.join(", ")
    );
    tx.conn().execute_raw(tx.statement(&sql, [])).await?;
    let gone = format!("DELETE FROM report_deltas WHERE id <= {last}");
    let gone = tx.conn().execute_raw(tx.statement(&gone, [])).await?;
    Ok(gone.rows_affected())
}

/// Whether roll-up and deltas say what a scan of all cases says, dimension by dimension; the dimensions that do not are made anew.
/// It takes as long as a scan for each.
pub async fn verify(store: &Store) -> Result<Vec<&'static str>, StoreError> {
    let mut wrong = Vec::new();
    for dimension in &DIMENSIONS {
        if !is_true(store, dimension).await? {
            wrong.push(dimension.0);
        }
    }
    for dimension in DIMENSIONS.iter().filter(|(name, _)| wrong.contains(name)) {
        make_anew(store, dimension).await?;
    }
    Ok(wrong)
}

async fn is_true(store: &Store, dimension: &(&str, &str)) -> Result<bool, StoreError> {
    let one = [*dimension];
    let sums: Vec<String> = MEASURES.iter().map(|name| format!("SUM({name}) <> 0")).collect();
    let sql = format!(
        "SELECT 1 FROM (SELECT dimension, day, value, {KEYS}, {} FROM report_rollup WHERE dimension = '{}' \
         UNION ALL SELECT * FROM ({}) AS deltas UNION ALL SELECT * FROM ({}) AS scanned) AS every \
         GROUP BY dimension, day, value, {KEYS} HAVING {} LIMIT 1",
        MEASURES.join(", "),
        dimension.0,
        exploded("report_deltas", &one, ""),
        exploded("report_cases", &one, "-"),
        sums.join(" OR ")
    );
    // On SQLite a transaction would keep writers waiting, and nothing hurries a statement.
    let differing = match store.dialect() {
        Dialect::Sqlite => store.query(&sql, []).await?,
        Dialect::Postgres => {
            let tx = store.begin().await?;
            tx.conn().execute_unprepared(UNHURRIED).await?;
            tx.conn().query_all_raw(tx.statement(&sql, [])).await?
        }
    };
    Ok(differing.is_empty())
}

async fn make_anew(store: &Store, dimension: &(&str, &str)) -> Result<(), StoreError> {
    let Some(tx) = begin(store).await? else { return Ok(()) };
    while merge_in(&tx).await? > 0 {}
    let drop = format!("DELETE FROM report_rollup WHERE dimension = '{}'", dimension.0);
    tx.conn().execute_raw(tx.statement(&drop, [])).await?;
    let fill = format!(
        "INSERT INTO report_rollup (dimension, day, value, {KEYS}, {}) {}",
        MEASURES.join(", "),
        exploded("report_cases", &[*dimension], "")
    );
    tx.conn().execute_raw(tx.statement(&fill, [])).await?;
    tx.commit().await
}

/// The cases opened on the days `[from, to)`, split and summed as asked.
pub async fn recovery<C: ConnectionTrait>(
    conn: &C,
    [from, to]: [Date; 2],
    by: By,
    cohort: Cohort,
) -> Result<Vec<Cell>, StoreError> {
    let column = DIMENSIONS
        .iter()
        .find(|(name, _)| *name == by.dimension())
        .map_or("''", |(_, column)| column);
    let day = match cohort {
        Cohort::Month => "substr(day, 1, 8) || '01'",
        Cohort::Week | Cohort::Day => "day",
    };
    read(conn, [from, to], (by.dimension(), column), [day, "day"]).await
}

/// The cases that ended on the days `[from, to)`, by month.
pub async fn closed<C: ConnectionTrait>(conn: &C, days: [Date; 2]) -> Result<Vec<Cell>, StoreError> {
    read(conn, days, (CLOSED, "''"), ["substr(day, 1, 8) || '01'", "closed_day"]).await
}

/// The cases of the months of `[from, to)`, by the whole hours from their opening to their end; the value of open ones is empty.
pub async fn hours<C: ConnectionTrait>(conn: &C, days: [Date; 2]) -> Result<Vec<Cell>, StoreError> {
    read(
        conn,
        [days[0].first_of_month(), days[1]],
        (HOURS, "hours"),
        ["day", "substr(day, 1, 8) || '01'"],
    )
    .await
}

/// The open cases of the months of `[from, to)`: the month of their cohort, their age in whole hours, and how many they are.
pub async fn open_hours<C: ConnectionTrait>(
    conn: &C,
    [from, to]: [Date; 2],
    now: Timestamp,
) -> Result<Vec<(Date, u64, u64)>, StoreError> {
    let sql = "SELECT month, hours, COUNT(*) FROM (SELECT substr(day, 1, 8) || '01' AS month, \
               ($3 - opened_at) / 3600000 AS hours FROM report_cases WHERE status = 'open') AS ages \
               WHERE month >= $1 AND month < $2 GROUP BY month, hours";
    let [from, to] = [from.first_of_month(), to].map(|day| day.to_string());
    let values = [from.into(), to.into(), now.as_millisecond().into()];
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    let mut ages = Vec::new();
    for found in conn.query_all_raw(statement).await? {
        let month: String = found.try_get_by_index(0)?;
        let row = Row {
            table: "report_cases",
            id: &month,
        };
        let whole = |index: usize| Ok::<_, StoreError>(found.try_get_by_index::<i64>(index)?.max(0).unsigned_abs());
        let day = month.parse().map_err(|_| row.corrupt("day: not a day"))?;
        ages.push((day, whole(1)?, whole(2)?));
    }
    Ok(ages)
}

/// Sums of the roll-up and of the deltas: `day` is what days are summed by, `at` what a delta has for the day of its dimension.
async fn read<C: ConnectionTrait>(
    conn: &C,
    days: [Date; 2],
    (dimension, column): (&str, &str),
    [day, at]: [&str; 2],
) -> Result<Vec<Cell>, StoreError> {
    let measures = MEASURES.join(", ");
    let sums: Vec<String> = MEASURES
        .iter()
        .map(|name| format!("CAST(SUM({name}) AS BIGINT)"))
        .collect();
    let sql = format!(
        "SELECT {day} AS cohort, value, {KEYS}, {} FROM (\
         SELECT day, value, {KEYS}, {measures} FROM report_rollup WHERE dimension = $1 AND day >= $2 AND day < $3 \
         UNION ALL SELECT day, value, {KEYS}, {measures} FROM (SELECT {at} AS day, {column} AS value, {KEYS}, {measures} \
         FROM report_deltas) AS deltas WHERE day >= $2 AND day < $3) AS every \
         GROUP BY 1, 2, {KEYS} HAVING SUM(cases) <> 0 ORDER BY 1, 2, {KEYS}",
        sums.join(", ")
    );
    let [from, to] = days.map(|day| day.to_string());
    let values = [dimension.into(), from.into(), to.into()];
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
