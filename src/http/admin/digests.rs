//! `GET /v1/digests`

use actix_web::{HttpResponse, get, web};
use serde::Deserialize;

use crate::http::HttpState;
use crate::http::auth::Caller;
use crate::http::error::Problem;
use crate::http::page::{Page, Window};
use crate::http::wire::history::DigestJson;
use crate::store::digests;

/// Which digests to list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DigestsQuery {
    /// How many, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u64>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists the weekly digests to staff, newest first: one for each week and address.
#[utoipa::path(tag = "reports", params(DigestsQuery), responses((status = 200, description = "A page of digests.", body = Page<DigestJson>)))]
#[get("/v1/digests")]
pub(super) async fn list(
    state: web::Data<HttpState>,
    caller: Caller,
    query: web::Query<DigestsQuery>,
) -> Result<HttpResponse, Problem> {
    let query = query.into_inner();
    let window = Window::of(query.limit, query.cursor.as_deref())?;
    let after = window.after.clone().map(Into::into);
    let rows = digests::list(state.store.conn(), after.as_ref(), window.rows()).await?;
    let page = window.page(rows, |row| row.id.as_str(), |row| DigestJson::of(row, caller.role));
    Ok(HttpResponse::Ok().json(page))
}
