//! `GET /v1/reports/recovery`

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::http::header::Accept;
use actix_web::{HttpResponse, get, web};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{asked, table};
use crate::domain::report::{self, By, Cohort, Cut, DEFINITIONS, Report};
use crate::http::HttpState;
use crate::http::error::Problem;
use crate::http::wire::Instant;
use crate::store::rollups;

/// What to report.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RecoveryQuery {
    /// First day of the cases' opening, such as `2026-01-01`; of an instant only the day counts. Eleven months before `to`'s month
    /// without it.
    #[param(example = "2026-01-01")]
    from: Option<String>,
    /// The day that ends the span, itself not included; tomorrow without it.
    #[param(example = "2026-04-01")]
    to: Option<String>,
    /// The length of a cohort.
    #[param(inline, default = "month")]
    cohort: Option<Cohort>,
    /// What to split by.
    #[param(inline, default = "none")]
    by: Option<By>,
}

/// The recovery report.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RecoveryReport {
    /// The first day of the span.
    #[schema(value_type = String, format = Date)]
    pub from: Date,
    /// The day that ends it, itself not included.
    #[schema(value_type = String, format = Date)]
    pub to: Date,
    /// The length of a cohort.
    pub cohort: Cohort,
    /// What it is split by.
    pub by: By,
    /// The zone in which the days of a connection begin; a case keeps the one it was opened in.
    pub zones: BTreeMap<String, String>,
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
    let zones = asked::zones(&state);
    let days = asked::days([query.from.as_deref(), query.to.as_deref()], &zones, now)?;
    let cut = Cut {
        cohort: query.cohort.unwrap_or(Cohort::Month),
        by: query.by.unwrap_or(By::None),
    };
    if accept.is_some_and(|accept| asked::wants_csv(&accept.0)) {
        return as_csv(&state, days, cut).await;
    }
    let report = over(&state, days, cut).await?;
    let [from, to] = days;
    Ok(HttpResponse::Ok().json(RecoveryReport {
        from,
        to,
        cohort: cut.cohort,
        by: cut.by,
        zones,
        as_of: Instant(now),
        definitions: DEFINITIONS.into_iter().collect(),
        report,
    }))
}

/// The report as a file.
pub(in crate::http) async fn as_csv(state: &HttpState, days: [Date; 2], cut: Cut) -> Result<HttpResponse, Problem> {
    let report = over(state, days, cut).await?;
    let text = table::text(&report, cut, days).ok_or_else(Problem::internal)?;
    Ok(asked::csv("recovery", text))
}

/// The report of the cases opened on the days `[from, to)`.
pub(in crate::http) async fn over(state: &HttpState, days: [Date; 2], cut: Cut) -> Result<Report, Problem> {
    let cells = rollups::recovery(state.reports.conn(), days, cut.by, cut.cohort).await?;
    report::report(&cells, cut).map_err(too_large)
}

fn too_large(error: report::TooLarge) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad_query", error.to_string())
}
