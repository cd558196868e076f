//! `GET /v1/reports/funnel`

use std::collections::BTreeMap;

use actix_web::http::header::Accept;
use actix_web::{HttpResponse, get, web};
use jiff::civil::Date;
use serde::Serialize;

use super::asked::{self, SplitQuery};
use super::recovery::too_large;
use super::sheet::{self, percent};
use crate::domain::report::By;
use crate::domain::report::funnel::{DEFINITIONS, Funnel, StageRow, funnels};
use crate::http::HttpState;
use crate::http::error::Problem;
use crate::http::wire::Instant;
use crate::store::rollups;

/// The funnel.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct FunnelReport {
    /// The first day of the span.
    #[schema(value_type = String, format = Date)]
    pub from: Date,
    /// The day that ends it, itself not included.
    #[schema(value_type = String, format = Date)]
    pub to: Date,
    /// What it is split by.
    pub by: By,
    /// When it was computed; open cases can still change it.
    pub as_of: Instant,
    /// What each figure means.
    #[schema(value_type = std::collections::HashMap<String, String>)]
    pub definitions: BTreeMap<&'static str, &'static str>,
    /// A funnel for each group and currency.
    pub data: Vec<Funnel>,
}

/// Says how far the cases got that were opened in a span: failed, recovered silently, written to, delivered, clicked, card changed, paid.
///
/// `Accept: text/csv` gives a line per group, currency and stage.
#[utoipa::path(
    tag = "reports",
    params(SplitQuery),
    responses((status = 200, description = "The report.", content(
        (FunnelReport = "application/json"),
        (String = "text/csv"),
    ))),
)]
#[get("/v1/reports/funnel")]
pub(in crate::http::admin) async fn funnel(
    state: web::Data<HttpState>,
    query: web::Query<SplitQuery>,
    accept: Option<web::Header<Accept>>,
) -> Result<HttpResponse, Problem> {
    let now = state.engine.clock().now();
    let days = asked::days([query.from.as_deref(), query.to.as_deref()], &asked::zones(&state), now)?;
    let by = query.by.unwrap_or(By::None);
    if accept.is_some_and(|accept| asked::wants_csv(&accept.0)) {
        return as_csv(&state, days, by).await;
    }
    let data = over(&state, days, by).await?;
    let [from, to] = days;
    Ok(HttpResponse::Ok().json(FunnelReport {
        from,
        to,
        by,
        as_of: Instant(now),
        definitions: DEFINITIONS.into_iter().collect(),
        data,
    }))
}

/// The funnels of the cases opened on the days `[from, to)`.
pub(in crate::http) async fn over(state: &HttpState, days: [Date; 2], by: By) -> Result<Vec<Funnel>, Problem> {
    let paths = rollups::paths(state.reports.conn(), days, by).await?;
    funnels(&paths, by).map_err(too_large)
}

/// The columns of the file.
const HEAD: [&str; 15] = [
    "from",
    "to",
    "by",
    "group",
    "currency",
    "stage",
    "reached_cases",
    "reached_amount_minor",
    "in_turn_cases",
    "recovered_cases",
    "recovered_amount_minor",
    "reached_percent_of_failed",
    "in_turn_percent_of_stage_before",
    "recovered_percent_of_reached",
    "maturity_percent",
];

/// The report as a file.
pub(in crate::http) async fn as_csv(state: &HttpState, days: [Date; 2], by: By) -> Result<HttpResponse, Problem> {
    let [from, to] = days.map(|day| day.to_string());
    let line = |of: &Funnel, row: &StageRow| {
        vec![
            from.clone(),
            to.clone(),
            by.to_string(),
            of.group.clone().unwrap_or_default(),
            of.currency.clone(),
            row.stage.to_string(),
            row.reached.cases.to_string(),
            row.reached.amount_minor.to_string(),
            row.in_turn.cases.to_string(),
            row.recovered.cases.to_string(),
            row.recovered.amount_minor.to_string(),
            percent(row.of_failed.as_ref()),
            percent(row.of_before.as_ref()),
            percent(row.recovered_of_reached.as_ref()),
            percent(of.maturity.as_ref()),
        ]
    };
    let mut lines = Vec::new();
    for of in over(state, days, by).await? {
        lines.extend(of.stages.iter().map(|row| line(&of, row)));
    }
    sheet::file("funnel", &HEAD, lines)
}
