//! The audit log of what staff did. It only grows: the database refuses to change or remove an entry.

use jiff::Timestamp;
use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::entity::audit::{ActiveModel, Column, Entity, Model};
use super::row::Row;
use super::{StoreError, Tx};
use crate::domain::ids::AuditId;

/// One act of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// Its id.
    pub id: AuditId,
    /// When.
    pub at: Timestamp,
    /// Who: the name of the API key.
    pub actor: String,
    /// What.
    pub action: String,
    /// To what: an id.
    pub object: String,
    /// The remark given with it.
    pub comment: Option<String>,
}

/// Adds an entry.
pub async fn append(tx: &Tx, entry: &AuditRow) -> Result<(), StoreError> {
    let row = ActiveModel {
        id: Set(entry.id.to_string()),
        at: Set(entry.at.as_millisecond()),
        actor: Set(entry.actor.clone()),
        action: Set(entry.action.clone()),
        object: Set(entry.object.clone()),
        comment: Set(entry.comment.clone()),
    };
    Entity::insert(row).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Entries, newest first: at most `limit` after `cursor`.
pub async fn list<C: ConnectionTrait>(
    conn: &C,
    cursor: Option<&AuditId>,
    limit: u64,
) -> Result<Vec<AuditRow>, StoreError> {
    let mut query = Entity::find();
    if let Some(cursor) = cursor {
        query = query.filter(Column::Id.lt(cursor.as_str()));
    }
    let rows = query.order_by_desc(Column::Id).limit(limit).all(conn).await?;
    rows.into_iter().map(decode).collect()
}

fn decode(model: Model) -> Result<AuditRow, StoreError> {
    let row = Row {
        table: "audit",
        id: &model.id,
    };
    Ok(AuditRow {
        at: row.instant("at", model.at)?,
        actor: model.actor,
        action: model.action,
        object: model.object,
        comment: model.comment,
        id: AuditId::from(model.id.clone()),
    })
}
