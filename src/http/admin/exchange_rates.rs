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
const LISTED_MAX: usize = 100;

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

/// Lists the rates of exchange that were uploaded, newest day first.
#[utoipa::path(tag = "reports", params(ListQuery), responses((status = 200, description = "A page of the rates.", body = Page<ExchangeRateShown>)))]
#[get("/v1/exchange-rates")]
pub(super) async fn list(state: web::Data<HttpState>, query: web::Query<ListQuery>) -> Result<HttpResponse, Problem> {
    let window = Window::of(query.limit, query.cursor.as_deref())?;
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
    Ok(HttpResponse::Ok().json(window.page(keyed, |(key, _)| key, show)))
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
    let body = body.0;
    let now = state.engine.clock().now();
    let rows = rows(&body, now)?;
    let tx = state.store.begin().await?;
    let differing = exchange::put(&tx, &rows, body.replace).await?;
    if !differing.is_empty() && !body.replace {
        return Err(conflict(&differing));
    }
    let replaced = differing.len() as u64;
    let taken = rows.len() as u64;
    let days = || rows.iter().map(|row| row.day);
    let span = days().min().zip(days().max());
    let entry = AuditRow {
        id: AuditId::new(now.as_millisecond(), clock::entropy()),
        at: now,
        actor: caller.name.clone(),
        action: "exchange_rates.upload".to_owned(),
        object: span.map_or_else(String::new, |(first, last)| format!("{first} to {last}")),
        comment: Some(format!("{taken} rates, {replaced} replaced: {}", body.source)),
    };
    audit::append(&tx, &entry).await?;
    tx.commit().await?;
    Ok(HttpResponse::Ok().json(RatesTaken { taken, replaced }))
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

fn rows(body: &RatesBody, now: Timestamp) -> Result<Vec<RateRow>, Problem> {
    let source = body.source.trim();
    if source.is_empty() || source.chars().count() > SOURCE_CHARS_MAX || source.contains(char::is_control) {
        return Err(bad("source must say in up to 200 characters where the rates come from"));
    }
    if body.rates.is_empty() || body.rates.len() > RATES_MAX {
        return Err(bad("rates must name between 1 and 2000 rates"));
    }
    let mut seen = BTreeSet::new();
    let row = |rate: &UploadRate| {
        let row = RateRow {
            day: day(&rate.day)?,
            from: currency(&rate.from)?,
            to: currency(&rate.to)?,
            rate: rate
                .rate
                .parse()
                .map_err(|_| bad("rate must be a decimal number above 0 with at most 15 digits, such as \"1.0834\""))?,
            source: source.to_owned(),
            uploaded_at: now,
        };
        if row.from == row.to {
            return Err(bad("from and to must be two currencies"));
        }
        if !seen.insert(row.key()) {
            return Err(bad("rates must name each day and pair of currencies once"));
        }
        Ok(row)
    };
    body.rates.iter().map(row).collect()
}

fn day(text: &str) -> Result<Date, Problem> {
    let day = (text.len() == 10).then(|| text.parse().ok()).flatten();
    day.ok_or_else(|| bad("day must be a day such as 2026-03-04"))
}

fn currency(text: &str) -> Result<Currency, Problem> {
    text.parse()
        .map_err(|_| bad("from and to must be currencies of three letters, such as EUR"))
}

fn bad(text: &'static str) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_field", text)
}
