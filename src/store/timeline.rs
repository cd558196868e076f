//! The timeline of a case. It only grows: the database refuses to change or remove a line.

use std::collections::HashMap;

use jiff::Timestamp;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::Serialize;
use serde_json::Value;

use super::bulk::{Column as Field, Kind};
use super::changes::Line;
use super::entity::timeline::{Column, Entity, Model};
use super::row::{Row, to_json};
use super::{Dialect, StoreError, Tx};
use crate::domain::command::EntryKind;
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

const COLUMNS: [Field; 9] = [
    ("id", Kind::Text),
    ("connection", Kind::Text),
    ("case_id", Kind::Text),
    ("nth", Kind::Int),
    ("at", Kind::Int),
    ("actor", Kind::Text),
    ("kind", Kind::Text),
    ("text", Kind::Text),
    ("data", Kind::Text),
];

/// A line as it is written.
#[derive(Serialize)]
struct NewLine<'a> {
    id: &'a TimelineId,
    connection: &'a str,
    case_id: &'a CaseId,
    /// Its place among the new lines of its case, from 1.
    nth: i64,
    at: i64,
    actor: &'a str,
    kind: EntryKind,
    text: &'a str,
    data: String,
}

/// A line, and the case that it belongs to.
pub struct LineOf<'a> {
    /// The connection of the case.
    pub connection: &'a str,
    /// The case.
    pub case_id: &'a CaseId,
    /// The line.
    pub line: &'a Line,
}

/// Adds lines to their cases in the order given, whatever their ids, after those that are there. The caller holds the
/// locks of the cases.
pub async fn append(tx: &Tx, lines: &[LineOf<'_>]) -> Result<(), StoreError> {
    let mut counts = HashMap::new();
    let mut rows = Vec::with_capacity(lines.len());
    for LineOf {
        connection,
        case_id,
        line: Line { id, at, actor, entry },
    } in lines
    {
        let nth = counts.entry(*case_id).or_insert(0);
        *nth += 1;
        rows.push(NewLine {
            id,
            connection,
            case_id,
            nth: *nth,
            at: at.as_millisecond(),
            actor,
            kind: entry.kind,
            text: &entry.text,
            data: to_json(&entry.data)?,
        });
    }
    let sql = format!(
        "INSERT INTO timeline (id, connection, case_id, seq, at, actor, kind, text, data) \
         SELECT new.id, new.connection, new.case_id, \
         (SELECT COALESCE(MAX(seq), 0) FROM timeline WHERE timeline.case_id = new.case_id) + new.nth, \
         new.at, new.actor, new.kind, new.text, new.data FROM {}",
        tx.new_rows(&COLUMNS)
    );
    tx.write_rows(&sql, &COLUMNS, &rows).await?;
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
        let line = Entity::find()
            .filter(Column::CaseId.eq(case.as_str()))
            .filter(Column::Id.eq(cursor.as_str()));
        let Some(line) = line.one(conn).await? else {
            return Ok(Vec::new());
        };
        query = query.filter(Column::Seq.gt(line.seq));
    }
    let rows = query.order_by_asc(Column::Seq).limit(limit).all(conn).await?;
    rows.into_iter().map(decode).collect()
}

/// The last line of a case that is of this kind.
pub async fn last_of<C: ConnectionTrait>(
    conn: &C,
    case: &CaseId,
    kind: EntryKind,
) -> Result<Option<TimelineRow>, StoreError> {
    let row = Entity::find()
        .filter(Column::CaseId.eq(case.as_str()))
        .filter(Column::Kind.eq(kind.as_str()))
        .order_by_desc(Column::Seq)
        .one(conn)
        .await?;
    row.map(decode).transpose()
}

/// The newest lines of all cases that were written at `since` or later, newest first.
pub async fn newest<C: ConnectionTrait>(conn: &C, since: Timestamp, limit: u64) -> Result<Vec<Placed>, StoreError> {
    let mut query = Entity::find().filter(Column::At.gte(since.as_millisecond()));
    if Dialect::of(conn.get_database_backend()) == Dialect::Sqlite {
        // There is no index by time; but the key of a line begins with it.
        query = query.filter(Column::Id.gte(TimelineId::new(since.as_millisecond(), 0).as_str()));
    }
    let rows = query
        .order_by_desc(Column::At)
        .order_by_desc(Column::Id)
        .limit(limit)
        .all(conn)
        .await?;
    rows.into_iter().map(placed).collect()
}

/// A line of some case, with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Placed {
    /// The case.
    pub case_id: CaseId,
    /// Its place among the lines of the case.
    pub seq: i64,
    /// The line.
    pub row: TimelineRow,
}

/// At most `limit` plans that were made since `since`, of one case or of all, case by case and oldest first, after the place
/// `after`.
pub async fn plans<C: ConnectionTrait>(
    conn: &C,
    case: Option<&CaseId>,
    since: Timestamp,
    after: Option<(&CaseId, i64)>,
    limit: u64,
) -> Result<Vec<Placed>, StoreError> {
    let mut query = Entity::find()
        .filter(Column::Kind.eq(EntryKind::Planned.as_str()))
        .filter(Column::At.gte(since.as_millisecond()));
    if let Some(case) = case {
        query = query.filter(Column::CaseId.eq(case.as_str()));
    }
    if let Some((case, seq)) = after {
        let later = Column::CaseId.eq(case.as_str()).and(Column::Seq.gt(seq));
        query = query.filter(Column::CaseId.gt(case.as_str()).or(later));
    }
    let rows = query
        .order_by_asc(Column::CaseId)
        .order_by_asc(Column::Seq)
        .limit(limit)
        .all(conn)
        .await?;
    rows.into_iter().map(placed).collect()
}

fn placed(model: Model) -> Result<Placed, StoreError> {
    Ok(Placed {
        case_id: CaseId::from(model.case_id.clone()),
        seq: model.seq,
        row: decode(model)?,
    })
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
