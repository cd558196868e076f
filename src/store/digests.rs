//! Weekly digests to staff: a row for each week and address. They leave as all [`letters`](super::letters) do.

use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect,
};
use serde_json::json;

use super::bulk::{self, Kind};
use super::entity::cases;
use super::entity::digests::{Column, Entity, Model};
use super::lease::{Queue, decoded};
use super::notifications::NotificationStatus;
use super::row::{Row, to_json};
use super::{Lease, Store, StoreError, ledger, reports};
use crate::domain::ids::NotificationId;
use crate::domain::message::Message;
use crate::domain::outcome::Status;
use crate::domain::report::digest::{Dated, Digest, Span};

const TABLE: &str = "digests";

const DUE: Queue = Queue {
    table: TABLE,
    key: "id",
    part: None,
    due: "status = 'pending' AND next_at <= $1",
    order: "next_at, id",
    also_set: "",
    returning: "*",
};

/// The digest of a week, as it is queued.
#[derive(Clone, Debug)]
pub struct NewDigest<'a> {
    /// The week, such as `2026-W10`.
    pub week: &'a str,
    /// The ids of its rows and whom they go to.
    pub to: &'a [(NotificationId, String)],
    /// What it tells.
    pub facts: &'a Digest,
    /// Why it is not sent, where it is not: the rows then only say so.
    pub unsent: Option<&'static str>,
    /// The present instant.
    pub at: Timestamp,
}

/// A digest to one address.
#[derive(Clone, PartialEq, Eq)]
pub struct DigestRow {
    /// Its id.
    pub id: NotificationId,
    /// The week, such as `2026-W10`.
    pub week: String,
    /// Whom it goes to.
    pub recipient: String,
    /// What it tells.
    pub facts: Digest,
    /// How it stands.
    pub status: NotificationStatus,
    /// The locale it was rendered in.
    pub locale: Option<String>,
    /// The rendered subject.
    pub subject: Option<String>,
    /// The rendered text.
    pub body_text: Option<String>,
    /// When it was queued.
    pub queued_at: Timestamp,
    /// When it is due.
    pub next_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How often it was tried in vain.
    pub tries: u32,
    /// Why it stands as it does.
    pub reason: Option<String>,
}

impl fmt::Debug for DigestRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DigestRow")
            .field("id", &self.id)
            .field("week", &self.week)
            .field("status", &self.status)
            .field("next_at", &self.next_at)
            .finish_non_exhaustive()
    }
}

/// What the engine asks of a database for digests, beside what it asks for every letter.
#[async_trait]
pub trait Digests: Send + Sync {
    /// Whether the digest of a week was queued, or put aside.
    async fn has_digest(&self, week: &str) -> Result<bool, StoreError>;

    /// The cases of a span.
    async fn digest_cases(&self, span: Span) -> Result<Vec<Dated>, StoreError>;

    /// How many messages to customers ended undelivered from `from` on and before `until`.
    async fn undelivered(&self, from: Timestamp, until: Timestamp) -> Result<u64, StoreError>;

    /// Queues the digest of a week to all its addresses, due at once; says no where the week has one.
    async fn queue_digest(&self, new: &NewDigest<'_>) -> Result<bool, StoreError>;

    /// Claims at most `limit` digests that are due at `now`, longest due first.
    async fn claim_digests(&self, now: Timestamp, limit: u64, lease: Lease<'_>) -> Result<Vec<DigestRow>, StoreError>;
}

const QUEUED: [bulk::Column; 9] = [
    ("id", Kind::Text),
    ("week", Kind::Text),
    ("recipient", Kind::Text),
    ("facts", Kind::Text),
    ("status", Kind::Text),
    ("reason", Kind::Text),
    ("queued_at", Kind::Int),
    ("next_at", Kind::Int),
    ("ended_at", Kind::Int),
];

#[async_trait]
impl Digests for Store {
    async fn has_digest(&self, week: &str) -> Result<bool, StoreError> {
        let rows = self
            .query("SELECT 1 FROM digests WHERE week = $1 LIMIT 1", [week.into()])
            .await?;
        Ok(!rows.is_empty())
    }

    async fn digest_cases(&self, span: Span) -> Result<Vec<Dated>, StoreError> {
        let Span {
            opened_from,
            closed_from,
            until,
        } = span;
        let conn = self.conn();
        let mut rows = reports::recovery_rows(conn, opened_from, until).await?;
        let mut paid = ledger::recovered(conn, opened_from, until).await?;
        let before = || Condition::all().add(cases::Column::OpenedAt.lt(opened_from.as_millisecond()));
        let open = before().add(cases::Column::Status.eq(Status::Open.as_str()));
        rows.extend(reports::rows_where(conn, open).await?);
        // What ended is on the books, which have an index by time; the cases themselves have none by their end.
        let since = closed_from.as_millisecond();
        let booked = format!("id IN (SELECT case_id FROM ledger WHERE booked_at >= {since})");
        let closed = before().add(cases::Column::ClosedAt.gte(since)).add(Expr::cust(booked));
        rows.extend(reports::rows_where(conn, closed).await?);
        paid.extend(ledger::recovered_since(conn, opened_from, closed_from).await?);
        let rows = rows.into_iter().filter(|row| row.reversal_of.is_none());
        let dated = rows.map(|row| {
            let recovered_minor = paid.get(&row.case_id).copied().unwrap_or(0);
            row.dated(recovered_minor)
        });
        Ok(dated.collect())
    }

    async fn undelivered(&self, from: Timestamp, until: Timestamp) -> Result<u64, StoreError> {
        let staff = Message::ALL.iter().filter(|message| message.is_for_staff());
        let staff: Vec<String> = staff.map(|message| format!("'{message}'")).collect();
        let sql = format!(
            "SELECT (SELECT COUNT(*) FROM notifications WHERE status = 'failed' AND ended_at >= $1 AND ended_at < $2 \
             AND message NOT IN ({})) \
             + (SELECT COUNT(*) FROM courtesies WHERE status = 'failed' AND ended_at >= $1 AND ended_at < $2)",
            staff.join(", ")
        );
        let values = [from.as_millisecond().into(), until.as_millisecond().into()];
        let rows = self.query(&sql, values).await?;
        let count = match rows.first() {
            Some(row) => row.try_get_by_index::<i64>(0)?,
            None => 0,
        };
        let row = Row {
            table: "notifications",
            id: "undelivered",
        };
        row.count("count", count)
    }

    async fn queue_digest(&self, new: &NewDigest<'_>) -> Result<bool, StoreError> {
        let facts = to_json(new.facts)?;
        let (status, ended_at) = match new.unsent {
            Some(_) => (NotificationStatus::Superseded, Some(new.at.as_millisecond())),
            None => (NotificationStatus::Pending, None),
        };
        let row = |(id, recipient): &(NotificationId, String)| {
            json!({"id": id, "week": new.week, "recipient": recipient, "facts": facts, "status": status,
                   "reason": new.unsent, "queued_at": new.at.as_millisecond(),
                   "next_at": new.at.as_millisecond(), "ended_at": ended_at})
        };
        let rows: Vec<_> = new.to.iter().map(row).collect();
        let tx = self.begin().await?;
        // An address that is configured in the middle of a week gets its first digest with the next one.
        let sql = format!(
            "INSERT INTO digests ({}) SELECT {} FROM {} \
             WHERE NOT EXISTS (SELECT 1 FROM digests AS made WHERE made.week = new.week) ON CONFLICT DO NOTHING",
            bulk::names(&QUEUED),
            bulk::values(&QUEUED),
            tx.new_rows(&QUEUED)
        );
        let written = tx.write_rows(&sql, &QUEUED, &rows).await?;
        tx.commit().await?;
        Ok(written > 0)
    }

    async fn claim_digests(&self, now: Timestamp, limit: u64, lease: Lease<'_>) -> Result<Vec<DigestRow>, StoreError> {
        let rows = DUE.claim(self, now, limit, lease.secs, lease.owner).await?;
        let mut claimed = decoded(&rows, |row| decode(Model::from_query_result(row, "")?));
        claimed.sort_by(|a, b| (a.next_at, &a.id).cmp(&(b.next_at, &b.id)));
        Ok(claimed)
    }
}

/// Digests, newest first: at most `limit` after `cursor`.
pub async fn list<C: ConnectionTrait>(
    conn: &C,
    cursor: Option<&NotificationId>,
    limit: u64,
) -> Result<Vec<DigestRow>, StoreError> {
    let mut query = Entity::find();
    if let Some(cursor) = cursor {
        query = query.filter(Column::Id.lt(cursor.as_str()));
    }
    let rows = query.order_by_desc(Column::Id).limit(limit).all(conn).await?;
    rows.into_iter().map(decode).collect()
}

fn decode(model: Model) -> Result<DigestRow, StoreError> {
    let row = Row {
        table: TABLE,
        id: &model.id,
    };
    Ok(DigestRow {
        facts: row.json("facts", &model.facts)?,
        status: row.word("status", &model.status)?,
        week: model.week,
        recipient: model.recipient,
        locale: model.locale,
        subject: model.subject,
        body_text: model.body_text,
        queued_at: row.instant("queued_at", model.queued_at)?,
        next_at: row.instant("next_at", model.next_at)?,
        ended_at: row.maybe_instant("ended_at", model.ended_at)?,
        tries: row.count("tries", model.tries)?,
        reason: model.reason,
        id: NotificationId::from(model.id.clone()),
    })
}
