//! `GET /v1/cases/{id}`

use actix_web::{HttpResponse, get, web};

use crate::http::HttpState;
use crate::http::auth::Caller;
use crate::http::error::Problem;
use crate::http::wire::case::CaseJson;

/// Shows one case.
#[utoipa::path(tag = "cases", responses((status = 200, description = "The case.", body = CaseJson)))]
#[get("/v1/cases/{id}")]
pub(super) async fn get(
    state: web::Data<HttpState>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let case = super::find(&state, id.into_inner()).await?;
    Ok(HttpResponse::Ok().json(CaseJson::of(&case, caller.role)))
}
