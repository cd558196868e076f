//! HTTP as Stripe wants it: one client, no redirects, no hidden retries, bounded answers.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Method, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use url::Url;

use super::wire::{ApiError, ErrorBody};
use crate::providers::ReadError;

/// The API version whose shapes our own calls ask for; webhooks come in the version of their endpoint.
const API_VERSION: &str = "2025-03-31.basil";
/// The total timeout of one call; the lease of a case is three times as long.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// The longest wait that we let the provider ask for.
const WAIT_MAX: Duration = Duration::from_hours(1);
/// How long to wait where the provider says that sending again will not help for now.
const WAIT_AGAINST_ADVICE: Duration = Duration::from_mins(10);
/// The longest identifier, in bytes.
const ID_BYTES_MAX: usize = 255;

/// Why the client cannot be built. The texts name no secret.
#[derive(Debug, thiserror::Error)]
pub enum Misconfigured {
    /// The base address is unusable.
    #[error("the Stripe API base must be an http or https address without user, query or fragment")]
    Base,
    /// The API key is unusable.
    #[error("the Stripe API key must be visible ASCII characters, at least one")]
    Key,
    /// A webhook secret is empty: anyone could sign with it.
    #[error("a Stripe webhook secret is empty")]
    Secret,
    /// TLS cannot be set up, most often because the machine has no CA certificates.
    #[error("HTTPS cannot be set up; does this machine have CA certificates (package ca-certificates)?")]
    Tls(#[source] reqwest::Error),
}

/// A connection pool to one account at Stripe.
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    key: SecretString,
}

/// A call without an answer worth reading. The texts are fixed, so that no secret or address can slip into them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// No byte of the request left.
    NotSent(&'static str),
    /// The request left, or may have; what came of it is unknown.
    NoAnswer(&'static str),
}

/// A whole answer, whatever its status.
pub(super) struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Whether the provider says that this is the stored answer to an earlier call under the same key.
    pub replayed: bool,
    date: Option<Timestamp>,
    retry_after: Option<Duration>,
    should_retry: Option<bool>,
    body: Vec<u8>,
}

/// What a POST or DELETE needs beside its path.
pub(super) struct Command<'a> {
    /// `POST` or `DELETE`.
    pub method: Method,
    /// The path's segments; they are percent-encoded.
    pub path: &'a [&'a str],
    /// The form's fields.
    pub form: &'a [(&'a str, &'a str)],
    /// The idempotency key.
    pub key: &'a str,
}

impl Client {
    /// A client for the account that `key` opens at `base`; each call ends after `timeout`.
    pub fn new(base: Url, key: SecretString, timeout: Duration) -> Result<Self, Misconfigured> {
        check_base(&base)?;
        if key.expose_secret().is_empty() || !key.expose_secret().bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Misconfigured::Key);
        }
        // Another part of the program may have installed a provider already; any will do.
        drop(rustls::crypto::ring::default_provider().install_default());
        let builder = reqwest::Client::builder()
            .user_agent(concat!("recoup/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(timeout);
        let builder = match base.scheme() {
            // Plain HTTP must also work on a machine without CA certificates, where the default set-up fails.
            "http" => builder.tls_backend_preconfigured(tls_that_trusts_nobody()),
            _ => builder,
        };
        let http = builder.build().map_err(Misconfigured::Tls)?;
        Ok(Self { http, base, key })
    }

    /// The host and port that is called, for people.
    pub fn base(&self) -> &Url {
        &self.base
    }

    /// Whether the key moves real money; nothing where its form does not say so.
    pub fn livemode(&self) -> Option<bool> {
        // `sk_live_...`, `rk_test_...`: the second word is the mode.
        match self.key.expose_secret().split('_').nth(1) {
            Some("live") => Some(true),
            Some("test") => Some(false),
            _ => None,
        }
    }

    /// Reads an object; a 404 counts as `NotFound` only in Stripe's own error shape, for a wrong base answers 404 as well.
    pub async fn read<T: DeserializeOwned>(&self, path: &[&str], query: &[(&str, &str)]) -> Result<T, ReadError> {
        let answer = self.get(path, query).await?;
        match answer.status {
            404 if answer.error().is_some() => Err(ReadError::NotFound),
            _ => answer.read(),
        }
    }

    /// Reads an object that may be missing.
    pub async fn read_optional<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Option<T>, ReadError> {
        let answer = match self.get(path, query).await {
            Ok(answer) => answer,
            Err(ReadError::NotFound) => return Ok(None),
            Err(other) => return Err(other),
        };
        if answer.status == 404 {
            Ok(None)
        } else {
            answer.read().map(Some)
        }
    }

    /// Reads what is good to know but not needed: where the provider answers with anything else, there is nothing.
    pub async fn read_extra<T: DeserializeOwned>(&self, path: &[&str]) -> Result<Option<T>, ReadError> {
        let answer = self.get(path, &[]).await?;
        Ok(if answer.is_success() { answer.json() } else { None })
    }

    /// Reads the newest event, for nothing but whether the key opens the account, and what time it is there.
    pub async fn greet(&self) -> Result<Option<Timestamp>, ReadError> {
        let answer = self.get(&["events"], &[("limit", "1")]).await?;
        answer.read::<serde::de::IgnoredAny>()?;
        Ok(answer.date)
    }

    /// Sends a command with its idempotency key.
    pub async fn send(&self, command: Command<'_>) -> Result<Answer, Lost> {
        let url = self
            .url(command.path)
            .ok_or(Lost::NotSent("an identifier is unusable"))?;
        let mut request = self
            .http
            .request(command.method, url)
            .header("Idempotency-Key", command.key);
        if !command.form.is_empty() {
            request = request.form(command.form);
        }
        self.exchange(request).await
    }

    async fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Answer, ReadError> {
        // An identifier that cannot stand in a path names nothing.
        let url = self.url(path).ok_or(ReadError::NotFound)?;
        let mut request = self.http.get(url);
        if !query.is_empty() {
            request = request.query(query);
        }
        self.exchange(request).await.map_err(|lost| ReadError::Unavailable {
            reason: lost.reason().to_owned(),
            retry_after: None,
        })
    }

    async fn exchange(&self, request: RequestBuilder) -> Result<Answer, Lost> {
        let request = request
            .bearer_auth(self.key.expose_secret())
            .header("Stripe-Version", API_VERSION)
            .header("Accept", "application/json");
        let mut response = request.send().await.map_err(|error| lost(&error))?;
        let headers = response.headers();
        let mut answer = Answer {
            status: response.status().as_u16(),
            replayed: text(headers, "idempotent-replayed") == Some("true"),
            date: http_date(headers, DATE.as_str()).and_then(|date| Timestamp::try_from(date).ok()),
            retry_after: retry_after(headers),
            should_retry: match text(headers, "stripe-should-retry") {
                Some("true") => Some(true),
                Some("false") => Some(false),
                _ => None,
            },
            body: Vec::new(),
        };
        while let Some(chunk) = response.chunk().await.map_err(|error| cut(&error))? {
            if answer.body.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(Lost::NoAnswer("the answer is too large"));
            }
            answer.body.extend_from_slice(&chunk);
        }
        Ok(answer)
    }

    /// The address of a path, or nothing where a segment cannot be an identifier.
    fn url(&self, path: &[&str]) -> Option<Url> {
        let usable = |segment: &&str| !matches!(*segment, "" | "." | "..") && segment.len() <= ID_BYTES_MAX;
        if !path.iter().all(usable) {
            return None;
        }
        let mut url = self.base.clone();
        url.path_segments_mut().ok()?.pop_if_empty().push("v1").extend(path);
        Some(url)
    }
}

impl Lost {
    /// What happened, in words.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NotSent(reason) | Self::NoAnswer(reason) => reason,
        }
    }
}

impl Answer {
    /// Whether the provider carried out what was asked.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as JSON of the wanted shape, or nothing.
    pub fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The error that the body tells of, where it has Stripe's own shape.
    pub fn error(&self) -> Option<ApiError> {
        self.json::<ErrorBody>()?.error
    }

    /// Whether the provider says that the same request may succeed when it is sent again.
    pub fn advises_retry(&self) -> bool {
        self.should_retry == Some(true)
    }

    /// How long to wait before the next call: what `Retry-After` says, and longer where the provider advises against it.
    pub fn wait(&self) -> Option<Duration> {
        match self.should_retry {
            Some(false) => Some(self.retry_after.unwrap_or_default().max(WAIT_AGAINST_ADVICE)),
            _ => self.retry_after,
        }
    }

    /// The status and the machine-readable part of the error, for people.
    pub fn reason(&self) -> String {
        let replayed = if self.replayed { ", replayed" } else { "" };
        match self.error().and_then(|error| error.word()) {
            Some(word) => format!("HTTP {} {word}{replayed}", self.status),
            None => format!("HTTP {}{replayed}", self.status),
        }
    }

    fn read<T: DeserializeOwned>(&self) -> Result<T, ReadError> {
        let unavailable = |reason| ReadError::Unavailable {
            reason,
            retry_after: self.wait(),
        };
        match self.status {
            200..300 => self
                .json()
                .ok_or_else(|| unavailable("the answer cannot be read".to_owned())),
            401 | 403 => Err(ReadError::Refused(self.status)),
            _ => Err(unavailable(self.reason())),
        }
    }
}

fn check_base(base: &Url) -> Result<(), Misconfigured> {
    let plain = base.username().is_empty()
        && base.password().is_none()
        && base.query().is_none()
        && base.fragment().is_none()
        && base.host().is_some();
    if plain && matches!(base.scheme(), "http" | "https") {
        Ok(())
    } else {
        Err(Misconfigured::Base)
    }
}

fn tls_that_trusts_nobody() -> rustls::ClientConfig {
    rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring speaks the default protocol versions")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

/// Only a failed connect, or a request that could not even be built, is certain not to have reached the provider.
fn lost(error: &reqwest::Error) -> Lost {
    if error.is_connect() {
        Lost::NotSent("could not connect")
    } else if error.is_builder() {
        Lost::NotSent("the request could not be built")
    } else if error.is_timeout() {
        Lost::NoAnswer("timed out")
    } else {
        Lost::NoAnswer("the connection broke")
    }
}

fn cut(error: &reqwest::Error) -> Lost {
    if error.is_timeout() {
        Lost::NoAnswer("timed out")
    } else {
        Lost::NoAnswer("the answer was cut short")
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The wait that `Retry-After` asks for, at most an hour. A date counts from the answer's own `Date`, so that our clock
/// (a test clock, say) does not matter; anything else is ignored.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let asked = text(headers, RETRY_AFTER.as_str())?.trim();
    if !asked.is_empty() && asked.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are more than an hour as well.
        return Some(asked.parse().map_or(WAIT_MAX, Duration::from_secs).min(WAIT_MAX));
    }
    let (until, from) = (
        http_date(headers, RETRY_AFTER.as_str())?,
        http_date(headers, DATE.as_str())?,
    );
    Some(until.duration_since(from).unwrap_or_default().min(WAIT_MAX))
}

fn http_date(headers: &HeaderMap, name: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(text(headers, name)?.trim()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn retry_after_is_clamped_and_garbage_ignored() {
        let date = ("date", "Sun, 01 Mar 2026 00:00:00 GMT");
        let cases = [
            ("5", Some(5)),
            ("0", Some(0)),
            ("1000000000", Some(3600)),
            ("99999999999999999999999999", Some(3600)),
            ("Sun, 01 Mar 2026 00:00:30 GMT", Some(30)),
            ("Sun, 01 Mar 2026 09:00:00 GMT", Some(3600)),
            ("Sat, 28 Feb 2026 00:00:00 GMT", Some(0)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(3600)),
            ("Sunday, 01-Mar-26 00:00:30 GMT", Some(30)),
            ("Sun Mar  1 00:00:30 2026", Some(30)),
            ("-5", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ];
        for (asked, secs) in cases {
            let found = retry_after(&headers(&[("retry-after", asked), date]));
            assert_eq!(found, secs.map(Duration::from_secs), "{asked:?}");
        }
        assert_eq!(
            retry_after(&headers(&[("retry-after", "Sun, 01 Mar 2026 00:00:30 GMT")])),
            None
        );
        assert_eq!(retry_after(&headers(&[date])), None);
    }

    #[test]
    fn identifiers_cannot_leave_their_segment() {
        let base = "http://127.0.0.1:1/base/".parse().unwrap();
        let client = Client::new(base, "sk_test_1".into(), CALL_TIMEOUT).unwrap();
        let url = client.url(&["invoices", "in/../1?x#y%2e", "pay"]).unwrap();
        assert_eq!(
            url.as_str(),
            "http://127.0.0.1:1/base/v1/invoices/in%2F..%2F1%3Fx%23y%252e/pay"
        );
        for bad in ["", ".", ".."] {
            assert_eq!(client.url(&["invoices", bad, "pay"]), None, "{bad:?}");
        }
    }

    #[tokio::test]
    async fn a_server_that_never_answers_leaves_the_outcome_unknown() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", silent.local_addr().unwrap()).parse().unwrap();
        let client = Client::new(base, "sk_test_1".into(), Duration::from_millis(50)).unwrap();
        let command = Command {
            method: Method::POST,
            path: &["invoices", "in_1", "pay"],
            form: &[],
            key: "att_1",
        };
        assert_eq!(client.send(command).await.err(), Some(Lost::NoAnswer("timed out")));
    }
}
