//! Customers, each counted once however many cases there are. A sum of cohorts would count twice who was in two of them, so each
//! customer's cohorts are a chain: a row says how many customers were in a cohort and, the time before, in another. Of a span these are
//! counted whose time before lies before the span.

use std::collections::BTreeMap;

use jiff::ToSpan;
use jiff::civil::Date;
use sea_orm::{ConnectionTrait, QueryResult, Statement};

use super::MONTH;
use crate::domain::money::Currency;
use crate::domain::report::customers::{CustomerCell, CustomerCounts};
use crate::domain::report::{By, Cohort, Cut};
use crate::store::row::Row;
use crate::store::{Dialect, StoreError, Tx, scans};

/// A kind of chain, and what is so of the cases that make it.
type Kind = (&'static str, &'static str);

/// The table of the roll-up.
pub(super) const TABLE: &str = "report_customers";
/// What makes a row.
const KEY: &str = "length, kind, at, previous, connection, currency";
/// Which of the cases of a customer make the chains: all, and those that stand so.
const KINDS: [Kind; 4] = [
    ("all", "1 = 1"),
    ("recovered", "status = 'recovered'"),
    ("lost", "status <> 'recovered'"),
    ("open", "status = 'open'"),
];
/// The lengths of cohorts that are kept.
const LENGTHS: [Cohort; 2] = [Cohort::Month, Cohort::Week];

/// The first day of the cohort of a day.
pub(in crate::store) const fn first_day(cohort: Cohort, dialect: Dialect) -> &'static str {
    match (cohort, dialect) {
        (Cohort::Month, _) => MONTH,
        (Cohort::Week, Dialect::Sqlite) => "date(day, 'weekday 0', '-6 days')",
        (Cohort::Week, Dialect::Postgres) => "to_char(date_trunc('week', CAST(day AS timestamp)), 'YYYY-MM-DD')",
        (Cohort::Day, _) => "day",
    }
}

/// The chains that the rows of `states` make, which have a day, a status, a currency, a customer, and how many times each counts: those
/// that count in the first `versions` are added, those that count in the second are taken off.
fn chains(states: &str, lengths: &[Cohort], of: &[Kind], versions: &[&str], dialect: Dialect) -> String {
    let named = |name: &str| format!("SELECT '{name}' AS");
    let kinds: Vec<String> = of.iter().map(|(name, _)| format!("{} kind", named(name))).collect();
    let stands: Vec<String> = of
        .iter()
        .map(|(name, stands)| format!("(kind = '{name}' AND {stands})"))
        .collect();
    let all: Vec<String> = lengths
        .iter()
        .map(|cohort| format!("{} length", named(cohort.as_str())))
        .collect();
    let at: Vec<String> = lengths
        .iter()
        .map(|cohort| format!("WHEN '{cohort}' THEN {}", first_day(*cohort, dialect)))
        .collect();
    let at = format!("CASE length {} END", at.join(" "));
    let counts: Vec<String> = versions.iter().map(|name| format!("SUM({name}) AS {name}")).collect();
    let linked: Vec<String> = versions
        .iter()
        .zip(["1", "-1"])
        .map(|(version, sign)| {
            format!(
                "SELECT length, kind, at, COALESCE(LAG(at) OVER (PARTITION BY customer, connection, currency, length, kind \
                 ORDER BY at), '') AS previous, connection, currency, {sign} AS customers FROM held WHERE {version} > 0"
            )
        })
        .collect();
    format!(
        "WITH held AS (SELECT length, kind, {at} AS at, connection, currency, customer, {} FROM ({states}) AS states \
         CROSS JOIN ({}) AS lengths CROSS JOIN ({}) AS kinds WHERE {} \
         GROUP BY length, kind, connection, currency, customer, {at}) \
         SELECT {KEY}, CAST(SUM(customers) AS BIGINT) AS customers FROM ({}) AS linked GROUP BY {KEY} HAVING SUM(customers) <> 0",
        counts.join(", "),
        all.join(" UNION ALL "),
        kinds.join(" UNION ALL "),
        stands.join(" OR "),
        linked.join(" UNION ALL ")
    )
}

/// All cases of the customers of whom a change tells: as they are, and each change taken off, from `after` as they were after it and
/// from `before` as they were before.
fn touched(of: &str, [after, before]: [&str; 2]) -> String {
    format!(
        "SELECT f.day, f.status, f.currency, f.connection, f.customer, 1 AS after, 1 AS before \
         FROM (SELECT DISTINCT connection, customer FROM report_changes WHERE {of}) AS whose \
         JOIN report_counted AS f ON f.customer = whose.customer AND f.connection = whose.connection \
         UNION ALL SELECT c.day, c.status, c.currency, c.connection, c.customer, CASE WHEN {after} THEN -c.cases ELSE 0 END, \
         CASE WHEN {before} THEN -c.cases ELSE 0 END FROM report_changes AS c \
         JOIN (SELECT DISTINCT connection, customer FROM report_changes WHERE {of}) AS whose \
         ON whose.customer = c.customer AND whose.connection = c.connection"
    )
}

/// Merges the changes up to `last`.
pub(super) async fn add(tx: &Tx, last: i64) -> Result<(), StoreError> {
    let states = touched(&format!("id <= {last}"), [&format!("c.id > {last}"), "1 = 1"]);
    let chains = chains(&states, &LENGTHS, &KINDS, &["after", "before"], tx.dialect());
    let add = format!(
        "INSERT INTO {TABLE} ({KEY}, customers) SELECT * FROM ({chains}) AS fresh WHERE 1 = 1 \
         ON CONFLICT ({KEY}) DO UPDATE SET customers = {TABLE}.customers + excluded.customers"
    );
    let gone = format!("DELETE FROM {TABLE} WHERE customers = 0");
    for sql in [add, gone] {
        tx.conn().execute_raw(tx.statement(&sql, [])).await?;
    }
    Ok(())
}

/// The chains of all cases of `counted`.
fn scanned(counted: &str, lengths: &[Cohort], of: &[Kind], dialect: Dialect) -> String {
    let states = format!("SELECT day, status, currency, connection, customer, 1 AS after FROM {counted}");
    chains(&states, lengths, of, &["after"], dialect)
}

/// Makes the roll-up anew of all cases, while there is no change.
pub(super) async fn make_anew(tx: &Tx, counted: &str) -> Result<(), StoreError> {
    let gone = format!("DELETE FROM {TABLE}");
    tx.conn().execute_raw(tx.statement(&gone, [])).await?;
    // One kind after the other: all together are too many rows to be put in order in memory.
    for length in LENGTHS {
        for kind in KINDS {
            let fill = format!(
                "INSERT INTO {TABLE} ({KEY}, customers) SELECT * FROM ({}) AS scanned",
                scanned(counted, &[length], &[kind], tx.dialect())
            );
            tx.conn().execute_raw(tx.statement(&fill, [])).await?;
        }
    }
    Ok(())
}

/// A statement that finds a row where roll-up and changes do not say what a scan of all cases says.
pub(super) fn differing(dialect: Dialect) -> String {
    format!(
        "SELECT 1 FROM (SELECT {KEY}, customers FROM {TABLE} UNION ALL SELECT * FROM ({}) AS changes \
         UNION ALL SELECT {KEY}, -customers FROM ({}) AS scanned) AS every GROUP BY {KEY} HAVING SUM(customers) <> 0 LIMIT 1",
        unmerged(&LENGTHS, dialect),
        scanned("report_counted", &LENGTHS, &KINDS, dialect)
    )
}

/// What the changes that are not merged yet make of the chains.
fn unmerged(lengths: &[Cohort], dialect: Dialect) -> String {
    chains(
        &touched("1 = 1", ["1 = 0", "1 = 1"]),
        lengths,
        &KINDS,
        &["after", "before"],
        dialect,
    )
}

/// The customers with cases in the span, by cohort and over all cohorts: from the roll-up where it has them, else by a look at each case.
pub async fn customers<C: ConnectionTrait>(
    conn: &C,
    days: [Date; 2],
    cut: Cut,
) -> Result<Vec<CustomerCell>, StoreError> {
    let kept = matches!(cut.by, By::None | By::Connection) && LENGTHS.contains(&cut.cohort);
    if kept && let Some(cohorts) = whole_cohorts(conn, days, cut.cohort).await? {
        return read(conn, cohorts, cut).await;
    }
    scans::customers(conn, days, cut).await
}

/// The cohorts that a span is made of; none where there is a case beside the span in one of them.
async fn whole_cohorts<C: ConnectionTrait>(
    conn: &C,
    [from, to]: [Date; 2],
    cohort: Cohort,
) -> Result<Option<[Date; 2]>, StoreError> {
    let first = cohort.first_day(from);
    let last = match cohort.first_day(to) {
        day if day == to => to,
        day if cohort == Cohort::Month => day.saturating_add(1.month()),
        day => day.saturating_add(7.days()),
    };
    if [first, last] == [from, to] {
        return Ok(Some([first, last]));
    }
    let beside = "((day >= $1 AND day < $2) OR (day >= $3 AND day < $4))";
    let sql = format!(
        "SELECT 1 FROM (SELECT cases FROM report_rollup WHERE dimension = 'all' AND {beside} \
         UNION ALL SELECT cases FROM report_changes WHERE {beside}) AS beside LIMIT 1"
    );
    let values = [first, from, to, last].map(|day| day.to_string().into());
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    Ok(conn.query_one_raw(statement).await?.is_none().then_some([first, last]))
}

async fn read<C: ConnectionTrait>(conn: &C, [from, to]: [Date; 2], cut: Cut) -> Result<Vec<CustomerCell>, StoreError> {
    let dialect = Dialect::of(conn.get_database_backend());
    let value = if cut.by == By::Connection { "connection" } else { "''" };
    let sql = format!(
        "SELECT at, value, currency, kind, CAST(SUM(customers) AS BIGINT), \
         CAST(SUM(CASE WHEN previous < $2 THEN customers ELSE 0 END) AS BIGINT) \
         FROM (SELECT at, {value} AS value, currency, kind, previous, customers FROM {TABLE} WHERE length = $1 AND at >= $2 AND at < $3 \
         UNION ALL SELECT at, {value}, currency, kind, previous, customers FROM ({}) AS changes WHERE at >= $2 AND at < $3) AS every \
         GROUP BY at, value, currency, kind ORDER BY at, value, currency, kind",
        unmerged(&[cut.cohort], dialect)
    );
    let values = [
        cut.cohort.as_str().into(),
        from.to_string().into(),
        to.to_string().into(),
    ];
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    let mut sums = BTreeMap::new();
    for found in conn.query_all_raw(statement).await? {
        let link = decode(&found)?;
        for (day, customers) in [(Some(link.at), link.of_cohort), (None, link.of_span)] {
            let place: Place = (day, link.value.clone(), link.currency);
            let counts = sums.entry(place).or_insert([0; KINDS.len()]);
            counts[link.kind] += customers;
        }
    }
    Ok(sums.into_iter().filter_map(cell).collect())
}

type Place = (Option<Date>, String, Currency);

/// One row of an answer.
struct Link {
    at: Date,
    value: String,
    currency: Currency,
    /// Its place among the kinds.
    kind: usize,
    of_cohort: i64,
    of_span: i64,
}

fn decode(found: &QueryResult) -> Result<Link, StoreError> {
    let text = |index: usize| found.try_get_by_index::<String>(index);
    let day = text(0)?;
    let row = Row { table: TABLE, id: &day };
    let kind = text(3)?;
    let kind = KINDS.iter().position(|(name, _)| *name == kind);
    Ok(Link {
        at: day.parse().map_err(|_| row.corrupt("at: not a day"))?,
        value: text(1)?,
        currency: row.word("currency", &text(2)?)?,
        kind: kind.ok_or_else(|| row.corrupt("kind: not known"))?,
        of_cohort: found.try_get_by_index(4)?,
        of_span: found.try_get_by_index(5)?,
    })
}

/// A cell of those that are there; whoever has no lost case has recovered all.
fn cell(((day, value, currency), counts): (Place, [i64; KINDS.len()])) -> Option<CustomerCell> {
    let [all, any_recovered, lost, open] = counts.map(|count| count.max(0).unsigned_abs());
    (all > 0).then(|| CustomerCell {
        day,
        value,
        currency,
        counts: CustomerCounts {
            all,
            recovered: all.saturating_sub(lost),
            any_recovered,
            open,
        },
    })
}
