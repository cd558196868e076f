//! `/v1/suppressions`: the addresses that are not written to. None is shown: an address stands here by a keyed hash.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, get, post, web};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::cases::act::remark;
use crate::clock;
use crate::domain::ids::{AuditId, SuppressionId};
use crate::domain::suppression::{SuppressionScope, SuppressionWhy};
use crate::http::HttpState;
use crate::http::auth::Caller;
use crate::http::body::JsonBody;
use crate::http::error::Problem;
use crate::http::page::{ListQuery, Page, Window};
use crate::http::people::is_address;
use crate::http::wire::Instant;
use crate::store::audit::{self, AuditRow};
use crate::store::cases::open_by_address;
use crate::store::suppressions::{self, NewSuppression, SuppressionRow};

/// An address that is not written to.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Suppression)]
pub struct SuppressionJson {
    /// The id of the entry.
    pub id: String,
    /// The keyed address: the same for the same address, and nobody's address.
    pub address_key: String,
    /// Which messages the address gets no more.
    pub scope: SuppressionScope,
    /// Why.
    pub why: SuppressionWhy,
    /// Since when.
    pub at: Instant,
}

impl From<&SuppressionRow> for SuppressionJson {
    fn from(row: &SuppressionRow) -> Self {
        Self {
            id: row.id.to_string(),
            address_key: row.address_key.clone(),
            scope: row.scope,
            why: row.why,
            at: Instant(row.at),
        }
    }
}

/// An address that is not to be written to any more.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SuppressBody {
    /// The address.
    #[schema(min_length = 3, max_length = 254, pattern = "^[^\\s@]+@[^\\s@]+$")]
    pub address: String,
    /// Which messages it gets no more.
    pub scope: SuppressionScope,
    /// A remark for the audit.
    #[schema(max_length = 2000)]
    pub comment: Option<String>,
}

/// An address that may be written to again.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LiftBody {
    /// The address.
    #[schema(min_length = 3, max_length = 254, pattern = "^[^\\s@]+@[^\\s@]+$")]
    pub address: String,
    /// A remark for the audit.
    #[schema(max_length = 2000)]
    pub comment: Option<String>,
}

/// Lists the addresses that are not written to, newest first.
#[utoipa::path(tag = "suppressions", params(ListQuery), responses((status = 200, description = "A page of entries.", body = Page<SuppressionJson>)))]
#[get("/v1/suppressions")]
pub(super) async fn list(state: web::Data<HttpState>, query: web::Query<ListQuery>) -> Result<HttpResponse, Problem> {
    let window = Window::of(query.limit, query.cursor.as_deref())?;
    let after = window.after.clone().map(Into::into);
    let rows = suppressions::list(state.store.conn(), after.as_ref(), window.rows()).await?;
    Ok(HttpResponse::Ok().json(window.page(rows, |row| row.id.as_str(), |row| SuppressionJson::from(row))))
}

/// Puts an address on the list of those that are not written to.
#[utoipa::path(tag = "suppressions", request_body = SuppressBody, responses((status = 200, description = "The entries of the address.", body = Page<SuppressionJson>)))]
#[post("/v1/suppressions")]
pub(super) async fn add(
    state: web::Data<HttpState>,
    caller: Caller,
    body: JsonBody<SuppressBody>,
) -> Result<HttpResponse, Problem> {
    let SuppressBody {
        address,
        scope,
        comment,
    } = body.0;
    check(&address)?;
    let comment = remark(comment.as_deref())?;
    let now = state.engine.clock().now();
    let id = SuppressionId::new(now.as_millisecond(), clock::entropy());
    let new = NewSuppression {
        id: &id,
        address: &address,
        scope,
        why: SuppressionWhy::Staff,
        at: now,
    };
    let tx = state.store.begin().await?;
    suppressions::put(tx.conn(), new).await?;
    let key = suppressions::address_key(tx.conn(), &address).await?;
    audit::append(&tx, &entry(&caller, "suppressions.add", key, comment, now)).await?;
    tx.commit().await?;
    Ok(shown(&suppressions::find(state.store.conn(), &address).await?))
}

/// Takes an address off the list, whatever brought it there: it is written to again. Cases that knew it to be refused go on with it.
#[utoipa::path(tag = "suppressions", request_body = LiftBody, responses((status = 200, description = "The entries that the address had.", body = Page<SuppressionJson>)))]
#[post("/v1/suppressions/lift")]
pub(super) async fn lift(
    state: web::Data<HttpState>,
    caller: Caller,
    body: JsonBody<LiftBody>,
) -> Result<HttpResponse, Problem> {
    let LiftBody { address, comment } = body.0;
    check(&address)?;
    let comment = remark(comment.as_deref())?;
    let now = state.engine.clock().now();
    let tx = state.store.begin().await?;
    let lifted = suppressions::lift(tx.conn(), &address).await?;
    if !lifted.is_empty() {
        let key = suppressions::address_key(tx.conn(), &address).await?;
        audit::append(&tx, &entry(&caller, "suppressions.lift", key, comment, now)).await?;
    }
    tx.commit().await?;
    let cases = open_by_address(state.store.conn(), &address).await?;
    state.engine.reachable(&cases, &address, &caller.name).await?;
    Ok(shown(&lifted))
}

/// Refuses what is no address.
fn check(address: &str) -> Result<(), Problem> {
    if is_address(address) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "bad_field",
        "address must be one mail address, without a name",
    ))
}

fn entry(caller: &Caller, action: &str, object: String, comment: Option<String>, now: Timestamp) -> AuditRow {
    AuditRow {
        id: AuditId::new(now.as_millisecond(), clock::entropy()),
        at: now,
        actor: caller.name.clone(),
        action: action.to_owned(),
        object,
        comment,
    }
}

fn shown(rows: &[SuppressionRow]) -> HttpResponse {
    HttpResponse::Ok().json(Page {
        data: rows.iter().map(SuppressionJson::from).collect(),
        next_cursor: None,
    })
}
