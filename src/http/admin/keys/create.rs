//! `POST /v1/keys`

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, post, web};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::KeyJson;
use crate::clock;
use crate::domain::role::Role;
use crate::http::HttpState;
use crate::http::auth::Caller;
use crate::http::body::JsonBody;
use crate::http::error::Problem;
use crate::http::idempotency::KeepInstead;
use crate::http::keys::{self, Entropy};
use crate::http::page;
use crate::http::people;
use crate::store;
use crate::store::keys::KeyRow;

/// Which key to make.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateKeyBody {
    /// Its name, under which acts are recorded.
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// What it may do.
    pub role: Role,
}

/// A key that was just made.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct CreatedKey {
    /// The key without its secret.
    #[serde(flatten)]
    pub about: KeyJson,
    /// The key itself, shown this once; null when the same `Idempotency-Key` is sent again.
    pub key: Option<String>,
}

/// Makes an API key. Its text is in this answer and nowhere else.
#[utoipa::path(tag = "keys", request_body = CreateKeyBody, responses((status = 201, description = "The key.", body = CreatedKey)))]
#[post("/v1/keys")]
pub(super) async fn create(
    state: web::Data<HttpState>,
    caller: Caller,
    body: JsonBody<CreateKeyBody>,
) -> Result<HttpResponse, Problem> {
    let CreateKeyBody { name, role } = body.0;
    let (row, text) = make(&state, &caller, &name, role).await?;
    let without = CreatedKey {
        about: KeyJson::from(&row),
        key: None,
    };
    let kept = serde_json::to_vec(&without).expect("a key's description is plain data");
    let mut response = HttpResponse::Created().json(CreatedKey {
        key: Some(text.expose_secret().to_owned()),
        ..without
    });
    response.extensions_mut().insert(KeepInstead(kept));
    Ok(response)
}

/// Makes a key in the name of whoever asked for it; gives its row and its text.
pub(in crate::http) async fn make(
    state: &HttpState,
    caller: &Caller,
    name: &str,
    role: Role,
) -> Result<(KeyRow, SecretString), Problem> {
    if !page::is_plain(name) || name.chars().count() > 100 {
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "bad_field",
            "name must be 1 to 100 printable characters",
        ));
    }
    let now = state.engine.clock().now();
    let entropy = Entropy([clock::entropy(), clock::entropy(), clock::entropy()]);
    let (row, text) = keys::mint(name, role, now, entropy);
    let tx = state.store.begin().await?;
    store::keys::insert(tx.conn(), &row).await?;
    store::audit::append(&tx, &people::entry(&caller.name, "keys.create", row.id.as_str(), now)).await?;
    tx.commit().await?;
    Ok((row, text))
}
