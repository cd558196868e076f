//! What reports read by a look at each case of their span, because no roll-up holds it: customers by what their cases are split by, and
//! by day; and recovered cases, split, by the day of their recovery. The index over the opening of cases bounds each of them to its span.

use jiff::ToSpan;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use sea_orm::{ConnectionTrait, QueryResult, Statement, Value};

use super::rollups::first_day;
use super::row::Row;
use super::{Dialect, StoreError};
use crate::domain::money::Currency;
use crate::domain::outcome::Status;
use crate::domain::report::customers::{CustomerCell, CustomerCounts};
use crate::domain::report::{By, Cut, EndedCell};

/// The cases opened on the days from `$1` on and before `$2`. No day of any zone is two days away from its instant, so `$3` and `$4`,
/// which the index knows, bound them as well.
const IN_SPAN: &str = "f.day >= $1 AND f.day < $2 AND f.opened_at >= $3 AND f.opened_at < $4";

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
    let day = first_day(cut.cohort, Dialect::of(conn.get_database_backend()));
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

/// The recovered cases of the span, by the day of their recovery.
pub async fn recovered<C: ConnectionTrait>(conn: &C, days: [Date; 2], cut: Cut) -> Result<Vec<EndedCell>, StoreError> {
    let day = first_day(cut.cohort, Dialect::of(conn.get_database_backend()));
    let value = value(cut.by);
    let sql = format!(
        "SELECT {day}, closed_day, {value}, currency, COUNT(*), CAST(SUM(recovered_minor) AS BIGINT), \
         CAST(SUM(reversed_minor) AS BIGINT) FROM report_cases AS f WHERE {IN_SPAN} AND status = 'recovered' \
         GROUP BY 1, 2, 3, 4, connection ORDER BY 1, 2, 3, 4, connection"
    );
    let found = ask(conn, &sql, days).await?;
    let cell = |row: &QueryResult| {
        let row = Found(row);
        Ok(EndedCell {
            day: row.day(0)?,
            ended_day: row.day(1)?,
            status: Status::Recovered,
            value: row.text(2)?,
            currency: row.currency(3)?,
            cases: row.count(4)?,
            recovered_minor: row.minor(5)?,
            reversed_minor: row.minor(6)?,
        })
    };
    found.iter().map(cell).collect()
}
