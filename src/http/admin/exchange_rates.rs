//! `/v1/exchange-rates`: what currencies were worth on which day, for the converted totals of the recovery report.

use std::collections::BTreeSet;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, get, post, web};
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::domain::ids::AuditId;
use crate::domain::money::Currency;
use crate::http::HttpState;
use crate::http::auth::Caller;
use crate::http::body::JsonBody;
use crate::http::error::{FieldError, Problem};
use crate::http::page::{ListQuery, Page, Window};
use crate::http::wire::Instant;
use crate::store::audit::{self, AuditRow};
use crate::store::exchange::{self, RateRow};

/// The most rates of one upload.
const RATES_MAX: usize = 2_000;
/// The longest name of a source, in characters.
const SOURCE_CHARS_MAX: usize = 200;
/// The most rates that a refusal lists.
pub(in crate::http) const LISTED_MAX: usize = 100;

const SOURCE: &str = "source must say in up to 200 characters where the rates come from";
/// That there are too many of them, or none.
pub(in crate::http) const COUNT: &str = "rates must name between 1 and 2000 rates";
const DAY: &str = "day must be a day such as 2026-03-04";
const CURRENCY: &str = "from and to must be currencies of three letters, such as EUR";
const RATE: &str = "rate must be a decimal number above 0 with at most 15 digits, such as 1.0834";
const ALIKE: &str = "from and to must be two currencies";
const TWICE: &str = "rates must name each day and pair of currencies once";
/// All that can be wrong with an upload by itself, for the test that each is said in every language.
#[cfg(test)]
pub(in crate::http) const FAULTS: [&str; 7] = [SOURCE, COUNT, DAY, CURRENCY, RATE, ALIKE, TWICE];

/// The rate of a day.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ExchangeRateShown {
    /// The day.
    #[schema(value_type = String, format = Date)]
    pub day: Date,
    /// The currency whose unit is worth so much.
    pub from: String,
    /// The currency in which it is told.
    pub to: String,
    /// How many units of `to` a unit of `from` is worth, as a decimal number.
    pub rate: String,
    /// Where it comes from.
    pub source: String,
    /// When it was uploaded.
    pub uploaded_at: Instant,
}

/// Rates of some days.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RatesBody {
    /// Where the rates come from, for whoever asks later.
    #[schema(min_length = 1, max_length = 200)]
    pub source: String,
    /// The rates.
    #[schema(min_items = 1, max_items = 2_000)]
    pub rates: Vec<UploadRate>,
    /// Whether a rate that stands there with another value is replaced. Reports of the past change with it.
    #[serde(default)]
    pub replace: bool,
}

/// The rate of one day.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UploadRate {
    /// The day, in the zone of the connection whose recoveries it is for.
    #[schema(format = Date, example = "2026-03-04")]
    pub day: String,
    /// The currency whose unit is worth so much.
    #[schema(pattern = "^[A-Za-z]{3}$", example = "USD")]
    pub from: String,
    /// The currency in which it is told.
    #[schema(pattern = "^[A-Za-z]{3}$", example = "EUR")]
    pub to: String,
    /// How many units of `to` a unit of `from` is worth: a decimal number above 0 with at most 15 digits.
    #[schema(pattern = r"^[0-9]{1,15}(\.[0-9]{1,14})?$", example = "0.9231")]
    pub rate: String,
}

/// What was taken in.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RatesTaken {
    /// How many rates were named.
    pub taken: u64,
    /// How many of them stood there before with another value, and were replaced.
    pub replaced: u64,
}

/// What is wrong with an upload by itself.
pub(in crate::http) struct Fault {
    /// Which of its rates is wrong, from 0; none where it is the upload as a whole.
    pub rate: Option<usize>,
    /// What is wrong, in one of the sentences above.
    pub what: &'static str,
}

/// Lists the rates of exchange that were uploaded, newest day first.
#[utoipa::path(tag = "reports", params(ListQuery), responses((status = 200, description = "A page of the rates.", body = Page<ExchangeRateShown>)))]
#[get("/v1/exchange-rates")]
pub(super) async fn list(state: web::Data<HttpState>, query: web::Query<ListQuery>) -> Result<HttpResponse, Problem> {
    let window = Window::of(query.limit, query.cursor.as_deref())?;
    Ok(HttpResponse::Ok().json(listed(&state, &window).await?))
}

/// A page of the rates, newest day first.
pub(in crate::http) async fn listed(state: &HttpState, window: &Window) -> Result<Page<ExchangeRateShown>, Problem> {
    let rows = exchange::list(state.store.conn(), window.after.as_deref(), window.rows()).await?;
    let keyed: Vec<(String, RateRow)> = rows.into_iter().map(|row| (row.key(), row)).collect();
    let show = |(_, row): &(String, RateRow)| ExchangeRateShown {
        day: row.day,
        from: row.from.to_string(),
        to: row.to.to_string(),
        rate: row.rate.to_string(),
        source: row.source.clone(),
        uploaded_at: Instant(row.uploaded_at),
    };
    Ok(window.page(keyed, |(key, _)| key, show))
}

/// Uploads rates of exchange, all or none. A rate that stands there with another value is a conflict unless `replace` says otherwise:
/// reports were made with it.
#[utoipa::path(tag = "reports", request_body = RatesBody, responses((status = 200, description = "What was taken in.", body = RatesTaken)))]
#[post("/v1/exchange-rates")]
pub(super) async fn upload(
    state: web::Data<HttpState>,
    caller: Caller,
    body: JsonBody<RatesBody>,
) -> Result<HttpResponse, Problem> {
    let now = state.engine.clock().now();
    let rows = rows(&body.0, now).map_err(|faults| bad(&faults))?;
    Ok(HttpResponse::Ok().json(take(&state, &caller, &rows, body.0.replace).await?))
}

/// Takes rates in that were checked, all or none, in the caller's name.
pub(in crate::http) async fn take(
    state: &HttpState,
    caller: &Caller,
    rows: &[RateRow],
    replace: bool,
) -> Result<RatesTaken, Problem> {
    let now = state.engine.clock().now();
    let tx = state.store.begin().await?;
    let differing = exchange::put(&tx, rows, replace).await?;
    if !differing.is_empty() && !replace {
        return Err(conflict(&differing));
    }
    let replaced = differing.len() as u64;
    let taken = rows.len() as u64;
    let days = || rows.iter().map(|row| row.day);
    let span = days().min().zip(days().max());
    let source = rows.first().map_or("", |row| row.source.as_str());
    let entry = AuditRow {
        id: AuditId::new(now.as_millisecond(), clock::entropy()),
        at: now,
        actor: caller.name.clone(),
        action: "exchange_rates.upload".to_owned(),
        object: span.map_or_else(String::new, |(first, last)| format!("{first} to {last}")),
        comment: Some(format!("{taken} rates, {replaced} replaced: {source}")),
    };
    audit::append(&tx, &entry).await?;
    tx.commit().await?;
    Ok(RatesTaken { taken, replaced })
}

fn conflict(differing: &[RateRow]) -> Problem {
    let line = |row: &RateRow| FieldError {
        line: None,
        column: None,
        detail: format!(
            "{} to {} on {} stands at {}, from {}",
            row.from, row.to, row.day, row.rate, row.source
        ),
    };
    let detail = "other rates stand there for these days, and reports were made with them: nothing was taken in; `replace` replaces them";
    Problem::new(StatusCode::CONFLICT, "rate_exists", detail)
        .with_errors(differing.iter().take(LISTED_MAX).map(line).collect())
}

/// The rates of an upload, or all that is wrong with it.
pub(in crate::http) fn rows(body: &RatesBody, now: Timestamp) -> Result<Vec<RateRow>, Vec<Fault>> {
    let whole = |what| Fault { rate: None, what };
    let source = body.source.trim();
    let mut faults = Vec::new();
    if source.is_empty() || source.chars().count() > SOURCE_CHARS_MAX || source.contains(char::is_control) {
        faults.push(whole(SOURCE));
    }
    if body.rates.is_empty() || body.rates.len() > RATES_MAX {
        faults.push(whole(COUNT));
        return Err(faults);
    }
    let mut seen = BTreeSet::new();
    let mut rows = Vec::with_capacity(body.rates.len());
    for (index, rate) in body.rates.iter().enumerate() {
        let checked = row(rate, source, now).and_then(|row| {
            let new = seen.insert(row.key());
            new.then_some(row).ok_or(TWICE)
        });
        match checked {
            Ok(row) => rows.push(row),
            Err(what) => faults.push(Fault {
                rate: Some(index),
                what,
            }),
        }
    }
    if faults.is_empty() { Ok(rows) } else { Err(faults) }
}

fn row(rate: &UploadRate, source: &str, now: Timestamp) -> Result<RateRow, &'static str> {
    let day = (rate.day.len() == 10).then(|| rate.day.parse().ok()).flatten();
    let currency = |text: &str| text.parse::<Currency>().map_err(|_| CURRENCY);
    let row = RateRow {
        day: day.ok_or(DAY)?,
        from: currency(&rate.from)?,
        to: currency(&rate.to)?,
        rate: rate.rate.parse().map_err(|_| RATE)?,
        source: source.to_owned(),
        uploaded_at: now,
    };
    if row.from == row.to {
        return Err(ALIKE);
    }
    Ok(row)
}

/// The first of the faults, which a program mends one by one.
fn bad(faults: &[Fault]) -> Problem {
    let what = faults.first().map_or("", |fault| fault.what);
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_field", what)
}
