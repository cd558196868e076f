//! Views: lists of cases that somebody gave a name. Each belongs to who kept it; its link opens it for everybody who sees cases.

use actix_web::{HttpRequest, HttpResponse, get, post, web};
use minijinja::{Value, context};

use super::session::{self, Visitor};
use super::{Stop, cases, to};
use crate::clock;
use crate::domain::ids::ViewId;
use crate::domain::role::Role;
use crate::http::HttpState;
use crate::http::admin::cases::asked::{CasesQuery, without_blanks};
use crate::http::error::Problem;
use crate::http::page;
use crate::store::views::{self, ViewRow};

/// The most views of one owner.
const VIEWS_MAX: u64 = 40;
/// The longest name of a view, in characters.
const NAME_CHARS_MAX: usize = 60;

/// The views of a visitor, for the top of the list.
pub(super) async fn shown(state: &HttpState, visitor: &Visitor) -> Result<Vec<Value>, Problem> {
    if visitor.is_demo() {
        return Ok(Vec::new());
    }
    let rows = views::of(state.store.conn(), &visitor.caller.key_id, VIEWS_MAX).await?;
    let one = |row: ViewRow| context! { id => row.id.as_str(), name => row.name, query => row.query };
    Ok(rows.into_iter().map(one).collect())
}

/// Opens a view.
#[get("/dashboard/views/{id}")]
pub(super) async fn open(
    state: web::Data<HttpState>,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, Stop> {
    session::visitor(&state, &request, Role::Viewer).await?;
    let id = ViewId::from(page::known(id.into_inner())?);
    let view = views::find(state.store.conn(), &id).await?;
    let view = view.ok_or_else(|| Problem::not_found("there is no such view"))?;
    Ok(to(&cases::address(&view.query, &[])))
}

/// Keeps the list as it is filtered and sorted under a name.
#[post("/dashboard/views")]
pub(super) async fn keep(
    state: web::Data<HttpState>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Stop> {
    let visitor = session::visitor(&state, &request, Role::Viewer).await?;
    let fields = session::posted(&state, &request, payload).await?;
    let name = fields.get("name").map_or("", |name| name.trim());
    if !page::is_plain(name) || name.chars().count() > NAME_CHARS_MAX {
        let detail = format!("a view needs a name of at most {NAME_CHARS_MAX} printable characters");
        return Err(Problem::bad_request("bad_field", detail).into());
    }
    let query = without_blanks(fields.get("list").map_or("", String::as_str), &["cursor", "limit"]);
    // What the list cannot read is not kept.
    let asked = CasesQuery::read(&query)?;
    asked.filter(&asked.window()?)?;
    let conn = state.store.conn();
    let owner = visitor.caller.key_id;
    let known = views::of(conn, &owner, VIEWS_MAX).await?;
    if known.len() as u64 >= VIEWS_MAX && known.iter().all(|view| view.name != name) {
        let detail = format!("nobody keeps more than {VIEWS_MAX} views; forget one first");
        return Err(Problem::bad_request("too_many_views", detail).into());
    }
    let now = state.engine.clock().now();
    let view = ViewRow {
        id: ViewId::new(now.as_millisecond(), clock::entropy()),
        owner,
        name: name.to_owned(),
        query,
        created_at: now,
    };
    views::keep(conn, &view).await?;
    Ok(to(&cases::address(&view.query, &[("done", "view_kept")])))
}

/// Forgets a view of one's own.
#[post("/dashboard/views/{id}/forget")]
pub(super) async fn forget(
    state: web::Data<HttpState>,
    request: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, Stop> {
    let visitor = session::visitor(&state, &request, Role::Viewer).await?;
    session::posted(&state, &request, payload).await?;
    let id = ViewId::from(page::known(id.into_inner())?);
    if !views::forget(state.store.conn(), &visitor.caller.key_id, &id).await? {
        return Err(Problem::not_found("there is no such view of yours").into());
    }
    Ok(to("/dashboard/cases?done=view_forgotten"))
}
