//! Signing in with a password or an API key, and out.

use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use minijinja::context;

use super::language::Language;
use super::session::{self, anonymous, posted, with_cookie};
use super::{Stop, page, to};
use crate::http::error::Problem;
use crate::http::{HttpState, people, sign_in};
use crate::store::audit;
use crate::store::sessions::Holder;

#[get("/dashboard/login")]
pub(super) async fn form(state: web::Data<HttpState>, request: HttpRequest) -> Result<HttpResponse, Stop> {
    if session::signed_in(&state, &request).await?.is_some() {
        return Ok(to("/dashboard"));
    }
    Ok(shown(&state, &request, StatusCode::OK, None, "")?)
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
    let now = state.engine.clock().now();
    let tx = state.store.begin().await?;
    let (action, object) = match &holder {
        Holder::Person(id) => ("people.sign_in", id.to_string()),
        Holder::Key(id) => ("keys.sign_in", id.to_string()),
    };
    let cookie = session::begin(&state, &request, &tx, holder, now).await?;
    audit::append(&tx, &people::entry(&name, action, &object, now)).await?;
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
    let shown = page(status, "login.html", None, &context! { csrf, wrong, email, language });
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
