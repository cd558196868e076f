//! `/docs`: Swagger UI over our own document, from files that are part of the binary.

use std::sync::Arc;

use actix_web::http::header::{CONTENT_ENCODING, LOCATION};
use actix_web::{HttpResponse, get, web};
use utoipa_swagger_ui::Config;

use super::error::Problem;

/// The routes of the documentation.
pub(super) const ROUTES: [&str; 2] = ["/docs", "/docs/{file:.*}"];

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(entry).service(file);
}

/// The files name each other relative to the folder.
#[get("/docs")]
async fn entry() -> HttpResponse {
    HttpResponse::PermanentRedirect()
        .insert_header((LOCATION, "/docs/"))
        .finish()
}

#[get("/docs/{file:.*}")]
async fn file(name: web::Path<String>) -> Result<HttpResponse, Problem> {
    let shown = Arc::new(Config::from("/openapi.json").validator_url("none"));
    let served = utoipa_swagger_ui::serve(&name, shown).map_err(|_| Problem::internal())?;
    let file = served.ok_or_else(|| Problem::not_found("there is no such file"))?;
    let mut response = HttpResponse::Ok();
    response.content_type(file.content_type);
    if file.gzpipped {
        response.insert_header((CONTENT_ENCODING, "gzip"));
    }
    Ok(response.body(file.bytes.into_owned()))
}
