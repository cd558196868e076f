//! `Idempotency-Key`: a POST under `/v1` that is sent again gives the first answer again. A form of the dashboard that acts on many
//! cases carries such a key itself, under which its answer is shown.

use actix_web::body::{BoxBody, to_bytes};
use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderMap, HeaderName};
use actix_web::{Error, HttpResponse};
use sha2::{Digest as _, Sha256};

use super::HttpState;
use super::auth::Caller;
use super::error::{PROBLEM_JSON, Problem};
use super::page;
use crate::domain::ids::KeyId;
use crate::store::idempotency as kept;

/// The longest key.
const KEY_CHARS_MAX: usize = 255;
/// Says that an answer is a replay.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// A key with all that tells one request from another.
pub(super) struct Key {
    holder: KeyId,
    text: String,
    route: String,
    request_hash: [u8; 32],
}

/// How a request under a key goes on.
pub(super) enum Start {
    /// It is the first.
    Fresh,
    /// It was answered before.
    Again(HttpResponse),
}

/// The body to keep in place of the one that is answered, for answers that show a secret once.
pub(super) struct KeepInstead(pub Vec<u8>);

impl Key {
    /// Reads the header; nothing without one, 400 for one that cannot be a key.
    pub(super) fn of(caller: &Caller, headers: &HeaderMap, path: &str, body: &[u8]) -> Result<Option<Self>, Problem> {
        let Some(value) = headers.get("idempotency-key") else {
            return Ok(None);
        };
        let text = value.to_str().ok().map(str::trim).filter(|text| {
            (1..=KEY_CHARS_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
        });
        let Some(text) = text else {
            return Err(Problem::bad_request(
                "bad_idempotency_key",
                format!("Idempotency-Key must be 1 to {KEY_CHARS_MAX} visible ASCII characters"),
            ));
        };
        Ok(Some(Self::new(caller, text, path, body)))
    }

    /// The key that the form of a page carries. `body` is all that the form asks for.
    pub(super) fn of_form(caller: &Caller, text: &str, path: &str, body: &[u8]) -> Result<Self, Problem> {
        page::plain("once", Some(text.to_owned()))?;
        Ok(Self::new(caller, text, path, body))
    }

    fn new(caller: &Caller, text: &str, path: &str, body: &[u8]) -> Self {
        Self {
            holder: caller.key_id.clone().into(),
            text: text.to_owned(),
            route: path.to_owned(),
            request_hash: Sha256::new()
                .chain_update(path)
                .chain_update([0])
                .chain_update(body)
                .finalize()
                .into(),
        }
    }
}

/// Takes the key, or says how its first request went.
pub(super) async fn begin(state: &HttpState, key: &Key) -> Result<Start, Problem> {
    let now = state.engine.clock().now();
    let begun = kept::begin(&state.store, &key.holder, &key.text, &key.route, &key.request_hash, now).await?;
    match begun {
        kept::Begun::Fresh => Ok(Start::Fresh),
        kept::Begun::InFlight => Err(Problem::new(
            StatusCode::CONFLICT,
            "idempotency_in_flight",
            "the first request under this Idempotency-Key is not answered yet",
        )),
        kept::Begun::Mismatch => Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency_mismatch",
            "this Idempotency-Key was used for another request",
        )),
        kept::Begun::Replay { status, body } => Ok(Start::Again(replay(status, body))),
    }
}

fn replay(status: u16, body: Vec<u8>) -> HttpResponse {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let kind = if status.is_client_error() {
        PROBLEM_JSON
    } else {
        "application/json"
    };
    HttpResponse::build(status)
        .insert_header((CONTENT_TYPE, kind))
        .insert_header((REPLAYED, "true"))
        .body(body)
}

/// Keeps the answer, where it is one that a second request would deserve too; else lets the key go.
pub(super) async fn keep(
    state: &HttpState,
    key: &Key,
    response: ServiceResponse<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let status = response.status();
    let final_answer = status.is_success() || status == StatusCode::CONFLICT || status == StatusCode::NOT_FOUND;
    if !final_answer {
        let_go(state, key).await;
        return Ok(response);
    }
    let (request, response) = response.into_parts();
    let (mut response, body) = response.into_parts();
    let body = to_bytes(body).await.map_err(|_| Problem::internal())?;
    let instead = response.extensions_mut().remove::<KeepInstead>();
    let to_keep = instead.map_or_else(|| body.to_vec(), |instead| instead.0);
    if let Err(error) = kept::finish(&state.store, &key.holder, &key.text, status.as_u16(), &to_keep).await {
        tracing::warn!(%error, "an answer could not be kept for its idempotency key");
    }
    Ok(ServiceResponse::new(request, response.set_body(BoxBody::new(body))))
}

/// Lets the key of a request go that certainly did nothing.
pub(super) async fn let_go(state: &HttpState, key: &Key) {
    if let Err(error) = kept::abandon(&state.store, &key.holder, &key.text).await {
        tracing::warn!(%error, "an idempotency key could not be let go");
    }
}

/// Keeps what became of a form, for [`shown_again`].
pub(super) async fn keep_shown(state: &HttpState, key: &Key, body: &[u8]) -> Result<(), Problem> {
    kept::finish(&state.store, &key.holder, &key.text, StatusCode::OK.as_u16(), body).await?;
    Ok(())
}

/// What became of the form that this caller sent under that key to `path`, while it is kept.
pub(super) async fn shown_again(
    state: &HttpState,
    caller: &Caller,
    text: &str,
    path: &str,
) -> Result<Option<Vec<u8>>, Problem> {
    let holder = KeyId::from(caller.key_id.clone());
    Ok(kept::answer(&state.store, &holder, text, path).await?)
}
