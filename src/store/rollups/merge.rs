//! Moving deltas into the roll-ups, and holding these against a scan.

use sea_orm::ConnectionTrait;

use super::{BY_MONTH, CLOSED, DIMENSIONS, KEYS, MEASURES, MONTH, ages};
use crate::store::{Dialect, Store, StoreError, Tx};

/// How many deltas one transaction merges, and how many such transactions follow each other.
const MERGED_AT_ONCE: u32 = 20_000;
const MERGES_MAX: u32 = 10_000;
/// The roll-up of ages, among the dimensions of the other.
const AGES: &str = "ages";
/// A scan of all cases takes longer than any statement that somebody waits for.
const UNHURRIED: &str = "SET LOCAL statement_timeout = 0";
/// Whoever merges holds this lock until it has committed.
const LOCK: &str = "SELECT pg_try_advisory_xact_lock(hashtextextended('recoup rollup ' || current_schema(), 0))";

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
        "SELECT dimension, CASE dimension WHEN '{CLOSED}' THEN closed_day ELSE day END AS day, \
         CASE dimension {} END AS value, {KEYS}, {} FROM {source} CROSS JOIN ({}) AS dimensions \
         WHERE dimension <> '{CLOSED}' OR closed_day <> '' GROUP BY 1, 2, 3, {KEYS}",
        values.join(" "),
        sums.join(", "),
        names.join(" UNION ALL ")
    )
}

/// Sums by month of a source of sums by day.
fn monthly(source: &str) -> String {
    let sums: Vec<String> = MEASURES
        .iter()
        .map(|name| format!("CAST(SUM({name}) AS BIGINT) AS {name}"))
        .collect();
    format!(
        "SELECT dimension || '{BY_MONTH}' AS dimension, {MONTH} AS day, value, {KEYS}, {} FROM {source} \
         WHERE dimension <> '{CLOSED}' GROUP BY 1, 2, 3, {KEYS}",
        sums.join(", ")
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
    let days = exploded(&some, &DIMENSIONS, "");
    let added: Vec<String> = MEASURES
        .iter()
        .map(|name| format!("{name} = report_rollup.{name} + excluded.{name}"))
        .collect();
    let sql = format!(
        "INSERT INTO report_rollup (dimension, day, value, {KEYS}, {}) WITH days AS MATERIALIZED ({days}) \
         SELECT * FROM (SELECT * FROM days UNION ALL {}) AS fresh WHERE NOT ({}) \
         ON CONFLICT (dimension, day, value, {KEYS}) DO UPDATE SET {}",
        MEASURES.join(", "),
        monthly("days"),
        nothing.join(" AND "),
        added.join(", ")
    );
    tx.conn().execute_raw(tx.statement(&sql, [])).await?;
    ages::add(tx, &some).await?;
    let gone = format!("DELETE FROM report_deltas WHERE id <= {last}");
    let gone = tx.conn().execute_raw(tx.statement(&gone, [])).await?;
    Ok(gone.rows_affected())
}

/// Whether roll-ups and deltas say what a scan of all cases says, dimension by dimension; those that do not are made anew. It takes as
/// long as a scan for each.
pub async fn verify(store: &Store) -> Result<Vec<&'static str>, StoreError> {
    let mut wrong = Vec::new();
    for dimension in &DIMENSIONS {
        let [days, months] = [differing_days(dimension), differing_months(dimension.0)];
        if finds(store, &days).await? || finds(store, &months).await? {
            make_anew(store, dimension).await?;
            wrong.push(dimension.0);
        }
    }
    if finds(store, &ages::differing()).await? {
        if let Some(tx) = begin(store).await? {
            while merge_in(&tx).await? > 0 {}
            ages::make_anew(&tx).await?;
            tx.commit().await?;
        }
        wrong.push(AGES);
    }
    Ok(wrong)
}

/// A statement that finds a row of a dimension where roll-up and deltas do not say what a scan of all cases says.
fn differing_days(dimension: &(&str, &str)) -> String {
    let one = [*dimension];
    format!(
        "SELECT 1 FROM (SELECT dimension, day, value, {KEYS}, {} FROM report_rollup WHERE dimension = '{}' \
         UNION ALL SELECT * FROM ({}) AS deltas UNION ALL SELECT * FROM ({}) AS scanned) AS every {}",
        MEASURES.join(", "),
        dimension.0,
        exploded("report_deltas", &one, ""),
        exploded("report_cases", &one, "-"),
        not_nothing()
    )
}

/// A statement that finds a row of a dimension whose sum by month is not that of its days.
fn differing_months(dimension: &str) -> String {
    let [measures, less] = ["", "-"].map(|sign| {
        let columns: Vec<String> = MEASURES.iter().map(|name| format!("{sign}{name} AS {name}")).collect();
        columns.join(", ")
    });
    let days = format!("(SELECT * FROM report_rollup WHERE dimension = '{dimension}') AS days");
    format!(
        "SELECT 1 FROM (SELECT dimension, day, value, {KEYS}, {measures} FROM ({}) AS summed \
         UNION ALL SELECT dimension, day, value, {KEYS}, {less} FROM report_rollup WHERE dimension = '{dimension}{BY_MONTH}') \
         AS every {}",
        monthly(&days),
        not_nothing()
    )
}

/// Keeps the first row of a sum of pluses and minuses that is not nothing.
fn not_nothing() -> String {
    let sums: Vec<String> = MEASURES.iter().map(|name| format!("SUM({name}) <> 0")).collect();
    format!(
        "GROUP BY dimension, day, value, {KEYS} HAVING {} LIMIT 1",
        sums.join(" OR ")
    )
}

async fn finds(store: &Store, sql: &str) -> Result<bool, StoreError> {
    // On SQLite a transaction would keep writers waiting, and nothing hurries a statement.
    let rows = match store.dialect() {
        Dialect::Sqlite => store.query(sql, []).await?,
        Dialect::Postgres => {
            let tx = store.begin().await?;
            tx.conn().execute_unprepared(UNHURRIED).await?;
            tx.conn().query_all_raw(tx.statement(sql, [])).await?
        }
    };
    Ok(!rows.is_empty())
}

async fn make_anew(store: &Store, dimension: &(&str, &str)) -> Result<(), StoreError> {
    let Some(tx) = begin(store).await? else { return Ok(()) };
    while merge_in(&tx).await? > 0 {}
    let name = dimension.0;
    let days = format!("(SELECT * FROM report_rollup WHERE dimension = '{name}') AS days");
    let into = format!(
        "INSERT INTO report_rollup (dimension, day, value, {KEYS}, {})",
        MEASURES.join(", ")
    );
    for sql in [
        format!("DELETE FROM report_rollup WHERE dimension IN ('{name}', '{name}{BY_MONTH}')"),
        format!("{into} {}", exploded("report_cases", &[*dimension], "")),
        format!("{into} {}", monthly(&days)),
    ] {
        tx.conn().execute_raw(tx.statement(&sql, [])).await?;
    }
    tx.commit().await
}
