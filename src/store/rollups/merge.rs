//! Moving changes into the roll-ups, and making these anew of all cases.

use sea_orm::ConnectionTrait;

use super::{BY_MONTH, CLOSED, MONTH, ROLLUPS, Rollup, ages, customers};
use crate::store::{Dialect, Store, StoreError, Tx};

/// How many changes one transaction merges, and how many such transactions follow each other.
const MERGED_AT_ONCE: u32 = 5_000;
const MERGES_MAX: u32 = 10_000;
/// From so many changes on that wait, as after an import, it is quicker to count all cases anew.
const ANEW_FROM: i64 = 200_000;
/// A scan of all cases takes longer than any statement that somebody waits for.
pub(super) const UNHURRIED: &str = "SET LOCAL statement_timeout = 0";
/// Whoever merges holds this lock until it has committed.
const LOCK: &str = "SELECT pg_try_advisory_xact_lock(hashtextextended('recoup rollup ' || current_schema(), 0))";
/// Sums over all cases are made in memory, and not by sorting on the disk, whatever the server allows to those who ask a question.
const ROOM: &str = "SET LOCAL work_mem = '256MB'";
/// All cases as they are counted, for as long as the roll-ups are made anew.
const COUNTED: &str = "report_counted_now";

type Dimension = (&'static str, &'static str);

/// Sums of the rows of `source`, which has the columns of a change, in the columns of the roll-up, `sign` times.
pub(super) fn exploded<'a>(
    rollup: &Rollup,
    source: &str,
    dimensions: impl Iterator<Item = &'a Dimension> + Clone,
    sign: &str,
) -> String {
    let names: Vec<String> = dimensions
        .clone()
        .map(|(name, _)| format!("SELECT '{name}' AS dimension"))
        .collect();
    let values: Vec<String> = dimensions
        .map(|(name, column)| format!("WHEN '{name}' THEN {column}"))
        .collect();
    let sums = rollup.each(|name| format!("CAST({sign}SUM({name}) AS BIGINT) AS {name}"));
    let keys = rollup.keys();
    format!(
        "SELECT dimension, CASE dimension WHEN '{CLOSED}' THEN closed_day ELSE day END AS day, \
         CASE dimension {} END AS value, {keys}, {} FROM {source} CROSS JOIN ({}) AS dimensions \
         WHERE {} AND (dimension <> '{CLOSED}' OR closed_day <> '') GROUP BY dimension, \
         CASE dimension WHEN '{CLOSED}' THEN closed_day ELSE day END, CASE dimension {} END, {keys}",
        values.join(" "),
        sums.join(", "),
        names.join(" UNION ALL "),
        rollup.of,
        values.join(" ")
    )
}

/// Sums by month of a source of sums by day.
pub(super) fn monthly(rollup: &Rollup, source: &str) -> String {
    let sums = rollup.each(|name| format!("CAST(SUM({name}) AS BIGINT) AS {name}"));
    let keys = rollup.keys();
    format!(
        "SELECT dimension || '{BY_MONTH}' AS dimension, {MONTH} AS day, value, {keys}, {} FROM {source} \
         WHERE dimension <> '{CLOSED}' GROUP BY dimension, {MONTH}, value, {keys}",
        sums.join(", ")
    )
}

/// Moves what has changed into the roll-ups, so much at a time that no statement takes long; says how many changes that were. Where
/// somebody else is at it, there is nothing to do.
pub async fn merge(store: &Store) -> Result<u64, StoreError> {
    let mut all = 0;
    for _ in 0..MERGES_MAX {
        let any = "SELECT 1 FROM report_changes LIMIT 1";
        if store.query(any, []).await?.is_empty() {
            break;
        }
        let Some(tx) = begin(store).await? else { break };
        all += if waiting(&tx).await? < ANEW_FROM {
            merge_in(&tx).await?
        } else {
            make_all_anew(&tx).await?
        };
        tx.commit().await?;
    }
    Ok(all)
}

/// Begins a transaction that sees one state of the database and in which nobody else merges; none where somebody does.
pub(super) async fn begin(store: &Store) -> Result<Option<Tx>, StoreError> {
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

/// How many changes wait, as far as it matters.
async fn waiting(tx: &Tx) -> Result<i64, StoreError> {
    let sql = format!("SELECT COUNT(*) FROM (SELECT 1 FROM report_changes LIMIT {ANEW_FROM}) AS waiting");
    let count = tx.conn().query_one_raw(tx.statement(&sql, [])).await?;
    Ok(count.map_or(Ok(0), |row| row.try_get_by_index(0))?)
}

/// Merges the oldest changes.
pub(super) async fn merge_in(tx: &Tx) -> Result<u64, StoreError> {
    let oldest =
        format!("SELECT MAX(id) FROM (SELECT id FROM report_changes ORDER BY id LIMIT {MERGED_AT_ONCE}) AS oldest");
    let last = tx.conn().query_one_raw(tx.statement(&oldest, [])).await?;
    let last = last.map(|row| row.try_get_by_index::<Option<i64>>(0)).transpose()?;
    let Some(last) = last.flatten() else { return Ok(0) };
    let some = format!("(SELECT * FROM report_changes WHERE id <= {last}) AS oldest");
    for rollup in &ROLLUPS {
        add(tx, rollup, &some).await?;
    }
    ages::add(tx, &some).await?;
    customers::add(tx, last).await?;
    let gone = format!("DELETE FROM report_changes WHERE id <= {last}");
    let gone = tx.conn().execute_raw(tx.statement(&gone, [])).await?;
    Ok(gone.rows_affected())
}

/// Adds what the rows of `source` come to, by day and by month.
async fn add(tx: &Tx, rollup: &Rollup, source: &str) -> Result<(), StoreError> {
    let (table, keys) = (rollup.table, rollup.keys());
    let days = exploded(rollup, source, rollup.dimensions(), "");
    let nothing = rollup.each(|name| format!("{name} = 0")).join(" AND ");
    let added = rollup.each(|name| format!("{name} = {table}.{name} + excluded.{name}"));
    let sql = format!(
        "INSERT INTO {table} (dimension, day, value, {keys}, {}) WITH days AS MATERIALIZED ({days}) \
         SELECT * FROM (SELECT * FROM days UNION ALL {}) AS fresh WHERE NOT ({nothing}) \
         ON CONFLICT (dimension, day, value, {keys}) DO UPDATE SET {}",
        rollup.measures(),
        monthly(rollup, "days"),
        added.join(", ")
    );
    tx.conn().execute_raw(tx.statement(&sql, [])).await?;
    Ok(())
}

/// Makes every roll-up anew of all cases, and takes all changes away; says how many those were.
async fn make_all_anew(tx: &Tx) -> Result<u64, StoreError> {
    let gone = tx
        .conn()
        .execute_raw(tx.statement("DELETE FROM report_changes", []))
        .await?;
    // Each sum looks at all cases, which are put together once.
    let counted = format!("CREATE TEMPORARY TABLE {COUNTED} AS SELECT * FROM report_counted");
    tx.conn().execute_unprepared(&counted).await?;
    if tx.dialect() == Dialect::Postgres {
        // Nothing is known of a table that was just made, and nobody else looks at a temporary one.
        for sql in [ROOM, &format!("ANALYZE {COUNTED}")] {
            tx.conn().execute_unprepared(sql).await?;
        }
    }
    for rollup in &ROLLUPS {
        for dimension in rollup.dimensions() {
            make_dimension_anew(tx, rollup, dimension, COUNTED).await?;
        }
    }
    ages::make_anew(tx, COUNTED).await?;
    customers::make_anew(tx, COUNTED).await?;
    tx.conn().execute_unprepared(&format!("DROP TABLE {COUNTED}")).await?;
    Ok(gone.rows_affected())
}

/// Makes a dimension of a roll-up anew of all cases, while there is no change.
pub(super) async fn make_dimension_anew(
    tx: &Tx,
    rollup: &Rollup,
    dimension: &Dimension,
    counted: &str,
) -> Result<(), StoreError> {
    let (name, table) = (dimension.0, rollup.table);
    let days = format!("(SELECT * FROM {table} WHERE dimension = '{name}') AS days");
    let into = format!(
        "INSERT INTO {table} (dimension, day, value, {}, {})",
        rollup.keys(),
        rollup.measures()
    );
    for sql in [
        format!("DELETE FROM {table} WHERE dimension IN ('{name}', '{name}{BY_MONTH}')"),
        format!("{into} {}", exploded(rollup, counted, [*dimension].iter(), "")),
        format!("{into} {}", monthly(rollup, &days)),
    ] {
        tx.conn().execute_raw(tx.statement(&sql, [])).await?;
    }
    Ok(())
}
