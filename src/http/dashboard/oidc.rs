//! Single sign-on: to the identity provider, and back from it.
//!
//! It begins with a link and not with a form. A form that is answered by a redirect to the provider would need a policy of contents that
//! lets forms lead there. And another site that makes a browser follow the link gains nothing: whoever comes back is who they are at
//! the provider, and only where this browser began. What would harm is an answer of somebody else's sign-in, and that fits no
//! cookie of this browser.

use actix_web::cookie::{Cookie, time};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, ResponseError, get, web};
use serde::Deserialize;

use super::session::{self, Named, with_cookie};
use super::{Stop, login, to};
use crate::domain::words::words;
use crate::http::error::Problem;
use crate::http::oidc::pending::{MINUTES, Pending};
use crate::http::oidc::person::{self, Denied};
use crate::http::oidc::{Fault, Oidc, code_of};
use crate::http::{HttpState, sign_in};
use crate::store::sessions::Holder;

/// The cookie of a sign-in that was begun. Browsers send it along when the provider leads back to us, for that is a link to follow.
const COOKIE: Named = Named {
    by_tls: "__Host-recoup_oidc",
    plain: "recoup_oidc",
};

words! {
    /// Why nobody was signed in, as the page of the sign-in tells it.
    Failure {
        /// It was not begun in this browser, or too long ago.
        Stale = "stale",
        /// The provider cannot be asked.
        Provider = "provider",
        /// The provider signed nobody in.
        Declined = "declined",
        /// What the provider says is not good.
        Refused = "refused",
        /// The provider vouches for somebody whom nobody here let in.
        Nobody = "nobody",
        /// Too many tries failed.
        Limited = "limited",
    }
}

/// What the provider tells by way of the browser.
#[derive(Deserialize)]
pub(super) struct Answer {
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

#[get("/dashboard/oidc/start")]
pub(super) async fn start(state: web::Data<HttpState>, request: HttpRequest) -> Result<HttpResponse, Stop> {
    let provider = provider(&state)?;
    let now = state.engine.clock().now();
    let pending = Pending::begin(now);
    match provider.page(&pending, now).await {
        Ok(page) => {
            let cookie = cookie(&state, &request, pending.cookie(), time::Duration::minutes(MINUTES));
            Ok(with_cookie(to(page.as_str()), Some(&cookie))?)
        }
        Err(fault) => {
            let failure = failure_of(&fault);
            tracing::warn!(why = %fault, "single sign-on could not begin");
            Ok(failed(failure))
        }
    }
}

#[get("/dashboard/oidc/callback")]
pub(super) async fn callback(
    state: web::Data<HttpState>,
    request: HttpRequest,
    answer: web::Query<Answer>,
) -> Result<HttpResponse, Stop> {
    let provider = provider(&state)?;
    let response = match come_back(&state, &request, provider, &answer).await {
        Ok(Ok(response)) => response,
        Ok(Err(failure)) => failed(failure),
        Err(stop) => stop.error_response(),
    };
    // However it ended, the same answer is worth nothing a second time.
    let ended = cookie(&state, &request, String::new(), time::Duration::ZERO);
    Ok(with_cookie(response, Some(&ended))?)
}

async fn come_back(
    state: &HttpState,
    request: &HttpRequest,
    provider: &Oidc,
    answer: &Answer,
) -> Result<Result<HttpResponse, Failure>, Stop> {
    let now = state.engine.clock().now();
    let held = session::held(state, request, &COOKIE);
    let pending = held.and_then(|text| Pending::read(&text, now));
    let Some(pending) = pending.filter(|pending| pending.is_of(answer.state.as_deref().unwrap_or_default())) else {
        tracing::warn!("an answer of the identity provider belongs to no sign-in of this browser");
        return Ok(Err(Failure::Stale));
    };
    let Some(code) = answer.code.as_deref().filter(|_| answer.error.is_none()) else {
        let code = code_of(answer.error.as_deref().unwrap_or_default());
        tracing::warn!(code, "the identity provider signed nobody in");
        return Ok(Err(Failure::Declined));
    };
    let peer = session::peer(request);
    match sign_in::begin_answer(state, peer) {
        Ok(()) => {}
        Err(problem) if problem.status == StatusCode::TOO_MANY_REQUESTS => return Ok(Err(Failure::Limited)),
        Err(problem) => return Err(problem.into()),
    }
    let vouched = match provider.redeem(code, answer.iss.as_deref(), &pending, now).await {
        Ok(vouched) => vouched,
        Err(fault) => {
            let failure = failure_of(&fault);
            tracing::warn!(why = %fault, "single sign-on let nobody in");
            if failure == Failure::Refused {
                sign_in::answer_was_wrong(state, None).await?;
            }
            return Ok(Err(failure));
        }
    };
    let tx = state.store.begin().await?;
    let person = match person::of(&tx, provider.issuer(), &vouched, now).await {
        Ok(person) => person,
        Err(Denied::Store(error)) => return Err(error.into()),
        Err(denied) => {
            // Its own entry is to be written, and SQLite has one writer.
            drop(tx);
            tracing::warn!(why = %denied, "single sign-on let nobody in");
            sign_in::answer_was_wrong(state, denied.whom().map(ToString::to_string)).await?;
            return Ok(Err(Failure::Nobody));
        }
    };
    sign_in::answer_was_right(state, peer);
    let holder = Holder::Person(person.id);
    Ok(Ok(login::let_in(
        state,
        request,
        tx,
        (holder, &person.name),
        Some("by single sign-on"),
    )
    .await?))
}

const fn failure_of(fault: &Fault) -> Failure {
    match fault {
        Fault::Away(..) | Fault::Resting | Fault::Busy | Fault::Malformed(..) => Failure::Provider,
        Fault::Code(_) | Fault::Token(_) | Fault::Issuer => Failure::Refused,
    }
}

fn failed(failure: Failure) -> HttpResponse {
    to(&format!("/dashboard/login?sso={failure}"))
}

fn provider(state: &HttpState) -> Result<&Oidc, Problem> {
    let provider = state.oidc.as_deref();
    provider.ok_or_else(|| Problem::not_found("no identity provider is configured"))
}

fn cookie(state: &HttpState, request: &HttpRequest, text: String, max_age: time::Duration) -> Cookie<'static> {
    session::cookie(state, request, &COOKIE, text, Some(max_age))
}
