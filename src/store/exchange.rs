//! Rates of exchange that staff upload, one for each day and pair of currencies. A rate that stands is not changed unless that is
//! asked for by name: the reports of the past were made with it.

use jiff::Timestamp;
use jiff::civil::Date;
use sea_orm::{ConnectionTrait, QueryResult, Statement};

use super::row::Row;
use super::{StoreError, Tx};
use crate::domain::exchange::ExchangeRate;
use crate::domain::money::Currency;
use crate::domain::report::converted::Rates;

/// The rate of a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateRow {
    /// The day.
    pub day: Date,
    /// The currency whose unit is worth so much.
    pub from: Currency,
    /// The currency in which it is told.
    pub to: Currency,
    /// How much.
    pub rate: ExchangeRate,
    /// Where it comes from.
    pub source: String,
    /// When it was uploaded.
    pub uploaded_at: Timestamp,
}

impl RateRow {
    /// Its place in the list.
    pub fn key(&self) -> String {
        format!("{} {} {}", self.day, self.from, self.to)
    }
}

const COLUMNS: &str = "day, from_currency, to_currency, rate, source, uploaded_at";

/// Puts rates in and gives those that stood there already with another value; where `replace` says so, they are replaced.
pub async fn put(tx: &Tx, rows: &[RateRow], replace: bool) -> Result<Vec<RateRow>, StoreError> {
    let mut differing = Vec::new();
    for row in rows {
        let stands = stands(tx.conn(), row).await?;
        match stands {
            Some(before) if before.rate == row.rate => continue,
            Some(before) => {
                differing.push(before);
                if !replace {
                    continue;
                }
            }
            None => {}
        }
        let sql = format!(
            "INSERT INTO exchange_rates ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (day, from_currency, to_currency) DO UPDATE SET rate = excluded.rate, source = excluded.source, \
             uploaded_at = excluded.uploaded_at"
        );
        let values = [
            row.day.to_string().into(),
            row.from.code().into(),
            row.to.code().into(),
            row.rate.to_string().into(),
            row.source.as_str().into(),
            row.uploaded_at.as_millisecond().into(),
        ];
        tx.conn().execute_raw(tx.statement(&sql, values)).await?;
    }
    Ok(differing)
}

async fn stands<C: ConnectionTrait>(conn: &C, row: &RateRow) -> Result<Option<RateRow>, StoreError> {
    let sql =
        format!("SELECT {COLUMNS} FROM exchange_rates WHERE day = $1 AND from_currency = $2 AND to_currency = $3");
    let values = [row.day.to_string().into(), row.from.code().into(), row.to.code().into()];
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    conn.query_one_raw(statement).await?.as_ref().map(decode).transpose()
}

/// At most `limit` rates, newest day first, after the one with that key.
pub async fn list<C: ConnectionTrait>(conn: &C, after: Option<&str>, limit: u64) -> Result<Vec<RateRow>, StoreError> {
    let mut key = after.unwrap_or_default().split(' ');
    let [day, from, to] = [key.next(), key.next(), key.next()].map(|part| part.unwrap_or_default().to_owned());
    let all = if after.is_none() { "OR TRUE" } else { "" };
    let sql = format!(
        "SELECT {COLUMNS} FROM exchange_rates WHERE (day, from_currency, to_currency) < ($1, $2, $3) {all} \
         ORDER BY day DESC, from_currency DESC, to_currency DESC LIMIT $4"
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let values = [day.into(), from.into(), to.into(), limit.into()];
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    conn.query_all_raw(statement).await?.iter().map(decode).collect()
}

/// The rates into a currency.
pub async fn into<C: ConnectionTrait>(conn: &C, to: Currency) -> Result<Rates, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM exchange_rates WHERE to_currency = $1");
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, [to.code().into()]);
    let found = conn.query_all_raw(statement).await?;
    let rate = |row: &QueryResult| decode(row).map(|row| ((row.from, row.day), row.rate));
    found.iter().map(rate).collect()
}

fn decode(found: &QueryResult) -> Result<RateRow, StoreError> {
    let day: String = found.try_get_by_index(0)?;
    let row = Row {
        table: "exchange_rates",
        id: &day,
    };
    let text = |index: usize| found.try_get_by_index::<String>(index);
    Ok(RateRow {
        from: row.word("from_currency", &text(1)?)?,
        to: row.word("to_currency", &text(2)?)?,
        rate: row.word("rate", &text(3)?)?,
        source: text(4)?,
        uploaded_at: row.instant("uploaded_at", found.try_get_by_index(5)?)?,
        day: day.parse().map_err(|_| row.corrupt("day: not a day"))?,
    })
}
