//! `POST /webhooks/{connection}`: verified over the raw bytes, stored, then answered. What it means is the engine's work.

use std::net::IpAddr;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, post, web};
use jiff::Timestamp;
use metrics::SharedString;
use serde::Serialize;
use utoipa_actix_web::service_config::ServiceConfig;

use super::error::Problem;
use super::limiter::Limiter;
use super::{HttpState, body, keys, page};
use crate::clock;
use crate::domain::ids::InboxId;
use crate::engine::Connection;
use crate::providers::signature::BadSignature;
use crate::store::inbox::intake::Intake;
use crate::store::inbox::{InboxStatus, NewInbox, Received};
use crate::telemetry::metric;

/// The most bytes of an event.
pub const BODY_BYTES_MAX: usize = 256 * 1024;
/// The header that carries the signature.
const SIGNATURE: &str = "stripe-signature";

/// The answer once an event is durable.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Received)]
pub struct Answer {
    /// `accepted`, or `duplicate` where the same event was stored before.
    #[schema(example = "accepted")]
    pub status: &'static str,
}

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(receive);
}

/// Receives an event of a payment provider.
///
/// The signature is checked over the raw bytes. 200 means that the event is durable; send it again after any 5xx.
#[utoipa::path(
    tag = "webhooks",
    params(("connection" = String, Path, description = "The name of the connection, such as `stripe`.")),
    request_body(content = String, content_type = "application/json", description = "The event as the provider made it, at most 256 KiB."),
    responses((status = 200, description = "Durable.", body = Answer)),
)]
#[post("/webhooks/{connection}")]
async fn receive(
    request: HttpRequest,
    state: web::Data<HttpState>,
    intake: web::Data<Intake>,
    name: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    match take(&request, (&state, &intake), &name, &mut payload.into_inner()).await {
        Ok((received, malformed)) => {
            let status = match received {
                Received::Accepted => "accepted",
                Received::Duplicate => "duplicate",
            };
            count(if malformed { "malformed" } else { status });
            state.engine.nudge();
            Ok(HttpResponse::Ok().json(Answer { status }))
        }
        Err(problem) => {
            count(problem.code.clone());
            Err(problem)
        }
    }
}

/// Takes the event of a request in. Says whether it is new, and whether it is one that nobody can read.
async fn take(
    request: &HttpRequest,
    (state, intake): (&HttpState, &Intake),
    name: &str,
    payload: &mut Payload,
) -> Result<(Received, bool), Problem> {
    let connection = state
        .engine
        .connection(name)
        .ok_or_else(|| Problem::not_found("there is no such connection"))?;
    let peer = request.peer_addr().map(|address| address.ip());
    if let Some(left) = peer.and_then(|peer| state.limiter.closed_for(peer, tokio::time::Instant::now())) {
        let secs = left.as_secs() + 1;
        return Err(Problem::too_many(
            "too many bad signatures came from this address",
            secs,
        ));
    }
    let body = body::read(request.headers(), payload, BODY_BYTES_MAX).await?;
    let now = state.engine.clock().now();
    let signature = request
        .headers()
        .get(SIGNATURE)
        .map(|value| value.to_str().unwrap_or_default());
    let verified = connection.provider.verify(signature, &body, now);
    if let Some(peer) = peer {
        judge(&state.limiter, peer, verified);
    }
    verified.map_err(|bad| refuse(&connection.name, bad))?;
    let event = read_event(connection, &body, now);
    let malformed = event.status == InboxStatus::Dead;
    crate::failpoint!("webhook_before_store");
    let received = intake.take(event).await?;
    crate::failpoint!("webhook_stored");
    Ok((received, malformed))
}

/// Tells the limiter of a signature. One whose time alone is wrong was made by who knows the secret.
pub(super) fn judge(limiter: &Limiter, peer: IpAddr, verified: Result<(), BadSignature>) {
    match verified {
        Ok(()) => limiter.good(peer, tokio::time::Instant::now()),
        Err(BadSignature::TooOld | BadSignature::InFuture) => {}
        Err(_) => limiter.bad(peer, tokio::time::Instant::now()),
    }
}

fn refuse(connection: &str, bad: BadSignature) -> Problem {
    tracing::warn!(connection, reason = bad.as_str(), "a webhook was refused");
    Problem::new(
        StatusCode::BAD_REQUEST,
        format!("signature_{bad}"),
        "the signature does not prove that the provider sent this",
    )
}

/// Counts a request by its result: `accepted`, `duplicate`, `malformed`, or the code of its problem.
fn count(result: impl Into<SharedString>) {
    metrics::counter!(metric::EVENTS_RECEIVED, "result" => result.into()).increment(1);
}

/// The row of the inbox for a body that is rightly signed. One that cannot be read is kept too, but dead: sending it
/// again could not help, and a person should see it.
fn read_event(connection: &Connection, body: &[u8], now: Timestamp) -> NewInbox {
    // Whatever else is wrong with it is found by the engine, which reads all of it.
    let read = connection.provider.label(body);
    let usable = read
        .as_ref()
        .is_ok_and(|label| page::is_plain(&label.event_id) && page::is_plain(&label.kind));
    let id = InboxId::new(now.as_millisecond(), clock::entropy());
    let row = |event_id: String, kind: String, status, reason| NewInbox {
        id,
        connection: connection.name.clone(),
        event_id,
        kind,
        body: body.to_vec(),
        received_at: now,
        status,
        reason,
    };
    match read {
        Ok(label) if usable => row(label.event_id, label.kind, InboxStatus::Pending, None),
        Ok(_) => dead(row, body, "the event's id or type is no plain text"),
        Err(malformed) => dead(row, body, &malformed.0),
    }
}

fn dead(
    row: impl FnOnce(String, String, InboxStatus, Option<String>) -> NewInbox,
    body: &[u8],
    reason: &str,
) -> NewInbox {
    let event_id = format!("malformed:{}", hex::encode(keys::digest(body)));
    let reason: String = reason.chars().filter(|letter| !letter.is_control()).take(300).collect();
    row(event_id, "malformed".to_owned(), InboxStatus::Dead, Some(reason))
}
