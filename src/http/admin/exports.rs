//! `GET /v1/exports/cases` and `/attempts`: what reports count, row by row, as Apache Parquet and without a customer's name.

mod file;

use actix_web::http::header::CONTENT_DISPOSITION;
use actix_web::{HttpResponse, get, web};
use futures_util::stream::try_unfold;
use jiff::civil::Date;
use serde::Deserialize;
use tokio::io::AsyncReadExt;

use super::reports::asked;
use crate::http::HttpState;
use crate::http::error::Problem;
use crate::store::exports::{Table, part};
use crate::store::settings;

/// The media type of the format.
const PARQUET: &str = "application/vnd.apache.parquet";
/// The setting that holds the key of the pseudonyms.
const KEY: &str = "exports.key";
/// One group of rows of the file has those of so many cases; more would be held in memory.
const CASES_AT_ONCE: u32 = 20_000;
const CHUNK_BYTES: usize = 64 * 1024;

/// Which cases to export.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExportQuery {
    /// The first day of cohorts. Eleven months before `to`'s month without it.
    #[param(example = "2026-01-01")]
    from: Option<String>,
    /// The day that ends the span, itself not included; tomorrow without it.
    #[param(example = "2026-04-01")]
    to: Option<String>,
}

/// Exports the cases opened in a span, a row for each, as Apache Parquet.
///
/// Cases, customers and subscriptions have pseudonyms: the same in every export of this database, and of no use outside. The reports of
/// the same span can be computed from the file. Each row is as it was when it was read.
#[utoipa::path(
    tag = "reports",
    params(ExportQuery),
    responses((status = 200, description = "The file.", content((String = "application/vnd.apache.parquet")))),
)]
#[get("/v1/exports/cases")]
pub(super) async fn cases(
    state: web::Data<HttpState>,
    query: web::Query<ExportQuery>,
) -> Result<HttpResponse, Problem> {
    export(&state, Table::Cases, "cases", &query).await
}

/// Exports the attempts of the cases opened in a span, a row for each, as Apache Parquet; `case` is that of the export of cases.
#[utoipa::path(
    tag = "reports",
    params(ExportQuery),
    responses((status = 200, description = "The file.", content((String = "application/vnd.apache.parquet")))),
)]
#[get("/v1/exports/attempts")]
pub(super) async fn attempts(
    state: web::Data<HttpState>,
    query: web::Query<ExportQuery>,
) -> Result<HttpResponse, Problem> {
    export(&state, Table::Attempts, "attempts", &query).await
}

async fn export(state: &HttpState, table: Table, name: &str, query: &ExportQuery) -> Result<HttpResponse, Problem> {
    let now = state.engine.clock().now();
    let days = asked::days([query.from.as_deref(), query.to.as_deref()], &asked::zones(state), now)?;
    let made = write(state, table, days).await.map_err(|error| {
        tracing::error!(%error, name, "an export failed");
        Problem::internal()
    })?;
    let file = tokio::fs::File::from_std(made);
    let length = file.metadata().await.map_err(|_| Problem::internal())?.len();
    let body = try_unfold(file, async |mut file| {
        let mut chunk = web::BytesMut::with_capacity(CHUNK_BYTES);
        let read = file.read_buf(&mut chunk).await?;
        Ok::<_, std::io::Error>((read > 0).then(|| (chunk.freeze(), file)))
    });
    Ok(HttpResponse::Ok()
        .content_type(PARQUET)
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.parquet\"")))
        .no_chunking(length)
        .streaming(body))
}

/// Writes the file below the system's temporary folder, where it has no name and goes with the last hand that holds it.
async fn write(state: &HttpState, table: Table, days: [Date; 2]) -> anyhow::Result<std::fs::File> {
    let key = settings::key(state.store.conn(), KEY).await?;
    let mut file = file::File::begin(table)?;
    let mut after = String::new();
    while let Some(part) = part(state.reports.conn(), table, days, &after, CASES_AT_ONCE, &key).await? {
        after.clone_from(&part.last);
        file = web::block(move || file.add(&part)).await??;
    }
    web::block(move || file.end()).await?
}
