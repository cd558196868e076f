//! `/v1/approvals`: acts above an amount that wait for a second person.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, get, post, web};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::cases::act::{self, ActBody, remark};
use crate::clock;
use crate::domain::approval::{ApprovalStatus, Ask, EXPIRES_HOURS, Ruling, Weighty, is_needed};
use crate::domain::case::Case;
use crate::domain::event::StaffAction;
use crate::domain::ids::ApprovalId;
use crate::http::HttpState;
use crate::http::auth::Caller;
use crate::http::body::JsonBody;
use crate::http::error::Problem;
use crate::http::page::{self, Page, Window};
use crate::http::wire::{Instant, MoneyJson};
use crate::store::approvals::{self, ApprovalRow};

/// An act that waits for a second person, or waited.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Approval)]
pub struct ApprovalJson {
    /// Its id.
    pub id: String,
    /// The case.
    pub case_id: String,
    /// What is asked for.
    pub act: Weighty,
    /// What was owed when it was asked for. A case that owes more by now asks anew.
    pub amount: MoneyJson,
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

impl ApprovalJson {
    /// The approval as it stands at `now`.
    pub fn of(row: &ApprovalRow, now: jiff::Timestamp) -> Self {
        Self {
            id: row.id.to_string(),
            case_id: row.case_id.to_string(),
            act: row.act,
            amount: row.amount.into(),
            status: row.status_at(now),
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

/// Which approvals to list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ApprovalsQuery {
    /// Only those that stand so.
    #[param(inline)]
    status: Option<ApprovalStatus>,
    /// How many, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u64>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists acts that wait for a second person, or waited, newest first.
#[utoipa::path(tag = "approvals", params(ApprovalsQuery), responses((status = 200, description = "A page of approvals.", body = Page<ApprovalJson>)))]
#[get("/v1/approvals")]
pub(super) async fn list(
    state: web::Data<HttpState>,
    query: web::Query<ApprovalsQuery>,
) -> Result<HttpResponse, Problem> {
    let query = query.into_inner();
    let window = Window::of(query.limit, query.cursor.as_deref())?;
    let after = window.after.clone().map(Into::into);
    let now = state.engine.clock().now();
    let which = (query.status, now);
    let rows = approvals::list(state.store.conn(), which, after.as_ref(), window.rows()).await?;
    Ok(HttpResponse::Ok().json(window.page(rows, |row| row.id.as_str(), |row| ApprovalJson::of(row, now))))
}

/// Approves what another person asked for: it is done at once, or refused with the reason for which the case does not allow it now.
#[utoipa::path(tag = "approvals", request_body = inline(Option<ActBody>), responses((status = 200, description = "The approval.", body = ApprovalJson)))]
#[post("/v1/approvals/{id}/approve")]
pub(super) async fn approve(
    state: web::Data<HttpState>,
    caller: Caller,
    id: web::Path<String>,
    body: JsonBody<ActBody>,
) -> Result<HttpResponse, Problem> {
    let ruled = rule(&state, &caller, id.into_inner(), (true, body.0.comment)).await?;
    Ok(HttpResponse::Ok().json(ruled))
}

/// Refuses what another person asked for: nothing is done.
#[utoipa::path(tag = "approvals", request_body = inline(Option<ActBody>), responses((status = 200, description = "The approval.", body = ApprovalJson)))]
#[post("/v1/approvals/{id}/refuse")]
pub(super) async fn refuse(
    state: web::Data<HttpState>,
    caller: Caller,
    id: web::Path<String>,
    body: JsonBody<ActBody>,
) -> Result<HttpResponse, Problem> {
    let ruled = rule(&state, &caller, id.into_inner(), (false, body.0.comment)).await?;
    Ok(HttpResponse::Ok().json(ruled))
}

/// The act that a second person has to approve, where one has to.
pub(super) fn needed(state: &HttpState, case: &Case, action: &StaffAction) -> Option<Weighty> {
    Weighty::of(action).filter(|_| is_needed(&state.approval_above, case.amount_due))
}

/// Asks for a second person.
pub(super) async fn ask(
    state: &HttpState,
    caller: &Caller,
    case: &Case,
    act: Weighty,
    comment: Option<String>,
) -> Result<ApprovalJson, Problem> {
    let now = state.engine.clock().now();
    let conn = state.store.conn();
    if let Some(waiting) = approvals::waiting(conn, &case.id, act, now).await? {
        let detail = format!(
            "{} asked for the same, and it waits for a second person",
            waiting.asked_by
        );
        return Err(Problem::new(StatusCode::CONFLICT, "approval_pending", detail));
    }
    let id = ApprovalId::new(now.as_millisecond(), clock::entropy());
    let expires_at = now.saturating_add(SignedDuration::from_hours(EXPIRES_HOURS.into()));
    let ask = StaffAction::Ask(Box::new(Ask {
        id: id.clone(),
        act,
        asker_id: caller.key_id.clone(),
        expires_at: expires_at.unwrap_or(now),
    }));
    let asked = state.engine.staff(&case.id, ask, &caller.name, comment).await;
    asked.map_err(act::refused)?;
    shown(state, &id).await
}

/// Decides on what another person asked for, in the caller's name.
pub(in crate::http) async fn rule(
    state: &HttpState,
    caller: &Caller,
    id: String,
    (yes, comment): (bool, Option<String>),
) -> Result<ApprovalJson, Problem> {
    let comment = remark(comment.as_deref())?;
    let id = ApprovalId::from(page::known(id)?);
    let row = approvals::find(state.store.conn(), &id).await?;
    let row = row.ok_or_else(|| Problem::not_found("there is no such approval"))?;
    may_rule(caller, row.status_at(state.engine.clock().now()), &row.asker_id)?;
    let case = crate::store::cases::find(state.store.conn(), &row.case_id).await?;
    let owes_more = case.is_some_and(|case| is_more(&case, &row));
    if yes && owes_more {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "amount_changed",
            "the case owes more than when it was asked for; it has to be asked for anew",
        ));
    }
    let ruling = Box::new(Ruling {
        id: id.clone(),
        act: row.act,
        asked_by: row.asked_by,
        ruler_id: caller.key_id.clone(),
    });
    let action = if yes {
        StaffAction::Approve(ruling)
    } else {
        StaffAction::Refuse(ruling)
    };
    let ruled = state.engine.staff(&row.case_id, action, &caller.name, comment).await;
    ruled.map_err(act::refused)?;
    shown(state, &id).await
}

/// Whether the caller may decide on what stands so and was asked for by that key or person.
pub(super) fn may_rule(caller: &Caller, status: ApprovalStatus, asker_id: &str) -> Result<(), Problem> {
    let refused = |code, detail| Err(Problem::new(StatusCode::CONFLICT, code, detail));
    match status {
        ApprovalStatus::Expired => refused(
            "approval_expired",
            "nobody decided in time; it has to be asked for anew",
        ),
        ApprovalStatus::Approved | ApprovalStatus::Refused => {
            refused("approval_decided", "somebody has decided already")
        }
        ApprovalStatus::Pending if asker_id == caller.key_id => {
            refused("own_approval", "nobody decides on what they asked for themselves")
        }
        ApprovalStatus::Pending => Ok(()),
    }
}

fn is_more(case: &Case, row: &ApprovalRow) -> bool {
    case.amount_due.currency != row.amount.currency || case.amount_due.amount_minor > row.amount.amount_minor
}

async fn shown(state: &HttpState, id: &ApprovalId) -> Result<ApprovalJson, Problem> {
    let row = approvals::find(state.store.conn(), id).await?;
    let row = row.ok_or_else(|| Problem::not_found("there is no such approval"))?;
    Ok(ApprovalJson::of(&row, state.engine.clock().now()))
}
