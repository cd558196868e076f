//! The timeline of a case. It only grows: the database refuses to change or remove a line.

use jiff::Timestamp;
use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde_json::Value;

use super::entity::cases;
use super::entity::timeline::{ActiveModel, Column, Entity, Model};
use super::row::{Row, to_json};
use super::{StoreError, Tx};
use crate::domain::command::{Entry, EntryKind};
use crate::domain::ids::{CaseId, TimelineId};

/// One line of a timeline.
#[derive(Clone, Debug, PartialEq)]
pub struct TimelineRow {
    /// Its id.
    pub id: TimelineId,
    /// When it happened.
    pub at: Timestamp,
    /// Whose doing it was.
    pub actor: String,
    /// What it tells of.
    pub kind: EntryKind,
    /// One English sentence without personal data.
    pub text: String,
    /// The inputs and results behind it.
    pub data: Value,
}

/// Adds lines in the order given, whatever their ids, after those that are there. Locks the case.
pub async fn append(
    tx: &Tx,
    case: &CaseId,
    entries: &[(TimelineId, Entry)],
    at: Timestamp,
    actor: &str,
) -> Result<(), StoreError> {
    if entries.is_empty() {
        return Ok(());
    }
    let connection: Option<String> = cases::Entity::find_by_id(case.as_str())
        .select_only()
        .column(cases::Column::Connection)
        .lock_exclusive()
        .into_tuple()
        .one(tx.conn())
        .await?;
    let connection = connection.ok_or_else(|| StoreError::Other(format!("there is no case {case} to write to")))?;
    let last: Option<i64> = Entity::find()
        .select_only()
        .column(Column::Seq)
        .filter(Column::CaseId.eq(case.as_str()))
        .order_by_desc(Column::Seq)
        .into_tuple()
        .one(tx.conn())
        .await?;
    let mut rows = Vec::with_capacity(entries.len());
    for (seq, (id, entry)) in (last.unwrap_or(0) + 1..).zip(entries) {
        rows.push(ActiveModel {
            id: Set(id.to_string()),
            connection: Set(connection.clone()),
            case_id: Set(case.to_string()),
            seq: Set(seq),
            at: Set(at.as_millisecond()),
            actor: Set(actor.to_owned()),
            kind: Set(entry.kind.to_string()),
            text: Set(entry.text.clone()),
            data: Set(to_json(&entry.data)?),
        });
    }
    Entity::insert_many(rows).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// The lines of a case, oldest first: at most `limit` after the line `cursor`.
pub async fn by_case<C: ConnectionTrait>(
    conn: &C,
    case: &CaseId,
    limit: u64,
    cursor: Option<&TimelineId>,
) -> Result<Vec<TimelineRow>, StoreError> {
    let mut query = Entity::find().filter(Column::CaseId.eq(case.as_str()));
    if let Some(cursor) = cursor {
        let Some(line) = Entity::find_by_id(cursor.as_str()).one(conn).await? else {
            return Ok(Vec::new());
        };
        query = query.filter(Column::Seq.gt(line.seq));
    }
    let rows = query.order_by_asc(Column::Seq).limit(limit).all(conn).await?;
    rows.into_iter().map(decode).collect()
}

fn decode(model: Model) -> Result<TimelineRow, StoreError> {
    let row = Row {
        table: "timeline",
        id: &model.id,
    };
    Ok(TimelineRow {
        at: row.instant("at", model.at)?,
        kind: row.word("kind", &model.kind)?,
        data: row.json("data", &model.data)?,
        actor: model.actor,
        text: model.text,
        id: TimelineId::from(model.id.clone()),
    })
}
