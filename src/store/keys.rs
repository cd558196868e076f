//! The API keys: of the secret only its hash.

use std::fmt;

use jiff::Timestamp;
use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};

use super::StoreError;
use super::entity::api_keys::{ActiveModel, Column, Entity, Model};
use super::row::Row;
use crate::domain::ids::KeyId;
use crate::domain::role::Role;

/// One API key.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// Its public part.
    pub id: KeyId,
    /// The name people know it by.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// SHA-256 of its secret part.
    pub secret_hash: [u8; 32],
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when it opens nothing.
    pub revoked_at: Option<Timestamp>,
}

impl fmt::Debug for KeyRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRow")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("role", &self.role)
            .field("revoked_at", &self.revoked_at)
            .finish_non_exhaustive()
    }
}

/// Stores a new key; one of the same id is a `Conflict`.
pub async fn insert<C: ConnectionTrait>(conn: &C, key: &KeyRow) -> Result<(), StoreError> {
    let row = ActiveModel {
        id: Set(key.id.to_string()),
        name: Set(key.name.clone()),
        role: Set(key.role.to_string()),
        secret_hash: Set(key.secret_hash.to_vec()),
        created_at: Set(key.created_at.as_millisecond()),
        revoked_at: Set(key.revoked_at.map(Timestamp::as_millisecond)),
    };
    Entity::insert(row).exec_without_returning(conn).await?;
    Ok(())
}

/// The key of that id, revoked or not.
pub async fn find<C: ConnectionTrait>(conn: &C, id: &KeyId) -> Result<Option<KeyRow>, StoreError> {
    let row = Entity::find_by_id(id.as_str()).one(conn).await?;
    row.as_ref().map(decode).transpose()
}

/// Every key, oldest first.
pub async fn list<C: ConnectionTrait>(conn: &C) -> Result<Vec<KeyRow>, StoreError> {
    let rows = Entity::find().order_by_asc(Column::Id).all(conn).await?;
    rows.iter().map(decode).collect()
}

/// Revokes a key from `now` on; says whether it was in force.
pub async fn revoke<C: ConnectionTrait>(conn: &C, id: &KeyId, now: Timestamp) -> Result<bool, StoreError> {
    let done = Entity::update_many()
        .set(ActiveModel {
            revoked_at: Set(Some(now.as_millisecond())),
            ..ActiveModel::default()
        })
        .filter(Column::Id.eq(id.as_str()))
        .filter(Column::RevokedAt.is_null())
        .exec(conn)
        .await?;
    Ok(done.rows_affected == 1)
}

fn decode(model: &Model) -> Result<KeyRow, StoreError> {
    let row = Row {
        table: "api_keys",
        id: &model.id,
    };
    Ok(KeyRow {
        id: KeyId::from(model.id.clone()),
        name: model.name.clone(),
        role: row.word("role", &model.role)?,
        secret_hash: row.hash("secret_hash", &model.secret_hash)?,
        created_at: row.instant("created_at", model.created_at)?,
        revoked_at: row.maybe_instant("revoked_at", model.revoked_at)?,
    })
}
