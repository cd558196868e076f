//! Everybody's own page: who they are here, and another password.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use minijinja::context;
use serde::Deserialize;

use super::session::{self, Visitor, posted, with_cookie};
use super::{Stop, page, to};
use crate::http::error::Problem;
use crate::http::{HttpState, passwords, people, sign_in};
use crate::store;
use crate::store::people::PersonRow;
use crate::store::sessions::Holder;

/// What the page was asked to report.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Report {
    done: Option<String>,
}

#[get("/dashboard/me")]
pub(super) async fn form(
    state: web::Data<HttpState>,
    request: HttpRequest,
    report: web::Query<Report>,
) -> Result<HttpResponse, Stop> {
    let visitor = session::signed_in(&state, &request).await?.ok_or(Stop::Login)?;
    let person = person(&state, &visitor).await?;
    Ok(shown(&visitor, person.as_ref(), None, report.done.as_deref()))
}

#[post("/dashboard/me")]
pub(super) async fn change(
    state: web::Data<HttpState>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Stop> {
    let visitor = session::signed_in(&state, &request).await?.ok_or(Stop::Login)?;
    let fields = posted(&state, &request, payload).await?;
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    let Some(person) = person(&state, &visitor).await? else {
        return Err(Problem::not_found("a key has no password").into());
    };
    let again = |wrong| Ok(shown(&visitor, Some(&person), Some(wrong), None));
    let password = field("password");
    if let Some(fault) = passwords::fault(password, &person.email) {
        return again(fault);
    }
    match sign_in::again(&state, session::peer(&request), &person, field("current").into()).await {
        Ok(true) => {}
        Ok(false) => return again("current"),
        Err(problem) if problem.status == StatusCode::TOO_MANY_REQUESTS => return again("limited"),
        Err(problem) => return Err(problem.into()),
    }
    let hash = state.sign_ins.passwords.hash(password.into()).await?;
    let now = state.engine.clock().now();
    let tx = state.store.begin().await?;
    people::set_password(&tx, &person.id, hash, now).await?;
    let cookie = session::begin(&state, &request, &tx, Holder::Person(person.id.clone()), now).await?;
    tx.commit().await?;
    Ok(with_cookie(to("/dashboard/me?done=password"), Some(&cookie))?)
}

async fn person(state: &HttpState, visitor: &Visitor) -> Result<Option<PersonRow>, Problem> {
    match &visitor.person {
        Some(id) => Ok(store::people::find(state.store.conn(), id).await?),
        None => Ok(None),
    }
}

fn shown(visitor: &Visitor, person: Option<&PersonRow>, wrong: Option<&str>, done: Option<&str>) -> HttpResponse {
    let status = wrong.map_or(StatusCode::OK, |_| StatusCode::UNPROCESSABLE_ENTITY);
    let context = context! {
        section => "me",
        email => person.map(|person| person.email.as_str()),
        password => person.is_some_and(|person| person.password_hash.is_some()),
        chars_min => passwords::CHARS_MIN,
        chars_max => passwords::CHARS_MAX,
        wrong, done,
    };
    page(status, "me.html", Some(visitor), &context)
}
