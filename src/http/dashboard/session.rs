//! Who is signed in at the dashboard, and whether a form is from one of our own pages.
//!
//! A browser holds 256 random bits in a cookie, and the database their hash with whom they stand for. Before a sign-in they stand for
//! nobody, and only tie the form of the sign-in to the browser; a sign-in gives new ones.

use std::collections::HashMap;
use std::net::IpAddr;

use actix_web::cookie::{Cookie, SameSite, time};
use actix_web::http::StatusCode;
use actix_web::http::header::{HOST, ORIGIN};
use actix_web::{HttpRequest, HttpResponse, web};
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::language::Language;
use super::{Stop, show};
use crate::clock;
use crate::domain::ids::{KeyId, PersonId};
use crate::domain::role::Role;
use crate::http::HttpState;
use crate::http::auth::{BOOTSTRAP, Caller};
use crate::http::error::Problem;
use crate::http::keys::{self, Digest};
use crate::store::sessions::{self, Holder, SessionRow};
use crate::store::{StoreError, Tx};

/// The id that visitors of the demo act under; no key has it.
const DEMO: &str = "demo";
/// A session ends after so long without a request.
const IDLE: SignedDuration = SignedDuration::from_mins(30);
/// A session ends after so many hours in any case.
const HOURS: i64 = 12;
/// That a session is in use is written down at most this often, so that most pages write nothing.
const SEEN_EVERY: SignedDuration = SignedDuration::from_mins(1);
/// The cookie of a session.
const COOKIE: Named = Named {
    by_tls: "__Host-recoup",
    plain: "recoup",
};
/// How many characters the text of the cookie has.
const TOKEN_CHARS: usize = 64;
/// The field of a form that proves that it is ours.
pub(super) const CSRF: &str = "csrf";

/// The two names of a cookie.
pub(super) struct Named {
    /// Where browsers know that it came by TLS: with the prefix `__Host-` they take it from nobody else.
    pub(super) by_tls: &'static str,
    /// Over plain HTTP, where browsers refuse the prefix.
    pub(super) plain: &'static str,
}

/// Whoever looks at a page.
pub(super) struct Visitor {
    /// Under whose name they act, and what they may do.
    pub(super) caller: Caller,
    /// Which person it is; none for who signed in with a key, and in the demo.
    pub(super) person: Option<PersonId>,
    /// What the forms of their pages carry.
    pub(super) csrf: String,
    /// The language of their pages.
    pub(super) language: Language,
}

impl Visitor {
    /// Whether nobody signed in, and the page is open because it is the demo.
    pub(super) fn is_demo(&self) -> bool {
        self.caller.key_id == DEMO
    }

    /// Whether they may act on cases; the demo is only looked at.
    pub(super) fn acts(&self) -> bool {
        self.caller.role.allows(Role::Billing) && !self.is_demo()
    }

    /// Their name, and which person they are, for acts about people.
    pub(super) fn by(&self) -> (&str, Option<&PersonId>) {
        (&self.caller.name, self.person.as_ref())
    }
}

/// The visitor of a page, who must be allowed what `needed` is.
pub(super) async fn visitor(state: &HttpState, request: &HttpRequest, needed: Role) -> Result<Visitor, Stop> {
    let visitor = anybody(state, request).await?;
    visitor.caller.require(needed)?;
    Ok(visitor)
}

/// The same of what the page asks for by itself: it is no sign that somebody is still there, and keeps no session alive.
pub(super) async fn looking_on(state: &HttpState, request: &HttpRequest, needed: Role) -> Result<Visitor, Stop> {
    let visitor = whoever(state, request, false).await?;
    visitor.caller.require(needed)?;
    Ok(visitor)
}

/// The visitor of a page that shows nothing about anybody, which is therefore open to every role.
pub(super) async fn anybody(state: &HttpState, request: &HttpRequest) -> Result<Visitor, Stop> {
    whoever(state, request, true).await
}

async fn whoever(state: &HttpState, request: &HttpRequest, counts: bool) -> Result<Visitor, Stop> {
    if let Some(visitor) = holder(state, request, counts).await? {
        return Ok(visitor);
    }
    // The demo is there to be looked at: what it would do, only who signs in may do.
    if !(state.demo && is_local(request) && request.method().is_safe()) {
        return Err(Stop::Login);
    }
    Ok(Visitor {
        caller: Caller {
            key_id: DEMO.to_owned(),
            name: DEMO.to_owned(),
            role: Role::Billing,
        },
        person: None,
        csrf: String::new(),
        language: Language::of(request),
    })
}

/// Whoever signed in. What they may do is read each time, so that a change of it counts at once.
pub(super) async fn signed_in(state: &HttpState, request: &HttpRequest) -> Result<Option<Visitor>, Problem> {
    holder(state, request, true).await
}

/// Whoever holds the session of a request; whether it counts as use of the session is up to who asks.
async fn holder(state: &HttpState, request: &HttpRequest, counts: bool) -> Result<Option<Visitor>, Problem> {
    let Some(token) = token(state, request) else {
        return Ok(None);
    };
    let hash = keys::digest(token.as_bytes());
    let now = state.engine.clock().now();
    let Some(row) = sessions::find(state.store.conn(), &hash).await? else {
        return Ok(None);
    };
    let unused = now.duration_since(row.last_seen_at);
    if row.expires_at <= now || unused >= IDLE {
        return Ok(None);
    }
    let Some((caller, person)) = holder_of(state, &token, row) else {
        return Ok(None);
    };
    if counts && unused >= SEEN_EVERY {
        sessions::touch(state.store.conn(), &hash, now).await?;
    }
    let csrf = csrf_of(&token);
    let language = Language::of(request);
    Ok(Some(Visitor {
        caller,
        person,
        csrf,
        language,
    }))
}

fn holder_of(state: &HttpState, token: &str, row: SessionRow) -> Option<(Caller, Option<PersonId>)> {
    match (row.known, row.holder) {
        (Some((name, role)), Holder::Person(id)) => {
            let key_id = id.to_string();
            Some((Caller { key_id, name, role }, Some(id)))
        }
        (Some((name, role)), Holder::Key(id)) => {
            let key_id = id.to_string();
            Some((Caller { key_id, name, role }, None))
        }
        (None, Holder::Key(id)) => {
            let ours = state
                .bootstrap
                .as_ref()
                .is_some_and(|key| bootstrap_id(token, key) == id);
            ours.then(|| (Caller::bootstrap(), None))
        }
        (None, Holder::Person(_)) => None,
    }
}

/// What a session of the bootstrap key is kept under: it ends when the configuration names another key. Who reads the table cannot
/// try out keys against it, for the text of the cookie does not stand there.
fn bootstrap_id(token: &str, key: &Digest) -> KeyId {
    KeyId::from(format!("{BOOTSTRAP}:{}", hex::encode(mac(token, key))))
}

/// Whom a session of this caller, who gave a key, is to stand for.
pub(super) fn key_holder(caller: &Caller) -> Holder {
    Holder::Key(caller.key_id.clone().into())
}

/// Begins a session in place of the one that the browser had, and gives its cookie.
pub(super) async fn begin(
    state: &HttpState,
    request: &HttpRequest,
    tx: &Tx,
    holder: Holder,
    now: Timestamp,
) -> Result<Cookie<'static>, StoreError> {
    if let Some(before) = token(state, request) {
        sessions::end(tx.conn(), &keys::digest(before.as_bytes())).await?;
    }
    let token = fresh();
    let holder = match (holder, &state.bootstrap) {
        (Holder::Key(id), Some(key)) if id.as_str() == BOOTSTRAP => Holder::Key(bootstrap_id(&token, key)),
        (holder, _) => holder,
    };
    let end = now.saturating_add(SignedDuration::from_hours(HOURS));
    let hash = keys::digest(token.as_bytes());
    sessions::insert(tx.conn(), &hash, &holder, now, end.unwrap_or(Timestamp::MAX)).await?;
    Ok(cookie(
        state,
        request,
        &COOKIE,
        token,
        Some(time::Duration::hours(HOURS)),
    ))
}

/// Ends the session of a request and gives the cookie that removes it from the browser.
pub(super) async fn end(state: &HttpState, request: &HttpRequest) -> Result<Cookie<'static>, StoreError> {
    if let Some(token) = token(state, request) {
        sessions::end(state.store.conn(), &keys::digest(token.as_bytes())).await?;
    }
    Ok(cookie(
        state,
        request,
        &COOKIE,
        String::new(),
        Some(time::Duration::ZERO),
    ))
}

/// What the form of a page for nobody in particular carries, and the cookie that it belongs to where the browser has none yet.
pub(super) fn anonymous(state: &HttpState, request: &HttpRequest) -> (String, Option<Cookie<'static>>) {
    if let Some(token) = token(state, request) {
        return (csrf_of(&token), None);
    }
    let token = fresh();
    (csrf_of(&token), Some(cookie(state, request, &COOKIE, token, None)))
}

/// The answer with a cookie.
pub(super) fn with_cookie(
    mut response: HttpResponse,
    cookie: Option<&Cookie<'static>>,
) -> Result<HttpResponse, Problem> {
    if let Some(cookie) = cookie {
        response.add_cookie(cookie).map_err(|_| Problem::internal())?;
    }
    Ok(response)
}

/// The fields of a form that was sent from one of our pages in this browser; every POST of the dashboard reads its form here.
pub(super) async fn posted(
    state: &HttpState,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<HashMap<String, String>, Problem> {
    let fields = posted_fields(state, request, payload, show::FORM_BYTES_MAX).await?;
    Ok(fields.into_iter().collect())
}

/// The same of a form that may be longer, and in which several fields may have one name.
pub(super) async fn posted_fields(
    state: &HttpState,
    request: &HttpRequest,
    payload: web::Payload,
    bytes_max: usize,
) -> Result<Vec<(String, String)>, Problem> {
    check_origin(state, request)?;
    let fields = show::fields(request, payload, bytes_max).await?;
    let given = fields.iter().rev().find(|(name, _)| name == CSRF);
    let given = given.map_or("", |(_, value)| value.as_str());
    let right = token(state, request).is_some_and(|token| csrf_of(&token).as_bytes().ct_eq(given.as_bytes()).into());
    if right {
        return Ok(fields);
    }
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        "stale_form",
        "this form is not from a page of this session; go back, load the page again and repeat it",
    ))
}

/// The text of the cookie, where it can be one of ours.
fn token(state: &HttpState, request: &HttpRequest) -> Option<String> {
    let text = held(state, request, &COOKIE)?;
    let ours = text.len() == TOKEN_CHARS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    ours.then_some(text)
}

fn fresh() -> String {
    format!("{:032x}{:032x}", clock::entropy(), clock::entropy())
}

/// It follows from the cookie, which other sites cannot read, and tells nothing of it.
fn csrf_of(token: &str) -> String {
    hex::encode(mac(token, b"form"))
}

fn mac(token: &str, text: &[u8]) -> Digest {
    let mut mac = Hmac::<Sha256>::new_from_slice(token.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(text);
    mac.finalize().into_bytes().into()
}

/// What a browser holds under that name.
pub(super) fn held(state: &HttpState, request: &HttpRequest, named: &Named) -> Option<String> {
    let cookie = request.cookie(name(state, request, named))?;
    Some(cookie.value().to_owned())
}

/// A cookie that no script and no other site reads.
pub(super) fn cookie(
    state: &HttpState,
    request: &HttpRequest,
    named: &Named,
    text: String,
    max_age: Option<time::Duration>,
) -> Cookie<'static> {
    let mut cookie = Cookie::build(name(state, request, named), text)
        .path("/")
        .http_only(true)
        .secure(by_tls(state, request))
        .same_site(SameSite::Lax)
        .finish();
    cookie.set_max_age(max_age);
    cookie
}

fn name(state: &HttpState, request: &HttpRequest, named: &Named) -> &'static str {
    if by_tls(state, request) {
        named.by_tls
    } else {
        named.plain
    }
}

/// Whether the browser speaks TLS: we are reached by it, or the proxy says so. Who says so without a proxy only harms their own cookie.
pub(super) fn by_tls(state: &HttpState, request: &HttpRequest) -> bool {
    state.is_public_by_tls() || request.connection_info().scheme() == "https"
}

/// Refuses a form that another site sent.
fn check_origin(state: &HttpState, request: &HttpRequest) -> Result<(), Problem> {
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
    let scheme = request.connection_info().scheme().to_owned();
    public.as_deref() == Some(origin) || host.is_some_and(|host| origin == format!("{scheme}://{host}"))
}

/// Whether the request comes from this machine and was meant for it. The second half keeps foreign names that point
/// at this machine out.
fn is_local(request: &HttpRequest) -> bool {
    let from_here = peer(request).is_some_and(|peer| peer.is_loopback());
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

/// The address of the socket, which alone cannot be forged.
pub(super) fn peer(request: &HttpRequest) -> Option<IpAddr> {
    request.peer_addr().map(|address| address.ip())
}
