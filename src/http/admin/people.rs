//! People who sign in at the dashboard: listed, invited, let in no more.

use actix_web::{HttpRequest, HttpResponse, get, post, web};
use serde::{Deserialize, Serialize};
use utoipa_actix_web::service_config::ServiceConfig;

use super::NoBody;
use crate::domain::ids::PersonId;
use crate::domain::role::Role;
use crate::http::HttpState;
use crate::http::auth::Caller;
use crate::http::body::JsonBody;
use crate::http::error::Problem;
use crate::http::idempotency::KeepInstead;
use crate::http::page::{self, ListQuery, Page, Window};
use crate::http::people::{self, NewPerson};
use crate::http::wire::Instant;
use crate::store;
use crate::store::people::PersonRow;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(list).service(invite).service(disable);
}

/// A person.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Person)]
pub struct PersonJson {
    /// Their id.
    pub id: String,
    /// Their name, under which acts are recorded.
    pub name: String,
    /// Their mail address, in small letters.
    pub email: String,
    /// What they may do.
    pub role: Role,
    /// Whether they have chosen a password, or signed in by the identity provider.
    pub joined: bool,
    /// When they were invited.
    pub created_at: Instant,
    /// Since when they are let in no more.
    pub disabled_at: Option<Instant>,
}

impl From<&PersonRow> for PersonJson {
    fn from(row: &PersonRow) -> Self {
        Self {
            id: row.id.to_string(),
            name: row.name.clone(),
            email: row.email.clone(),
            role: row.role,
            joined: row.joined(),
            created_at: Instant(row.created_at),
            disabled_at: row.disabled_at.map(Instant),
        }
    }
}

/// Who is to be invited.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InviteBody {
    /// Their name, under which acts are recorded.
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// Their mail address; nothing is sent to it.
    #[schema(min_length = 3, max_length = 254, pattern = "^[^\\s@]+@[^\\s@]+$")]
    pub email: String,
    /// What they may do.
    pub role: Role,
}

/// A person who was just invited.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct InvitedPerson {
    /// The person.
    #[serde(flatten)]
    pub about: PersonJson,
    /// The link by which they choose a password, shown this once; null when the same `Idempotency-Key` is sent again.
    pub link: Option<String>,
    /// Until when the link is good.
    pub link_expires_at: Instant,
}

/// Lists the people who sign in, oldest first.
#[utoipa::path(tag = "people", params(ListQuery), responses((status = 200, description = "A page of people.", body = Page<PersonJson>)))]
#[get("/v1/people")]
async fn list(state: web::Data<HttpState>, query: web::Query<ListQuery>) -> Result<HttpResponse, Problem> {
    let window = Window::of(query.limit, query.cursor.as_deref())?;
    let after = window.after.clone().map(Into::into);
    let rows = store::people::list(state.store.conn(), after.as_ref(), window.rows()).await?;
    Ok(HttpResponse::Ok().json(window.page(rows, |row| row.id.as_str(), |row| PersonJson::from(row))))
}

/// Invites a person, by a link that is in this answer and nowhere else. Who was let in no more can be invited again.
#[utoipa::path(tag = "people", request_body = InviteBody, responses((status = 201, description = "The person.", body = InvitedPerson)))]
#[post("/v1/people")]
async fn invite(
    state: web::Data<HttpState>,
    request: HttpRequest,
    caller: Caller,
    body: JsonBody<InviteBody>,
) -> Result<HttpResponse, Problem> {
    let InviteBody { name, email, role } = body.0;
    let new = NewPerson { name, email, role };
    let now = state.engine.clock().now();
    let (row, link) = people::invite(&state.store, &caller.name, new, now).await?;
    let without = InvitedPerson {
        about: PersonJson::from(&row),
        link: None,
        link_expires_at: Instant(link.until),
    };
    let kept = serde_json::to_vec(&without).expect("a person's description is plain data");
    let mut response = HttpResponse::Created().json(InvitedPerson {
        link: Some(link.url(&people::base(&state, &request))),
        ..without
    });
    response.extensions_mut().insert(KeepInstead(kept));
    Ok(response)
}

/// Lets a person in no more: their sessions and their link end. Doing it again changes nothing.
#[utoipa::path(tag = "people", request_body = inline(Option<NoBody>), responses((status = 200, description = "The person.", body = PersonJson)))]
#[post("/v1/people/{id}/disable")]
async fn disable(
    state: web::Data<HttpState>,
    caller: Caller,
    id: web::Path<String>,
    _: JsonBody<NoBody>,
) -> Result<HttpResponse, Problem> {
    let id = PersonId::from(page::known(id.into_inner())?);
    let now = state.engine.clock().now();
    let row = people::disable(&state.store, (&caller.name, None), &id, now).await?;
    Ok(HttpResponse::Ok().json(PersonJson::from(&row)))
}
