//! `GET /v1/reports/attribution`

use std::collections::BTreeMap;

use actix_web::http::header::Accept;
use actix_web::{HttpResponse, get, web};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::recovery::too_large;
use super::sheet::{self, percent};
use super::time::MonthsQuery;
use super::{asked, recovery, uplift};
use crate::domain::calendar;
use crate::domain::report::attribution::{Attribution, Claim, DEFINITIONS, Way, attribution as side_by_side};
use crate::domain::report::uplift::AgainstHoldout;
use crate::domain::report::{By, Cohort, Cut};
use crate::http::HttpState;
use crate::http::error::Problem;
use crate::http::wire::Instant;

/// Who brought the money back.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AttributionReport {
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
    /// The three ways.
    #[serde(flatten)]
    pub report: Attribution,
}

/// Says in three ways side by side who brought the money back: what closed the case, the last message before, and the difference to
/// customers who are held out.
///
/// `Accept: text/csv` gives all three as one table.
#[utoipa::path(
    tag = "reports",
    params(MonthsQuery),
    responses((status = 200, description = "The report.", content(
        (AttributionReport = "application/json"),
        (String = "text/csv"),
    ))),
)]
#[get("/v1/reports/attribution")]
pub(in crate::http::admin) async fn attribution(
    state: web::Data<HttpState>,
    query: web::Query<MonthsQuery>,
    accept: Option<web::Header<Accept>>,
) -> Result<HttpResponse, Problem> {
    let now = state.engine.clock().now();
    let days = asked::days([query.from.as_deref(), query.to.as_deref()], &asked::zones(&state), now)?;
    if accept.is_some_and(|accept| asked::wants_csv(&accept.0)) {
        return as_csv(&state, days).await;
    }
    let report = over(&state, days, against_holdout(&state, days).await?).await?;
    let [from, to] = days;
    Ok(HttpResponse::Ok().json(AttributionReport {
        from,
        to,
        as_of: Instant(now),
        definitions: DEFINITIONS.into_iter().collect(),
        report,
    }))
}

/// The three ways, of the cases opened on the days `[from, to)`, by what the third one says of them.
pub(in crate::http) async fn over(
    state: &HttpState,
    days: [Date; 2],
    uplift: AgainstHoldout,
) -> Result<Attribution, Problem> {
    let cut = |by| Cut {
        cohort: Cohort::Month,
        by,
    };
    let whole = recovery::over(state, days, cut(By::None)).await?;
    let by_message = recovery::over(state, days, cut(By::Message)).await?;
    side_by_side(&whole.totals, &by_message.totals, uplift).map_err(too_large)
}

/// The instants at which the days `[from, to)` begin and end: in the zone of the connection, or in UTC where there are several.
pub(in crate::http) fn instants(state: &HttpState, days: [Date; 2]) -> Result<[Timestamp; 2], Problem> {
    let zones = asked::zones(state);
    let zone = match zones.values().collect::<Vec<_>>()[..] {
        [one] => calendar::zone(one),
        _ => TimeZone::UTC,
    };
    let begins = |day: Date| asked::day_begins(day, &zone);
    Ok([begins(days[0])?, begins(days[1])?])
}

async fn against_holdout(state: &HttpState, days: [Date; 2]) -> Result<AgainstHoldout, Problem> {
    let [from, to] = instants(state, days)?;
    let (compared, _) = uplift::compare(state, from, to, state.engine.clock().now()).await?;
    Ok(compared.against_holdout)
}

/// The columns of the file; the last four are of the uplift alone.
const HEAD: [&str; 13] = [
    "from",
    "to",
    "way",
    "credited_to",
    "credited",
    "currency",
    "recovered_cases",
    "recovered_amount_minor",
    "share_percent",
    "points_above_holdout",
    "points_above_holdout_low",
    "points_above_holdout_high",
    "verdict",
];

/// The report as a file.
pub(in crate::http) async fn as_csv(state: &HttpState, days: [Date; 2]) -> Result<HttpResponse, Problem> {
    let report = over(state, days, against_holdout(state, days).await?).await?;
    let [from, to] = days.map(|day| day.to_string());
    let line = |claim: &Claim| {
        let mut line = vec![
            from.clone(),
            to.clone(),
            claim.way.to_string(),
            claim.to.clone(),
            if claim.credited { "yes" } else { "no" }.to_owned(),
            claim.currency.clone(),
            claim.recovered.cases.to_string(),
            claim.recovered.amount_minor.to_string(),
            percent(claim.share.as_ref()),
        ];
        line.resize(HEAD.len(), String::new());
        line
    };
    let mut lines: Vec<Vec<String>> = report.data.iter().map(line).collect();
    let difference = report.uplift.difference.as_ref();
    let mut last = vec![from.clone(), to.clone(), Way::Uplift.to_string(), "drawn".to_owned()];
    last.resize(9, String::new());
    last.push(percent(difference.map(|difference| &difference.points)));
    last.push(percent(difference.map(|difference| &difference.low)));
    last.push(percent(difference.map(|difference| &difference.high)));
    last.push(report.verdict.to_string());
    lines.push(last);
    sheet::file("attribution", &HEAD, lines)
}
