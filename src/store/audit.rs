//! The audit log of what staff did. It only grows: the database refuses to change or remove an entry.

use jiff::Timestamp;
use migrations::chain::{self, Link};
use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Statement};

use super::entity::audit::{ActiveModel, Column, Entity, Model};
use super::row::Row;
use super::{Dialect, StoreError, Tx};
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

/// Adds an entry, bound to the one before by a hash. Writers take turns until their transactions end.
pub async fn append(tx: &Tx, entry: &AuditRow) -> Result<(), StoreError> {
    let backend = tx.conn().get_database_backend();
    if Dialect::of(backend) == Dialect::Postgres {
        let turn = "SELECT pg_advisory_xact_lock(hashtextextended('recoup audit ' || current_schema(), 0))";
        tx.conn().execute_unprepared(turn).await?;
    }
    let row = ActiveModel {
        id: Set(entry.id.to_string()),
        at: Set(entry.at.as_millisecond()),
        actor: Set(entry.actor.clone()),
        action: Set(entry.action.clone()),
        object: Set(entry.object.clone()),
        comment: Set(entry.comment.clone()),
    };
    Entity::insert(row).exec_without_returning(tx.conn()).await?;
    let newest = "SELECT seq, hash FROM audit_chain ORDER BY seq DESC LIMIT 1";
    let newest = tx.conn().query_one_raw(Statement::from_string(backend, newest)).await?;
    let (seq, before): (i64, Vec<u8>) = match newest {
        Some(row) => (row.try_get_by_index(0)?, row.try_get_by_index(1)?),
        None => (0, chain::START.to_vec()),
    };
    let link = Link {
        id: entry.id.as_str(),
        at: entry.at.as_millisecond(),
        actor: &entry.actor,
        action: &entry.action,
        object: &entry.object,
        comment: entry.comment.as_deref(),
    };
    let sql = "INSERT INTO audit_chain (seq, audit_id, hash) VALUES ($1, $2, $3)";
    let values = [
        (seq + 1).into(),
        entry.id.as_str().into(),
        link.hash(&before).to_vec().into(),
    ];
    tx.conn()
        .execute_raw(Statement::from_sql_and_values(backend, sql, values))
        .await?;
    Ok(())
}

/// Which entries to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only those of somebody of this name.
    pub actor: Option<String>,
    /// Only those of this act.
    pub action: Option<String>,
    /// Only those about the thing of this id.
    pub object: Option<String>,
}

/// Entries, newest first: at most `limit` after `cursor`.
pub async fn list<C: ConnectionTrait>(
    conn: &C,
    filter: &AuditFilter,
    cursor: Option<&AuditId>,
    limit: u64,
) -> Result<Vec<AuditRow>, StoreError> {
    let mut query = Entity::find();
    let words = [
        (Column::Actor, &filter.actor),
        (Column::Action, &filter.action),
        (Column::Object, &filter.object),
    ];
    for (column, word) in words {
        if let Some(word) = word {
            query = query.filter(column.eq(word));
        }
    }
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
