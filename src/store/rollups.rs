//! What reports read instead of every case: sums by one thing that cases differ in, by day and by month; ages by month; customers by
//! month and by week. Each change of a case leaves its two sides in the transaction that made it (triggers of the schema see to that,
//! whoever wrote it); [`merge`] moves them into the roll-ups. Whoever reads adds both in one statement, so the sums are those of a scan
//! at that very moment.

mod ages;
mod customers;
mod merge;
mod verify;
mod ways;

pub use ages::ages;
pub use customers::customers;
pub(super) use customers::first_day;
pub use merge::merge;
pub use verify::verify;
pub use ways::{charges, ended, paths, recovered};

use jiff::ToSpan;
use jiff::civil::Date;
use sea_orm::{ConnectionTrait, QueryResult, Statement};

use super::row::Row;
use super::{StoreError, cases};
use crate::domain::money::Currency;
use crate::domain::report::{By, Cell, Cohort, Counts};

/// Sums of all cases: a row has a dimension, a day or a month, a value of the dimension, and the keys.
struct Rollup {
    table: &'static str,
    /// What makes a row besides its dimension, its day and its value.
    keys: &'static [&'static str],
    /// What is summed.
    measures: &'static [&'static str],
    /// Which cases are counted.
    of: &'static str,
    /// Whether there are sums by each thing that cases are split by; else there are those of all.
    split: bool,
    /// Its own dimensions besides.
    more: &'static [(&'static str, &'static str)],
}

/// Every case.
const ALL: &str = "1 = 1";
/// What became of the cases.
const OUTCOMES: Rollup = Rollup {
    table: "report_rollup",
    keys: &[
        "connection",
        "currency",
        "status",
        "outcome_detail",
        "outcome_then",
        "retryable",
    ],
    measures: &[
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
    ],
    of: ALL,
    split: true,
    more: &[(CLOSED, "''")],
};
/// The stages that they reached.
const PATHS: Rollup = Rollup {
    table: "report_paths",
    keys: &["connection", "currency", "status", "path"],
    measures: &["cases", "amount_minor", "recovered_minor"],
    of: ALL,
    split: true,
    more: &[],
};
/// The charges that they took.
const TRIES: Rollup = Rollup {
    table: "report_tries",
    keys: &["connection", "currency", "status", "tries"],
    measures: &["cases", "charged_minor", "attempts"],
    of: ALL,
    split: true,
    more: &[],
};
/// The day of their end.
const ENDED: Rollup = Rollup {
    table: "report_ended",
    keys: &["connection", "currency", "status", "closed_day"],
    measures: &["cases", "recovered_minor", "reversed_minor"],
    of: "closed_day <> ''",
    split: false,
    more: &[],
};
const ROLLUPS: [Rollup; 4] = [OUTCOMES, PATHS, TRIES, ENDED];

/// The cases by the day on which they ended.
const CLOSED: &str = "closed";
/// The month of a day, as its first day.
const MONTH: &str = "substr(day, 1, 8) || '01'";
/// What stands for the day of sums over all of them.
const NO_DAY: &str = "''";
/// What is written behind the name of a dimension where its sums are those of whole months.
const BY_MONTH: &str = ".month";
/// Dimensions, and the column of a change that is the value of each; nothing where there is only one value.
const DIMENSIONS: [(&str, &str); 17] = [
    ("all", "''"),
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

impl Rollup {
    fn dimensions(&self) -> impl Iterator<Item = &(&'static str, &'static str)> + Clone {
        let splits = if self.split { DIMENSIONS.len() } else { 1 };
        DIMENSIONS[..splits].iter().chain(self.more)
    }

    fn keys(&self) -> String {
        self.keys.join(", ")
    }

    fn measures(&self) -> String {
        self.measures.join(", ")
    }

    /// Something of each measure, in a row.
    fn each(&self, of: impl Fn(&str) -> String) -> Vec<String> {
        self.measures.iter().map(|name| of(name)).collect()
    }
}

/// What is asked of a roll-up.
struct Question {
    /// The cases opened, or ended, on the days `[from, to)`.
    days: [Date; 2],
    /// Its dimension, and the column of a change that is its value.
    dimension: (&'static str, &'static str),
    /// What days are summed by.
    day: &'static str,
    /// Whether sums of whole months will do.
    months: bool,
    /// What a change has for the day of the dimension.
    at: &'static str,
    /// Which of the cases.
    of: &'static str,
}

impl Question {
    /// What the cases opened on `days` come to, split by one thing, and by cohort where there is one.
    fn opened(days: [Date; 2], by: By, day: &'static str) -> Self {
        let dimension = DIMENSIONS.iter().find(|(name, _)| *name == by.dimension());
        Self {
            days,
            dimension: *dimension.unwrap_or(&DIMENSIONS[0]),
            day,
            months: [MONTH, NO_DAY].contains(&day),
            at: "day",
            of: ALL,
        }
    }
}

/// The cases opened on the days `[from, to)`, split and summed as asked.
pub async fn recovery<C: ConnectionTrait>(
    conn: &C,
    days: [Date; 2],
    by: By,
    cohort: Cohort,
) -> Result<Vec<Cell>, StoreError> {
    let day = match cohort {
        Cohort::Month => MONTH,
        Cohort::Week | Cohort::Day => "day",
    };
    let rows = read(conn, &OUTCOMES, &Question::opened(days, by, day)).await?;
    rows.iter().map(decode).collect()
}

/// The cases that ended on the days `[from, to)`, by month.
pub async fn closed<C: ConnectionTrait>(conn: &C, days: [Date; 2]) -> Result<Vec<Cell>, StoreError> {
    let question = Question {
        days,
        dimension: (CLOSED, "''"),
        day: MONTH,
        months: false,
        at: "closed_day",
        of: ALL,
    };
    let rows = read(conn, &OUTCOMES, &question).await?;
    rows.iter().map(decode).collect()
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

/// What a roll-up and the changes that are not merged yet come to: the day, the value, the keys and the measures.
async fn read<C: ConnectionTrait>(
    conn: &C,
    rollup: &Rollup,
    question: &Question,
) -> Result<Vec<QueryResult>, StoreError> {
    let Question {
        days: [from, to],
        dimension: (dimension, column),
        day,
        months,
        at,
        of,
    } = question;
    let [keys, measures] = [rollup.keys(), rollup.measures()];
    let sums = rollup.each(|name| format!("CAST(SUM({name}) AS BIGINT)")).join(", ");
    let rolled = format!(
        "SELECT day, value, {keys}, {measures} FROM {} WHERE dimension =",
        rollup.table
    );
    let months = whole_months(question.days).filter(|_| *months);
    let [first, last] = months.unwrap_or([*to, *to]);
    let sql = format!(
        "SELECT {day} AS cohort, value, {keys}, {sums} FROM (SELECT * FROM ({rolled} $1 AND day >= $2 AND day < $4 \
         UNION ALL {rolled} $6 AND day >= $4 AND day < $5 UNION ALL {rolled} $1 AND day >= $5 AND day < $3 \
         UNION ALL SELECT day, value, {keys}, {measures} FROM (SELECT {at} AS day, {column} AS value, {keys}, {measures} \
         FROM report_changes WHERE {}) AS changes WHERE day >= $2 AND day < $3) AS those WHERE {of}) AS every \
         GROUP BY 1, 2, {keys} HAVING SUM(cases) <> 0 ORDER BY 1, 2, {keys}",
        rollup.of
    );
    let [from, to, first, last] = [*from, *to, first, last].map(|day| day.to_string());
    let by_month = format!("{dimension}{BY_MONTH}");
    let values = [
        (*dimension).into(),
        from.into(),
        to.into(),
        first.into(),
        last.into(),
        by_month.into(),
    ];
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    Ok(conn.query_all_raw(statement).await?)
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
