//! Who may come in: people and API keys, for admins. A link or a key is on the answer to the form that made it, and nowhere else.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use minijinja::value::merge_maps;
use minijinja::{Value, context};
use secrecy::ExposeSecret;
use serde::Deserialize;

use super::session::{self, Visitor, posted};
use super::{Stop, page, to};
use crate::domain::ids::{KeyId, PersonId};
use crate::domain::role::Role;
use crate::http::admin::keys;
use crate::http::error::Problem;
use crate::http::people::{self, Link, NewPerson, Refused};
use crate::http::{HttpState, page as pages};
use crate::store;
use crate::store::keys::KeyRow;
use crate::store::people::PersonRow;

/// How many people the page shows; the API lists them all.
const PEOPLE_SHOWN: u64 = 200;
const PAGE: &str = "/dashboard/people";

/// What the page was asked to report.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Report {
    done: Option<String>,
    refused: Option<String>,
}

#[get("/dashboard/people")]
pub(super) async fn list(
    state: web::Data<HttpState>,
    request: HttpRequest,
    report: web::Query<Report>,
) -> Result<HttpResponse, Stop> {
    let visitor = session::visitor(&state, &request, Role::Admin).await?;
    let told = context! { done => report.done.as_deref(), refused => report.refused.as_deref() };
    Ok(shown(&state, &visitor, StatusCode::OK, told).await?)
}

#[post("/dashboard/people")]
pub(super) async fn invite(
    state: web::Data<HttpState>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Stop> {
    let visitor = session::visitor(&state, &request, Role::Admin).await?;
    let fields = posted(&state, &request, payload).await?;
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    let new = NewPerson {
        name: field("name").to_owned(),
        email: field("email").to_owned(),
        role: role(field("role"))?,
    };
    let now = state.engine.clock().now();
    match people::invite(&state.store, visitor.by().0, new, now).await {
        Ok((row, link)) => linked(&state, &request, &visitor, &row, &link).await,
        Err(Refused::Store(error)) => Err(error.into()),
        Err(refused) => {
            let told = context! {
                refused => refused.as_str(), name => field("name"), email => field("email"), role => field("role")
            };
            Ok(shown(&state, &visitor, StatusCode::UNPROCESSABLE_ENTITY, told).await?)
        }
    }
}

#[post("/dashboard/people/{id}/{verb}")]
pub(super) async fn act_on(
    state: web::Data<HttpState>,
    request: HttpRequest,
    path: web::Path<(String, String)>,
    payload: web::Payload,
) -> Result<HttpResponse, Stop> {
    let visitor = session::visitor(&state, &request, Role::Admin).await?;
    let fields = posted(&state, &request, payload).await?;
    let (id, verb) = path.into_inner();
    let id = PersonId::from(pages::known(id)?);
    let now = state.engine.clock().now();
    let done = match verb.as_str() {
        "role" => {
            let role = role(fields.get("role").map_or("", String::as_str))?;
            people::set_role(&state.store, visitor.by(), &id, role, now).await
        }
        "disable" => people::disable(&state.store, visitor.by(), &id, now).await,
        "reset" => match people::reset(&state.store, visitor.by().0, &id, now).await {
            Ok((row, link)) => return linked(&state, &request, &visitor, &row, &link).await,
            Err(refused) => Err(refused),
        },
        _ => return Err(Problem::not_found("there is no such action").into()),
    };
    match done {
        Ok(_) => Ok(to(&format!("{PAGE}?done={verb}"))),
        Err(Refused::Store(error)) => Err(error.into()),
        Err(refused) => Ok(to(&format!("{PAGE}?refused={}", refused.as_str()))),
    }
}

#[post("/dashboard/keys")]
pub(super) async fn create_key(
    state: web::Data<HttpState>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Stop> {
    let visitor = session::visitor(&state, &request, Role::Admin).await?;
    let fields = posted(&state, &request, payload).await?;
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    let name = field("name").trim();
    match keys::create::make(&state, &visitor.caller, name, role(field("role"))?).await {
        Ok((row, text)) => {
            let told = context! { key => text.expose_secret(), key_name => row.name };
            Ok(shown(&state, &visitor, StatusCode::CREATED, told).await?)
        }
        Err(problem) if problem.status == StatusCode::UNPROCESSABLE_ENTITY => {
            Ok(to(&format!("{PAGE}?refused={}", Refused::BadName.as_str())))
        }
        Err(problem) => Err(problem.into()),
    }
}

#[post("/dashboard/keys/{id}/revoke")]
pub(super) async fn revoke_key(
    state: web::Data<HttpState>,
    request: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, Stop> {
    let visitor = session::visitor(&state, &request, Role::Admin).await?;
    posted(&state, &request, payload).await?;
    let id = KeyId::from(pages::known(id.into_inner())?);
    keys::revoke::end(&state, &visitor.caller, &id).await?;
    Ok(to(&format!("{PAGE}?done=revoke")))
}

/// The page with a link that was just made.
async fn linked(
    state: &HttpState,
    request: &HttpRequest,
    visitor: &Visitor,
    row: &PersonRow,
    link: &Link,
) -> Result<HttpResponse, Stop> {
    let told = context! {
        link => link.url(&people::base(state, request)),
        until => link.until.to_string(),
        whom => row.name.as_str(),
    };
    Ok(shown(state, visitor, StatusCode::CREATED, told).await?)
}

async fn shown(state: &HttpState, visitor: &Visitor, status: StatusCode, told: Value) -> Result<HttpResponse, Problem> {
    let conn = state.store.conn();
    let people = store::people::list(conn, None, PEOPLE_SHOWN).await?;
    let keys = store::keys::list(conn).await?;
    // What the page may be told and is not, is nothing.
    let untold = context! {
        done => (), refused => (), link => (), until => (), whom => (), key => (), key_name => (),
        name => "", email => "", role => "",
    };
    let role = |role: &Role| context! { role => role.as_str(), name => visitor.language.word(role.as_str()) };
    let whole = context! {
        section => "people",
        people => people.iter().map(|row| person(row, visitor)).collect::<Vec<_>>(),
        keys => keys.iter().rev().map(key).collect::<Vec<_>>(),
        roles => Role::ALL.iter().map(role).collect::<Vec<_>>(),
    };
    let context = merge_maps([untold, told, whole]);
    Ok(page(status, "people.html", Some(visitor), &context))
}

fn person(row: &PersonRow, visitor: &Visitor) -> Value {
    context! {
        id => row.id.as_str(),
        name => row.name.as_str(),
        email => row.email.as_str(),
        role => row.role.as_str(),
        since => row.created_at.to_string(),
        disabled => row.disabled_at.map(|at| at.to_string()),
        joined => row.joined(),
        yourself => visitor.person.as_ref() == Some(&row.id),
    }
}

fn key(row: &KeyRow) -> Value {
    context! {
        id => row.id.as_str(),
        name => row.name.as_str(),
        role => row.role.as_str(),
        since => row.created_at.to_string(),
        revoked => row.revoked_at.map(|at| at.to_string()),
    }
}

fn role(text: &str) -> Result<Role, Problem> {
    let bad = |_| Problem::bad_request("bad_field", "there is no such role");
    text.parse().map_err(bad)
}
