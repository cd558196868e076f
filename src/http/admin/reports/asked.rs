//! What a report is asked for: a span in a zone, as JSON or CSV.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::http::header::{Accept, CONTENT_DISPOSITION};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::Deserialize;

use crate::domain::calendar;
use crate::domain::report::By;
use crate::http::HttpState;
use crate::http::error::Problem;
use crate::http::page;

/// Which span to report of.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SpanQuery {
    /// First day or instant: `2026-01-01` or RFC 3339. Eleven months before `to`'s month without it.
    #[param(example = "2026-01-01")]
    pub(super) from: Option<String>,
    /// End of the span, itself not included; now without it.
    #[param(example = "2026-04-01")]
    pub(super) to: Option<String>,
    /// The IANA zone in which days begin.
    #[param(default = "UTC", example = "Europe/Berlin")]
    pub(super) zone: Option<String>,
}

/// Which cases to report of, and how to split them.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SplitQuery {
    /// First day of the cases' opening. Eleven months before `to`'s month without it.
    #[param(example = "2026-01-01")]
    pub(super) from: Option<String>,
    /// The day that ends the span, itself not included; tomorrow without it.
    #[param(example = "2026-04-01")]
    pub(super) to: Option<String>,
    /// What to split by.
    #[param(inline, default = "none")]
    pub(super) by: Option<By>,
}

/// The longest span, in days.
const SPAN_DAYS_MAX: i64 = 3_700;
/// How many months are reported unless asked, the running one included.
const MONTHS_DEFAULT: i64 = 12;

/// The zone in which the days of each connection begin.
pub(in crate::http) fn zones(state: &HttpState) -> BTreeMap<String, String> {
    state.engine.zones()
}

/// The days that were asked for, or those of the last twelve months up to today, wherever that is latest.
pub(in crate::http) fn days(
    [from, to]: [Option<&str>; 2],
    zones: &BTreeMap<String, String>,
    now: Timestamp,
) -> Result<[Date; 2], Problem> {
    let today = zones
        .values()
        .map(|name| calendar::zone(name).to_datetime(now).date())
        .max();
    let today = today.unwrap_or_else(|| TimeZone::UTC.to_datetime(now).date());
    let read = |name, text: Option<&str>| text.map(|text| a_day(name, text)).transpose();
    let to = read("to", to)?.unwrap_or_else(|| today.saturating_add(1.day()));
    let last = to.saturating_sub(1.day());
    let from =
        read("from", from)?.unwrap_or_else(|| last.first_of_month().saturating_sub((MONTHS_DEFAULT - 1).months()));
    if from >= to {
        return Err(bad("from must lie before to"));
    }
    if to.duration_since(from).as_hours() > SPAN_DAYS_MAX * 24 {
        return Err(bad("the span is longer than ten years"));
    }
    Ok([from, to])
}

/// A day, or the day of an instant as it is written.
fn a_day(name: &str, text: &str) -> Result<Date, Problem> {
    let date = text
        .get(..10)
        .filter(|_| text.len() == 10 || text.parse::<Timestamp>().is_ok());
    date.and_then(|date| date.parse().ok()).ok_or_else(|| {
        bad_owned(format!(
            "{name} must be a day such as 2026-03-01, or an RFC 3339 instant"
        ))
    })
}

/// The zone that was asked for with its name; UTC without one.
pub(super) fn zone(named: Option<String>) -> Result<(String, TimeZone), Problem> {
    let name = page::plain("zone", named)?.unwrap_or_else(|| "UTC".to_owned());
    let zone = TimeZone::get(&name).map_err(|_| bad("zone must be an IANA zone, such as Europe/Berlin"))?;
    Ok((name, zone))
}

/// A table as a file of that name.
pub(super) fn csv(name: &str, text: String) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/csv; charset=utf-8; header=present")
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.csv\"")))
        .body(text)
}

/// The span that was asked for, or the last twelve months.
pub(super) fn span(
    [from, to]: [Option<&str>; 2],
    zone: &TimeZone,
    now: Timestamp,
) -> Result<(Timestamp, Timestamp), Problem> {
    let read = |name, text: Option<&str>| text.map(|text| moment(name, text, zone)).transpose();
    let to = read("to", to)?.unwrap_or_else(|| now.saturating_add(1.second()).unwrap_or(now));
    let from = match read("from", from)? {
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

pub(in crate::http) fn day_begins(day: Date, zone: &TimeZone) -> Result<Timestamp, Problem> {
    let start = day.to_zoned(zone.clone()).map(|start| start.timestamp());
    start.map_err(|_| bad("the day lies outside of the calendar"))
}

/// Whether CSV is wanted more than JSON.
pub(super) fn wants_csv(accept: &Accept) -> bool {
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
