//! `GET /v1/reports/compliance`

use std::collections::BTreeMap;

use actix_web::{HttpResponse, get, web};
use serde::Serialize;

use super::asked::{self, SpanQuery};
use crate::domain::report::compliance::{Compliance, DEFINITIONS};
use crate::http::HttpState;
use crate::http::error::Problem;
use crate::http::wire::Instant;
use crate::store::instruments;

/// The compliance report.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ComplianceReport {
    /// Begin of the span.
    pub from: Instant,
    /// End of the span, itself not included.
    pub to: Instant,
    /// The zone in which days begin.
    pub zone: String,
    /// When it was computed.
    pub as_of: Instant,
    /// What each figure means.
    #[schema(value_type = std::collections::HashMap<String, String>)]
    pub definitions: BTreeMap<&'static str, &'static str>,
    /// The figures.
    #[serde(flatten)]
    pub report: Compliance,
}

/// Audits the charges of a span by the rules of card networks and bank debits, from the ledger of attempts alone.
#[utoipa::path(
    tag = "reports",
    params(SpanQuery),
    responses((status = 200, description = "The report.", body = ComplianceReport)),
)]
#[get("/v1/reports/compliance")]
pub(in crate::http::admin) async fn compliance(
    state: web::Data<HttpState>,
    query: web::Query<SpanQuery>,
) -> Result<HttpResponse, Problem> {
    let query = query.into_inner();
    let now = state.engine.clock().now();
    let (zone_name, zone) = asked::zone(query.zone)?;
    let (from, to) = asked::span([query.from.as_deref(), query.to.as_deref()], &zone, now)?;
    let report = instruments::audit(state.reports.conn(), state.engine.rules(), (from, to), |_| ()).await?;
    Ok(HttpResponse::Ok().json(ComplianceReport {
        from: Instant(from),
        to: Instant(to),
        zone: zone_name,
        as_of: Instant(now),
        definitions: DEFINITIONS.into_iter().collect(),
        report,
    }))
}
