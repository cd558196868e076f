//! `GET /v1/cases/{id}/retry`

use actix_web::{HttpResponse, get, web};

use crate::domain::case::Case;
use crate::domain::retry::{self, RetryCheck};
use crate::http::HttpState;
use crate::http::error::Problem;

/// Says what a retry by staff would meet now: whether it is allowed, by which rule not, and which caps it counts against. Nothing is
/// changed by asking.
#[utoipa::path(tag = "cases", responses((status = 200, description = "What a retry would meet.", body = RetryCheck)))]
#[get("/v1/cases/{id}/retry")]
pub(super) async fn look(state: web::Data<HttpState>, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    let case = super::find(&state, id.into_inner()).await?;
    Ok(HttpResponse::Ok().json(check(&state, &case).await?))
}

/// What a retry of a case would meet now.
pub(in crate::http) async fn check(state: &HttpState, case: &Case) -> Result<RetryCheck, Problem> {
    let campaign = state.engine.campaign(&case.campaign).await?;
    let learned = state.engine.learned();
    let history = state.engine.history(case).await?;
    let grounds = super::grounds(state, case, &learned, &history);
    Ok(retry::check(case, &campaign, grounds, state.engine.clock().now()))
}
