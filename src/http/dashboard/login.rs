//! Signing in with a password or an API key, and out.

use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use minijinja::context;
use serde::Deserialize;

use super::language::Language;
use super::oidc::Failure;
use super::session::{self, anonymous, posted, with_cookie};
use super::{Stop, page, to};
use crate::http::error::Problem;
use crate::http::{HttpState, people, sign_in};
use crate::store::Tx;
use crate::store::audit::{self, AuditRow};
use crate::store::sessions::Holder;

/// What the page was asked to report.
#[derive(Debug, Deserialize)]
pub(super) struct Report {
    sso: Option<String>,
}

#[get("/dashboard/login")]
pub(super) async fn form(
    state: web::Data<HttpState>,
    request: HttpRequest,
    report: web::Query<Report>,
) -> Result<HttpResponse, Stop> {
    if session::signed_in(&state, &request).await?.is_some() {
        return Ok(to("/dashboard"));
    }
    let failure = report.sso.as_ref().filter(|_| state.oidc.is_some());
    let failure = failure.and_then(|word| word.parse::<Failure>().ok());
    let wrong = failure.map(Failure::as_str);
    Ok(shown(&state, &request, StatusCode::OK, wrong, "")?)
}

#[post("/dashboard/login")]
pub(super) async fn login(
    state: web::Data<HttpState>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Stop> {
    let fields = posted(&state, &request, payload).await?;
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    let email = field("email");
    let peer = session::peer(&request);
    let tried = match field("key").trim() {
        "" => sign_in::person(&state, peer, email, field("password").into())
            .await
            .map(|person| person.map(|person| (Holder::Person(person.id.clone()), person.name))),
        key => sign_in::key(&state, peer, key)
            .await
            .map(|caller| caller.map(|caller| (session::key_holder(&caller), caller.name))),
    };
    let (holder, name) = match tried {
        Ok(Some(found)) => found,
        Ok(None) => {
            let wrong = if email.is_empty() { "key" } else { "password" };
            return Ok(shown(&state, &request, StatusCode::UNAUTHORIZED, Some(wrong), email)?);
        }
        Err(problem) if problem.status == StatusCode::TOO_MANY_REQUESTS => {
            let mut response = shown(&state, &request, problem.status, Some("limited"), email)?;
            let secs = problem.retry_after_secs().unwrap_or(1);
            response.headers_mut().insert(RETRY_AFTER, secs.into());
            return Ok(response);
        }
        Err(problem) => return Err(problem.into()),
    };
    // That a key let somebody in, the name of the action says already.
    let how = matches!(holder, Holder::Person(_)).then_some("with a password");
    let tx = state.store.begin().await?;
    let_in(&state, &request, tx, (holder, &name), how).await
}

/// Begins the session of somebody who has shown who they are, and leads to the dashboard.
pub(super) async fn let_in(
    state: &HttpState,
    request: &HttpRequest,
    tx: Tx,
    (holder, name): (Holder, &str),
    how: Option<&str>,
) -> Result<HttpResponse, Stop> {
    let now = state.engine.clock().now();
    let (action, object) = match &holder {
        Holder::Person(id) => ("people.sign_in", id.to_string()),
        Holder::Key(id) => ("keys.sign_in", id.to_string()),
    };
    let cookie = session::begin(state, request, &tx, holder, now).await?;
    let entry = AuditRow {
        comment: how.map(str::to_owned),
        ..people::entry(name, action, &object, now)
    };
    audit::append(&tx, &entry).await?;
    tx.commit().await?;
    Ok(with_cookie(to("/dashboard"), Some(&cookie))?)
}

fn shown(
    state: &HttpState,
    request: &HttpRequest,
    status: StatusCode,
    wrong: Option<&str>,
    email: &str,
) -> Result<HttpResponse, Problem> {
    let (csrf, cookie) = anonymous(state, request);
    let language = Language::of(request).as_str();
    let provider = state.oidc.as_ref().map(|provider| provider.host());
    let context = context! { csrf, wrong, email, language, provider };
    let shown = page(status, "login.html", None, &context);
    with_cookie(shown, cookie.as_ref())
}

#[post("/dashboard/logout")]
pub(super) async fn logout(
    state: web::Data<HttpState>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Stop> {
    posted(&state, &request, payload).await?;
    let cookie = session::end(&state, &request).await?;
    Ok(with_cookie(to("/dashboard/login"), Some(&cookie))?)
}
