//! `POST /v1/keys/{id}/revoke`

use actix_web::{HttpResponse, post, web};

use super::super::NoBody;
use super::KeyJson;
use crate::domain::ids::KeyId;
use crate::http::HttpState;
use crate::http::auth::Caller;
use crate::http::body::JsonBody;
use crate::http::error::Problem;
use crate::http::page;
use crate::http::people;
use crate::store;
use crate::store::keys::KeyRow;
use crate::store::sessions::{self, Holder};

/// Revokes an API key. Revoking it again changes nothing.
#[utoipa::path(tag = "keys", request_body = inline(Option<NoBody>), responses((status = 200, description = "The key, revoked.", body = KeyJson)))]
#[post("/v1/keys/{id}/revoke")]
pub(super) async fn revoke(
    state: web::Data<HttpState>,
    caller: Caller,
    id: web::Path<String>,
    _: JsonBody<NoBody>,
) -> Result<HttpResponse, Problem> {
    let id = KeyId::from(page::known(id.into_inner())?);
    let row = end(&state, &caller, &id).await?;
    Ok(HttpResponse::Ok().json(KeyJson::from(&row)))
}

/// Revokes a key in the name of whoever asked for it, and ends its sessions.
pub(in crate::http) async fn end(state: &HttpState, caller: &Caller, id: &KeyId) -> Result<KeyRow, Problem> {
    let now = state.engine.clock().now();
    let tx = state.store.begin().await?;
    if store::keys::revoke(tx.conn(), id, now).await? {
        sessions::end_all(tx.conn(), &Holder::Key(id.clone())).await?;
        store::audit::append(&tx, &people::entry(&caller.name, "keys.revoke", id.as_str(), now)).await?;
    }
    tx.commit().await?;
    let row = store::keys::find(state.store.conn(), id).await?;
    row.ok_or_else(|| Problem::not_found("there is no such key"))
}
