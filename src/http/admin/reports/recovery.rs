//! `GET /v1/reports/recovery`

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::http::header::Accept;
use actix_web::{HttpResponse, get, web};
use serde::{Deserialize, Serialize};

use super::{asked, table};
use crate::domain::report::{self, By, Cohort, Cut, DEFINITIONS, Report};
use crate::http::HttpState;
use crate::http::error::Problem;
use crate::http::wire::Instant;

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
    let (zone_name, zone) = asked::zone(query.zone)?;
    let (from, to) = asked::span([query.from.as_deref(), query.to.as_deref()], &zone, now)?;
    let cut = Cut {
        cohort: query.cohort.unwrap_or(Cohort::Month),
        by: query.by.unwrap_or(By::None),
        zone,
    };
    let facts = super::facts(&state, from, to).await?;
    let report = report::report(&facts, &cut).map_err(too_large)?;
    if accept.is_some_and(|accept| asked::wants_csv(&accept.0)) {
        let text = table::text(&report, &cut, from, to).ok_or_else(Problem::internal)?;
        return Ok(asked::csv("recovery", text));
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

fn too_large(error: report::TooLarge) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad_query", error.to_string())
}
