//! `GET /v1/courtesies`

use actix_web::{HttpResponse, get, web};
use serde::Deserialize;

use crate::http::HttpState;
use crate::http::auth::Caller;
use crate::http::error::Problem;
use crate::http::page::{self, Page, Window};
use crate::http::wire::history::CourtesyJson;
use crate::store::courtesies;

/// Which messages to list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CourtesiesQuery {
    /// Only those to this customer.
    customer_id: Option<String>,
    /// How many, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u64>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists messages to customers that belong to no case, newest first: a card that will have expired at the next renewal.
#[utoipa::path(tag = "notifications", params(CourtesiesQuery), responses((status = 200, description = "A page of messages.", body = Page<CourtesyJson>)))]
#[get("/v1/courtesies")]
pub(super) async fn list(
    state: web::Data<HttpState>,
    caller: Caller,
    query: web::Query<CourtesiesQuery>,
) -> Result<HttpResponse, Problem> {
    let query = query.into_inner();
    let window = Window::of(query.limit, query.cursor.as_deref())?;
    let customer = page::plain("customer_id", query.customer_id)?;
    let after = window.after.clone().map(Into::into);
    let rows = courtesies::list(state.store.conn(), customer.as_deref(), after.as_ref(), window.rows()).await?;
    let page = window.page(rows, |row| row.id.as_str(), |row| CourtesyJson::of(row, caller.role));
    Ok(HttpResponse::Ok().json(page))
}
