//! `POST /v1/campaigns/rehearse`

use std::sync::Arc;

use actix_web::{HttpResponse, post, web};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::create::refused;
use crate::domain::campaign::segment::live;
use crate::domain::campaign::{BadCampaign, Campaign};
use crate::domain::case::CampaignRef;
use crate::domain::instrument::History;
use crate::domain::rehearsal::{Rehearsal, rehearse as over};
use crate::http::HttpState;
use crate::http::admin::cases;
use crate::http::admin::reports::asked;
use crate::http::admin::reports::recovery::too_large;
use crate::http::body::JsonBody;
use crate::http::error::Problem;
use crate::store::{self, campaigns};

/// How many cases are looked at, the newest ones of the span.
const CASES_MAX: u64 = 2_000;

/// A campaign to rehearse.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RehearseBody {
    /// The campaign as its TOML file.
    pub text: String,
    /// First day of the cases' opening. Eleven months before `to`'s month without it.
    #[schema(example = "2026-01-01")]
    pub from: Option<String>,
    /// The day that ends the span, itself not included; tomorrow without it.
    #[schema(example = "2026-04-01")]
    pub to: Option<String>,
}

/// A campaign rehearsed over cases that have ended.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RehearsalReport {
    /// The version.
    pub campaign: CampaignRef,
    /// The first day of the span, in UTC.
    #[schema(value_type = String, format = Date)]
    pub from: Date,
    /// The day that ends it, itself not included.
    #[schema(value_type = String, format = Date)]
    pub to: Date,
    /// The figures.
    #[serde(flatten)]
    pub rehearsal: Rehearsal,
}

/// Says what a campaign would have done to the cases that have ended, until they ended as they did: its charges and messages beside
/// those that were made, and what was recovered only after it would have ended. Nothing is stored, and whether it would have
/// brought more is not said: nobody can tell that from the past.
///
/// It looks at the newest 2,000 cases of the span that have ended, those that were read in from the time before Recoup among them. A segment
/// that asks for metadata takes none of them, for cases do not keep metadata.
#[utoipa::path(tag = "campaigns", request_body = RehearseBody, responses((status = 200, description = "The rehearsal.", body = RehearsalReport)))]
#[post("/v1/campaigns/rehearse")]
pub(in crate::http::admin) async fn rehearse(
    state: web::Data<HttpState>,
    body: JsonBody<RehearseBody>,
) -> Result<HttpResponse, Problem> {
    let RehearseBody { text, from, to } = body.0;
    let others = campaigns::list(state.store.conn()).await?;
    let campaign = Campaign::review(&text, &others).map_err(|BadCampaign(faults)| refused(&faults))?;
    let report = of(&state, campaign, others, [from.as_deref(), to.as_deref()]).await?;
    Ok(HttpResponse::Ok().json(report))
}

/// Rehearses a campaign that was looked over.
pub(in crate::http) async fn of(
    state: &web::Data<HttpState>,
    campaign: Campaign,
    others: Vec<Campaign>,
    days: [Option<&str>; 2],
) -> Result<RehearsalReport, Problem> {
    let now = state.engine.clock().now();
    let [from, to] = asked::days(days, &asked::zones(state), now)?;
    let span = [
        asked::day_begins(from, &TimeZone::UTC)?,
        asked::day_begins(to, &TimeZone::UTC)?,
    ];
    let closed = store::cases::closed_between(state.reports.conn(), span, CASES_MAX).await?;
    let state = web::Data::clone(state);
    let learned = state.engine.learned();
    let version = CampaignRef::of(&campaign);
    // Two thousand plans take a while, in which this thread could answer others.
    let rehearsal = web::block(move || {
        let named = others.iter().filter(|other| other.name != campaign.name);
        let others = live(&named.collect::<Vec<_>>());
        let history = History::default();
        let learned = Arc::clone(&learned);
        over(&closed, &campaign, &others, |case| {
            cases::grounds(&state, case, &learned, &history)
        })
    });
    let rehearsal = rehearsal.await.map_err(|_| Problem::internal())?.map_err(too_large)?;
    Ok(RehearsalReport {
        campaign: version,
        from,
        to,
        rehearsal,
    })
}
