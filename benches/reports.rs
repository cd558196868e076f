//! What the reports of a year cost, beside a scan of all cases that answers a smaller question.
//!
//! The cases are made by the database itself from one of each shape; the triggers of the schema count them, as they count every case
//! (on PostgreSQL the last of them), and the roll-ups are merged as the service merges them.

use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use recoup::clock::Clock;
use recoup::domain::report::attempts::charged;
use recoup::domain::report::funnel::funnels;
use recoup::domain::report::{By, Cohort, Cut, report};
use recoup::store::{Dialect, Store, rollups, win_back};
use sea_orm::{ConnectionTrait, Statement};
use tokio::time::Instant;

use crate::growth::crowd::{DAY_MS, moulds, write};
use crate::support::database::{Schema, migrate, sqlite_url};
use crate::support::report::{Bound, Report, median};

/// The cases were opened within a year.
const YEAR_DAYS: i64 = 364;
/// One statement makes so many.
const MADE_AT_ONCE: u64 = 50_000;
/// On PostgreSQL only so many tell of themselves: from that many on, all roll-ups are made anew of all cases whatever tells.
const TELLING: u64 = 200_000;
const SAMPLES: usize = 5;
/// One of so many cases is open; those were opened lately.
const OPEN_OF: u64 = 25;
const OPEN_DAYS: i64 = 21;
/// Limits: a million on PostgreSQL, ten million there, and a million on SQLite.
const MILLION: Duration = Duration::from_millis(100);
const MORE: Duration = Duration::from_millis(300);
/// The question that every system answers by a scan: how many, by month, kind and outcome.
const SCAN: &str =
    "SELECT substr(day, 1, 7), decline_kind, status, COUNT(*), SUM(amount_minor) FROM report_cases GROUP BY 1, 2, 3";

/// The columns of a copy that are its own; `n` is its number, `age` how many milliseconds ago it was opened, `day` its day.
fn own(dialect: Dialect, now: i64) -> Vec<(&'static str, String)> {
    let day = match dialect {
        Dialect::Postgres => format!("to_char(to_timestamp(({now} - age) / 1000.0) AT TIME ZONE 'UTC', 'YYYY-MM-DD')"),
        Dialect::Sqlite => format!("date(({now} - age) / 1000, 'unixepoch')"),
    };
    let one_of = |words: &[&str], by: u64| {
        let cases: Vec<String> = (0..)
            .zip(words)
            .map(|(nth, word)| format!("WHEN {nth} THEN '{word}'"))
            .collect();
        format!("CASE (n / {by}) % {} {} END", words.len(), cases.join(" "))
    };
    let kinds = [
        "insufficient_funds",
        "do_not_honor",
        "expired",
        "limit",
        "lost_stolen",
        "processing",
    ];
    let texts = |prefix: &str, by: &str| format!("'{prefix}' || CAST({by} AS TEXT)");
    vec![
        ("id", texts("case_", "1000000000000 + n")),
        ("invoice_id", texts("in_", "n")),
        ("subscription_id", texts("sub_", "n")),
        ("customer_id", texts("cus_", "n / 3")),
        ("opened_at", format!("{now} - age")),
        (
            "closed_at",
            format!("{now} - age + (n * 7919 % 500) * 3600000 + CASE WHEN closed_at IS NULL THEN NULL ELSE 0 END"),
        ),
        ("updated_at", format!("{now} - age")),
        ("cohort_day", day),
        ("closed_day", "NULL".to_owned()),
        ("currency", one_of(&["EUR", "USD", "JPY"], 7)),
        ("amount_minor", "500 + n * 7919 % 120000".to_owned()),
        ("first_kind", one_of(&kinds, 11)),
        ("first_code", one_of(&kinds, 13)),
        ("network", one_of(&["visa", "mastercard", "amex"], 17)),
        (
            "bank_country",
            one_of(&["DE", "FR", "US", "JP", "PL", "SE", "GB", "NL"], 19),
        ),
        ("funding", one_of(&["credit", "debit", "prepaid"], 23)),
        ("plan", texts("Plan ", "n / 29 % 41")),
        ("tenure_days", "n * 31 % 2000".to_owned()),
        ("monthly_minor", "990".to_owned()),
        ("arm", one_of(&["holdout", "fixed", "learned"], 31)),
        (
            "touch_message",
            one_of(&["reminder", "final_notice", "payment_failed"], 37),
        ),
        ("touch_step", one_of(&["day_1", "day_7", "last"], 37)),
    ]
}

/// The numbers `[from, until)`, as `n`.
fn numbers(dialect: Dialect, [from, until]: [u64; 2]) -> String {
    match dialect {
        Dialect::Postgres => format!("SELECT generate_series({from}::bigint, {until}::bigint - 1) AS n"),
        Dialect::Sqlite => format!(
            "WITH RECURSIVE numbers(n) AS (SELECT {from} UNION ALL SELECT n + 1 FROM numbers WHERE n < {until} - 1) SELECT n FROM numbers"
        ),
    }
}

/// How far the cases `[from, until)` got and what they were charged: of each as its number has it, at the beginning of time, so that it
/// counts whenever the case was closed.
async fn lead(store: &Store, span: [u64; 2]) -> anyhow::Result<()> {
    let reached = |by: u64| format!("CASE WHEN n % {by} = 0 THEN 1 END");
    let sql = format!(
        "INSERT INTO report_funnel (case_id, written_at, delivered_at, clicked_at, changed_at, tries, charged_minor) \
         SELECT 'case_' || CAST(1000000000000 + n AS TEXT), {}, {}, {}, {}, \
         CASE n % 9 WHEN 0 THEN 'd' WHEN 1 THEN 'ds' WHEN 2 THEN 'dds' WHEN 3 THEN 'ddds' WHEN 4 THEN 'dddd' WHEN 5 THEN 'ddddds' \
         WHEN 6 THEN 'dod' WHEN 7 THEN 'dddddddd' ELSE 'do' END, CASE WHEN n % 9 IN (1, 2, 3, 5) THEN 500 + n * 7919 % 120000 ELSE 0 END \
         FROM ({}) AS numbers",
        reached(2),
        reached(4),
        reached(12),
        reached(7),
        numbers(store.dialect(), span)
    );
    store.conn().execute_unprepared(&sql).await?;
    Ok(())
}

/// Makes the cases `[from, until)`.
async fn make(store: &Store, columns: &[String], now: i64, span: [u64; 2]) -> anyhow::Result<()> {
    let own = own(store.dialect(), now);
    let value = |name: &String| {
        let own = own.iter().find(|(own, _)| own == name);
        own.map_or_else(|| format!("\"{name}\""), |(_, value)| value.clone())
    };
    let values: Vec<String> = columns.iter().map(value).collect();
    let names: Vec<String> = columns.iter().map(|name| format!("\"{name}\"")).collect();
    let numbers = numbers(store.dialect(), span);
    // Of the seven shapes the first three are open.
    let sql = format!(
        "INSERT INTO cases ({}) SELECT {} FROM (SELECT n, \
         CASE WHEN n % {OPEN_OF} = 0 THEN n * 7919 % {OPEN_DAYS} ELSE {OPEN_DAYS} + n * 7919 % ({YEAR_DAYS} - {OPEN_DAYS}) END \
         * {DAY_MS} + n * 104729 % {DAY_MS} AS age, CASE WHEN n % {OPEN_OF} = 0 THEN 1 ELSE 4 + n % 4 END AS shape \
         FROM ({numbers}) AS numbers) AS crowd JOIN (SELECT *, row_number() OVER (ORDER BY opened_at, id) AS nth FROM mould) AS mould \
         ON mould.nth = crowd.shape",
        names.join(", "),
        values.join(", ")
    );
    store.conn().execute_unprepared(&sql).await?;
    Ok(())
}

async fn columns(store: &Store) -> anyhow::Result<Vec<String>> {
    let sql = match store.dialect() {
        Dialect::Postgres => {
            "SELECT column_name::text FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = 'cases'"
        }
        Dialect::Sqlite => "SELECT name FROM pragma_table_info('cases')",
    };
    let rows = store
        .conn()
        .query_all_raw(Statement::from_string(store.conn().get_database_backend(), sql))
        .await?;
    Ok(rows
        .iter()
        .map(|row| row.try_get_by_index(0))
        .collect::<Result<_, _>>()?)
}

/// Fills a database with that many cases and merges what is counted of them.
async fn fill(url: &str, now: Timestamp, cases: u64) -> anyhow::Result<()> {
    let store = Store::connect(url, 1).await?;
    for days in (0..=YEAR_DAYS + 31).step_by(28) {
        store.make_months(now - SignedDuration::from_hours(24 * days)).await?;
    }
    for change in moulds(now) {
        write(&store, change).await?;
    }
    if store.dialect() == Dialect::Postgres {
        store
            .conn()
            .execute_unprepared("SET statement_timeout = 0; SET session_replication_role = replica")
            .await?;
    }
    store
        .conn()
        .execute_unprepared("CREATE TEMPORARY TABLE mould AS SELECT * FROM cases")
        .await?;
    let columns = columns(&store).await?;
    let bar = indicatif::ProgressBar::new(cases);
    for from in (0..cases).step_by(usize::try_from(MADE_AT_ONCE)?) {
        let span = [from, (from + MADE_AT_ONCE).min(cases)];
        if store.dialect() == Dialect::Postgres && from + TELLING >= cases {
            store
                .conn()
                .execute_unprepared("SET session_replication_role = origin")
                .await?;
        }
        lead(&store, span).await?;
        make(&store, &columns, now.as_millisecond(), span).await?;
        bar.inc(MADE_AT_ONCE);
    }
    bar.finish_and_clear();
    let began = Instant::now();
    let merged = rollups::merge(&store).await?;
    println!("{merged} changes merged in {:.0} s", began.elapsed().as_secs_f64());
    // Merging may have got another connection from the pool than the one that may take its time.
    let analyse: &[&str] = match store.dialect() {
        Dialect::Postgres => &["SET statement_timeout = 0", "VACUUM (ANALYZE)"],
        Dialect::Sqlite => &["ANALYZE"],
    };
    for sql in analyse {
        store.conn().execute_unprepared(sql).await?;
    }
    Ok(store.close().await?)
}

/// The median time of a question in milliseconds; the first answer warms the pages and is not counted.
async fn time<T, F: Future<Output = anyhow::Result<T>>>(ask: impl Fn() -> F) -> anyhow::Result<f64> {
    ask().await?;
    let mut samples = Vec::new();
    for _ in 0..SAMPLES {
        let began = Instant::now();
        ask().await?;
        samples.push(began.elapsed().as_secs_f64() * 1e3);
    }
    Ok(median(&samples))
}

/// How long the question takes that every system answers by a scan, in milliseconds.
async fn scan(store: &Store) -> anyhow::Result<f64> {
    if store.dialect() == Dialect::Postgres {
        store.conn().execute_unprepared("SET statement_timeout = 0").await?;
    }
    let began = Instant::now();
    let scan = Statement::from_string(store.conn().get_database_backend(), SCAN);
    store.conn().query_all_raw(scan).await?;
    Ok(began.elapsed().as_secs_f64() * 1e3)
}

async fn measure(told: &mut Report, what: &str, url: &str, now: Timestamp, limit: Duration) -> anyhow::Result<()> {
    let store = Store::connect(url, 1).await?;
    let today: Date = TimeZone::UTC.to_datetime(now).date();
    let days = [today.checked_sub(1.year())?.first_of_month(), today.tomorrow()?];
    let mut slowest: f64 = 0.0;
    let mut tell = |name: String, took: f64| {
        told.figure(&format!("{what}, {name}"), "ms", vec![took]);
        slowest = slowest.max(took);
    };
    let conn = store.conn();
    for by in By::ALL {
        let cut = Cut {
            cohort: Cohort::Month,
            by: *by,
        };
        let recovery = time(async || {
            let cells = rollups::recovery(conn, days, *by, Cohort::Month).await?;
            Ok(report(&cells, cut)?)
        });
        tell(format!("recovery by {by}"), recovery.await?);
        let funnel = time(async || Ok(funnels(&rollups::paths(conn, days, *by).await?, *by)?));
        tell(format!("funnel by {by}"), funnel.await?);
        let attempts = time(async || {
            let (cases, made) = rollups::charges(conn, days, *by).await?;
            Ok(charged(&cases, &made, *by, 14)?)
        });
        tell(format!("charges by {by}"), attempts.await?);
    }
    tell(
        "churn".to_owned(),
        time(async || {
            Ok((
                rollups::closed(conn, days).await?,
                win_back::by_month(conn, days).await?,
            ))
        })
        .await?,
    );
    tell(
        "times".to_owned(),
        time(async || Ok(rollups::ages(conn, days, now).await?)).await?,
    );
    let months = [today.first_of_month().checked_sub(1.month())?, today.tomorrow()?];
    let pace = time(async || {
        let opened = rollups::recovery(conn, months, By::None, Cohort::Day).await?;
        Ok((opened, rollups::ended(conn, months).await?))
    });
    tell("two months beside each other".to_owned(), pace.await?);
    for cohort in [Cohort::Month, Cohort::Week] {
        let cut = Cut { cohort, by: By::None };
        let customers = time(async || Ok(rollups::customers(conn, days, cut).await?));
        tell(format!("customers by {cohort}"), customers.await?);
        let recovered = time(async || Ok(rollups::recovered(conn, days, cut).await?));
        tell(format!("days of recovery by {cohort}"), recovered.await?);
    }
    let scanned = scan(&store).await?;
    told.figure(
        &format!("{what}, a scan by month, kind and status"),
        "ms",
        vec![scanned],
    );
    told.limit(
        &format!("{what}, slowest report, ms"),
        slowest,
        Bound::AtMost(limit.as_secs_f64() * 1e3),
    );
    Ok(store.close().await?)
}

/// Measures the reports at a million cases on both databases, and at ten million on PostgreSQL where that many are asked for.
pub async fn run(told: &mut Report, cases_max: u64) -> anyhow::Result<()> {
    let now = Clock::System.now();
    let few = if told.quick { 100_000 } else { 1_000_000 };
    let mut sizes = vec![(few, MILLION)];
    if !told.quick && cases_max >= 10_000_000 {
        sizes.push((10_000_000, MORE));
    }
    for (cases, limit) in sizes {
        let schema = Schema::create().await?;
        let url = schema.url();
        migrate(&url).await?;
        fill(&url, now, cases).await?;
        measure(told, &format!("PostgreSQL, {cases} cases"), &url, now, limit).await?;
        schema.drop().await?;
    }
    let folder = tempfile::tempdir()?;
    let url = sqlite_url(folder.path(), "reports.db");
    migrate(&url).await?;
    fill(&url, now, few).await?;
    measure(told, &format!("SQLite, {few} cases"), &url, now, MORE).await
}
