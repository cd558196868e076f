//! `GET /v1/campaigns/{name}`

use actix_web::{HttpResponse, get, web};
use serde::Deserialize;

use super::CampaignJson;
use crate::http::HttpState;
use crate::http::error::Problem;
use crate::http::page;
use crate::store::campaigns;

/// Which version.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CampaignQuery {
    /// The version; the newest that is no shadow without it.
    #[param(minimum = 1, maximum = 2_147_483_647)]
    version: Option<u32>,
}

/// Shows a campaign.
#[utoipa::path(tag = "campaigns", params(("name" = String, Path, description = "Its name."), CampaignQuery), responses((status = 200, description = "The campaign.", body = CampaignJson)))]
#[get("/v1/campaigns/{name}")]
pub(in crate::http::admin) async fn get(
    state: web::Data<HttpState>,
    name: web::Path<String>,
    query: web::Query<CampaignQuery>,
) -> Result<HttpResponse, Problem> {
    let name = page::known(name.into_inner())?;
    let conn = state.store.conn();
    let campaign = match query.version {
        Some(version) if i32::try_from(version).is_err() => None,
        Some(version) => campaigns::get(conn, &name, version).await?,
        None => campaigns::newest(conn, &name).await?,
    };
    let campaign = campaign.ok_or_else(|| Problem::not_found("there is no such campaign"))?;
    Ok(HttpResponse::Ok().json(CampaignJson::from(&campaign)))
}
