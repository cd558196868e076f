//! The inbox: every event a provider sent, durable before it is acknowledged, once per connection and event id.

use std::collections::{HashMap, HashSet};
use std::fmt;

use jiff::Timestamp;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, SimpleExpr};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    Statement,
};
use serde_json::json;

use super::bulk::{Column as Field, Kind};
use super::entity::inbox::{ActiveModel, Column, Entity, Model};
use super::lease::{Queue, decoded};
use super::row::Row;
use super::{Store, StoreError, Tx, bulk};
use crate::domain::ids::InboxId;
use crate::domain::words::words;

mod batch;
pub mod intake;

words! {
    /// How an event stands.
    InboxStatus {
        /// Waits to be worked on.
        Pending = "pending",
        /// Worked on.
        Processed = "processed",
        /// Nothing to do, and why.
        Ignored = "ignored",
        /// Given up after many tries; a person can have it run again.
        Dead = "dead",
    }
}

/// An event as it arrives.
#[derive(Clone)]
pub struct NewInbox {
    /// The id of its row.
    pub id: InboxId,
    /// The connection it came by.
    pub connection: String,
    /// The provider's name for it.
    pub event_id: String,
    /// The provider's word for its kind.
    pub kind: String,
    /// Its bytes, as they were signed.
    pub body: Vec<u8>,
    /// When it came.
    pub received_at: Timestamp,
    /// `Pending`, or `Ignored` where its kind says that there is nothing to do.
    pub status: InboxStatus,
    /// Why it is ignored.
    pub reason: Option<String>,
}

/// Whether an event is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// It is, and it is durable.
    Accepted,
    /// It was here before.
    Duplicate,
}

/// One event.
#[derive(Clone, PartialEq, Eq)]
pub struct InboxRow {
    /// The id of its row.
    pub id: InboxId,
    /// The connection it came by.
    pub connection: String,
    /// The provider's name for it.
    pub event_id: String,
    /// The provider's word for its kind.
    pub kind: String,
    /// Its bytes; none where they were kept for long enough.
    pub body: Vec<u8>,
    /// When it came.
    pub received_at: Timestamp,
    /// How it stands.
    pub status: InboxStatus,
    /// How often it was tried in vain.
    pub tries: u32,
    /// When it is due.
    pub next_at: Timestamp,
    /// Why it stands as it does.
    pub reason: Option<String>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

impl fmt::Debug for InboxRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboxRow")
            .field("id", &self.id)
            .field("event_id", &self.event_id)
            .field("kind", &self.kind)
            .field("status", &self.status)
            .field("tries", &self.tries)
            .field("next_at", &self.next_at)
            .finish_non_exhaustive()
    }
}

/// How a claimed event ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventEnd {
    /// For good.
    Ended {
        /// The event.
        id: InboxId,
        /// `Processed`, `Ignored` or `Dead`.
        status: InboxStatus,
        /// Why.
        reason: Option<String>,
        /// The present instant.
        at: Timestamp,
    },
    /// It is tried again later.
    Deferred {
        /// The event.
        id: InboxId,
        /// When.
        next_at: Timestamp,
        /// Why.
        reason: String,
    },
}

impl EventEnd {
    /// The event.
    pub fn id(&self) -> &InboxId {
        match self {
            Self::Ended { id, .. } | Self::Deferred { id, .. } => id,
        }
    }
}

/// Takes an event in, once.
pub async fn insert(store: &Store, event: &NewInbox) -> Result<Received, StoreError> {
    let received = batch::insert_all(store, std::slice::from_ref(event)).await?;
    Ok(received[0])
}

/// Claims at most `limit` pending events that are due at `now`, longest due first.
pub async fn claim(
    store: &Store,
    now: Timestamp,
    limit: u64,
    lease_secs: u32,
    owner: &str,
) -> Result<Vec<InboxRow>, StoreError> {
    let rows = DUE.claim(store, now, limit, lease_secs, owner).await?;
    let mut models = decoded(&rows, |row| Ok(Model::from_query_result(row, "")?));
    fill_in(store.conn(), &mut models).await?;
    let mut claimed = Vec::with_capacity(models.len());
    for model in models {
        if model.body.is_none() {
            tracing::error!(
                inbox_id = model.id,
                "the body of a claimed event is gone; it is left alone"
            );
            continue;
        }
        claimed.push(decode(model)?);
    }
    claimed.sort_by(|a, b| (a.next_at, &a.id).cmp(&(b.next_at, &b.id)));
    Ok(claimed)
}

/// Writes how claimed events ended and says which of them were pending until now.
pub async fn settle(tx: &Tx, ends: &[&EventEnd]) -> Result<HashSet<InboxId>, StoreError> {
    let mut rows = Vec::new();
    let mut settled = HashSet::new();
    for end in ends {
        match end {
            EventEnd::Ended { id, status, reason, at } => {
                rows.push(json!({"id": id, "status": status, "reason": reason, "ended_at": at.as_millisecond()}));
            }
            EventEnd::Deferred { id, next_at, reason } => {
                if defer(tx, id, *next_at, reason).await? {
                    settled.insert(id.clone());
                }
            }
        }
    }
    let sql = format!(
        "UPDATE inbox SET {}, lease_owner = NULL, lease_until = NULL FROM {} \
         WHERE inbox.id = new.id AND inbox.status = 'pending' RETURNING inbox.id",
        bulk::assignments(&ENDS[1..]),
        tx.new_rows(&ENDS)
    );
    settled.extend(tx.write_rows_returning::<_, InboxId>(&sql, &ENDS, &rows).await?);
    Ok(settled)
}

const ENDS: [Field; 4] = [
    ("id", Kind::Text),
    ("status", Kind::Text),
    ("reason", Kind::Text),
    ("ended_at", Kind::Int),
];

/// Puts a pending event off until `next_at`, and counts the try.
async fn defer(tx: &Tx, id: &InboxId, next_at: Timestamp, reason: &str) -> Result<bool, StoreError> {
    let sql = "UPDATE inbox SET next_at = $2, reason = $3, tries = tries + 1, lease_owner = NULL, lease_until = NULL \
               WHERE id = $1 AND status = 'pending'";
    let values = [id.as_str().into(), next_at.as_millisecond().into(), reason.into()];
    let done = tx.conn().execute_raw(tx.statement(sql, values)).await?;
    Ok(done.rows_affected() == 1)
}

/// Lets a dead event run again from the first try on; says whether it was dead.
pub async fn rerun(tx: &Tx, id: &InboxId, now: Timestamp) -> Result<bool, StoreError> {
    let row = ActiveModel {
        status: Set(InboxStatus::Pending.to_string()),
        tries: Set(0),
        next_at: Set(now.as_millisecond()),
        reason: Set(None),
        ended_at: Set(None),
        ..ActiveModel::default()
    };
    let done = Entity::update_many()
        .set(row)
        .filter(Column::Id.eq(id.as_str()))
        .filter(Column::Status.eq(InboxStatus::Dead.as_str()))
        .exec(tx.conn())
        .await?;
    Ok(done.rows_affected == 1)
}

/// Events, newest first: at most `limit` after `cursor`, of one status where one is named.
pub async fn list<C: ConnectionTrait>(
    conn: &C,
    status: Option<InboxStatus>,
    cursor: Option<&InboxId>,
    limit: u64,
) -> Result<Vec<InboxRow>, StoreError> {
    let mut query = Entity::find();
    if let Some(status) = status {
        query = query.filter(stands(status));
    }
    if let Some(cursor) = cursor {
        query = query.filter(Column::Id.lt(cursor.as_str()));
    }
    let mut rows = query.order_by_desc(Column::Id).limit(limit).all(conn).await?;
    fill_in(conn, &mut rows).await?;
    rows.into_iter().map(decode).collect()
}

/// The condition that events stand so, in the words of the indexes: a bound value would not be known when a plan is made.
fn stands(status: InboxStatus) -> SimpleExpr {
    Expr::cust(match status {
        InboxStatus::Pending => "ended_at IS NULL",
        InboxStatus::Processed => "status = 'processed'",
        InboxStatus::Ignored => "status = 'ignored'",
        InboxStatus::Dead => "status = 'dead'",
    })
}

/// How many events wait or were given up; a status without an event is left out. Those that ended well are too many to count.
pub async fn counts<C: ConnectionTrait>(conn: &C) -> Result<Vec<(InboxStatus, u64)>, StoreError> {
    let mut counts = Vec::new();
    for status in [InboxStatus::Dead, InboxStatus::Pending] {
        let count = Entity::find().filter(stands(status)).count(conn).await?;
        if count > 0 {
            counts.push((status, count));
        }
    }
    Ok(counts)
}

/// The event of that row id.
pub async fn find<C: ConnectionTrait>(conn: &C, id: &InboxId) -> Result<Option<InboxRow>, StoreError> {
    let mut rows = Entity::find_by_id(id.as_str()).all(conn).await?;
    fill_in(conn, &mut rows).await?;
    rows.pop().map(decode).transpose()
}

/// What has not ended is pending, says the schema; asked so, SQLite takes the index by time and not the one by status.
const DUE: Queue = Queue {
    table: "inbox",
    key: "id",
    part: None,
    due: "ended_at IS NULL AND next_at <= $1",
    order: "next_at, id",
    also_set: "",
    returning: "*",
};

/// Reads the bodies that lie outside of their rows: PostgreSQL keeps them by month. One that the retention has dropped stays
/// missing.
async fn fill_in<C: ConnectionTrait>(conn: &C, rows: &mut [Model]) -> Result<(), StoreError> {
    let outside: Vec<String> = rows
        .iter()
        .filter(|row| row.body.is_none())
        .map(|row| row.id.clone())
        .collect();
    let (Some(first), Some(last)) = (outside.iter().min().cloned(), outside.iter().max().cloned()) else {
        return Ok(());
    };
    let sql = "SELECT id, body FROM inbox_bodies WHERE id = ANY($1) AND id BETWEEN $2 AND $3";
    let values = [outside.into(), first.into(), last.into()];
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    let mut bodies = HashMap::new();
    for row in conn.query_all_raw(statement).await? {
        bodies.insert(row.try_get_by_index::<String>(0)?, row.try_get_by_index::<Vec<u8>>(1)?);
    }
    for row in rows.iter_mut().filter(|row| row.body.is_none()) {
        row.body = bodies.remove(&row.id);
    }
    Ok(())
}

fn decode(model: Model) -> Result<InboxRow, StoreError> {
    let row = Row {
        table: "inbox",
        id: &model.id,
    };
    let body = match (model.body.unwrap_or_default(), model.unpacked_bytes) {
        (packed, Some(bytes)) => {
            let whole = lz4_flex::block::decompress(&packed, row.count("unpacked_bytes", bytes)?);
            whole.map_err(|error| row.corrupt(format_args!("body: {error}")))?
        }
        (body, None) => body,
    };
    Ok(InboxRow {
        connection: model.connection,
        event_id: model.event_id,
        kind: model.kind,
        body,
        received_at: row.instant("received_at", model.received_at)?,
        status: row.word("status", &model.status)?,
        tries: row.count("tries", model.tries)?,
        next_at: row.instant("next_at", model.next_at)?,
        reason: model.reason,
        ended_at: row.maybe_instant("ended_at", model.ended_at)?,
        id: InboxId::from(model.id.clone()),
    })
}
