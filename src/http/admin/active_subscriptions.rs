//! `/v1/active-subscriptions`: how many subscriptions were active when a month began, for the churn report.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, get, post, web};
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::domain::ids::AuditId;
use crate::http::HttpState;
use crate::http::auth::Caller;
use crate::http::body::JsonBody;
use crate::http::error::Problem;
use crate::http::wire::Instant;
use crate::store::active::{self, ActiveRow};
use crate::store::audit::{self, AuditRow};

/// The most months of one upload.
const MONTHS_MAX: usize = 240;
/// The longest name of a source, in characters.
const SOURCE_CHARS_MAX: usize = 200;

/// The number of a month.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ActiveMonth {
    /// The connection.
    pub connection: String,
    /// The month, `2026-03`.
    pub month: String,
    /// How many subscriptions were active when it began.
    pub subscriptions: u64,
    /// Where the number comes from.
    pub source: String,
    /// When it was uploaded.
    pub uploaded_at: Instant,
}

/// All numbers.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ActiveMonths {
    /// The newest month first.
    pub data: Vec<ActiveMonth>,
}

/// Numbers of some months.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UploadBody {
    /// The connection.
    #[schema(min_length = 1, max_length = 64)]
    pub connection: String,
    /// Where the numbers come from, for whoever asks later.
    #[schema(min_length = 1, max_length = 200)]
    pub source: String,
    /// The months.
    #[schema(min_items = 1, max_items = 240)]
    pub months: Vec<UploadMonth>,
}

/// The number of one month.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UploadMonth {
    /// The month.
    #[schema(pattern = "^[0-9]{4}-(0[1-9]|1[0-2])$")]
    pub month: String,
    /// How many subscriptions were active when it began.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub subscriptions: u32,
}

/// The most subscriptions of a month.
const SUBSCRIPTIONS_MAX: u32 = 1_000_000_000;

/// Lists the numbers of active subscriptions that were uploaded, newest month first.
#[utoipa::path(tag = "reports", responses((status = 200, description = "The numbers.", body = ActiveMonths)))]
#[get("/v1/active-subscriptions")]
pub(super) async fn list(state: web::Data<HttpState>) -> Result<HttpResponse, Problem> {
    shown(&state).await
}

/// Uploads how many subscriptions were active when months began. A month that was uploaded before is replaced.
#[utoipa::path(tag = "reports", request_body = UploadBody, responses((status = 200, description = "All numbers.", body = ActiveMonths)))]
#[post("/v1/active-subscriptions")]
pub(super) async fn upload(
    state: web::Data<HttpState>,
    caller: Caller,
    body: JsonBody<UploadBody>,
) -> Result<HttpResponse, Problem> {
    let body = body.0;
    check(&state, &body)?;
    let now = state.engine.clock().now();
    let rows: Vec<ActiveRow> = body
        .months
        .iter()
        .map(|month| ActiveRow {
            connection: body.connection.clone(),
            month: month.month.clone(),
            subscriptions: month.subscriptions.into(),
            source: body.source.clone(),
            uploaded_at: now,
        })
        .collect();
    let entry = AuditRow {
        id: AuditId::new(now.as_millisecond(), clock::entropy()),
        at: now,
        actor: caller.name.clone(),
        action: "active_subscriptions.upload".to_owned(),
        object: body.connection.clone(),
        comment: Some(body.source.clone()),
    };
    let tx = state.store.begin().await?;
    active::put(&tx, &rows).await?;
    audit::append(&tx, &entry).await?;
    tx.commit().await?;
    shown(&state).await
}

fn check(state: &HttpState, body: &UploadBody) -> Result<(), Problem> {
    let bad = |text: &'static str| Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_field", text));
    if state.engine.connection(&body.connection).is_none() {
        return bad("connection must be one of the configured connections");
    }
    let source = body.source.trim();
    if source.is_empty() || source.chars().count() > SOURCE_CHARS_MAX || source.contains(char::is_control) {
        return bad("source must say in up to 200 characters where the numbers come from");
    }
    if body.months.is_empty() || body.months.len() > MONTHS_MAX {
        return bad("months must name between 1 and 240 months");
    }
    let is_month = |month: &UploadMonth| {
        let day = format!("{}-01", month.month);
        month.month.len() == 7 && day.parse::<jiff::civil::Date>().is_ok()
    };
    if !body.months.iter().all(is_month) {
        return bad("month must be a month such as 2026-03");
    }
    if body.months.iter().any(|month| month.subscriptions > SUBSCRIPTIONS_MAX) {
        return bad("subscriptions must be at most 1000000000");
    }
    Ok(())
}

async fn shown(state: &HttpState) -> Result<HttpResponse, Problem> {
    let rows = active::list(state.store.conn()).await?;
    let data = rows.into_iter().map(|row| ActiveMonth {
        connection: row.connection,
        month: row.month,
        subscriptions: row.subscriptions,
        source: row.source,
        uploaded_at: Instant(row.uploaded_at),
    });
    Ok(HttpResponse::Ok().json(ActiveMonths { data: data.collect() }))
}
