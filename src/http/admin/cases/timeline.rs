//! `GET /v1/cases/{id}/timeline`

use actix_web::{HttpResponse, get, web};

use crate::http::HttpState;
use crate::http::error::Problem;
use crate::http::page::{ListQuery, Page, Window};
use crate::http::wire::history::TimelineJson;
use crate::store::timeline::by_case;

/// Tells what happened to a case, oldest first.
#[utoipa::path(tag = "cases", params(ListQuery), responses((status = 200, description = "A page of its timeline.", body = Page<TimelineJson>)))]
#[get("/v1/cases/{id}/timeline")]
pub(super) async fn timeline(
    state: web::Data<HttpState>,
    id: web::Path<String>,
    query: web::Query<ListQuery>,
) -> Result<HttpResponse, Problem> {
    let window = Window::of(query.limit, query.cursor.as_deref())?;
    let case = super::find(&state, id.into_inner()).await?;
    let after = window.after.clone().map(Into::into);
    let conn = state.store.conn();
    let rows = by_case(conn, &case.id, window.rows(), after.as_ref()).await?;
    Ok(HttpResponse::Ok().json(window.page(rows, |row| row.id.as_str(), |row| TimelineJson::from(row))))
}
