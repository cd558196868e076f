//! `GET /v1/reports/uplift`

use std::collections::{BTreeMap, HashMap};

use actix_web::http::header::Accept;
use actix_web::{HttpResponse, get, web};
use jiff::Timestamp;
use serde::Serialize;

use super::asked::{self, SpanQuery};
use super::uplift_table as table;
use crate::domain::campaign::Campaign;
use crate::domain::case::{CampaignRef, Collector};
use crate::domain::command::LateKind;
use crate::domain::report::uplift::{
    DEFINITIONS, Divided, SplitCompared, Uplift, UpliftFact, splits, uplift as compared,
};
use crate::domain::schedule::final_at;
use crate::http::HttpState;
use crate::http::error::Problem;
use crate::http::wire::Instant;
use crate::store::reports::UpliftRow;
use crate::store::{campaigns, ledger, reports};

/// The uplift report.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct UpliftReport {
    /// Begin of the span.
    pub from: Instant,
    /// End of the span, itself not included.
    pub to: Instant,
    /// The zone in which days begin.
    pub zone: String,
    /// When it was computed; cases whose window is not over can still change it.
    pub as_of: Instant,
    /// The share of customers who are held out at present, in percent.
    pub holdout_percent: u8,
    /// What each charge of ours is taken to cost, in minor units of its currency.
    pub fee_minor: u32,
    /// What each figure means.
    #[schema(value_type = std::collections::HashMap<String, String>)]
    pub definitions: BTreeMap<&'static str, &'static str>,
    /// The versions of campaigns between which customers were divided.
    pub splits: Vec<SplitCompared>,
    /// The figures.
    #[serde(flatten)]
    pub report: Uplift,
}

/// Compares what was planned by what was learned with the holdout, and the arms with one another.
///
/// Every figure stands beside its interval and its definition, and `not yet distinguishable` where that is so.
/// `Accept: text/csv` gives a line per group and currency.
#[utoipa::path(
    tag = "reports",
    params(SpanQuery),
    responses((status = 200, description = "The report.", content(
        (UpliftReport = "application/json"),
        (String = "text/csv"),
    ))),
)]
#[get("/v1/reports/uplift")]
pub(in crate::http::admin) async fn uplift(
    state: web::Data<HttpState>,
    query: web::Query<SpanQuery>,
    accept: Option<web::Header<Accept>>,
) -> Result<HttpResponse, Problem> {
    let query = query.into_inner();
    let now = state.engine.clock().now();
    let (zone_name, zone) = asked::zone(query.zone)?;
    let (from, to) = asked::span([query.from.as_deref(), query.to.as_deref()], &zone, now)?;
    let (report, splits) = compare(&state, from, to, now).await?;
    if accept.is_some_and(|accept| asked::wants_csv(&accept.0)) {
        let text = table::text(&report, from, to).ok_or_else(Problem::internal)?;
        return Ok(asked::csv("uplift", text));
    }
    let policy = state.engine.learned().policy;
    Ok(HttpResponse::Ok().json(UpliftReport {
        from: Instant(from),
        to: Instant(to),
        zone: zone_name,
        as_of: Instant(now),
        holdout_percent: policy.holdout_percent,
        fee_minor: policy.terms.fee_minor,
        definitions: DEFINITIONS.into_iter().collect(),
        splits,
        report,
    }))
}

/// Compares the cases opened from `from` on and before `to`, as they stand at `now`; and those of the versions of campaigns between which
/// customers are or were divided.
pub(in crate::http) async fn compare(
    state: &HttpState,
    from: Timestamp,
    to: Timestamp,
    now: Timestamp,
) -> Result<(Uplift, Vec<SplitCompared>), Problem> {
    let facts = facts(state, from, to, now).await?;
    let divided = divided(state).await?;
    Ok((compared(&facts), splits(&facts, &divided)))
}

/// The versions that only a part of the customers get or got.
async fn divided(state: &HttpState) -> Result<Vec<Divided>, Problem> {
    let conn = state.reports.conn();
    let since: HashMap<CampaignRef, Timestamp> = campaigns::published(conn).await?.into_iter().collect();
    let all = campaigns::list(conn).await?;
    let of = |campaign: &Campaign| {
        let split = campaign.split?;
        let newer = all.iter().filter(|other| other.name == campaign.name && !other.shadow);
        let newer = newer.filter(|other| other.version > campaign.version);
        Some(Divided {
            name: campaign.name.clone(),
            version: campaign.version,
            against: split.against,
            percent: split.percent,
            since: *since.get(&CampaignRef::of(campaign))?,
            until: newer
                .filter_map(|other| since.get(&CampaignRef::of(other)))
                .min()
                .copied(),
        })
    };
    Ok(all.iter().filter_map(of).collect())
}

async fn facts(state: &HttpState, from: Timestamp, to: Timestamp, now: Timestamp) -> Result<Vec<UpliftFact>, Problem> {
    let conn = state.reports.conn();
    let rows = reports::uplift_rows(conn, from, to).await?;
    let paid = ledger::recovered(conn, from, to).await?;
    let overridden = reports::overridden(conn, from, to).await?;
    let mut taken_back = HashMap::<_, i64>::new();
    for late in reports::late_rows(conn, from, to).await? {
        if matches!(late.kind, LateKind::Refund | LateKind::Dispute) {
            let sum = taken_back.entry(late.case_id).or_default();
            *sum = sum.saturating_add(late.amount.amount_minor);
        }
    }
    let plans = campaigns::list(conn).await?;
    let known: HashMap<(&str, u32), &Campaign> = plans
        .iter()
        .map(|campaign| ((campaign.name.as_str(), campaign.version), campaign))
        .collect();
    let fee_minor = i64::from(state.engine.learned().policy.terms.fee_minor);
    let of = |row: UpliftRow| {
        let campaign = known.get(&(row.campaign.name.as_str(), row.campaign.version));
        let ends_at = campaign.map(|campaign| final_at(row.opened_at, campaign, &row.zone));
        let came = paid.get(&row.case_id).copied().unwrap_or(0);
        let went = taken_back.get(&row.case_id).copied().unwrap_or(0);
        let fees = fee_minor.saturating_mul(i64::from(row.charges));
        UpliftFact {
            customer: format!("{} {}", row.connection, row.customer_id),
            opened_at: row.opened_at,
            currency: row.currency,
            status: row.status,
            window_over: ends_at.is_some_and(|end| end <= now),
            net_minor: came.saturating_sub(went).saturating_sub(fees),
            draw: row.choice.map(|choice| choice.first_draw()),
            provider_collects: row.collector == Collector::Provider,
            overridden: overridden.contains(&row.case_id),
            campaign: (row.opened_with.name, row.opened_with.version),
        }
    };
    Ok(rows.into_iter().map(of).collect())
}
