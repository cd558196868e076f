//! `GET /v1/reports/definitions`

use actix_web::{HttpResponse, get};
use serde::Serialize;

use crate::domain::report::definitions::{Definition, all};

/// What the figures of all reports mean.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Definitions {
    /// A definition for each figure.
    pub data: &'static [Definition],
}

/// Lists what every figure of the reports means, and which view of the database recomputes it.
#[utoipa::path(tag = "reports", responses((status = 200, description = "The definitions.", body = Definitions)))]
#[get("/v1/reports/definitions")]
pub(in crate::http::admin) async fn definitions() -> HttpResponse {
    HttpResponse::Ok().json(Definitions { data: all() })
}
