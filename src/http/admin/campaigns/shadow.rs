//! `GET /v1/campaigns/{name}/shadow`

use std::collections::BTreeSet;

use actix_web::{HttpResponse, get, web};
use serde::Serialize;

use crate::domain::case::CampaignRef;
use crate::domain::decide::shadow::{Differs, Plan};
use crate::http::HttpState;
use crate::http::error::Problem;
use crate::http::page;
use crate::http::wire::Instant;
use crate::store::campaigns;
use crate::store::shadows::{self, ShadowRow};

/// How many plans are compared, and how many of those that differ are shown.
const PLANS_MAX: u64 = 10_000;
const SHOWN_MAX: usize = 50;

/// What a shadow would have planned otherwise.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ShadowReport {
    /// The shadow.
    pub shadow: CampaignRef,
    /// Since when its plans are kept, as far as they are compared here; nothing where there is none.
    pub since: Option<Instant>,
    /// When it was computed.
    pub as_of: Instant,
    /// How many plans are compared: each time a case was planned, the shadow planned beside it. The newest 10,000, of the last 90 days.
    pub plans: usize,
    /// Of how many cases.
    pub cases: usize,
    /// How many plans are alike.
    pub alike: usize,
    /// In how many both plan a charge, and the shadow's comes sooner.
    pub charge_sooner: usize,
    /// In how many it comes later.
    pub charge_later: usize,
    /// In how many only the shadow plans one.
    pub charge_only_shadow: usize,
    /// In how many only the live version plans one.
    pub charge_only_live: usize,
    /// By how many hours the shadow's charge comes later, in the middle one of those in which both plan one; negative where sooner.
    pub charge_shift_hours: Option<i64>,
    /// In how many the next message or its instant differs.
    pub messages_differ: usize,
    /// In how many the end differs.
    pub ends_differ: usize,
    /// The newest of those that differ.
    pub data: Vec<ShadowPlan>,
}

/// Two plans of one case at one instant.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ShadowPlan {
    /// When both were made.
    pub at: Instant,
    /// The version that counted.
    pub live_version: u32,
    /// Its plan.
    pub live: Plan,
    /// The shadow's.
    pub shadow: Plan,
    /// In what they differ.
    pub differs: Vec<Differs>,
}

/// Says what the shadow of a campaign would have planned otherwise on real cases; nothing of it was carried out.
///
/// The shadow is the newest version with `shadow = true`.
#[utoipa::path(
    tag = "campaigns",
    params(("name" = String, Path, description = "The campaign.")),
    responses((status = 200, description = "The differences.", body = ShadowReport)),
)]
#[get("/v1/campaigns/{name}/shadow")]
pub(in crate::http::admin) async fn shadow(
    state: web::Data<HttpState>,
    name: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let name = page::known(name.into_inner())?;
    let conn = state.reports.conn();
    let all = campaigns::list(conn).await?;
    let shadows = all.iter().filter(|campaign| campaign.name == name && campaign.shadow);
    let newest = shadows.max_by_key(|campaign| campaign.version).map(CampaignRef::of);
    let newest = newest.ok_or_else(|| Problem::not_found("the campaign has no shadow"))?;
    let rows = shadows::newest(conn, &newest, PLANS_MAX).await?;
    let now = state.engine.clock().now();
    Ok(HttpResponse::Ok().json(compared(newest, &rows, Instant(now))))
}

fn compared(of: CampaignRef, rows: &[ShadowRow], as_of: Instant) -> ShadowReport {
    let differs: Vec<Vec<Differs>> = rows.iter().map(|row| row.live.differs(&row.shadow)).collect();
    let with = |word: Differs| differs.iter().filter(|words| words.contains(&word)).count();
    let mut shifts: Vec<i64> = rows
        .iter()
        .filter_map(|row| Some(row.shadow.charge_at?.duration_since(row.live.charge_at?).as_secs()))
        .collect();
    shifts.sort_unstable();
    let charges = |live: bool, other: bool| {
        let alike = |row: &&ShadowRow| (row.live.charge_at.is_some(), row.shadow.charge_at.is_some()) == (live, other);
        rows.iter().filter(alike).count()
    };
    let shown = rows
        .iter()
        .zip(&differs)
        .filter(|(_, words)| !words.is_empty())
        .take(SHOWN_MAX);
    ShadowReport {
        shadow: of,
        since: rows.last().map(|row| Instant(row.at)),
        as_of,
        plans: rows.len(),
        cases: rows.iter().map(|row| &row.case_id).collect::<BTreeSet<_>>().len(),
        alike: differs.iter().filter(|words| words.is_empty()).count(),
        charge_sooner: shifts.iter().filter(|secs| **secs < 0).count(),
        charge_later: shifts.iter().filter(|secs| **secs > 0).count(),
        charge_only_shadow: charges(false, true),
        charge_only_live: charges(true, false),
        charge_shift_hours: shifts.get(shifts.len() / 2).map(|secs| secs / 3600),
        messages_differ: with(Differs::Message),
        ends_differ: with(Differs::End),
        data: shown
            .map(|(row, words)| ShadowPlan {
                at: Instant(row.at),
                live_version: row.live_version,
                live: row.live.clone(),
                shadow: row.shadow.clone(),
                differs: words.clone(),
            })
            .collect(),
    }
}
