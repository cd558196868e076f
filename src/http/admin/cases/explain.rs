//! `GET /v1/cases/{id}/explain`

use actix_web::{HttpResponse, get, web};
use serde_json::Value;

use crate::domain::case::Case;
use crate::domain::command::EntryKind;
use crate::domain::explain::Explanation;
use crate::http::HttpState;
use crate::http::error::Problem;
use crate::store::timeline;

/// How many lines of a timeline are read for the last plan. A case has at most some dozens.
const LINES_MAX: u64 = 2_000;

/// Says why a case stands as it stands, what comes next and when, and which rules were consulted.
#[utoipa::path(tag = "cases", responses((status = 200, description = "Why.", body = Explanation)))]
#[get("/v1/cases/{id}/explain")]
pub(super) async fn explain(state: web::Data<HttpState>, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    let case = super::find(&state, id.into_inner()).await?;
    let campaign = state.engine.campaign(&case.campaign).await?;
    let plan = last_plan(&state, &case).await?;
    let now = state.engine.clock().now();
    let learned = state.engine.learned();
    let history = state.engine.history(&case).await?;
    let grounds = super::grounds(&state, &case, &learned, &history);
    Ok(HttpResponse::Ok().json(crate::domain::explain::explain(&case, &campaign, plan, grounds, now)))
}

/// The inputs of the last plan that the timeline keeps.
async fn last_plan(state: &HttpState, case: &Case) -> Result<Option<Value>, Problem> {
    let lines = timeline::by_case(state.store.conn(), &case.id, LINES_MAX, None).await?;
    let planned = lines.into_iter().rev().find(|line| line.kind == EntryKind::Planned);
    Ok(planned.map(|line| line.data))
}
