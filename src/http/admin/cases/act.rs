//! `POST /v1/cases/{id}/...`: what staff can ask for.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, post, web};
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::domain::approval::Weighty;
use crate::domain::command::Refusal;
use crate::domain::event::StaffAction;
use crate::engine::StaffError;
use crate::http::HttpState;
use crate::http::admin::approvals::{self, ApprovalJson};
use crate::http::auth::Caller;
use crate::http::body::JsonBody;
use crate::http::error::Problem;
use crate::http::wire;
use crate::http::wire::case::CaseJson;

/// The longest remark, in characters.
const COMMENT_CHARS_MAX: usize = 2_000;

/// What goes with an act. An empty body is allowed.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ActBody {
    /// A remark for the timeline and the audit.
    #[schema(max_length = 2000)]
    pub comment: Option<String>,
}

/// What goes with an act that ends a case. An empty body is allowed.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EndBody {
    /// Whether it takes effect a minute later, so that it can be undone until then. Nothing is charged and nothing is written meanwhile.
    #[serde(default)]
    pub undoable: bool,
    /// A remark for the timeline and the audit.
    #[schema(max_length = 2000)]
    pub comment: Option<String>,
}

/// What goes with a pause.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PauseBody {
    /// When the case goes on by itself; it must lie ahead.
    #[schema(format = DateTime)]
    pub until: String,
    /// A remark for the timeline and the audit.
    #[schema(max_length = 2000)]
    pub comment: Option<String>,
}

/// A note.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NoteBody {
    /// The note.
    #[schema(min_length = 1, max_length = 2000, pattern = "\\S")]
    pub comment: String,
}

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(retry)
        .service(pause)
        .service(resume)
        .service(stop)
        .service(mark_paid)
        .service(write_off)
        .service(undo)
        .service(notes);
}

/// Charges now, where rules and state allow it.
#[utoipa::path(tag = "cases", request_body = inline(Option<ActBody>), responses((status = 200, description = "The case as it is now.", body = CaseJson), (status = 202, description = "A second person has to approve it.", body = ApprovalJson)))]
#[post("/v1/cases/{id}/retry")]
async fn retry(
    state: web::Data<HttpState>,
    caller: Caller,
    id: web::Path<String>,
    body: JsonBody<ActBody>,
) -> Result<HttpResponse, Problem> {
    answer(&state, &caller, id, StaffAction::Retry, body.0.comment).await
}

/// Does nothing until an instant.
#[utoipa::path(tag = "cases", request_body = PauseBody, responses((status = 200, description = "The case as it is now.", body = CaseJson)))]
#[post("/v1/cases/{id}/pause")]
async fn pause(
    state: web::Data<HttpState>,
    caller: Caller,
    id: web::Path<String>,
    body: JsonBody<PauseBody>,
) -> Result<HttpResponse, Problem> {
    let until = wire::instant("until", &body.0.until)?;
    answer(&state, &caller, id, StaffAction::Pause { until }, body.0.comment).await
}

/// Goes on with a paused case; skipped steps are not made up for.
#[utoipa::path(tag = "cases", request_body = inline(Option<ActBody>), responses((status = 200, description = "The case as it is now.", body = CaseJson)))]
#[post("/v1/cases/{id}/resume")]
async fn resume(
    state: web::Data<HttpState>,
    caller: Caller,
    id: web::Path<String>,
    body: JsonBody<ActBody>,
) -> Result<HttpResponse, Problem> {
    answer(&state, &caller, id, StaffAction::Resume, body.0.comment).await
}

/// Ends the chase and leaves the invoice as it is.
#[utoipa::path(tag = "cases", request_body = inline(Option<EndBody>), responses((status = 200, description = "The case as it is now.", body = CaseJson), (status = 202, description = "A second person has to approve it.", body = ApprovalJson)))]
#[post("/v1/cases/{id}/stop")]
async fn stop(
    state: web::Data<HttpState>,
    caller: Caller,
    id: web::Path<String>,
    body: JsonBody<EndBody>,
) -> Result<HttpResponse, Problem> {
    answer(
        &state,
        &caller,
        id,
        ending(Weighty::Stop, body.0.undoable),
        body.0.comment,
    )
    .await
}

/// Says that the money came another way.
#[utoipa::path(tag = "cases", request_body = inline(Option<EndBody>), responses((status = 200, description = "The case as it is now.", body = CaseJson), (status = 202, description = "A second person has to approve it.", body = ApprovalJson)))]
#[post("/v1/cases/{id}/mark-paid")]
async fn mark_paid(
    state: web::Data<HttpState>,
    caller: Caller,
    id: web::Path<String>,
    body: JsonBody<EndBody>,
) -> Result<HttpResponse, Problem> {
    answer(
        &state,
        &caller,
        id,
        ending(Weighty::MarkPaid, body.0.undoable),
        body.0.comment,
    )
    .await
}

/// Gives the invoice up, at the provider too.
#[utoipa::path(tag = "cases", request_body = inline(Option<EndBody>), responses((status = 200, description = "The case as it is now.", body = CaseJson), (status = 202, description = "A second person has to approve it.", body = ApprovalJson)))]
#[post("/v1/cases/{id}/write-off")]
async fn write_off(
    state: web::Data<HttpState>,
    caller: Caller,
    id: web::Path<String>,
    body: JsonBody<EndBody>,
) -> Result<HttpResponse, Problem> {
    answer(
        &state,
        &caller,
        id,
        ending(Weighty::WriteOff, body.0.undoable),
        body.0.comment,
    )
    .await
}

/// Writes a note into the timeline; nothing else happens.
#[utoipa::path(tag = "cases", request_body = NoteBody, responses((status = 200, description = "The case as it is now.", body = CaseJson)))]
#[post("/v1/cases/{id}/notes")]
async fn notes(
    state: web::Data<HttpState>,
    caller: Caller,
    id: web::Path<String>,
    body: JsonBody<NoteBody>,
) -> Result<HttpResponse, Problem> {
    if body.0.comment.trim().is_empty() {
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "bad_field",
            "a note needs a comment",
        ));
    }
    answer(&state, &caller, id, StaffAction::Note, Some(body.0.comment)).await
}

/// An act that ends a case: at once, or after the minute in which it can be undone.
pub(in crate::http) const fn ending(act: Weighty, undoable: bool) -> StaffAction {
    if undoable { StaffAction::Soon(act) } else { act.action() }
}

/// Takes the last act back, as long as nothing has followed from it, for a minute.
#[utoipa::path(tag = "cases", request_body = inline(Option<ActBody>), responses((status = 200, description = "The case as it is now.", body = CaseJson)))]
#[post("/v1/cases/{id}/undo")]
async fn undo(
    state: web::Data<HttpState>,
    caller: Caller,
    id: web::Path<String>,
    body: JsonBody<ActBody>,
) -> Result<HttpResponse, Problem> {
    answer(&state, &caller, id, StaffAction::Undo, body.0.comment).await
}

pub(super) async fn answer(
    state: &HttpState,
    caller: &Caller,
    id: web::Path<String>,
    action: StaffAction,
    comment: Option<String>,
) -> Result<HttpResponse, Problem> {
    Ok(match act(state, caller, id.into_inner(), action, comment).await? {
        Acted::Done(case) => HttpResponse::Ok().json(case),
        Acted::Waits(approval) => HttpResponse::Accepted().json(approval),
    })
}

/// What became of an act.
pub(in crate::http) enum Acted {
    /// It was done.
    Done(Box<CaseJson>),
    /// A second person has to approve it.
    Waits(Box<ApprovalJson>),
}

/// Acts on a case in the caller's name, or asks for a second person where that is needed.
pub(in crate::http) async fn act(
    state: &HttpState,
    caller: &Caller,
    id: String,
    action: StaffAction,
    comment: Option<String>,
) -> Result<Acted, Problem> {
    let comment = remark(comment.as_deref())?;
    let case = super::find(state, id).await?;
    if let Some(act) = approvals::needed(state, &case, &action) {
        let asked = approvals::ask(state, caller, &case, act, comment).await?;
        return Ok(Acted::Waits(Box::new(asked)));
    }
    let done = state.engine.staff(&case.id, action, &caller.name, comment).await;
    let case = done.map_err(refused)?;
    Ok(Acted::Done(Box::new(CaseJson::of(&case, caller.role))))
}

/// Why an act was not done.
pub(in crate::http) fn refused(error: StaffError) -> Problem {
    match error {
        StaffError::NotFound => Problem::not_found("there is no such case"),
        StaffError::Refused(reason) => Problem::new(
            StatusCode::CONFLICT,
            reason.as_str(),
            "the case does not allow this now; the code says why",
        ),
        StaffError::Forbidden(Refusal { reason, rule, until }) => {
            let detail = match until {
                Some(until) => format!("the rule {rule} allows no charge before {until}"),
                None => format!("the rule {rule} allows no further charge of this payment method"),
            };
            Problem::new(StatusCode::CONFLICT, reason.as_str(), detail)
        }
        StaffError::Store(error) => error.into(),
    }
}

/// A remark as it is kept; an empty one is none.
pub(in crate::http) fn remark(comment: Option<&str>) -> Result<Option<String>, Problem> {
    let comment = comment.map(str::trim).filter(|comment| !comment.is_empty());
    comment.map(checked_comment).transpose()
}

fn checked_comment(comment: &str) -> Result<String, Problem> {
    let odd = |letter: char| letter.is_control() && letter != '\n' && letter != '\t' && letter != '\r';
    if comment.chars().count() > COMMENT_CHARS_MAX || comment.chars().any(odd) {
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "bad_field",
            format!("comment must be at most {COMMENT_CHARS_MAX} printable characters"),
        ));
    }
    Ok(comment.to_owned())
}
