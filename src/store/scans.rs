//! What reports read by a look at each case of their span, because no roll-up holds it: distinct customers, the stages of the funnel,
//! charges by their number, and recoveries by their day. The index over the opening of cases bounds each of them to its span.

use jiff::ToSpan;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use sea_orm::{ConnectionTrait, QueryResult, Statement, Value};

use super::row::Row;
use super::{Dialect, StoreError};
use crate::domain::money::Currency;
use crate::domain::report::attempts::{AttemptCell, ChargedCell};
use crate::domain::report::converted::RecoveredCell;
use crate::domain::report::customers::{CustomerCell, CustomerCounts};
use crate::domain::report::funnel::{Path, Stage};
use crate::domain::report::{By, Cohort, Cut, Sum};

/// The cases opened on the days from `$1` on and before `$2`. No day of any zone is two days away from its instant, so `$3` and `$4`,
/// which the index knows, bound them as well.
const IN_SPAN: &str = "f.day >= $1 AND f.day < $2 AND f.opened_at >= $3 AND f.opened_at < $4";
/// Statuses of attempts that a case does not count.
const UNCOUNTED: &str = "('not_sent', 'not_needed')";

fn bounds([from, to]: [Date; 2]) -> [Value; 4] {
    let instant = |day: Date| {
        let start = day
            .to_zoned(TimeZone::UTC)
            .map(|start| start.timestamp().as_millisecond());
        start.unwrap_or(if day < from { i64::MIN } else { i64::MAX })
    };
    [
        from.to_string().into(),
        to.to_string().into(),
        instant(from.saturating_sub(2.days())).into(),
        instant(to.saturating_add(2.days())).into(),
    ]
}

/// The column of `report_cases` that holds what is split by.
const fn value(by: By) -> &'static str {
    match by {
        By::None => "''",
        By::Connection => "f.connection",
        By::Outcome => "f.status",
        By::DeclineKind => "f.decline_kind",
        By::DeclineCode => "f.decline_code",
        By::Network => "f.network",
        By::Country => "f.country",
        By::Funding => "f.funding",
        By::Plan => "f.plan",
        By::Amount => "f.amount",
        By::Tenure => "f.tenure",
        By::Campaign => "f.campaign",
        By::Arm => "f.arm",
        By::Collector => "f.collector",
        By::Message => "f.message",
        By::Step => "f.step",
        By::Attempt => "f.attempt",
        By::Weekday => "f.weekday",
        By::Hour => "f.hour",
    }
}

/// The first day of the cohort of a case.
const fn cohort(cohort: Cohort, dialect: Dialect) -> &'static str {
    match (cohort, dialect) {
        (Cohort::Month, _) => "substr(f.day, 1, 8) || '01'",
        (Cohort::Week, Dialect::Sqlite) => "date(f.day, 'weekday 0', '-6 days')",
        (Cohort::Week, Dialect::Postgres) => "to_char(date_trunc('week', CAST(f.day AS date)), 'YYYY-MM-DD')",
        (Cohort::Day, _) => "f.day",
    }
}

/// What a statement over a span finds.
async fn ask<C: ConnectionTrait>(conn: &C, sql: &str, days: [Date; 2]) -> Result<Vec<QueryResult>, StoreError> {
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, bounds(days));
    Ok(conn.query_all_raw(statement).await?)
}

/// The columns of one answer.
struct Found<'a>(&'a QueryResult);

impl Found<'_> {
    fn text(&self, index: usize) -> Result<String, StoreError> {
        Ok(self.0.try_get_by_index(index)?)
    }

    fn minor(&self, index: usize) -> Result<i64, StoreError> {
        Ok(self.0.try_get_by_index(index)?)
    }

    fn count(&self, index: usize) -> Result<u64, StoreError> {
        Ok(self.minor(index)?.max(0).unsigned_abs())
    }

    fn day(&self, index: usize) -> Result<Date, StoreError> {
        let day = self.text(index)?;
        let row = Row {
            table: "report_cases",
            id: &day,
        };
        day.parse().map_err(|_| row.corrupt("day: not a day"))
    }

    fn currency(&self, index: usize) -> Result<Currency, StoreError> {
        let word = self.text(index)?;
        let row = Row {
            table: "report_cases",
            id: &word,
        };
        row.word("currency", &word)
    }
}

/// The customers with cases in the span, by cohort and over all cohorts.
pub async fn customers<C: ConnectionTrait>(
    conn: &C,
    days: [Date; 2],
    cut: Cut,
) -> Result<Vec<CustomerCell>, StoreError> {
    let day = cohort(cut.cohort, Dialect::of(conn.get_database_backend()));
    let mut cells = customers_by(conn, days, cut.by, Some(day)).await?;
    cells.extend(customers_by(conn, days, cut.by, None).await?);
    Ok(cells)
}

async fn customers_by<C: ConnectionTrait>(
    conn: &C,
    days: [Date; 2],
    by: By,
    day: Option<&str>,
) -> Result<Vec<CustomerCell>, StoreError> {
    let (value, at) = (value(by), day.unwrap_or("''"));
    let sql = format!(
        "SELECT cohort, value, currency, COUNT(*), CAST(SUM(wholly) AS BIGINT), CAST(SUM(partly) AS BIGINT), \
         CAST(SUM(chased) AS BIGINT) FROM (SELECT {at} AS cohort, {value} AS value, f.currency AS currency, \
         MIN(CASE WHEN f.status = 'recovered' THEN 1 ELSE 0 END) AS wholly, \
         MAX(CASE WHEN f.status = 'recovered' THEN 1 ELSE 0 END) AS partly, \
         MAX(CASE WHEN f.status = 'open' THEN 1 ELSE 0 END) AS chased \
         FROM report_cases AS f JOIN cases AS c ON c.id = f.case_id WHERE {IN_SPAN} \
         GROUP BY 1, 2, 3, f.connection, c.customer_id) AS customers GROUP BY cohort, value, currency ORDER BY 1, 2, 3"
    );
    let found = ask(conn, &sql, days).await?;
    let cell = |row: &QueryResult| {
        let row = Found(row);
        Ok(CustomerCell {
            day: day.is_some().then(|| row.day(0)).transpose()?,
            value: row.text(1)?,
            currency: row.currency(2)?,
            counts: CustomerCounts {
                all: row.count(3)?,
                recovered: row.count(4)?,
                any_recovered: row.count(5)?,
                open: row.count(6)?,
            },
        })
    };
    found.iter().map(cell).collect()
}

/// The columns of `report_stages` with the stages that they stand for.
const STAGES: [(&str, Stage); 5] = [
    ("silent", Stage::RecoveredSilently),
    ("written", Stage::WrittenTo),
    ("delivered", Stage::Delivered),
    ("clicked", Stage::Clicked),
    ("changed", Stage::CardChanged),
];

/// The ways that the cases of the span took.
pub async fn paths<C: ConnectionTrait>(conn: &C, days: [Date; 2], by: By) -> Result<Vec<Path>, StoreError> {
    let stages = STAGES.map(|(column, _)| format!("f.{column}")).join(", ");
    let value = value(by);
    let sql = format!(
        "SELECT {value}, f.currency, f.status, {stages}, COUNT(*), CAST(SUM(f.amount_minor) AS BIGINT), \
         CAST(SUM(f.recovered_minor) AS BIGINT) FROM report_stages AS f WHERE {IN_SPAN} \
         GROUP BY 1, 2, 3, {stages} ORDER BY 1, 2, 3"
    );
    let found = ask(conn, &sql, days).await?;
    let path = |row: &QueryResult| {
        let status: String = row.try_get_by_index(2)?;
        let mut stages = Vec::new();
        for (index, (_, stage)) in STAGES.iter().enumerate() {
            if row.try_get_by_index::<i32>(3 + index)? == 1 {
                stages.push(*stage);
            }
        }
        let row = Found(row);
        let cases = row.count(8)?;
        let recovered = status == "recovered";
        if recovered {
            stages.push(Stage::Paid);
        }
        Ok(Path {
            value: row.text(0)?,
            currency: row.currency(1)?,
            stages,
            open: if status == "open" { cases } else { 0 },
            all: Sum {
                cases,
                amount_minor: row.minor(9)?,
            },
            recovered_minor: if recovered { row.minor(10)? } else { 0 },
        })
    };
    found.iter().map(path).collect()
}

/// The cases of the span with the charges that they counted.
pub async fn charged<C: ConnectionTrait>(conn: &C, days: [Date; 2], by: By) -> Result<Vec<ChargedCell>, StoreError> {
    let value = value(by);
    let sql = format!(
        "SELECT {value}, f.currency, COUNT(*), CAST(SUM(CASE WHEN f.status = 'recovered' THEN 1 ELSE 0 END) AS BIGINT), \
         CAST(SUM(CASE WHEN f.status = 'open' THEN 1 ELSE 0 END) AS BIGINT), CAST(SUM(c.attempts) AS BIGINT) \
         FROM report_cases AS f JOIN cases AS c ON c.id = f.case_id WHERE {IN_SPAN} GROUP BY 1, 2 ORDER BY 1, 2"
    );
    let found = ask(conn, &sql, days).await?;
    let cell = |row: &QueryResult| {
        let row = Found(row);
        Ok(ChargedCell {
            value: row.text(0)?,
            currency: row.currency(1)?,
            cases: row.count(2)?,
            recovered: row.count(3)?,
            open: row.count(4)?,
            attempts: row.count(5)?,
        })
    };
    found.iter().map(cell).collect()
}

/// The charges of the cases of the span, by their number within the case.
pub async fn attempts<C: ConnectionTrait>(conn: &C, days: [Date; 2], by: By) -> Result<Vec<AttemptCell>, StoreError> {
    let value = value(by);
    let sql = format!(
        "SELECT value, currency, number, COUNT(*), CAST(SUM(CASE WHEN status = 'succeeded' THEN 1 ELSE 0 END) AS BIGINT), \
         CAST(SUM(CASE WHEN status = 'succeeded' THEN amount_minor ELSE 0 END) AS BIGINT), \
         CAST(SUM(CASE WHEN status = 'declined' THEN 1 ELSE 0 END) AS BIGINT) FROM (\
         SELECT {value} AS value, f.currency AS currency, a.status AS status, a.amount_minor AS amount_minor, \
         ROW_NUMBER() OVER (PARTITION BY a.case_id ORDER BY a.started_at, a.id) AS number \
         FROM report_cases AS f JOIN attempts AS a ON a.case_id = f.case_id \
         WHERE {IN_SPAN} AND a.status NOT IN {UNCOUNTED}) AS numbered GROUP BY value, currency, number ORDER BY 1, 2, 3"
    );
    let found = ask(conn, &sql, days).await?;
    let cell = |row: &QueryResult| {
        let row = Found(row);
        Ok(AttemptCell {
            value: row.text(0)?,
            currency: row.currency(1)?,
            number: u32::try_from(row.count(2)?).unwrap_or(u32::MAX),
            attempts: row.count(3)?,
            succeeded: row.count(4)?,
            succeeded_minor: row.minor(5)?,
            declined: row.count(6)?,
        })
    };
    found.iter().map(cell).collect()
}

/// The recovered cases of the span, by the day of their recovery and by what was paid.
pub async fn recovered<C: ConnectionTrait>(
    conn: &C,
    days: [Date; 2],
    cut: Cut,
) -> Result<Vec<RecoveredCell>, StoreError> {
    let day = cohort(cut.cohort, Dialect::of(conn.get_database_backend()));
    let value = value(cut.by);
    let sql = format!(
        "SELECT {day}, f.closed_day, {value}, f.currency, f.recovered_minor, f.reversed_minor, COUNT(*) \
         FROM report_cases AS f WHERE {IN_SPAN} AND f.status = 'recovered' GROUP BY 1, 2, 3, 4, 5, 6 \
         ORDER BY 1, 2, 3, 4, 5, 6"
    );
    let found = ask(conn, &sql, days).await?;
    let cell = |row: &QueryResult| {
        let row = Found(row);
        Ok(RecoveredCell {
            day: row.day(0)?,
            recovered_day: row.day(1)?,
            value: row.text(2)?,
            currency: row.currency(3)?,
            recovered_minor: row.minor(4)?,
            reversed_minor: row.minor(5)?,
            cases: row.count(6)?,
        })
    };
    found.iter().map(cell).collect()
}
