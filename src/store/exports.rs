//! Cases and attempts as tables for analysts: everything that reports count, and nothing that names a customer.

use hmac::{Hmac, KeyInit, Mac};
use jiff::civil::Date;
use sea_orm::{ConnectionTrait, QueryResult, Statement};
use sha2::Sha256;

use super::StoreError;

/// How many characters of a keyed hash stand for an identifier: two of a billion meet once in a quintillion.
const PSEUDONYM_CHARS: usize = 32;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A word or a text; nothing where it is empty.
    Text,
    /// A whole number.
    Whole,
    /// Milliseconds since 1970.
    Instant,
    /// An identifier, of which a pseudonym leaves: the same for the same identifier in every export of this database.
    Pseudonym,
}

/// A column of an export: its name, what it is in the database, and what it holds.
pub type Column = (&'static str, &'static str, Kind);

/// What can be exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// A row for each case.
    Cases,
    /// A row for each attempt of these cases.
    Attempts,
}

/// The columns of the cases; the view `report_stages` has them from the case `c`.
const CASES: [Column; 44] = [
    ("case", "v.case_id", Kind::Pseudonym),
    ("customer", "c.customer_id", Kind::Pseudonym),
    ("subscription", "c.subscription_id", Kind::Pseudonym),
    ("connection", "v.connection", Kind::Text),
    ("zone", "COALESCE(c.report_zone, 'UTC')", Kind::Text),
    ("opened_at", "v.opened_at", Kind::Instant),
    ("closed_at", "v.closed_at", Kind::Instant),
    ("day", "v.day", Kind::Text),
    ("closed_day", "v.closed_day", Kind::Text),
    ("currency", "v.currency", Kind::Text),
    ("status", "v.status", Kind::Text),
    ("outcome_detail", "v.outcome_detail", Kind::Text),
    ("outcome_then", "v.outcome_then", Kind::Text),
    ("collector", "v.collector", Kind::Text),
    ("decline_kind", "v.decline_kind", Kind::Text),
    ("decline_code", "v.decline_code", Kind::Text),
    ("retryable", "v.retryable", Kind::Text),
    ("network", "v.network", Kind::Text),
    ("country", "v.country", Kind::Text),
    ("funding", "v.funding", Kind::Text),
    ("plan", "v.plan", Kind::Text),
    ("amount_band", "v.amount", Kind::Text),
    ("tenure_band", "v.tenure", Kind::Text),
    ("campaign", "v.campaign", Kind::Text),
    ("arm", "v.arm", Kind::Text),
    ("message", "v.message", Kind::Text),
    ("step", "v.step", Kind::Text),
    ("weekday", "v.weekday", Kind::Text),
    ("hour", "v.hour", Kind::Text),
    ("amount_minor", "v.amount_minor", Kind::Whole),
    ("recovered_minor", "v.recovered_minor", Kind::Whole),
    ("late_payments", "v.late_payments", Kind::Whole),
    ("late_minor", "v.late_minor", Kind::Whole),
    ("reversals", "v.reversals", Kind::Whole),
    ("reversed_minor", "v.reversed_minor", Kind::Whole),
    ("monthly_minor", "c.monthly_minor", Kind::Whole),
    ("attempts", "c.attempts", Kind::Whole),
    ("messages", "c.notifications", Kind::Whole),
    ("recovered_silently", "v.silent", Kind::Whole),
    ("written_to", "v.written", Kind::Whole),
    ("delivered", "v.delivered", Kind::Whole),
    ("clicked", "v.clicked", Kind::Whole),
    ("card_changed", "v.changed", Kind::Whole),
    ("won_back_at", "c.won_back_at", Kind::Instant),
];

/// The columns of the attempts `a`.
const ATTEMPTS: [Column; 14] = [
    ("case", "v.case_id", Kind::Pseudonym),
    (
        "number",
        "row_number() OVER (PARTITION BY a.case_id ORDER BY a.started_at, a.id)",
        Kind::Whole,
    ),
    ("origin", "a.origin", Kind::Text),
    ("trigger", "a.\"trigger\"", Kind::Text),
    ("status", "a.status", Kind::Text),
    ("started_at", "a.started_at", Kind::Instant),
    ("ended_at", "a.ended_at", Kind::Instant),
    ("currency", "a.currency", Kind::Text),
    ("amount_minor", "a.amount_minor", Kind::Whole),
    ("decline_kind", "a.decline_kind", Kind::Text),
    ("decline_disposition", "a.decline_disposition", Kind::Text),
    ("provider_code", "a.provider_code", Kind::Text),
    ("network_code", "a.network_code", Kind::Text),
    ("advice_code", "a.advice_code", Kind::Text),
];

impl Table {
    /// Its columns.
    pub const fn columns(self) -> &'static [Column] {
        match self {
            Self::Cases => &CASES,
            Self::Attempts => &ATTEMPTS,
        }
    }

    const fn source(self) -> &'static str {
        match self {
            Self::Cases => "report_stages v JOIN cases c ON c.id = v.case_id",
            Self::Attempts => "report_cases v JOIN attempts a ON a.case_id = v.case_id",
        }
    }

    const fn order(self) -> &'static str {
        match self {
            Self::Cases => "v.case_id",
            Self::Attempts => "v.case_id, a.started_at, a.id",
        }
    }
}

/// The values of one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Values {
    /// Texts, words and pseudonyms.
    Texts(Vec<Option<String>>),
    /// Numbers and instants.
    Wholes(Vec<Option<i64>>),
}

/// The rows of some cases, column by column.
#[derive(Clone, Debug)]
pub struct Part {
    /// The columns, in the order of the table's.
    pub columns: Vec<Values>,
    /// The last case of it, after which the next part begins.
    pub last: String,
}

/// The rows of at most `cases` cases of the cohorts `[from, to)` that come after the case `after`; nothing where there is none.
pub async fn part<C: ConnectionTrait>(
    conn: &C,
    table: Table,
    [from, to]: [Date; 2],
    after: &str,
    cases: u32,
    key: &[u8; 32],
) -> Result<Option<Part>, StoreError> {
    let backend = conn.get_database_backend();
    let [from, to] = [from, to].map(|day| day.to_string());
    let last = format!(
        "SELECT MAX(case_id) FROM (SELECT case_id FROM report_cases WHERE day >= $1 AND day < $2 AND case_id > $3 \
         ORDER BY case_id LIMIT {cases}) AS next"
    );
    let values = [from.as_str().into(), to.as_str().into(), after.into()];
    let found = conn
        .query_one_raw(Statement::from_sql_and_values(backend, last, values))
        .await?;
    let last = found.map(|row| row.try_get_by_index::<Option<String>>(0)).transpose()?;
    let Some(last) = last.flatten() else { return Ok(None) };
    let columns: Vec<String> = table
        .columns()
        .iter()
        .map(|(_, sql, kind)| match kind {
            Kind::Text => format!("NULLIF({sql}, '')"),
            Kind::Pseudonym => (*sql).to_owned(),
            Kind::Whole | Kind::Instant => format!("CAST({sql} AS BIGINT)"),
        })
        .collect();
    let sql = format!(
        "SELECT {} FROM {} WHERE v.day >= $1 AND v.day < $2 AND v.case_id > $3 AND v.case_id <= $4 ORDER BY {}",
        columns.join(", "),
        table.source(),
        table.order()
    );
    let values = [from.into(), to.into(), after.into(), last.as_str().into()];
    let rows = conn
        .query_all_raw(Statement::from_sql_and_values(backend, sql, values))
        .await?;
    let columns = table.columns().iter().enumerate();
    let columns = columns.map(|(index, column)| read(&rows, index, column, key));
    Ok(Some(Part {
        columns: columns.collect::<Result<_, _>>()?,
        last,
    }))
}

fn read(rows: &[QueryResult], index: usize, (name, _, kind): &Column, key: &[u8; 32]) -> Result<Values, StoreError> {
    let texts = || rows.iter().map(|row| row.try_get_by_index::<Option<String>>(index));
    Ok(match kind {
        Kind::Text => Values::Texts(texts().collect::<Result<_, _>>()?),
        Kind::Pseudonym => {
            let hidden = texts().map(|text| text.map(|text| text.map(|text| pseudonym(key, name, &text))));
            Values::Texts(hidden.collect::<Result<_, _>>()?)
        }
        Kind::Whole | Kind::Instant => {
            let wholes = rows.iter().map(|row| row.try_get_by_index(index));
            Values::Wholes(wholes.collect::<Result<_, _>>()?)
        }
    })
}

/// What stands for an identifier outside.
fn pseudonym(key: &[u8; 32], what: &str, id: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    for part in [what, "\0", id] {
        mac.update(part.as_bytes());
    }
    let mut text = hex::encode(mac.finalize().into_bytes());
    text.truncate(PSEUDONYM_CHARS);
    text
}
