//! Who is calling: `Authorization: Bearer KEY` to a name and a role.

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use std::future::{Ready, ready};

use super::HttpState;
use super::error::Problem;
use super::keys;
use crate::domain::role::Role;
use crate::store;

/// The name that the bootstrap key acts under.
pub(crate) const BOOTSTRAP: &str = "bootstrap";

/// The holder of a key, or at the dashboard a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The id of the key or the person, or `bootstrap`.
    pub key_id: String,
    /// The name of the key or the person, under which acts are recorded.
    pub name: String,
    /// What it may do.
    pub role: Role,
}

impl Caller {
    /// Who has the key that is there from the start.
    pub(crate) fn bootstrap() -> Self {
        Self {
            key_id: BOOTSTRAP.to_owned(),
            name: BOOTSTRAP.to_owned(),
            role: Role::Admin,
        }
    }

    /// Refuses a caller whose role does not allow `needed`.
    pub(crate) fn require(&self, needed: Role) -> Result<(), Problem> {
        if self.role.allows(needed) {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            format!("the role {} may not do this: it takes {needed}", self.role),
        ))
    }
}

impl FromRequest for Caller {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    /// The caller that the gate found; without one there is no access.
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(request.extensions().get::<Self>().cloned().ok_or_else(unauthorized))
    }
}

/// Finds the caller by the header.
pub(crate) async fn authenticate(state: &HttpState, headers: &HeaderMap) -> Result<Caller, Problem> {
    let text = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = text.and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    match token {
        Some(token) => caller_of(state, token).await?.ok_or_else(unauthorized),
        None => Err(unauthorized()),
    }
}

/// The holder of a key's text; nothing where the key is unknown or revoked.
pub(crate) async fn caller_of(state: &HttpState, token: &str) -> Result<Option<Caller>, Problem> {
    let whole = keys::digest(token.as_bytes());
    if state.bootstrap.as_ref().is_some_and(|known| keys::equal(known, &whole)) {
        return Ok(Some(Caller::bootstrap()));
    }
    let presented = keys::presented(token);
    let row = store::keys::find(state.store.conn(), &presented.id).await?;
    let known = row.as_ref().map_or([0; 32], |row| row.secret_hash);
    let right = keys::equal(&known, &presented.digest);
    Ok(row.filter(|row| right && row.revoked_at.is_none()).map(|row| Caller {
        key_id: row.id.to_string(),
        name: row.name,
        role: row.role,
    }))
}

fn unauthorized() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "unauthorized",
        "a valid API key is needed: Authorization: Bearer KEY",
    )
}
