//! A version of a campaign that waits for a second person: what changes, and the decision.

use actix_web::{HttpRequest, HttpResponse, get, post, web};
use minijinja::value::Serde;
use minijinja::{Value, context};
use serde::Deserialize;

use super::campaigns::{changes, since_newest};
use super::{Stop, session, shown, to};
use crate::domain::approval::ApprovalStatus;
use crate::domain::ids::PublicationId;
use crate::domain::role::Role;
use crate::http::HttpState;
use crate::http::admin::publications::{self as ruling, PublicationJson};
use crate::http::error::Problem;
use crate::http::page::known;
use crate::store::publications::{self, PublicationRow};

/// What the page was asked to report.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Report {
    done: Option<String>,
}

#[get("/dashboard/publications/{id}")]
pub(super) async fn page(
    state: web::Data<HttpState>,
    request: HttpRequest,
    id: web::Path<String>,
    report: web::Query<Report>,
) -> Result<HttpResponse, Stop> {
    let visitor = session::visitor(&state, &request, Role::Viewer).await?;
    let row = found(&state, id.into_inner()).await?;
    render(&state, &visitor, &row, (report.done.as_deref(), None)).await
}

#[post("/dashboard/publications/{id}")]
pub(super) async fn rule(
    state: web::Data<HttpState>,
    request: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, Stop> {
    let visitor = session::visitor(&state, &request, Role::Admin).await?;
    let fields = session::posted(&state, &request, payload).await?;
    let (yes, done) = match fields.get("ruling").map(String::as_str) {
        Some("approve") => (true, "approve"),
        Some("refuse") => (false, "refuse"),
        Some(_) | None => return Err(Problem::bad_request("bad_field", "approve or refuse").into()),
    };
    let id = id.into_inner();
    let comment = fields.get("comment").filter(|text| !text.trim().is_empty()).cloned();
    match ruling::rule(&state, &visitor.caller, id.clone(), (yes, comment)).await {
        Ok(_) => Ok(to(&format!("/dashboard/publications/{id}?done={done}"))),
        Err(problem) if matches!(problem.status.as_u16(), 409 | 422) => {
            let row = found(&state, id).await?;
            render(&state, &visitor, &row, (None, Some(&problem.detail))).await
        }
        Err(problem) => Err(problem.into()),
    }
}

async fn found(state: &HttpState, id: String) -> Result<PublicationRow, Problem> {
    let row = publications::find(state.store.conn(), &PublicationId::from(known(id)?)).await?;
    row.ok_or_else(|| Problem::not_found("there is no such publication"))
}

async fn render(
    state: &HttpState,
    visitor: &session::Visitor,
    row: &PublicationRow,
    (done, refused): (Option<&str>, Option<&str>),
) -> Result<HttpResponse, Stop> {
    let one = PublicationJson::of(row, state.engine.clock().now());
    // What was published is the newest itself, or older than that.
    let diff = match one.status {
        ApprovalStatus::Pending => since_newest(state, &row.version, &row.text).await?,
        ApprovalStatus::Approved | ApprovalStatus::Refused | ApprovalStatus::Expired => None,
    };
    let context = context! {
        section => "campaigns",
        one => Value::from(Serde(one)),
        yours => row.asker_id == visitor.caller.key_id,
        publishes => visitor.caller.role.allows(Role::Admin),
        changes => diff.as_deref().map(changes),
        done,
        refused,
    };
    Ok(shown("publication.html", visitor, &context))
}
