//! `GET /v1/audit`

use actix_web::{HttpResponse, get, web};

use crate::http::HttpState;
use crate::http::error::Problem;
use crate::http::page::{ListQuery, Page, Window};
use crate::http::wire::history::AuditJson;
use crate::store::audit;

/// Lists what people and programs with a key did, newest first.
#[utoipa::path(tag = "audit", params(ListQuery), responses((status = 200, description = "A page of the audit.", body = Page<AuditJson>)))]
#[get("/v1/audit")]
pub(super) async fn list(state: web::Data<HttpState>, query: web::Query<ListQuery>) -> Result<HttpResponse, Problem> {
    let window = Window::of(query.limit, query.cursor.as_deref())?;
    let after = window.after.clone().map(Into::into);
    let rows = audit::list(state.store.conn(), after.as_ref(), window.rows()).await?;
    Ok(HttpResponse::Ok().json(window.page(rows, |row| row.id.as_str(), |row| AuditJson::from(row))))
}
