//! The page behind a link that lets somebody in: the first admin says who they are, everybody chooses a password.
//!
//! Looking changes nothing, for mail scanners follow links. A forged link, a used one and one that is too old look the same.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use minijinja::context;

use super::language::Language;
use super::session::{self, anonymous, posted, with_cookie};
use super::{Stop, page, to};
use crate::http::error::Problem;
use crate::http::people::{self, Refused};
use crate::http::{HttpState, passwords};
use crate::store::people::PersonRow;
use crate::store::sessions::Holder;

#[get("/dashboard/welcome/{token}")]
pub(super) async fn form(
    state: web::Data<HttpState>,
    request: HttpRequest,
    token: web::Path<String>,
) -> Result<HttpResponse, Stop> {
    let now = state.engine.clock().now();
    let Some(invited) = people::invited(&state.store, &token, now).await? else {
        return Ok(gone(&request));
    };
    let known = invited.as_ref().map_or(("", ""), |row| (&*row.name, &*row.email));
    Ok(shown(&state, &request, (&token, &invited), known, None)?)
}

#[post("/dashboard/welcome/{token}")]
pub(super) async fn join(
    state: web::Data<HttpState>,
    request: HttpRequest,
    token: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, Stop> {
    let fields = posted(&state, &request, payload).await?;
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    let now = state.engine.clock().now();
    let Some(invited) = people::invited(&state.store, &token, now).await? else {
        return Ok(gone(&request));
    };
    let (name, email) = match &invited {
        Some(row) => (&*row.name, &*row.email),
        None => (field("name"), field("email")),
    };
    let again = |wrong| shown(&state, &request, (&token, &invited), (name, email), Some(wrong));
    if let Err(refused) = people::checked(name, email) {
        return Ok(again(refused.as_str())?);
    }
    let password = field("password");
    if let Some(fault) = passwords::fault(password, &people::normal(email)) {
        return Ok(again(fault)?);
    }
    let hash = state.sign_ins.passwords.hash(password.into()).await?;
    let tx = state.store.begin().await?;
    let first = invited.is_none().then_some((name, email));
    let row = match people::join(&tx, &token, first, hash, now).await {
        Ok(row) => row,
        Err(Refused::BadLink | Refused::Unknown) => return Ok(gone(&request)),
        Err(refused) => return Err(refused.into()),
    };
    let cookie = session::begin(&state, &request, &tx, Holder::Person(row.id), now).await?;
    tx.commit().await?;
    Ok(with_cookie(to("/dashboard"), Some(&cookie))?)
}

fn shown(
    state: &HttpState,
    request: &HttpRequest,
    (token, invited): (&str, &Option<PersonRow>),
    (name, email): (&str, &str),
    wrong: Option<&str>,
) -> Result<HttpResponse, Problem> {
    let (csrf, cookie) = anonymous(state, request);
    let status = wrong.map_or(StatusCode::OK, |_| StatusCode::UNPROCESSABLE_ENTITY);
    let context = context! {
        csrf, token, name, email, wrong,
        language => Language::of(request).as_str(),
        first => invited.is_none(),
        again => invited.as_ref().is_some_and(|row| row.password_hash.is_some()),
        chars_min => passwords::CHARS_MIN,
        chars_max => passwords::CHARS_MAX,
    };
    with_cookie(page(status, "welcome.html", None, &context), cookie.as_ref())
}

fn gone(request: &HttpRequest) -> HttpResponse {
    let language = Language::of(request).as_str();
    page(StatusCode::NOT_FOUND, "gone.html", None, &context! { language })
}
