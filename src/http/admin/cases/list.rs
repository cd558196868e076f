//! `GET /v1/cases`

use actix_web::{HttpResponse, get, web};

use super::asked::CasesQuery;
use crate::http::HttpState;
use crate::http::auth::Caller;
use crate::http::error::Problem;
use crate::http::page::Page;
use crate::http::wire::case::CaseJson;
use crate::store::cases;

/// Lists cases, newest first unless asked otherwise.
#[utoipa::path(tag = "cases", params(CasesQuery), responses((status = 200, description = "A page of cases.", body = Page<CaseJson>)))]
#[get("/v1/cases")]
pub(super) async fn list(
    state: web::Data<HttpState>,
    caller: Caller,
    query: web::Query<CasesQuery>,
) -> Result<HttpResponse, Problem> {
    let window = query.window()?;
    let cases = cases::list(state.store.conn(), &query.filter(&window)?).await?;
    let page = window.page(cases, |case| case.id.as_str(), |case| CaseJson::of(case, caller.role));
    Ok(HttpResponse::Ok().json(page))
}
