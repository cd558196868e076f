//! `GET /v1/reports/time`

use std::collections::BTreeMap;

use actix_web::{HttpResponse, get, web};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::asked;
use crate::domain::report::Cohort;
use crate::domain::report::survival::{Ages, DEFINITIONS, Step, Times};
use crate::http::HttpState;
use crate::http::error::Problem;
use crate::http::wire::Instant;
use crate::store::rollups;

/// Which months to report of.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MonthsQuery {
    /// A day of the first month. Eleven months before `to` without it.
    #[param(example = "2026-01-01")]
    pub(super) from: Option<String>,
    /// The day that ends the span, itself not included; tomorrow without it. A month that has begun before it counts whole.
    #[param(example = "2026-04-01")]
    pub(super) to: Option<String>,
}

/// How long recoveries take.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct TimeReport {
    /// The first day of the span.
    #[schema(value_type = String, format = Date)]
    pub from: Date,
    /// The day that ends it, itself not included.
    #[schema(value_type = String, format = Date)]
    pub to: Date,
    /// When it was computed; open cases can still change it.
    pub as_of: Instant,
    /// What each figure means.
    #[schema(value_type = std::collections::HashMap<String, String>)]
    pub definitions: BTreeMap<&'static str, &'static str>,
    /// A row for each month in which cases were opened.
    pub months: Vec<TimeRow>,
    /// All months together.
    pub total: Times,
    /// The share of all of them that is not recovered, by age.
    pub curve: Vec<Step>,
}

/// One month.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct TimeRow {
    /// The month of the first failure, `2026-03`.
    pub cohort: String,
    /// The figures.
    #[serde(flatten)]
    pub times: Times,
}

/// Says how long recoveries took, and which share of the cases is not recovered by age.
#[utoipa::path(
    tag = "reports",
    params(MonthsQuery),
    responses((status = 200, description = "The report.", body = TimeReport)),
)]
#[get("/v1/reports/time")]
pub(in crate::http::admin) async fn time(
    state: web::Data<HttpState>,
    query: web::Query<MonthsQuery>,
) -> Result<HttpResponse, Problem> {
    let now = state.engine.clock().now();
    let days = asked::days([query.from.as_deref(), query.to.as_deref()], &asked::zones(&state), now)?;
    let (months, all) = ages(&state, days).await?;
    let row = |(cohort, ages): (String, Ages)| TimeRow {
        cohort,
        times: ages.times(),
    };
    let [from, to] = days;
    Ok(HttpResponse::Ok().json(TimeReport {
        from,
        to,
        as_of: Instant(now),
        definitions: DEFINITIONS.into_iter().collect(),
        months: months.into_iter().map(row).collect(),
        total: all.times(),
        curve: all.curve(),
    }))
}

/// The ages of the cases of each month, and of all together.
pub(in crate::http) async fn ages(
    state: &HttpState,
    days: [Date; 2],
) -> Result<(BTreeMap<String, Ages>, Ages), Problem> {
    let now = state.engine.clock().now();
    let mut all = Ages::default();
    let mut months: BTreeMap<String, Ages> = BTreeMap::new();
    for aged in rollups::ages(state.reports.conn(), days, now).await? {
        let month = months.entry(Cohort::Month.label(aged.month)).or_default();
        for ages in [month, &mut all] {
            ages.add(aged.status, aged.hours, aged.cases.unsigned_abs());
        }
    }
    Ok((months, all))
}
