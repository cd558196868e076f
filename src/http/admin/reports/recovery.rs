//! `GET /v1/reports/recovery`

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::http::header::{Accept, CONTENT_DISPOSITION};
use actix_web::{HttpResponse, get, web};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

use super::table;
use crate::domain::report::{self, By, Cohort, Cut, DEFINITIONS, Report};
use crate::http::HttpState;
use crate::http::error::Problem;
use crate::http::page;
use crate::http::wire::Instant;

/// The longest span, in days.
const SPAN_DAYS_MAX: i64 = 3_700;
/// How many months are reported unless asked, the running one included.
const MONTHS_DEFAULT: i64 = 12;

/// What to report.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RecoveryQuery {
    /// First day or instant of the cases' opening: `2026-01-01` or RFC 3339. Eleven months before `to`'s month without it.
    #[param(example = "2026-01-01")]
    from: Option<String>,
    /// End of the span, itself not included; now without it.
    #[param(example = "2026-04-01")]
    to: Option<String>,
    /// The length of a cohort.
    #[param(inline, default = "month")]
    cohort: Option<Cohort>,
    /// What to split by.
    #[param(inline, default = "none")]
    by: Option<By>,
    /// The IANA zone in which days begin.
    #[param(default = "UTC", example = "Europe/Berlin")]
    zone: Option<String>,
}

/// The recovery report.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RecoveryReport {
    /// Begin of the span.
    pub from: Instant,
    /// End of the span, itself not included.
    pub to: Instant,
    /// The length of a cohort.
    pub cohort: Cohort,
    /// What it is split by.
    pub by: By,
    /// The zone in which days begin.
    pub zone: String,
    /// When it was computed; open cases can still change it.
    pub as_of: Instant,
    /// What each figure means.
    #[schema(value_type = std::collections::HashMap<String, String>)]
    pub definitions: BTreeMap<&'static str, &'static str>,
    /// The figures.
    #[serde(flatten)]
    pub report: Report,
}

/// Reports what became of the cases that were opened in a span, by cohort.
///
/// Every rate stands beside its definition and the maturity of its cohort. `Accept: text/csv` gives the rows as CSV.
#[utoipa::path(
    tag = "reports",
    params(RecoveryQuery),
    responses((status = 200, description = "The report.", content(
        (RecoveryReport = "application/json"),
        (String = "text/csv"),
    ))),
)]
#[get("/v1/reports/recovery")]
pub(in crate::http::admin) async fn recovery(
    state: web::Data<HttpState>,
    query: web::Query<RecoveryQuery>,
    accept: Option<web::Header<Accept>>,
) -> Result<HttpResponse, Problem> {
    let query = query.into_inner();
    let now = state.engine.clock().now();
    let zone_name = page::plain("zone", query.zone.clone())?.unwrap_or_else(|| "UTC".to_owned());
    let zone = TimeZone::get(&zone_name).map_err(|_| bad("zone must be an IANA zone, such as Europe/Berlin"))?;
    let (from, to) = span(&query, &zone, now)?;
    let cut = Cut {
        cohort: query.cohort.unwrap_or(Cohort::Month),
        by: query.by.unwrap_or(By::None),
        zone,
    };
    let facts = super::facts(&state, from, to).await?;
    let report = report::report(&facts, &cut).map_err(too_large)?;
    if accept.is_some_and(|accept| wants_csv(&accept.0)) {
        let text = table::text(&report, &cut, from, to).ok_or_else(Problem::internal)?;
        return Ok(HttpResponse::Ok()
            .content_type("text/csv; charset=utf-8; header=present")
            .insert_header((CONTENT_DISPOSITION, "attachment; filename=\"recovery.csv\""))
            .body(text));
    }
    Ok(HttpResponse::Ok().json(RecoveryReport {
        from: Instant(from),
        to: Instant(to),
        cohort: cut.cohort,
        by: cut.by,
        zone: zone_name,
        as_of: Instant(now),
        definitions: DEFINITIONS.into_iter().collect(),
        report,
    }))
}

/// The span that was asked for, or the last twelve months.
fn span(query: &RecoveryQuery, zone: &TimeZone, now: Timestamp) -> Result<(Timestamp, Timestamp), Problem> {
    let read = |name, text: &Option<String>| text.as_deref().map(|text| moment(name, text, zone)).transpose();
    let to = read("to", &query.to)?.unwrap_or_else(|| now.saturating_add(1.second()).unwrap_or(now));
    let from = match read("from", &query.from)? {
        Some(from) => from,
        None => months_before(to, MONTHS_DEFAULT - 1, zone)?,
    };
    if from >= to {
        return Err(bad("from must lie before to"));
    }
    if to.duration_since(from).as_hours() > SPAN_DAYS_MAX * 24 {
        return Err(bad("the span is longer than ten years"));
    }
    Ok((from, to))
}

/// The first instant of the month that lies `months` before the month of `at`.
pub(in crate::http) fn months_before(at: Timestamp, months: i64, zone: &TimeZone) -> Result<Timestamp, Problem> {
    let day = zone
        .to_datetime(at)
        .date()
        .first_of_month()
        .saturating_sub(months.months());
    day_begins(day, zone)
}

/// A day as its first instant in the zone, or an instant as it is.
fn moment(name: &str, text: &str, zone: &TimeZone) -> Result<Timestamp, Problem> {
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(instant);
    }
    let day: Option<Date> = (text.len() == 10).then(|| text.parse().ok()).flatten();
    let day = day.ok_or_else(|| {
        bad_owned(format!(
            "{name} must be a day such as 2026-03-01, or an RFC 3339 instant"
        ))
    })?;
    day_begins(day, zone)
}

fn day_begins(day: Date, zone: &TimeZone) -> Result<Timestamp, Problem> {
    let start = day.to_zoned(zone.clone()).map(|start| start.timestamp());
    start.map_err(|_| bad("the day lies outside of the calendar"))
}

fn wants_csv(accept: &Accept) -> bool {
    let ranked = accept.ranked();
    let first = ranked
        .iter()
        .find(|kind| ["text/csv", "application/json", "*/*"].contains(&kind.essence_str()));
    first.is_some_and(|kind| kind.essence_str() == "text/csv")
}

fn bad(detail: &'static str) -> Problem {
    Problem::bad_request("bad_query", detail)
}

fn bad_owned(detail: String) -> Problem {
    Problem::bad_request("bad_query", detail)
}

fn too_large(error: report::TooLarge) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad_query", error.to_string())
}
