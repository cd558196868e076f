//! `GET /v1/cases/{id}/forecast`

use actix_web::{HttpResponse, get, web};

use crate::domain::forecast::ForecastStep;
use crate::http::HttpState;
use crate::http::error::Problem;
use crate::http::page::Page;
use crate::store::touches;

/// Lists the steps still planned, if every charge is declined like the last one. The answer is one page.
#[utoipa::path(tag = "cases", responses((status = 200, description = "The steps, in order of time.", body = Page<ForecastStep>)))]
#[get("/v1/cases/{id}/forecast")]
pub(super) async fn forecast(state: web::Data<HttpState>, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    let case = super::find(&state, id.into_inner()).await?;
    let campaign = state.engine.campaign(&case.campaign).await?;
    let learned = state.engine.learned();
    let history = state.engine.history(&case).await?;
    let grounds = super::grounds(&state, &case, &learned, &history);
    let written = touches::written(state.store.conn(), &case.connection, &case.customer_id).await?;
    let data = crate::domain::forecast::forecast(&case, &campaign, grounds, &written, state.engine.clock().now());
    Ok(HttpResponse::Ok().json(Page {
        data,
        next_cursor: None,
    }))
}
