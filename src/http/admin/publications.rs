//! `/v1/publications`: versions of campaigns that wait for a second person, where one has to approve them.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, get, post, web};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::approvals;
use super::campaigns::create;
use super::cases::act::{ActBody, remark};
use crate::clock;
use crate::domain::approval::{ApprovalStatus, EXPIRES_HOURS};
use crate::domain::campaign::Campaign;
use crate::domain::case::CampaignRef;
use crate::domain::ids::{AuditId, PublicationId};
use crate::http::HttpState;
use crate::http::auth::Caller;
use crate::http::body::JsonBody;
use crate::http::error::Problem;
use crate::http::page::{self, Page, Window};
use crate::http::wire::Instant;
use crate::store::audit::{self, AuditRow};
use crate::store::publications::{self, PublicationRow, Ruled};
use crate::store::{StoreError, Tx};

/// A version of a campaign that waits for a second person, or waited.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Publication)]
pub struct PublicationJson {
    /// Its id.
    pub id: String,
    /// The version.
    pub campaign: CampaignRef,
    /// The campaign as its TOML file.
    pub text: String,
    /// Where it stands.
    pub status: ApprovalStatus,
    /// Who asked.
    pub asked_by: String,
    /// When.
    pub asked_at: Instant,
    /// Until when it can be decided.
    pub expires_at: Instant,
    /// The remark given with it.
    pub comment: Option<String>,
    /// Who decided.
    pub ruled_by: Option<String>,
    /// When.
    pub ruled_at: Option<Instant>,
    /// The remark given with the decision.
    pub ruling_comment: Option<String>,
}

impl PublicationJson {
    /// The publication as it stands at `now`.
    pub fn of(row: &PublicationRow, now: Timestamp) -> Self {
        Self {
            id: row.id.to_string(),
            campaign: row.version.clone(),
            text: row.text.clone(),
            status: row.status.at(row.expires_at, now),
            asked_by: row.asked_by.clone(),
            asked_at: Instant(row.asked_at),
            expires_at: Instant(row.expires_at),
            comment: row.comment.clone(),
            ruled_by: row.ruled_by.clone(),
            ruled_at: row.ruled_at.map(Instant),
            ruling_comment: row.ruling_comment.clone(),
        }
    }
}

/// Which part of the list to give.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PublicationsQuery {
    /// How many, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u64>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists versions of campaigns that wait for a second person, or waited, newest first.
#[utoipa::path(tag = "campaigns", params(PublicationsQuery), responses((status = 200, description = "A page of publications.", body = Page<PublicationJson>)))]
#[get("/v1/publications")]
pub(super) async fn list(
    state: web::Data<HttpState>,
    query: web::Query<PublicationsQuery>,
) -> Result<HttpResponse, Problem> {
    let query = query.into_inner();
    let window = Window::of(query.limit, query.cursor.as_deref())?;
    let after = window.after.clone().map(Into::into);
    let now = state.engine.clock().now();
    let rows = publications::list(state.store.conn(), after.as_ref(), window.rows()).await?;
    Ok(HttpResponse::Ok().json(window.page(rows, |row| row.id.as_str(), |row| PublicationJson::of(row, now))))
}

/// Approves what another person wants to publish: it is looked over once more, beside all versions there are by now, and published.
#[utoipa::path(tag = "campaigns", request_body = inline(Option<ActBody>), responses((status = 200, description = "The publication.", body = PublicationJson)))]
#[post("/v1/publications/{id}/approve")]
pub(super) async fn approve(
    state: web::Data<HttpState>,
    caller: Caller,
    id: web::Path<String>,
    body: JsonBody<ActBody>,
) -> Result<HttpResponse, Problem> {
    let ruled = rule(&state, &caller, id.into_inner(), (true, body.0.comment)).await?;
    Ok(HttpResponse::Ok().json(ruled))
}

/// Refuses what another person wants to publish: nothing is published.
#[utoipa::path(tag = "campaigns", request_body = inline(Option<ActBody>), responses((status = 200, description = "The publication.", body = PublicationJson)))]
#[post("/v1/publications/{id}/refuse")]
pub(super) async fn refuse(
    state: web::Data<HttpState>,
    caller: Caller,
    id: web::Path<String>,
    body: JsonBody<ActBody>,
) -> Result<HttpResponse, Problem> {
    let ruled = rule(&state, &caller, id.into_inner(), (false, body.0.comment)).await?;
    Ok(HttpResponse::Ok().json(ruled))
}

/// Asks for a second person to publish a text that was looked over.
pub(super) async fn ask(
    tx: &Tx,
    caller: &Caller,
    (campaign, text): (&Campaign, &str),
    now: Timestamp,
) -> Result<PublicationRow, Problem> {
    let expires_at = now.saturating_add(SignedDuration::from_hours(EXPIRES_HOURS.into()));
    let row = PublicationRow {
        id: PublicationId::new(now.as_millisecond(), clock::entropy()),
        version: CampaignRef::of(campaign),
        text: text.to_owned(),
        asked_by: caller.name.clone(),
        asker_id: caller.key_id.clone(),
        asked_at: now,
        expires_at: expires_at.unwrap_or(now),
        comment: None,
        status: ApprovalStatus::Pending,
        ruled_by: None,
        ruled_at: None,
        ruling_comment: None,
    };
    publications::ask(tx, &row).await.map_err(|error| match error {
        StoreError::Conflict(detail) => Problem::new(StatusCode::CONFLICT, "approval_pending", detail),
        error => error.into(),
    })?;
    audit::append(tx, &told(caller, "publications.ask", &row, None, now)).await?;
    Ok(row)
}

/// Decides on what another person wants to publish, in the caller's name.
pub(in crate::http) async fn rule(
    state: &HttpState,
    caller: &Caller,
    id: String,
    (yes, comment): (bool, Option<String>),
) -> Result<PublicationJson, Problem> {
    let comment = remark(comment.as_deref())?;
    let id = PublicationId::from(page::known(id)?);
    let now = state.engine.clock().now();
    let tx = state.store.begin().await?;
    let row = publications::find(tx.conn(), &id).await?;
    let row = row.ok_or_else(|| Problem::not_found("there is no such publication"))?;
    approvals::may_rule(caller, row.status.at(row.expires_at, now), &row.asker_id)?;
    let (status, action) = if yes {
        create::put(&tx, &row.text, now).await?;
        (ApprovalStatus::Approved, "publications.approve")
    } else {
        (ApprovalStatus::Refused, "publications.refuse")
    };
    let ruled = Ruled {
        status,
        by: &caller.name,
        ruler_id: &caller.key_id,
        at: now,
        comment: comment.clone(),
    };
    publications::rule(&tx, &id, &ruled)
        .await
        .map_err(|error| match error {
            StoreError::Conflict(detail) => Problem::new(StatusCode::CONFLICT, "approval_decided", detail),
            error => error.into(),
        })?;
    audit::append(&tx, &told(caller, action, &row, comment, now)).await?;
    tx.commit().await?;
    if yes {
        state.engine.hear_of_campaigns().await?;
    }
    let row = publications::find(state.store.conn(), &id).await?;
    let row = row.ok_or_else(|| Problem::not_found("there is no such publication"))?;
    Ok(PublicationJson::of(&row, now))
}

fn told(caller: &Caller, action: &str, row: &PublicationRow, comment: Option<String>, now: Timestamp) -> AuditRow {
    AuditRow {
        id: AuditId::new(now.as_millisecond(), clock::entropy()),
        at: now,
        actor: caller.name.clone(),
        action: action.to_owned(),
        object: row.version.to_string(),
        comment,
    }
}
