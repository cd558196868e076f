//! The gate around every route: request id, method, key, role, body, idempotency; and on the way out problem documents,
//! headers and the metric.

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, ResponseError, web};

use super::error::Problem;
use super::idempotency::{self, Start};
use super::{HttpState, auth, body, dashboard, rules};
use crate::clock;
use crate::telemetry::metric;

/// The header that carries the request's id both ways.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest request id that is taken over.
const REQUEST_ID_CHARS_MAX: usize = 64;
/// The most bytes of a body under `/v1`.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Where providers send their events.
const WEBHOOKS: &str = "/webhooks/";

/// What of a request is still needed after it was handed on.
struct Trace {
    id: String,
    path: String,
    method: Method,
    /// Whether others reach us by TLS.
    by_tls: bool,
}

/// Passes a request on, or answers it.
pub(super) async fn gate(mut request: ServiceRequest, next: Next<BoxBody>) -> Result<ServiceResponse<BoxBody>, Error> {
    let began = tokio::time::Instant::now();
    let state = request
        .app_data::<web::Data<HttpState>>()
        .cloned()
        .expect("the state is given to every worker");
    let trace = Trace {
        id: request_id(request.headers()),
        path: request.path().to_owned(),
        method: request.method().clone(),
        by_tls: state.is_public_by_tls(),
    };
    if trace.method == Method::HEAD {
        // The server leaves the body out by itself; so every GET route answers HEAD.
        request.head_mut().method = Method::GET;
    }
    let response = match admit(&state, &mut request).await {
        Err(problem) => request.into_response(problem.error_response()),
        Ok(None) => next.call(request).await?,
        Ok(Some(key)) => run_once(&state, &trace, key, request, &next).await?,
    };
    let response = sealed(response, &trace);
    let seconds = began.elapsed().as_secs_f64();
    let class = status_class(response.status());
    metrics::histogram!(metric::HTTP_REQUEST, "method" => method_label(&trace.method), "status" => class)
        .record(seconds);
    Ok(response)
}

/// Checks route, method, key and role, and reads the body of a POST. Gives the idempotency key, where one was sent.
async fn admit(state: &HttpState, request: &mut ServiceRequest) -> Result<Option<idempotency::Key>, Problem> {
    if request.method() == Method::POST && request.path().starts_with(WEBHOOKS) {
        // The busiest route by far checks all that it needs itself.
        return Ok(None);
    }
    let Some(pattern) = request.match_pattern() else {
        return Err(Problem::not_found("there is no such route"));
    };
    state.routes.check_method(&pattern, request.method())?;
    if !pattern.starts_with("/v1/") {
        return Ok(None);
    }
    let caller = auth::authenticate(state, request.headers()).await?;
    let Some(needed) = rules::needed(request.method(), &pattern) else {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            "nobody may use this route",
        ));
    };
    caller.require(needed)?;
    let key = if request.method() == Method::POST {
        let mut payload = request.take_payload();
        let body = body::read(request.headers(), &mut payload, BODY_BYTES_MAX).await?;
        let key = idempotency::Key::of(&caller, request.headers(), request.path(), &body)?;
        request.extensions_mut().insert(body::RawBody(body));
        key
    } else {
        None
    };
    request.extensions_mut().insert(caller);
    Ok(key)
}

/// Runs a request under its idempotency key: once, and afterwards only its answer again.
async fn run_once(
    state: &HttpState,
    trace: &Trace,
    key: idempotency::Key,
    request: ServiceRequest,
    next: &Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    match idempotency::begin(state, &key).await {
        Err(problem) => Ok(request.into_response(problem.error_response())),
        Ok(Start::Again(answer)) => Ok(request.into_response(answer)),
        Ok(Start::Fresh) => {
            let response = next.call(request).await?;
            idempotency::keep(state, &key, sealed(response, trace)).await
        }
    }
}

/// Writes the problem document of an error that has none yet, and the headers that every answer carries.
fn sealed(response: ServiceResponse<BoxBody>, trace: &Trace) -> ServiceResponse<BoxBody> {
    let (request, mut response) = response.into_parts();
    let status = response.status();
    let problem = response.extensions_mut().remove::<Problem>();
    let fault = response.extensions_mut().remove::<dashboard::Fault>();
    let bare = status.is_client_error() || status.is_server_error();
    let mut response = match (problem, fault) {
        (Some(problem), _) => problem.render(&trace.path, &trace.id),
        (None, Some(fault)) => fault.page(&request),
        (None, None) if bare && !response.headers().contains_key(CONTENT_TYPE) => {
            Problem::of_status(status).render(&trace.path, &trace.id)
        }
        (None, None) => response,
    };
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&trace.id) {
        headers.insert(REQUEST_ID, id);
    }
    dashboard::headers::guard(headers, &trace.path, trace.by_tls);
    if status.is_server_error() {
        // The path itself may hold the token of a link.
        let route = request.match_pattern().unwrap_or_default();
        tracing::warn!(request_id = %trace.id, route, status = status.as_u16(), "a request failed");
    }
    ServiceResponse::new(request, response)
}

/// The id that the caller gave, where it is plain, or a new one.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
    let plain = |text: &&str| {
        (1..=REQUEST_ID_CHARS_MAX).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    given
        .filter(plain)
        .map_or_else(|| format!("req_{:032x}", clock::entropy()), str::to_owned)
}

fn status_class(status: StatusCode) -> &'static str {
    match status.as_u16() / 100 {
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        5 => "5xx",
        _ => "other",
    }
}

fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        _ => "other",
    }
}
