//! `GET /v1/notifications`

use actix_web::{HttpResponse, get, web};
use serde::Deserialize;

use crate::http::HttpState;
use crate::http::auth::Caller;
use crate::http::error::Problem;
use crate::http::page::{self, Page, Window};
use crate::http::wire::history::NotificationJson;
use crate::store::notifications;

/// Which messages to list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct NotificationsQuery {
    /// Only those of this case.
    case_id: Option<String>,
    /// How many, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u64>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists messages to customers, newest first.
#[utoipa::path(tag = "notifications", params(NotificationsQuery), responses((status = 200, description = "A page of messages.", body = Page<NotificationJson>)))]
#[get("/v1/notifications")]
pub(super) async fn list(
    state: web::Data<HttpState>,
    caller: Caller,
    query: web::Query<NotificationsQuery>,
) -> Result<HttpResponse, Problem> {
    let query = query.into_inner();
    let window = Window::of(query.limit, query.cursor.as_deref())?;
    let case_id = page::plain("case_id", query.case_id)?.map(Into::into);
    let after = window.after.clone().map(Into::into);
    let conn = state.store.conn();
    let rows = notifications::list(conn, case_id.as_ref(), after.as_ref(), window.rows()).await?;
    let page = window.page(
        rows,
        |row| row.id.as_str(),
        |row| NotificationJson::of(row, caller.role),
    );
    Ok(HttpResponse::Ok().json(page))
}
