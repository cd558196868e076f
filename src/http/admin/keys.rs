//! API keys: listed, made, revoked.

use serde::Serialize;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::domain::role::Role;
use crate::http::wire::Instant;
use crate::store::keys::KeyRow;

pub(in crate::http) mod create;
mod list;
pub(in crate::http) mod revoke;

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(list::list)
        .service(create::create)
        .service(revoke::revoke);
}

/// An API key without its secret.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Key)]
pub struct KeyJson {
    /// Its public id.
    pub id: String,
    /// Its name, under which acts are recorded.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// When it was made.
    pub created_at: Instant,
    /// When it was revoked.
    pub revoked_at: Option<Instant>,
}

impl From<&KeyRow> for KeyJson {
    fn from(row: &KeyRow) -> Self {
        Self {
            id: row.id.to_string(),
            name: row.name.clone(),
            role: row.role,
            created_at: Instant(row.created_at),
            revoked_at: row.revoked_at.map(Instant),
        }
    }
}
