//! `GET /v1/inbox`

use actix_web::{HttpResponse, get, web};
use serde::Deserialize;

use crate::http::HttpState;
use crate::http::error::Problem;
use crate::http::page::{Page, Window};
use crate::http::wire::history::InboxJson;
use crate::store::inbox::{self, InboxStatus};

/// Which events to list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct InboxQuery {
    /// Only those that stand so.
    #[param(inline)]
    status: Option<InboxStatus>,
    /// How many, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u64>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists the events that providers sent, newest first.
#[utoipa::path(tag = "inbox", params(InboxQuery), responses((status = 200, description = "A page of events.", body = Page<InboxJson>)))]
#[get("/v1/inbox")]
pub(super) async fn list(state: web::Data<HttpState>, query: web::Query<InboxQuery>) -> Result<HttpResponse, Problem> {
    let window = Window::of(query.limit, query.cursor.as_deref())?;
    let after = window.after.clone().map(Into::into);
    let conn = state.store.conn();
    let rows = inbox::list(conn, query.status, after.as_ref(), window.rows()).await?;
    Ok(HttpResponse::Ok().json(window.page(rows, |row| row.id.as_str(), |row| InboxJson::from(row))))
}
