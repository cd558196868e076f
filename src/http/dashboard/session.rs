//! Who is logged in at the dashboard. Sessions live in memory: a restart logs everybody out, and each replica knows its own.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use actix_web::HttpRequest;
use actix_web::cookie::{Cookie, SameSite, time::Duration};
use actix_web::http::StatusCode;
use actix_web::http::header::{HOST, ORIGIN};
use jiff::{SignedDuration, Timestamp};

use super::Stop;
use crate::clock;
use crate::domain::role::Role;
use crate::http::HttpState;
use crate::http::auth::{self, Caller};
use crate::http::error::Problem;
use crate::http::keys::{self, Digest};

/// The id that visitors of the demo act under; no key has it.
pub(super) const DEMO: &str = "demo";
/// How long a login lasts, in hours.
const HOURS: i64 = 12;
/// How many logins are remembered; the one that ends first makes room.
const SESSIONS_MAX: usize = 1_000;
/// The name of the cookie.
const COOKIE: &str = "recoup_session";

/// The logins of this process.
#[derive(Default)]
pub(crate) struct Sessions {
    by_digest: Mutex<HashMap<Digest, Session>>,
}

struct Session {
    key_id: String,
    ends_at: Timestamp,
}

impl Sessions {
    /// Begins a login and gives the text for the cookie. Only its digest is kept.
    fn begin(&self, key_id: &str, now: Timestamp) -> String {
        let text = format!("{:032x}{:032x}", clock::entropy(), clock::entropy());
        let mut sessions = self.by_digest.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|_, session| session.ends_at > now);
        if sessions.len() >= SESSIONS_MAX {
            let first = sessions
                .iter()
                .min_by_key(|(_, session)| session.ends_at)
                .map(|(digest, _)| *digest);
            first.and_then(|digest| sessions.remove(&digest));
        }
        let session = Session {
            key_id: key_id.to_owned(),
            ends_at: now
                .saturating_add(SignedDuration::from_hours(HOURS))
                .unwrap_or(Timestamp::MAX),
        };
        sessions.insert(keys::digest(text.as_bytes()), session);
        text
    }

    fn key_of(&self, text: &str, now: Timestamp) -> Option<String> {
        let sessions = self.by_digest.lock().unwrap_or_else(PoisonError::into_inner);
        let session = sessions.get(&keys::digest(text.as_bytes()))?;
        (session.ends_at > now).then(|| session.key_id.clone())
    }

    fn end(&self, text: &str) {
        let mut sessions = self.by_digest.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.remove(&keys::digest(text.as_bytes()));
    }
}

/// The visitor of a page, who must be allowed what `needed` is.
pub(super) async fn visitor(state: &HttpState, request: &HttpRequest, needed: Role) -> Result<Caller, Stop> {
    let visitor = logged_in(state, request).await?.ok_or(Stop::Login)?;
    visitor.require(needed)?;
    Ok(visitor)
}

/// The visitor of a page that shows nothing about anybody, which is therefore open to every role.
pub(super) async fn anybody(state: &HttpState, request: &HttpRequest) -> Result<Caller, Stop> {
    logged_in(state, request).await?.ok_or(Stop::Login)
}

/// Whoever is logged in. The key is looked up each time, so that a revoked one ends its logins.
pub(super) async fn logged_in(state: &HttpState, request: &HttpRequest) -> Result<Option<Caller>, Stop> {
    if let Some(cookie) = request.cookie(COOKIE) {
        let key_id = state.sessions.key_of(cookie.value(), state.engine.clock().now());
        if let Some(key_id) = key_id
            && let Some(caller) = auth::caller_by_id(state, &key_id).await?
        {
            return Ok(Some(caller));
        }
    }
    Ok((state.demo && is_local(request)).then(|| Caller {
        key_id: DEMO.to_owned(),
        name: DEMO.to_owned(),
        role: Role::Viewer,
    }))
}

/// Begins a login and gives its cookie.
pub(super) fn begin(state: &HttpState, caller: &Caller) -> Cookie<'static> {
    let text = state.sessions.begin(&caller.key_id, state.engine.clock().now());
    cookie(state, text, Duration::hours(HOURS))
}

/// Ends the login of a request and gives the cookie that removes it from the browser.
pub(super) fn end(state: &HttpState, request: &HttpRequest) -> Cookie<'static> {
    if let Some(cookie) = request.cookie(COOKIE) {
        state.sessions.end(cookie.value());
    }
    cookie(state, String::new(), Duration::ZERO)
}

fn cookie(state: &HttpState, text: String, max_age: Duration) -> Cookie<'static> {
    let by_tls = state.public_url.as_ref().is_some_and(|url| url.scheme() == "https");
    Cookie::build(COOKIE, text)
        .path("/dashboard")
        .http_only(true)
        .secure(by_tls)
        .same_site(SameSite::Strict)
        .max_age(max_age)
        .finish()
}

/// Refuses a form that another site sent.
pub(super) fn check_origin(state: &HttpState, request: &HttpRequest) -> Result<(), Problem> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let from_us = match (header("sec-fetch-site"), header(ORIGIN.as_str())) {
        (Some(site), _) => site == "same-origin",
        (None, Some(origin)) => is_our_origin(state, request, origin),
        (None, None) => false,
    };
    if from_us {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        "foreign_origin",
        "this form was not sent from our own page",
    ))
}

fn is_our_origin(state: &HttpState, request: &HttpRequest, origin: &str) -> bool {
    let public = state.public_url.as_ref().map(|url| url.origin().ascii_serialization());
    let host = request.headers().get(HOST).and_then(|value| value.to_str().ok());
    public.as_deref() == Some(origin) || host.is_some_and(|host| origin == format!("http://{host}"))
}

/// Whether the request comes from this machine and was meant for it. The second half keeps foreign names that point
/// at this machine out.
fn is_local(request: &HttpRequest) -> bool {
    let from_here = request.peer_addr().is_some_and(|peer| peer.ip().is_loopback());
    let host = request
        .headers()
        .get(HOST)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let for_here = name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    from_here && for_here
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_ends_after_twelve_hours_and_when_it_is_ended() {
        let sessions = Sessions::default();
        let now: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
        let text = sessions.begin("key_1", now);
        let later = |hours| now.saturating_add(SignedDuration::from_hours(hours)).unwrap();
        assert_eq!(sessions.key_of(&text, later(11)).as_deref(), Some("key_1"));
        assert_eq!(sessions.key_of(&text, later(12)), None);
        sessions.end(&text);
        assert_eq!(sessions.key_of(&text, now), None);
        assert_eq!(sessions.key_of("", now), None);
    }

    #[test]
    fn logins_are_bounded() {
        let sessions = Sessions::default();
        let now: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
        for _ in 0..SESSIONS_MAX + 5 {
            sessions.begin("key_1", now);
        }
        assert_eq!(sessions.by_digest.lock().unwrap().len(), SESSIONS_MAX);
    }
}
