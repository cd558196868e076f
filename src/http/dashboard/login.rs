//! Logging in with an API key, and out.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use minijinja::context;

use super::{Stop, page, session, show, to};
use crate::http::{HttpState, auth};

#[get("/dashboard/login")]
pub(super) async fn form(state: web::Data<HttpState>, request: HttpRequest) -> Result<HttpResponse, Stop> {
    if session::logged_in(&state, &request)
        .await?
        .is_some_and(|visitor| visitor.key_id != session::DEMO)
    {
        return Ok(to("/dashboard"));
    }
    Ok(page(StatusCode::OK, "login.html", None, &context! { wrong => false }))
}

#[post("/dashboard/login")]
pub(super) async fn login(
    state: web::Data<HttpState>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Stop> {
    session::check_origin(&state, &request)?;
    let fields = show::form(&request, payload).await?;
    let key = fields.get("key").map_or("", |key| key.trim());
    let Some(caller) = auth::caller_of(&state, key).await? else {
        tracing::warn!("a login at the dashboard was refused");
        return Ok(page(
            StatusCode::UNAUTHORIZED,
            "login.html",
            None,
            &context! { wrong => true },
        ));
    };
    let mut response = to("/dashboard");
    let cookie = session::begin(&state, &caller);
    response
        .add_cookie(&cookie)
        .map_err(|_| crate::http::error::Problem::internal())?;
    Ok(response)
}

#[post("/dashboard/logout")]
pub(super) async fn logout(state: web::Data<HttpState>, request: HttpRequest) -> Result<HttpResponse, Stop> {
    session::check_origin(&state, &request)?;
    let mut response = to("/dashboard/login");
    let cookie = session::end(&state, &request);
    response
        .add_cookie(&cookie)
        .map_err(|_| crate::http::error::Problem::internal())?;
    Ok(response)
}
