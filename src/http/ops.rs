//! What operators and their machines ask: whether it lives, whether it is ready, its metrics.

use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, get, web};
use serde::Serialize;
use utoipa_actix_web::service_config::ServiceConfig;

use super::HttpState;
use super::error::Problem;
use crate::domain::campaign::schema;

/// How long the database may take to answer before we are not ready.
const READY_TIMEOUT: Duration = Duration::from_secs(2);

/// One word on how the process stands.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Health {
    /// `ok`, `ready`, or `reconciling` while nothing is charged or sent until this process has reconciled.
    #[schema(example = "ok")]
    pub status: &'static str,
}

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(healthz)
        .service(readyz)
        .service(metrics_text)
        .service(document)
        .service(campaign_schema);
}

/// Says that the process lives.
#[utoipa::path(tag = "operations", responses((status = 200, description = "It lives.", body = Health)))]
#[get("/healthz")]
async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(Health { status: "ok" })
}

/// Says whether requests should be sent here: the database answers, its schema is current, and we are not stopping.
#[utoipa::path(
    tag = "operations",
    responses(
        (status = 200, description = "Ready.", body = Health),
        (status = 503, description = "Not ready.", body = super::error::ProblemBody, content_type = "application/problem+json"),
    ),
)]
#[get("/readyz")]
async fn readyz(state: web::Data<HttpState>) -> Result<HttpResponse, Problem> {
    let not_ready = |detail: &'static str| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", detail);
    if state.draining.load(Ordering::SeqCst) {
        return Err(not_ready("the process is stopping"));
    }
    let store = &state.store;
    let asked = async {
        store.ping().await?;
        store.migrations_pending().await
    };
    match tokio::time::timeout(READY_TIMEOUT, asked).await {
        Ok(Ok(false)) => {
            let reconciling = state.engine.is_reconciling();
            let status = if reconciling { "reconciling" } else { "ready" };
            Ok(HttpResponse::Ok().json(Health { status }))
        }
        Ok(Ok(true)) => Err(not_ready("the database lacks a migration: run `recoup migrate`")),
        Ok(Err(_)) | Err(_) => Err(not_ready("the database does not answer")),
    }
}

/// The metrics in Prometheus' text format.
#[utoipa::path(tag = "operations", responses((status = 200, description = "The metrics.", body = String, content_type = "text/plain")))]
#[get("/metrics")]
async fn metrics_text(state: web::Data<HttpState>) -> HttpResponse {
    // Without the database the counters are told all the same; only the gauges stay as they were.
    match tokio::time::timeout(READY_TIMEOUT, state.engine.take_stock()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the gauges could not be brought up to date"),
        Err(_) => tracing::warn!("the gauges could not be brought up to date in time"),
    }
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(state.metrics.render())
}

/// This document.
#[utoipa::path(tag = "operations", responses((status = 200, description = "The OpenAPI document.", body = serde_json::Value)))]
#[get("/openapi.json")]
async fn document(state: web::Data<HttpState>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .body(state.routes.document_json.clone())
}

/// The JSON Schema of campaign files, for editors.
#[utoipa::path(tag = "operations", responses((status = 200, description = "The schema, draft 2020-12.", body = serde_json::Value)))]
#[get("/campaign.schema.json")]
async fn campaign_schema() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .body(schema::json_text())
}
