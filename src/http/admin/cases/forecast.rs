//! `GET /v1/cases/{id}/forecast`

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, get, web};
use serde::Deserialize;

use crate::domain::campaign::Campaign;
use crate::domain::case::{CampaignRef, Case};
use crate::domain::event::MigrateHow;
use crate::domain::forecast::ForecastStep;
use crate::http::HttpState;
use crate::http::error::Problem;
use crate::http::page::Page;
use crate::store::{campaigns, touches};

/// Under which version.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ForecastQuery {
    /// The version of a campaign to look ahead by, as if staff moved the case to it now: `name@version`; its own without it.
    #[param(max_length = 270, pattern = "^.+@[0-9]+$")]
    campaign: Option<String>,
    /// Where the case would stand in it, as `migrate` says.
    how: Option<MigrateHow>,
}

/// Lists the steps still planned, if every charge is declined like the last one. The answer is one page.
///
/// With `campaign`, what would be planned if the case were moved to that version now. Nothing is changed by asking.
#[utoipa::path(tag = "cases", params(ForecastQuery), responses((status = 200, description = "The steps, in order of time.", body = Page<ForecastStep>)))]
#[get("/v1/cases/{id}/forecast")]
pub(super) async fn forecast(
    state: web::Data<HttpState>,
    id: web::Path<String>,
    query: web::Query<ForecastQuery>,
) -> Result<HttpResponse, Problem> {
    let case = super::find(&state, id.into_inner()).await?;
    let query = query.into_inner();
    let how = query.how.unwrap_or(MigrateHow::Elapsed);
    let (case, campaign) = if let Some(to) = query.campaign {
        moved(&state, case, &to, how).await?
    } else {
        let pinned = state.engine.campaign(&case.campaign).await?;
        (case, pinned.as_ref().clone())
    };
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

/// The case as it would be under another version.
async fn moved(state: &HttpState, case: Case, to: &str, how: MigrateHow) -> Result<(Case, Campaign), Problem> {
    let to: CampaignRef = to
        .parse()
        .map_err(|error| Problem::bad_request("bad_query", format!("campaign: {error}")))?;
    let found = match i32::try_from(to.version) {
        Ok(_) => campaigns::get(state.store.conn(), &to.name, to.version).await?,
        Err(_) => None,
    };
    let campaign = found.ok_or_else(|| Problem::not_found("there is no such version of a campaign"))?;
    if case.campaign == to {
        return Ok((case, campaign));
    }
    let moved = state.engine.would_migrate(&case, &campaign, how).await?;
    let case = moved.map_err(|reason| {
        let detail = "the case could not be moved now; the code says why";
        Problem::new(StatusCode::CONFLICT, reason.as_str(), detail)
    })?;
    Ok((case, campaign))
}
