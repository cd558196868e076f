//! `POST /v1/keys/{id}/revoke`

use actix_web::{HttpResponse, post, web};

use super::super::NoBody;
use super::KeyJson;
use crate::clock;
use crate::domain::ids::{AuditId, KeyId};
use crate::http::HttpState;
use crate::http::auth::Caller;
use crate::http::body::JsonBody;
use crate::http::error::Problem;
use crate::http::page;
use crate::store;
use crate::store::audit::AuditRow;

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
    let now = state.engine.clock().now();
    let tx = state.store.begin().await?;
    if store::keys::revoke(tx.conn(), &id, now).await? {
        let entry = AuditRow {
            id: AuditId::new(now.as_millisecond(), clock::entropy()),
            at: now,
            actor: caller.name.clone(),
            action: "keys.revoke".to_owned(),
            object: id.to_string(),
            comment: None,
        };
        store::audit::append(&tx, &entry).await?;
    }
    tx.commit().await?;
    let row = store::keys::find(state.store.conn(), &id).await?;
    let row = row.ok_or_else(|| Problem::not_found("there is no such key"))?;
    Ok(HttpResponse::Ok().json(KeyJson::from(&row)))
}
