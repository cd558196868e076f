//! `POST /v1/inbox/{id}/rerun`

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, post, web};

use crate::clock;
use crate::domain::ids::{AuditId, InboxId};
use crate::http::HttpState;
use crate::http::auth::Caller;
use crate::http::body::JsonBody;
use crate::http::error::Problem;
use crate::http::page;
use crate::http::wire::history::InboxJson;
use crate::store::audit::{self, AuditRow};
use crate::store::inbox::{self, InboxRow};

use super::super::NoBody;

/// The code of the problem that an event is not dead.
pub(in crate::http) const NOT_DEAD: &str = "not_dead";

/// Tries a dead event again.
#[utoipa::path(tag = "inbox", request_body = inline(Option<NoBody>), responses((status = 200, description = "The event, pending again.", body = InboxJson)))]
#[post("/v1/inbox/{id}/rerun")]
pub(super) async fn rerun(
    state: web::Data<HttpState>,
    caller: Caller,
    id: web::Path<String>,
    _: JsonBody<NoBody>,
) -> Result<HttpResponse, Problem> {
    let row = revive(&state, &caller, id.into_inner()).await?;
    Ok(HttpResponse::Ok().json(InboxJson::from(&row)))
}

/// Puts a dead event back into the queue in the caller's name.
pub(in crate::http) async fn revive(state: &HttpState, caller: &Caller, id: String) -> Result<InboxRow, Problem> {
    let id = InboxId::from(page::known(id)?);
    let store = &state.store;
    let now = state.engine.clock().now();
    let tx = store.begin().await?;
    let revived = inbox::rerun(&tx, &id, now).await?;
    if revived {
        let entry = AuditRow {
            id: AuditId::new(now.as_millisecond(), clock::entropy()),
            at: now,
            actor: caller.name.clone(),
            action: "inbox.rerun".to_owned(),
            object: id.to_string(),
            comment: None,
        };
        audit::append(&tx, &entry).await?;
    }
    tx.commit().await?;
    let row = inbox::find(store.conn(), &id).await?;
    let row = row.ok_or_else(|| Problem::not_found("there is no such event"))?;
    if !revived {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            NOT_DEAD,
            "only a dead event can be tried again",
        ));
    }
    state.engine.nudge();
    Ok(row)
}
