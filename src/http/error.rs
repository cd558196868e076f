//! Every error as `application/problem+json` (RFC 9457) with a stable `code`.
//!
//! A handler returns a [`Problem`]; the gate alone writes its body, because only there the request's id is at hand.

use std::borrow::Cow;
use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;

use crate::mailer::render::RenderError;
use crate::store::StoreError;
use crate::store::inbox::intake::NotTaken;

/// The media type of every error.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// When to come again after a 503, in seconds.
const UNAVAILABLE_SECS: u64 = 2;

/// What went wrong, as the caller may know it: no internals, no secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The HTTP status.
    pub status: StatusCode,
    /// A word that programs may rely on.
    pub code: Cow<'static, str>,
    /// A sentence for people.
    pub detail: Cow<'static, str>,
    /// The methods that the route has, where the one used is not among them.
    allow: Option<String>,
    /// When to come again, where it is not told by the status alone.
    retry_after_secs: Option<u64>,
    /// What is wrong in detail.
    errors: Vec<FieldError>,
}

/// One thing that is wrong in a text that was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FieldError {
    /// The line, from 1, where it can be told.
    pub line: Option<usize>,
    /// The column, from 1, where it can be told.
    pub column: Option<usize>,
    /// What is wrong, and how to mend it.
    pub detail: String,
}

/// The body of an error.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody<'a> {
    /// A URN made of the code; it names the kind of problem.
    #[serde(rename = "type")]
    pub kind: String,
    /// The HTTP status in words.
    pub title: &'a str,
    /// The HTTP status.
    pub status: u16,
    /// A sentence for people.
    pub detail: &'a str,
    /// A word that programs may rely on.
    pub code: &'a str,
    /// The path of the request.
    pub instance: &'a str,
    /// The id of the request, as in the header `X-Request-Id` and in the log.
    pub request_id: &'a str,
    /// What is wrong in detail, where several things can be.
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    pub errors: &'a [FieldError],
}

impl Problem {
    /// A problem with a status, a stable code and a sentence.
    pub fn new(status: StatusCode, code: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            code: code.into(),
            detail: detail.into(),
            allow: None,
            retry_after_secs: None,
            errors: Vec::new(),
        }
    }

    /// The same problem with what is wrong in detail.
    #[must_use]
    pub fn with_errors(self, errors: Vec<FieldError>) -> Self {
        Self { errors, ..self }
    }

    /// What is wrong in detail.
    pub(crate) fn errors(&self) -> &[FieldError] {
        &self.errors
    }

    /// 400: the request cannot be understood.
    pub fn bad_request(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// 404: there is no such thing.
    pub fn not_found(detail: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    /// 405: the route has other methods.
    pub fn method_not_allowed(allow: String) -> Self {
        Self {
            allow: Some(allow),
            ..Self::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "the route has no such method; the header Allow lists those it has",
            )
        }
    }

    /// 413: more bytes than are read.
    pub fn too_large(bytes_max: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            format!("the body is longer than {bytes_max} bytes"),
        )
    }

    /// 415: the body is of a kind that is not read.
    pub fn unsupported(detail: &'static str) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
    }

    /// 429: nothing of this peer is read for so many seconds.
    pub fn too_many(detail: &'static str, retry_after_secs: u64) -> Self {
        Self {
            retry_after_secs: Some(retry_after_secs),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", detail)
        }
    }

    /// When to come again, in seconds, where the problem says so.
    pub(crate) fn retry_after_secs(&self) -> Option<u64> {
        self.retry_after_secs
    }

    /// 500, of which the caller learns nothing but the request's id.
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "something went wrong on our side; the log has more under the request's id",
        )
    }

    /// 503: the database does not answer.
    pub fn database_away() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "database_unavailable",
            "the database does not answer at present; try again",
        )
    }

    /// 503: the provider does not answer.
    pub fn provider_away() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "provider_unavailable",
            "the payment provider does not answer at present; try again",
        )
    }

    /// The problem that a bare status stands for, for answers that the framework made.
    pub fn of_status(status: StatusCode) -> Self {
        let (code, detail) = match status {
            StatusCode::BAD_REQUEST => ("bad_request", "the request cannot be understood"),
            StatusCode::NOT_FOUND => ("not_found", "there is no such route"),
            StatusCode::REQUEST_TIMEOUT => ("request_timeout", "the request took too long to arrive"),
            StatusCode::PAYLOAD_TOO_LARGE => ("body_too_large", "the body is too long"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => ("unsupported_media_type", "the body is of a kind that is not read"),
            status if status.is_client_error() => ("refused", "the request was refused"),
            _ => return Self::internal(),
        };
        Self::new(status, code, detail)
    }

    /// The answer with its body.
    pub fn render(&self, instance: &str, request_id: &str) -> HttpResponse {
        let body = ProblemBody {
            kind: format!("urn:recoup:problem:{}", self.code),
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            code: &self.code,
            instance,
            request_id,
            errors: &self.errors,
        };
        let mut response = HttpResponse::build(self.status).json(body);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some(allow) = self.allow.as_deref().and_then(|text| HeaderValue::from_str(text).ok()) {
            headers.insert(ALLOW, allow);
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"recoup\""));
        }
        let unavailable = (self.status == StatusCode::SERVICE_UNAVAILABLE).then_some(UNAVAILABLE_SECS);
        if let Some(secs) = self.retry_after_secs.or(unavailable) {
            headers.insert(RETRY_AFTER, HeaderValue::from(secs));
        }
        response
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl std::error::Error for Problem {}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::new(self.status);
        response.extensions_mut().insert(self.clone());
        response
    }
}

impl From<NotTaken> for Problem {
    fn from(not_taken: NotTaken) -> Self {
        match not_taken {
            NotTaken::Store(error) => error.into(),
            NotTaken::Full => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "inbox_full",
                "more events arrive than the database can take; send it again",
            ),
        }
    }
}

impl From<RenderError> for Problem {
    /// A message that cannot be written is our own fault.
    fn from(error: RenderError) -> Self {
        tracing::error!(%error, "a message could not be rendered");
        Self::internal()
    }
}

impl From<StoreError> for Problem {
    /// A database that is away is told apart from everything else, of which only the log learns.
    fn from(error: StoreError) -> Self {
        if error.is_transient() {
            tracing::warn!(%error, "the database did not answer a request");
            return Self::database_away();
        }
        if matches!(error, StoreError::Conflict(_)) {
            return Self::new(
                StatusCode::CONFLICT,
                "conflict",
                "another request changed the same thing",
            );
        }
        tracing::error!(%error, "a request failed");
        Self::internal()
    }
}
