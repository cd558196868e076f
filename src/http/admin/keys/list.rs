//! `GET /v1/keys`

use actix_web::{HttpResponse, get, web};

use super::KeyJson;
use crate::http::HttpState;
use crate::http::error::Problem;
use crate::http::page::Page;
use crate::store::keys;

/// Lists every API key, without secrets. The answer is one page.
#[utoipa::path(tag = "keys", responses((status = 200, description = "All of them.", body = Page<KeyJson>)))]
#[get("/v1/keys")]
pub(super) async fn list(state: web::Data<HttpState>) -> Result<HttpResponse, Problem> {
    let rows = keys::list(state.store.conn()).await?;
    Ok(HttpResponse::Ok().json(Page {
        data: rows.iter().map(KeyJson::from).collect(),
        next_cursor: None,
    }))
}
