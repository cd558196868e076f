//! `/v1/exclusions`: customers whom Recoup neither charges nor writes to.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, get, post, web};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::cases::act::remark;
use crate::clock;
use crate::domain::approval::is_needed;
use crate::domain::event::StaffAction;
use crate::domain::ids::{AuditId, ExclusionId};
use crate::engine::StaffError;
use crate::http::HttpState;
use crate::http::auth::Caller;
use crate::http::body::JsonBody;
use crate::http::error::Problem;
use crate::http::page::{self, ListQuery, Page, Window};
use crate::http::wire::Instant;
use crate::store::audit::{self, AuditRow};
use crate::store::cases::{self, open_by_customer};
use crate::store::exclusions::{self, ExclusionRow};

/// A customer who is excluded.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Exclusion)]
pub struct ExclusionJson {
    /// The id of the entry.
    pub id: String,
    /// The connection of the customer.
    pub connection: String,
    /// The provider's id of the customer.
    pub customer_id: String,
    /// Since when.
    pub at: Instant,
    /// Who said so.
    pub actor: String,
    /// The remark given with it.
    pub comment: Option<String>,
}

/// What became of a customer who was excluded.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Excluded {
    /// The entry.
    pub exclusion: ExclusionJson,
    /// The cases that were stopped.
    pub stopped: Vec<String>,
    /// The cases that end once what is under way in them has ended: a charge that was sent, a final action.
    pub ending: Vec<String>,
}

/// Which customer.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExclusionBody {
    /// The connection of the customer.
    #[schema(min_length = 1, max_length = 255)]
    pub connection: String,
    /// The provider's id of the customer.
    #[schema(min_length = 1, max_length = 255)]
    pub customer_id: String,
    /// A remark for the list, the timelines and the audit.
    #[schema(max_length = 2000)]
    pub comment: Option<String>,
}

impl From<&ExclusionRow> for ExclusionJson {
    fn from(row: &ExclusionRow) -> Self {
        Self {
            id: row.id.to_string(),
            connection: row.connection.clone(),
            customer_id: row.customer_id.clone(),
            at: Instant(row.at),
            actor: row.actor.clone(),
            comment: row.comment.clone(),
        }
    }
}

/// Lists the customers who are excluded, newest first.
#[utoipa::path(tag = "exclusions", params(ListQuery), responses((status = 200, description = "A page of entries.", body = Page<ExclusionJson>)))]
#[get("/v1/exclusions")]
pub(super) async fn list(state: web::Data<HttpState>, query: web::Query<ListQuery>) -> Result<HttpResponse, Problem> {
    let window = Window::of(query.limit, query.cursor.as_deref())?;
    let after = window.after.clone().map(Into::into);
    let rows = exclusions::list(state.store.conn(), after.as_ref(), window.rows()).await?;
    Ok(HttpResponse::Ok().json(window.page(rows, |row| row.id.as_str(), |row| ExclusionJson::from(row))))
}

/// Excludes a customer: from now on Recoup neither charges them nor writes to them. Their open cases are stopped, and further
/// failures are recorded as cases that are born stopped.
#[utoipa::path(tag = "exclusions", request_body = ExclusionBody, responses((status = 200, description = "The entry, and what became of open cases.", body = Excluded)))]
#[post("/v1/exclusions")]
pub(super) async fn add(
    state: web::Data<HttpState>,
    caller: Caller,
    body: JsonBody<ExclusionBody>,
) -> Result<HttpResponse, Problem> {
    let comment = remark(body.0.comment.as_deref())?;
    let done = exclude(&state, &caller, (&body.0.connection, &body.0.customer_id), comment).await?;
    Ok(HttpResponse::Ok().json(done))
}

/// Takes a customer off the list: failures from now on are chased. What was stopped stays stopped.
#[utoipa::path(tag = "exclusions", request_body = ExclusionBody, responses((status = 200, description = "The entry that the customer had.", body = ExclusionJson)))]
#[post("/v1/exclusions/lift")]
pub(super) async fn lift(
    state: web::Data<HttpState>,
    caller: Caller,
    body: JsonBody<ExclusionBody>,
) -> Result<HttpResponse, Problem> {
    let comment = remark(body.0.comment.as_deref())?;
    let lifted = include(&state, &caller, (&body.0.connection, &body.0.customer_id), comment).await?;
    Ok(HttpResponse::Ok().json(ExclusionJson::from(&lifted)))
}

/// Excludes a customer in the caller's name.
pub(in crate::http) async fn exclude(
    state: &HttpState,
    caller: &Caller,
    customer: (&str, &str),
    comment: Option<String>,
) -> Result<Excluded, Problem> {
    let (connection, customer_id) = check(state, customer)?;
    let now = state.engine.clock().now();
    let open = open_by_customer(state.store.conn(), connection, customer_id).await?;
    for id in &open {
        let case = cases::find(state.store.conn(), id).await?;
        // Whoever excludes a customer gives up what their open cases are about.
        if case.is_some_and(|case| is_needed(&state.approval_above, case.amount_due)) {
            let detail = format!("a second person has to approve that the case {id} is stopped: stop it first");
            return Err(Problem::new(StatusCode::CONFLICT, "stop_needs_approval", detail));
        }
    }
    let row = ExclusionRow {
        id: ExclusionId::new(now.as_millisecond(), clock::entropy()),
        connection: connection.to_owned(),
        customer_id: customer_id.to_owned(),
        at: now,
        actor: caller.name.clone(),
        comment: comment.clone(),
    };
    let tx = state.store.begin().await?;
    if exclusions::put(tx.conn(), &row).await? {
        audit::append(&tx, &entry(caller, "exclusions.add", customer, comment.clone(), now)).await?;
    }
    tx.commit().await?;
    let kept = exclusions::find(state.store.conn(), connection, customer_id).await?;
    let (mut stopped, mut ending) = (Vec::new(), Vec::new());
    // Whoever is on the list is not charged any more, whatever becomes of this request from here on.
    for id in open_by_customer(state.store.conn(), connection, customer_id).await? {
        let done = state
            .engine
            .staff(&id, StaffAction::Exclude, &caller.name, comment.clone());
        match done.await {
            Ok(case) if case.outcome().is_some() => stopped.push(id.to_string()),
            Ok(_) | Err(StaffError::Refused(_) | StaffError::Forbidden(_)) => ending.push(id.to_string()),
            Err(StaffError::NotFound) => {}
            Err(StaffError::Store(error)) => return Err(error.into()),
        }
    }
    Ok(Excluded {
        exclusion: ExclusionJson::from(kept.as_ref().unwrap_or(&row)),
        stopped,
        ending,
    })
}

/// Takes a customer off the list in the caller's name.
pub(in crate::http) async fn include(
    state: &HttpState,
    caller: &Caller,
    customer: (&str, &str),
    comment: Option<String>,
) -> Result<ExclusionRow, Problem> {
    let (connection, customer_id) = check(state, customer)?;
    let now = state.engine.clock().now();
    let tx = state.store.begin().await?;
    let found = exclusions::find(tx.conn(), connection, customer_id).await?;
    let not_there = || Problem::new(StatusCode::CONFLICT, "not_excluded", "this customer is not excluded");
    let found = found.ok_or_else(not_there)?;
    if exclusions::lift(tx.conn(), connection, customer_id).await? {
        audit::append(&tx, &entry(caller, "exclusions.lift", customer, comment, now)).await?;
    }
    tx.commit().await?;
    Ok(found)
}

fn check<'a>(state: &HttpState, (connection, customer_id): (&'a str, &'a str)) -> Result<(&'a str, &'a str), Problem> {
    if state.engine.has_connection(connection) && page::is_plain(customer_id) {
        return Ok((connection, customer_id));
    }
    Err(Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "bad_field",
        "connection and customer_id must name a connection and a customer",
    ))
}

fn entry(
    caller: &Caller,
    action: &str,
    (connection, customer_id): (&str, &str),
    comment: Option<String>,
    now: Timestamp,
) -> AuditRow {
    AuditRow {
        id: AuditId::new(now.as_millisecond(), clock::entropy()),
        at: now,
        actor: caller.name.clone(),
        action: action.to_owned(),
        object: format!("{connection}/{customer_id}"),
        comment,
    }
}
