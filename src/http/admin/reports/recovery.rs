//! `GET /v1/reports/recovery`

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::http::header::Accept;
use actix_web::{HttpResponse, get, web};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{asked, sheet, table};
use crate::domain::money::Currency;
use crate::domain::report::converted::{self, Converted, NotConverted};
use crate::domain::report::{self, By, Cohort, Cut, DEFINITIONS, Report};
use crate::http::HttpState;
use crate::http::error::{FieldError, Problem};
use crate::http::wire::Instant;
use crate::store::{exchange, rollups};

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
    /// A currency in which the recovered money of all currencies is summed, that of each day of recovery at the uploaded rate of this day.
    #[param(pattern = "^[A-Za-z]{3}$", example = "EUR")]
    convert: Option<String>,
}

/// The most missing rates that a problem lists.
const MISSING_MAX: usize = 100;

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
    /// The recovered money of all currencies in one, where that was asked for.
    pub converted: Option<Converted>,
}

/// Reports what became of the cases that were opened in a span, by cohort.
///
/// Every rate stands beside its definition and the maturity of its cohort. `Accept: text/csv` gives the rows as CSV, or, with `convert`,
/// the converted ones. Where `convert` needs a rate that was not uploaded, there is no sum: the problem `rates_missing` names the days.
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
    let to = query.convert.as_deref().map(currency).transpose()?;
    if accept.is_some_and(|accept| asked::wants_csv(&accept.0)) {
        return match to {
            Some(to) => converted_csv(&state, days, cut, to).await,
            None => as_csv(&state, days, cut).await,
        };
    }
    let converted = match to {
        Some(to) => Some(in_one(&state, days, cut, to).await?),
        None => None,
    };
    let report = with_customers(&state, days, cut).await?;
    let [from, to] = days;
    Ok(HttpResponse::Ok().json(RecoveryReport {
        from,
        to,
        cohort: cut.cohort,
        by: cut.by,
        zones,
        as_of: Instant(now),
        definitions: DEFINITIONS.into_iter().chain(converted::DEFINITIONS).collect(),
        report,
        converted,
    }))
}

/// The report as a file.
pub(in crate::http) async fn as_csv(state: &HttpState, days: [Date; 2], cut: Cut) -> Result<HttpResponse, Problem> {
    let report = with_customers(state, days, cut).await?;
    let text = table::text(&report, cut, days).ok_or_else(Problem::internal)?;
    Ok(asked::csv("recovery", text))
}

/// The converted rows as a file.
pub(in crate::http) async fn converted_csv(
    state: &HttpState,
    days: [Date; 2],
    cut: Cut,
    to: Currency,
) -> Result<HttpResponse, Problem> {
    let converted = in_one(state, days, cut, to).await?;
    let [from, until] = days.map(|day| day.to_string());
    let line = |row: &converted::ConvertedRow| {
        vec![
            from.clone(),
            until.clone(),
            row.cohort.clone(),
            cut.by.to_string(),
            row.group.clone().unwrap_or_default(),
            converted.currency.clone(),
            row.recovered_cases.to_string(),
            row.recovered_minor.to_string(),
            row.net_recovered_minor.to_string(),
        ]
    };
    sheet::file(
        "recovery-converted",
        &CONVERTED,
        converted.rows.iter().map(line).collect(),
    )
}

/// The columns of the converted rows.
const CONVERTED: [&str; 9] = [
    "from",
    "to",
    "cohort",
    "by",
    "group",
    "currency",
    "recovered_cases",
    "recovered_amount_minor",
    "net_recovered_amount_minor",
];

/// A currency of the query.
pub(in crate::http) fn currency(text: &str) -> Result<Currency, Problem> {
    let currency = text.parse();
    currency.map_err(|_| Problem::bad_request("bad_query", "convert must be a currency of three letters, such as EUR"))
}

/// The recovered money of all currencies in one.
pub(in crate::http) async fn in_one(
    state: &HttpState,
    days: [Date; 2],
    cut: Cut,
    to: Currency,
) -> Result<Converted, Problem> {
    let conn = state.reports.conn();
    let cells = rollups::recovered(conn, days, cut).await?;
    let rates = exchange::into(conn, to).await?;
    converted::convert(&cells, &rates, to, cut).map_err(|error| match error {
        NotConverted::TooLarge => too_large(report::TooLarge),
        NotConverted::Missing(missing) => {
            let line = |(day, from): &(Date, Currency)| FieldError {
                line: None,
                column: None,
                detail: format!("{from} to {to} on {day}"),
            };
            let detail = format!(
                "{} rates are missing: without them there is no sum. Upload them with POST /v1/exchange-rates; errors lists up to \
                 {MISSING_MAX}",
                missing.len()
            );
            let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "rates_missing", detail);
            problem.with_errors(missing.iter().take(MISSING_MAX).map(line).collect())
        }
    })
}

/// The report of the cases opened on the days `[from, to)`, with their customers, each of whom takes a look at the cases.
pub(in crate::http) async fn with_customers(state: &HttpState, days: [Date; 2], cut: Cut) -> Result<Report, Problem> {
    let customers = rollups::customers(state.reports.conn(), days, cut).await?;
    let report = over(state, days, cut).await?;
    report.with_customers(&customers, cut).map_err(too_large)
}

/// The report of the cases opened on the days `[from, to)`.
pub(in crate::http) async fn over(state: &HttpState, days: [Date; 2], cut: Cut) -> Result<Report, Problem> {
    let cells = rollups::recovery(state.reports.conn(), days, cut.by, cut.cohort).await?;
    report::report(&cells, cut).map_err(too_large)
}

pub(in crate::http) fn too_large(error: report::TooLarge) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad_query", error.to_string())
}
