//! Reading request bodies: with a limit in bytes and a limit in time, and never decompressed.

use std::future::{Ready, ready};
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use actix_web::web::{Bytes, BytesMut};
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::error::Problem;

/// How long a body may take to arrive, from first to last byte. The framework itself has no such limit.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The most room that is made for a body before any of it came: what is announced need not be true.
const FIRST_BYTES_MAX: usize = 8 * 1024;

/// The whole body, which the gate has read.
#[derive(Clone)]
pub(crate) struct RawBody(pub Bytes);

/// Reads a whole body of at most `bytes_max` bytes: 413, 408 or 415 otherwise.
pub(crate) async fn read(headers: &HeaderMap, payload: &mut Payload, bytes_max: usize) -> Result<Bytes, Problem> {
    let encoded = headers
        .get_all(CONTENT_ENCODING)
        .any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"));
    if encoded {
        return Err(Problem::unsupported("the body must come without Content-Encoding"));
    }
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let announced: Option<usize> = announced.and_then(|text| text.parse().ok());
    if announced.is_some_and(|bytes| bytes > bytes_max) {
        return Err(Problem::too_large(bytes_max));
    }
    let whole = async {
        let mut body = BytesMut::with_capacity(announced.unwrap_or(0).min(FIRST_BYTES_MAX));
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|_| Problem::bad_request("bad_body", "the body broke off"))?;
            if body.len() + chunk.len() > bytes_max {
                return Err(Problem::too_large(bytes_max));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    };
    match tokio::time::timeout(BODY_TIMEOUT, whole).await {
        Ok(body) => body,
        Err(_) => Err(Problem::of_status(StatusCode::REQUEST_TIMEOUT)),
    }
}

/// A JSON body; an empty one is `{}`. Unknown fields are refused where the type says so.
pub(crate) struct JsonBody<T>(pub T);

impl<T: DeserializeOwned> FromRequest for JsonBody<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let body = request.extensions().get::<RawBody>().map(|raw| raw.0.clone());
        ready(parse(request.headers(), &body.unwrap_or_default()).map(Self))
    }
}

fn parse<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, Problem> {
    let json = if body.is_empty() {
        b"{}"
    } else {
        let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = kind.and_then(|text| text.split(';').next()).unwrap_or_default();
        if !essence.trim().eq_ignore_ascii_case("application/json") {
            return Err(Problem::unsupported("the body must be application/json"));
        }
        body
    };
    self::json(json)
}

/// Reads JSON, and says which kind of fault it has.
pub(super) fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let strict: Result<T, serde_json::Error> = serde_json::from_slice(bytes);
    strict.map_err(|error| match error.classify() {
        Category::Data => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "bad_field",
            format!("the body does not fit: {error}"),
        ),
        Category::Io | Category::Syntax | Category::Eof => Problem::bad_request("bad_json", "the body is not JSON"),
    })
}
