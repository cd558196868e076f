//! `GET /v1/cases/{id}/explain`

use actix_web::{HttpResponse, get, web};

use crate::domain::command::EntryKind;
use crate::domain::explain::Explanation;
use crate::http::HttpState;
use crate::http::error::Problem;
use crate::store::timeline;

/// Says why a case stands as it stands, what comes next and when, and which rules were consulted.
#[utoipa::path(tag = "cases", responses((status = 200, description = "Why.", body = Explanation)))]
#[get("/v1/cases/{id}/explain")]
pub(super) async fn explain(state: web::Data<HttpState>, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    let case = super::find(&state, id.into_inner()).await?;
    let campaign = state.engine.campaign(&case.campaign).await?;
    let plan = timeline::last_of(state.store.conn(), &case.id, EntryKind::Planned).await?;
    let plan = plan.map(|line| line.data);
    let now = state.engine.clock().now();
    let learned = state.engine.learned();
    let history = state.engine.history(&case).await?;
    let grounds = super::grounds(&state, &case, &learned, &history);
    Ok(HttpResponse::Ok().json(crate::domain::explain::explain(&case, &campaign, plan, grounds, now)))
}
