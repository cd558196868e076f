//! `GET /v1/audit`

use actix_web::{HttpResponse, get, web};
use serde::Deserialize;

use crate::http::HttpState;
use crate::http::error::Problem;
use crate::http::page::{self, Page, Window};
use crate::http::wire::history::AuditJson;
use crate::store::audit::{self, AuditFilter};

/// Which entries to list.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Only those of somebody of this name.
    pub actor: Option<String>,
    /// Only those of this act, such as `pause` or `keys.create`.
    pub action: Option<String>,
    /// Only those about the thing of this id: a case, an event, a key, a person.
    pub object: Option<String>,
    /// How many, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    pub limit: Option<u64>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
}

impl AuditQuery {
    /// The page of the log that is asked for.
    pub(in crate::http) async fn page(&self, state: &HttpState) -> Result<Page<AuditJson>, Problem> {
        let window = Window::of(self.limit, self.cursor.as_deref())?;
        let after = window.after.clone().map(Into::into);
        let filter = AuditFilter {
            actor: page::plain("actor", self.actor.clone())?,
            action: page::plain("action", self.action.clone())?,
            object: page::plain("object", self.object.clone())?,
        };
        let rows = audit::list(state.store.conn(), &filter, after.as_ref(), window.rows()).await?;
        Ok(window.page(rows, |row| row.id.as_str(), |row| AuditJson::from(row)))
    }
}

/// Lists what people and programs with a key did, newest first.
#[utoipa::path(tag = "audit", params(AuditQuery), responses((status = 200, description = "A page of the audit.", body = Page<AuditJson>)))]
#[get("/v1/audit")]
pub(super) async fn list(state: web::Data<HttpState>, query: web::Query<AuditQuery>) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(query.page(&state).await?))
}
