//! `GET /v1/reports/attempts`

use std::collections::BTreeMap;

use actix_web::http::header::Accept;
use actix_web::{HttpResponse, get, web};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::asked;
use super::recovery::too_large;
use super::sheet::{self, percent, shown};
use crate::domain::report::By;
use crate::domain::report::attempts::{Charged, DEFINITIONS, NumberRow, charged};
use crate::http::HttpState;
use crate::http::error::Problem;
use crate::http::wire::Instant;
use crate::store::rollups;

/// Which cases to report of, how to split them, and what a charge costs.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AttemptsQuery {
    /// First day of the cases' opening. Eleven months before `to`'s month without it.
    #[param(example = "2026-01-01")]
    from: Option<String>,
    /// The day that ends the span, itself not included; tomorrow without it.
    #[param(example = "2026-04-01")]
    to: Option<String>,
    /// What to split by.
    #[param(inline, default = "none")]
    by: Option<By>,
    /// What a charge costs, in minor units of each currency; `learning.fee_minor` of the configuration without it.
    #[param(minimum = 0, maximum = 1_000_000)]
    fee_minor: Option<i64>,
}

/// What a fee may come to at most, in minor units.
const FEE_MAX: i64 = 1_000_000;

/// Charges, their success and their price.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AttemptsReport {
    /// The first day of the span.
    #[schema(value_type = String, format = Date)]
    pub from: Date,
    /// The day that ends it, itself not included.
    #[schema(value_type = String, format = Date)]
    pub to: Date,
    /// What it is split by.
    pub by: By,
    /// What a charge is taken to cost, in minor units of each currency.
    pub fee_minor: i64,
    /// When it was computed; open cases can still change it.
    pub as_of: Instant,
    /// What each figure means.
    #[schema(value_type = std::collections::HashMap<String, String>)]
    pub definitions: BTreeMap<&'static str, &'static str>,
    /// A row for each group and currency.
    pub data: Vec<Charged>,
}

/// Says how often charges succeed, by their number within the case, how many a recovery takes, and what they cost.
///
/// `Accept: text/csv` gives a line per group, currency and number.
#[utoipa::path(
    tag = "reports",
    params(AttemptsQuery),
    responses((status = 200, description = "The report.", content(
        (AttemptsReport = "application/json"),
        (String = "text/csv"),
    ))),
)]
#[get("/v1/reports/attempts")]
pub(in crate::http::admin) async fn attempts(
    state: web::Data<HttpState>,
    query: web::Query<AttemptsQuery>,
    accept: Option<web::Header<Accept>>,
) -> Result<HttpResponse, Problem> {
    let now = state.engine.clock().now();
    let days = asked::days([query.from.as_deref(), query.to.as_deref()], &asked::zones(&state), now)?;
    let by = query.by.unwrap_or(By::None);
    let fee_minor = match query.fee_minor {
        Some(minor) => fee(Some(minor))?,
        None => usual_fee(&state),
    };
    if accept.is_some_and(|accept| asked::wants_csv(&accept.0)) {
        return as_csv(&state, days, by, fee_minor).await;
    }
    let data = over(&state, days, by, fee_minor).await?;
    let [from, to] = days;
    Ok(HttpResponse::Ok().json(AttemptsReport {
        from,
        to,
        by,
        fee_minor,
        as_of: Instant(now),
        definitions: DEFINITIONS.into_iter().collect(),
        data,
    }))
}

/// A fee that was asked for.
pub(in crate::http) fn fee(minor: Option<i64>) -> Result<i64, Problem> {
    let fee = minor.filter(|minor| (0..=FEE_MAX).contains(minor));
    fee.ok_or_else(|| Problem::bad_request("bad_query", "fee_minor must lie between 0 and 1000000"))
}

/// What a charge costs by the configuration.
pub(in crate::http) fn usual_fee(state: &HttpState) -> i64 {
    state.engine.learned().policy.terms.fee_minor.into()
}

/// The charges of the cases opened on the days `[from, to)`.
pub(in crate::http) async fn over(
    state: &HttpState,
    days: [Date; 2],
    by: By,
    fee_minor: i64,
) -> Result<Vec<Charged>, Problem> {
    let conn = state.reports.conn();
    let (cases, made) = rollups::charges(conn, days, by).await?;
    charged(&cases, &made, by, fee_minor).map_err(too_large)
}

/// The columns of the file; what stands before `number` is that of all charges of the group.
const HEAD: [&str; 19] = [
    "from",
    "to",
    "by",
    "group",
    "currency",
    "cases",
    "recovered_cases",
    "maturity_percent",
    "attempts",
    "attempts_let_go",
    "attempts_per_recovery_in_hundredths",
    "cost_minor",
    "cost_per_recovery_minor",
    "number",
    "number_attempts",
    "number_succeeded",
    "number_succeeded_amount_minor",
    "number_declined",
    "number_success_percent",
];

/// The report as a file.
pub(in crate::http) async fn as_csv(
    state: &HttpState,
    days: [Date; 2],
    by: By,
    fee_minor: i64,
) -> Result<HttpResponse, Problem> {
    let [from, to] = days.map(|day| day.to_string());
    let line = |row: &Charged, number: &NumberRow| {
        vec![
            from.clone(),
            to.clone(),
            by.to_string(),
            row.group.clone().unwrap_or_default(),
            row.currency.clone(),
            row.cases.to_string(),
            row.recovered.to_string(),
            percent(row.maturity.as_ref()),
            row.attempts.to_string(),
            row.let_go.to_string(),
            shown(row.attempts_per_recovery_parts_per_100),
            row.cost_minor.to_string(),
            shown(row.cost_per_recovery_minor),
            number.number.to_string(),
            number.attempts.to_string(),
            number.succeeded.to_string(),
            number.succeeded_minor.to_string(),
            number.declined.to_string(),
            percent(number.success.as_ref()),
        ]
    };
    let mut lines = Vec::new();
    for row in over(state, days, by, fee_minor).await? {
        lines.extend(row.numbers.iter().map(|number| line(&row, number)));
    }
    sheet::file("attempts", &HEAD, lines)
}
