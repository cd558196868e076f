//! `GET /v1/campaigns`

use actix_web::{HttpResponse, get, web};

use super::CampaignJson;
use crate::http::HttpState;
use crate::http::error::Problem;
use crate::http::page::Page;
use crate::store::campaigns;

/// Lists every version of every campaign. There are few: the answer is one page.
#[utoipa::path(tag = "campaigns", responses((status = 200, description = "All of them.", body = Page<CampaignJson>)))]
#[get("/v1/campaigns")]
pub(in crate::http::admin) async fn list(state: web::Data<HttpState>) -> Result<HttpResponse, Problem> {
    let campaigns = campaigns::list(state.store.conn()).await?;
    Ok(HttpResponse::Ok().json(Page {
        data: campaigns.iter().map(CampaignJson::from).collect(),
        next_cursor: None,
    }))
}
