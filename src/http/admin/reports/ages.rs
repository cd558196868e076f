//! `GET /v1/reports/ages`

use std::collections::BTreeMap;

use actix_web::http::header::Accept;
use actix_web::{HttpResponse, get, web};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::asked;
use super::recovery::too_large;
use super::sheet::{self, percent, shown};
use crate::domain::calendar;
use crate::domain::report::ages::{Age, AgeRow, DEFINITIONS, by_age};
use crate::http::HttpState;
use crate::http::error::Problem;
use crate::http::wire::Instant;
use crate::store::rollups;

/// Which months to report of, and how long a column is.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AgesQuery {
    /// A day of the first month. Eleven months before `to` without it.
    #[param(example = "2026-01-01")]
    from: Option<String>,
    /// The day that ends the span, itself not included; tomorrow without it. A month that has begun before it counts whole.
    #[param(example = "2026-04-01")]
    to: Option<String>,
    /// How long a column is.
    #[param(inline, default = "week")]
    age: Option<Age>,
}

/// The recovered share of each cohort by age.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AgesReport {
    /// The first day of the span.
    #[schema(value_type = String, format = Date)]
    pub from: Date,
    /// The day that ends it, itself not included.
    #[schema(value_type = String, format = Date)]
    pub to: Date,
    /// How long a column is: the first has the recoveries within one of it, the second within two.
    pub age: Age,
    /// When it was computed.
    pub as_of: Instant,
    /// What each figure means.
    #[schema(value_type = std::collections::HashMap<String, String>)]
    pub definitions: BTreeMap<&'static str, &'static str>,
    /// A row for each month and currency.
    pub data: Vec<AgeRow>,
}

/// Says which share of each month's cases was recovered within how many days or weeks; null where that can still change.
///
/// `Accept: text/csv` gives a line per month, currency and age; cells that can still change are empty.
#[utoipa::path(
    tag = "reports",
    params(AgesQuery),
    responses((status = 200, description = "The report.", content(
        (AgesReport = "application/json"),
        (String = "text/csv"),
    ))),
)]
#[get("/v1/reports/ages")]
pub(in crate::http::admin) async fn ages(
    state: web::Data<HttpState>,
    query: web::Query<AgesQuery>,
    accept: Option<web::Header<Accept>>,
) -> Result<HttpResponse, Problem> {
    let now = state.engine.clock().now();
    let days = asked::days([query.from.as_deref(), query.to.as_deref()], &asked::zones(&state), now)?;
    let age = query.age.unwrap_or(Age::Week);
    if accept.is_some_and(|accept| asked::wants_csv(&accept.0)) {
        return as_csv(&state, days, age).await;
    }
    let data = over(&state, days, age).await?;
    let [from, to] = days;
    Ok(HttpResponse::Ok().json(AgesReport {
        from,
        to,
        age,
        as_of: Instant(now),
        definitions: DEFINITIONS.into_iter().collect(),
        data,
    }))
}

/// The shares of the cases of the months of `[from, to)`.
pub(in crate::http) async fn over(state: &HttpState, days: [Date; 2], age: Age) -> Result<Vec<AgeRow>, Problem> {
    let now = state.engine.clock().now();
    let conn = state.reports.conn();
    let aged = rollups::ages(conn, days, now).await?;
    let zones = asked::zones(state);
    let today = zones.values().map(|name| calendar::zone(name).to_datetime(now).date());
    let running = today.min().unwrap_or(days[0]).first_of_month();
    by_age(&aged, running, age).map_err(too_large)
}

/// The columns of the file.
const HEAD: [&str; 11] = [
    "from",
    "to",
    "cohort",
    "currency",
    "cases",
    "amount_minor",
    "within",
    "recovered_cases",
    "recovered_amount_minor",
    "recovered_percent_of_cases",
    "recovered_percent_of_amount",
];

/// The report as a file.
pub(in crate::http) async fn as_csv(state: &HttpState, days: [Date; 2], age: Age) -> Result<HttpResponse, Problem> {
    let [from, to] = days.map(|day| day.to_string());
    let mut lines = Vec::new();
    for row in over(state, days, age).await? {
        for (number, cell) in (1..).zip(&row.cells) {
            let cell = cell.as_ref();
            lines.push(vec![
                from.clone(),
                to.clone(),
                row.cohort.clone(),
                row.currency.clone(),
                row.all.cases.to_string(),
                row.all.amount_minor.to_string(),
                format!("{number} {age}{}", if number == 1 { "" } else { "s" }),
                shown(cell.map(|cell| cell.recovered.cases)),
                shown(cell.map(|cell| cell.recovered.amount_minor)),
                percent(cell.and_then(|cell| cell.cases.as_ref())),
                percent(cell.and_then(|cell| cell.amount.as_ref())),
            ]);
        }
    }
    sheet::file("ages", &HEAD, lines)
}
