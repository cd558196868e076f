//! Holding the roll-ups against a scan of all cases.

use sea_orm::ConnectionTrait;

use super::merge::{UNHURRIED, begin, exploded, make_dimension_anew, merge_in, monthly};
use super::{BY_MONTH, ROLLUPS, Rollup, ages, customers};
use crate::store::{Dialect, Store, StoreError, Tx};

/// What all cases come to.
const COUNTED: &str = "report_counted";

/// Whether roll-ups and changes say what a scan of all cases says, dimension by dimension; those that do not are made anew, and named
/// with their table. It takes as long as a scan for each.
pub async fn verify(store: &Store) -> Result<Vec<String>, StoreError> {
    let mut wrong = Vec::new();
    for rollup in &ROLLUPS {
        for dimension in rollup.dimensions() {
            let [days, months] = [differing_days(rollup, dimension), differing_months(rollup, dimension.0)];
            if finds(store, &days).await? || finds(store, &months).await? {
                if let Some(tx) = all_merged(store).await? {
                    make_dimension_anew(&tx, rollup, dimension, COUNTED).await?;
                    tx.commit().await?;
                }
                wrong.push(format!("{} {}", rollup.table, dimension.0));
            }
        }
    }
    if finds(store, &ages::differing()).await? {
        if let Some(tx) = all_merged(store).await? {
            ages::make_anew(&tx, COUNTED).await?;
            tx.commit().await?;
        }
        wrong.push(ages::TABLE.to_owned());
    }
    if finds(store, &customers::differing(store.dialect())).await? {
        if let Some(tx) = all_merged(store).await? {
            customers::make_anew(&tx, COUNTED).await?;
            tx.commit().await?;
        }
        wrong.push(customers::TABLE.to_owned());
    }
    Ok(wrong)
}

/// A transaction in which no change waits; none where somebody else merges.
async fn all_merged(store: &Store) -> Result<Option<Tx>, StoreError> {
    let Some(tx) = begin(store).await? else { return Ok(None) };
    while merge_in(&tx).await? > 0 {}
    Ok(Some(tx))
}

/// A statement that finds a row of a dimension where roll-up and changes do not say what a scan of all cases says.
fn differing_days(rollup: &Rollup, dimension: &(&'static str, &'static str)) -> String {
    let one = [*dimension];
    format!(
        "SELECT 1 FROM (SELECT dimension, day, value, {}, {} FROM {} WHERE dimension = '{}' \
         UNION ALL SELECT * FROM ({}) AS changes UNION ALL SELECT * FROM ({}) AS scanned) AS every {}",
        rollup.keys(),
        rollup.measures(),
        rollup.table,
        dimension.0,
        exploded(rollup, "report_changes", one.iter(), ""),
        exploded(rollup, COUNTED, one.iter(), "-"),
        not_nothing(rollup)
    )
}

/// A statement that finds a row of a dimension whose sum by month is not that of its days.
fn differing_months(rollup: &Rollup, dimension: &str) -> String {
    let less = rollup.each(|name| format!("-{name} AS {name}")).join(", ");
    let (table, keys, measures) = (rollup.table, rollup.keys(), rollup.measures());
    let days = format!("(SELECT * FROM {table} WHERE dimension = '{dimension}') AS days");
    format!(
        "SELECT 1 FROM (SELECT dimension, day, value, {keys}, {measures} FROM ({}) AS summed \
         UNION ALL SELECT dimension, day, value, {keys}, {less} FROM {table} WHERE dimension = '{dimension}{BY_MONTH}') \
         AS every {}",
        monthly(rollup, &days),
        not_nothing(rollup)
    )
}

/// Keeps the first row of a sum of pluses and minuses that is not nothing.
fn not_nothing(rollup: &Rollup) -> String {
    format!(
        "GROUP BY dimension, day, value, {} HAVING {} LIMIT 1",
        rollup.keys(),
        rollup.each(|name| format!("SUM({name}) <> 0")).join(" OR ")
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
