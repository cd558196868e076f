//! `POST /mail-events`: what became of messages after the relay took them. Signed like a provider's webhook; what is reported is carried
//! out before the answer, and the same report again changes nothing.

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderMap};
use actix_web::{HttpRequest, HttpResponse, post, web};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa_actix_web::service_config::ServiceConfig;

use super::error::Problem;
use super::webhooks::judge;
use super::{HttpState, body, wire};
use crate::domain::ids::NotificationId;
use crate::engine::Reported;
use crate::mailer::report::{self, Fate, Report};
use crate::providers::signature;
use crate::telemetry::metric;

/// The most bytes of a report.
const BODY_BYTES_MAX: usize = 256 * 1024;
/// The most events of one request.
const EVENTS_MAX: usize = 1_000;
/// The header that carries the signature.
const SIGNATURE: &str = "recoup-signature";

/// What became of messages.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub struct MailEventsBody {
    /// One for each message and what became of it.
    #[schema(max_items = 1000)]
    pub events: Vec<MailEventBody>,
}

/// What became of one message. Other fields are passed over.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub struct MailEventBody {
    /// What became of it.
    pub kind: MailEventKind,
    /// Whether a bounce is for good; needed with `bounced`.
    pub permanent: Option<bool>,
    /// The Message-ID of the message; this or `return_path` names it.
    pub message_id: Option<String>,
    /// The sender of its envelope.
    pub return_path: Option<String>,
    /// Whom it was for; an event about somebody else than whom we wrote to is ignored.
    pub recipient: Option<String>,
    /// The status code behind it, such as `5.1.1`.
    pub detail: Option<String>,
    /// When it happened, RFC 3339.
    pub at: Option<String>,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MailEventKind {
    /// The address refused it, or it did not arrive yet.
    Bounced,
    /// Its reader called it spam.
    Complained,
    /// It arrived.
    Delivered,
}

/// How many events were taken.
#[derive(Debug, Default, Serialize, utoipa::ToSchema)]
pub struct MailEventsTaken {
    /// Those that are about a message of ours; what they say is durable.
    #[schema(example = 1)]
    pub taken: u64,
    /// Those that are about no message of ours, and what was no report at all.
    #[schema(example = 0)]
    pub ignored: u64,
}

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(receive);
}

/// Receives what became of messages: bounces, complaints, deliveries.
///
/// `Recoup-Signature: t=UNIX_SECONDS,v1=HEX` holds the HMAC-SHA256 of `t.body` over the raw bytes, at most five minutes old. The body is
/// JSON, or a report of a mail server as it arrived. 200 means that all of it is durable; send it again after any 5xx.
#[utoipa::path(
    tag = "webhooks",
    request_body(content((MailEventsBody = "application/json"), (String = "message/rfc822")), description = "At most 256 KiB."),
    responses((status = 200, description = "Durable.", body = MailEventsTaken)),
)]
#[post("/mail-events")]
async fn receive(
    request: HttpRequest,
    state: web::Data<HttpState>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    if state.mail_events_secrets.is_empty() {
        return Err(Problem::not_found("mail events are not taken here"));
    }
    let peer = request.peer_addr().map(|address| address.ip());
    if let Some(left) = peer.and_then(|peer| state.mail_limiter.closed_for(peer, tokio::time::Instant::now())) {
        return Err(Problem::too_many(
            "too many bad signatures came from this address",
            left.as_secs() + 1,
        ));
    }
    let bytes = body::read(request.headers(), &mut payload.into_inner(), BODY_BYTES_MAX).await?;
    let now = state.engine.clock().now();
    let header = request.headers().get(SIGNATURE);
    let header = header.map(|value| value.to_str().unwrap_or_default());
    let verified = signature::verify(header, &bytes, &state.mail_events_secrets, now);
    if let Some(peer) = peer {
        judge(&state.mail_limiter, peer, verified);
    }
    verified.map_err(|bad| {
        tracing::warn!(reason = bad.as_str(), "a mail event was refused");
        Problem::new(
            StatusCode::BAD_REQUEST,
            format!("signature_{bad}"),
            "the signature does not prove who sent this",
        )
    })?;
    let reports = reports(request.headers(), &bytes)?;
    let taken = take(&state, &reports).await?;
    Ok(HttpResponse::Ok().json(taken))
}

/// Carries the reports out, one after the other.
async fn take(state: &HttpState, reports: &[(Report, Option<Timestamp>)]) -> Result<MailEventsTaken, Problem> {
    let mut taken = MailEventsTaken::default();
    if reports.is_empty() {
        taken.ignored = 1;
    }
    for (report, at) in reports {
        let reported = match message_of(state, report) {
            Some(id) => state.engine.report(&id, report, *at).await?,
            None => Reported::Ignored("it names no message of ours"),
        };
        let result = match reported {
            Reported::Taken => {
                taken.taken += 1;
                "taken"
            }
            Reported::Ignored(reason) => {
                taken.ignored += 1;
                tracing::info!(fate = report.fate.as_str(), reason, "a mail event was ignored");
                "ignored"
            }
        };
        metrics::counter!(metric::MAIL_REPORTS, "fate" => report.fate.as_str(), "result" => result).increment(1);
    }
    if taken.taken > 0 {
        state.engine.nudge();
    }
    Ok(taken)
}

/// The message that a report is about: by its return path, which we signed, else by its Message-ID.
fn message_of(state: &HttpState, report: &Report) -> Option<NotificationId> {
    let path = state.return_path.as_ref();
    let by_path = report.return_paths.iter().find_map(|address| path?.read(address));
    by_path.or_else(|| {
        let id = report.message_id.as_deref()?.trim_matches(['<', '>', ' ']);
        let (local, _) = id.split_once('@')?;
        let digits = local.strip_prefix("ntf_")?;
        let ours = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        ours.then(|| NotificationId::from(local.to_ascii_lowercase()))
    })
}

fn reports(headers: &HeaderMap, bytes: &[u8]) -> Result<Vec<(Report, Option<Timestamp>)>, Problem> {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = kind.and_then(|text| text.split(';').next()).unwrap_or_default();
    match essence.trim().to_ascii_lowercase().as_str() {
        "message/rfc822" => Ok(report::read(bytes).into_iter().map(|report| (report, None)).collect()),
        "application/json" => {
            let body: MailEventsBody = body::json(bytes)?;
            if body.events.len() > EVENTS_MAX {
                return Err(bad_field("events must be at most 1000"));
            }
            body.events.into_iter().map(report_of).collect()
        }
        _ => Err(Problem::unsupported(
            "the body must be application/json or message/rfc822",
        )),
    }
}

fn report_of(event: MailEventBody) -> Result<(Report, Option<Timestamp>), Problem> {
    let fate = match (event.kind, event.permanent) {
        (MailEventKind::Bounced, Some(true)) => Fate::Bounced,
        (MailEventKind::Bounced, Some(false)) => Fate::Delayed,
        (MailEventKind::Bounced, None) => return Err(bad_field("permanent must be given with bounced")),
        (MailEventKind::Complained, _) => Fate::Complained,
        (MailEventKind::Delivered, _) => Fate::Delivered,
    };
    if event.message_id.is_none() && event.return_path.is_none() {
        return Err(bad_field("message_id or return_path must name the message"));
    }
    let at = event.at.as_deref().map(|text| wire::instant("at", text)).transpose()?;
    let report = Report {
        fate,
        return_paths: event.return_path.into_iter().collect(),
        message_id: event.message_id,
        recipient: event.recipient,
        is_exact: true,
        detail: event.detail,
    };
    Ok((report, at))
}

fn bad_field(detail: &'static str) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_field", detail)
}
