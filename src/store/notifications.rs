//! The outbox of mails: queued with the change of the case, claimed by lease, committed as `sending` before any byte leaves.

use std::collections::HashSet;
use std::fmt;

use jiff::Timestamp;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect, Statement,
};
use serde_json::json;

use super::bulk::{Column as Field, Kind};
use super::changes::{EndsFrom, NewNotice, NoticeEnd};
use super::entity::notifications::{Column, Entity, Model};
use super::lease::{Queue, decoded};
use super::row::Row;
use super::{Dialect, Store, StoreError, Tx, bulk};
use crate::domain::case::Case;
use crate::domain::ids::{CaseId, NotificationId};
use crate::domain::message::Message;
use crate::domain::words::words;

words! {
    /// How a notification stands.
    NotificationStatus {
        /// Waits for its turn.
        Pending = "pending",
        /// Committed to leave; from here on it may have left.
        Sending = "sending",
        /// The mail server took it.
        Sent = "sent",
        /// Kept here to be read, since no mail server is set up.
        Kept = "kept",
        /// It was refused for good.
        Failed = "failed",
        /// It cannot be told whether it left; it is not sent again.
        Unknown = "unknown",
        /// It was overtaken by events and held back.
        Superseded = "superseded",
        /// It was held back for another reason.
        Suppressed = "suppressed",
    }
}

/// One message to one recipient for one step.
#[derive(Clone, PartialEq, Eq)]
pub struct NotificationRow {
    /// Its id.
    pub id: NotificationId,
    /// The case.
    pub case_id: CaseId,
    /// The connection of the case.
    pub connection: String,
    /// The message.
    pub message: Message,
    /// The step of the campaign.
    pub step: String,
    /// How it stands.
    pub status: NotificationStatus,
    /// Where it went, once it was rendered; of a message to staff, where it goes.
    pub recipient: Option<String>,
    /// The locale it was rendered in.
    pub locale: Option<String>,
    /// The rendered subject.
    pub subject: Option<String>,
    /// The rendered text.
    pub body_text: Option<String>,
    /// The rendered HTML.
    pub body_html: Option<String>,
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

impl fmt::Debug for NotificationRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotificationRow")
            .field("id", &self.id)
            .field("case_id", &self.case_id)
            .field("step", &self.step)
            .field("status", &self.status)
            .field("next_at", &self.next_at)
            .field("tries", &self.tries)
            .finish_non_exhaustive()
    }
}

/// A message as it leaves.
#[derive(Clone, Copy)]
pub struct Rendered<'a> {
    /// The address.
    pub recipient: &'a str,
    /// The locale.
    pub locale: &'a str,
    /// The subject.
    pub subject: &'a str,
    /// The text.
    pub text: &'a str,
    /// The HTML.
    pub html: &'a str,
}

/// Queues messages; says how many, since a case has each step once.
pub async fn queue(tx: &Tx, queued: &[(&Case, &NewNotice, Timestamp)]) -> Result<u64, StoreError> {
    let row = |(case, notice, at): &(&Case, &NewNotice, Timestamp)| {
        json!({"id": notice.id, "connection": case.connection, "case_id": case.id, "message": notice.message,
               "step": notice.step, "status": NotificationStatus::Pending, "queued_at": at.as_millisecond(),
               "next_at": notice.due_at.as_millisecond(), "recipient": notice.recipient})
    };
    let rows: Vec<_> = queued.iter().map(row).collect();
    let sql = format!(
        "INSERT INTO notifications ({}) SELECT {} FROM {} WHERE true ON CONFLICT DO NOTHING",
        bulk::names(&QUEUED),
        bulk::values(&QUEUED),
        tx.new_rows(&QUEUED)
    );
    tx.write_rows(&sql, &QUEUED, &rows).await
}

const QUEUED: [Field; 9] = [
    ("id", Kind::Text),
    ("connection", Kind::Text),
    ("case_id", Kind::Text),
    ("message", Kind::Text),
    ("step", Kind::Text),
    ("status", Kind::Text),
    ("queued_at", Kind::Int),
    ("next_at", Kind::Int),
    ("recipient", Kind::Text),
];

/// Holds back every message of the cases that makes sense only while the invoice is open and has not begun to leave; says how many.
pub async fn hold_back(tx: &Tx, cases: &[(&CaseId, &str, Timestamp)]) -> Result<u64, StoreError> {
    let row = |(case, reason, at): &(&CaseId, &str, Timestamp)| {
        json!({"case_id": case, "status": NotificationStatus::Superseded, "reason": reason,
               "ended_at": at.as_millisecond()})
    };
    let rows: Vec<_> = cases.iter().map(row).collect();
    let held = Message::ALL.iter().filter(|message| message.is_of_open_invoice());
    let held: Vec<_> = held.map(|message| format!("'{message}'")).collect();
    let sql = format!(
        "{} AND notifications.status = 'pending' AND message IN ({})",
        end_sql(tx, "case_id"),
        held.join(", ")
    );
    let cases: Vec<&CaseId> = cases.iter().map(|(case, ..)| *case).collect();
    tx.write_rows_of(&sql, &ENDS, &rows, &cases).await
}

/// What the end of a message sets, and what names it: its id, or only its case.
const ENDS: [Field; 5] = [
    ("case_id", Kind::Text),
    ("status", Kind::Text),
    ("reason", Kind::Text),
    ("ended_at", Kind::Int),
    ("id", Kind::Text),
];

/// The end of messages that are named by the column `key` of a new row, and by its case.
fn end_sql(tx: &Tx, key: &'static str) -> String {
    format!(
        "UPDATE notifications SET {}, lease_owner = NULL, lease_until = NULL FROM {} \
         WHERE notifications.case_id = new.case_id AND notifications.{key} = new.{key} AND {}",
        bulk::assignments(&ENDS[1..4]),
        tx.new_rows(&ENDS),
        tx.within("notifications", &ENDS)
    )
}

/// Claims at most `limit` pending messages that are due at `now`, longest due first. They stay `pending`.
pub async fn claim_due(
    store: &Store,
    now: Timestamp,
    limit: u64,
    lease_secs: u32,
    owner: &str,
) -> Result<Vec<NotificationRow>, StoreError> {
    let rows = DUE.claim(store, now, limit, lease_secs, owner).await?;
    let mut claimed = decoded(&rows, |row| decode(Model::from_query_result(row, "")?));
    claimed.sort_by(|a, b| (a.next_at, &a.id).cmp(&(b.next_at, &b.id)));
    Ok(claimed)
}

/// Commits that a claimed message leaves now, with its words. Says false where it is no longer pending or its lease has
/// ended; then not one byte may leave.
pub async fn start<C: ConnectionTrait>(
    conn: &C,
    id: &NotificationId,
    rendered: Rendered<'_>,
) -> Result<bool, StoreError> {
    start_in(TABLE, conn, id, rendered).await
}

/// The same in a table that has these columns.
pub(super) async fn start_in<C: ConnectionTrait>(
    table: &'static str,
    conn: &C,
    id: &NotificationId,
    rendered: Rendered<'_>,
) -> Result<bool, StoreError> {
    let backend = conn.get_database_backend();
    let now = Dialect::of(backend).now_ms();
    let sql = format!(
        "UPDATE {table} SET status = 'sending', recipient = $2, locale = $3, subject = $4, body_text = $5, \
         body_html = $6 WHERE id = $1 AND status = 'pending' AND lease_until > {now}"
    );
    let Rendered {
        recipient,
        locale,
        subject,
        text,
        html,
    } = rendered;
    let values = [id.as_str(), recipient, locale, subject, text, html].map(Into::into);
    let done = conn
        .execute_raw(Statement::from_sql_and_values(backend, sql, values))
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Writes how messages ended and says for which of them that was news. A late true answer also settles an `unknown` one; only
/// what has not left can be held back, whatever somebody thinks who claimed it long ago.
pub async fn end(tx: &Tx, ends: &[&NoticeEnd]) -> Result<HashSet<NotificationId>, StoreError> {
    let (ends, single): (Vec<_>, Vec<_>) = ends.iter().partition(|end| end.from == EndsFrom::Queue);
    let row = |end: &&&NoticeEnd| {
        json!({"id": end.id, "case_id": end.case_id, "status": end.status, "reason": end.reason,
               "ended_at": end.at.as_millisecond()})
    };
    let rows: Vec<_> = ends.iter().map(row).collect();
    let sql = format!(
        "{} AND (notifications.status = 'pending' OR notifications.status IN ('sending', 'unknown') \
         AND new.status NOT IN ('superseded', 'suppressed')) RETURNING notifications.id",
        end_sql(tx, "id")
    );
    let cases: Vec<&CaseId> = ends.iter().map(|end| &end.case_id).collect();
    let mut ended = tx.write_rows_of_returning(&sql, &ENDS, &rows, &cases).await?;
    for end in single {
        let is_news = match end.from {
            EndsFrom::Stranded => lose(tx, end).await?,
            EndsFrom::Queue | EndsFrom::Relay => learn_fate(tx, end).await?,
        };
        if is_news {
            ended.insert(end.id.clone());
        }
    }
    Ok(ended)
}

/// Puts a message that certainly did not leave back in the queue until `next_at`, and counts the try.
pub async fn retry<C: ConnectionTrait>(
    conn: &C,
    id: &NotificationId,
    next_at: Timestamp,
    reason: &str,
) -> Result<bool, StoreError> {
    back_in(TABLE, conn, id, Back::tried(next_at, reason)).await
}

/// Puts a pending message back in the queue until `next_at`; nothing was tried.
pub async fn put_back<C: ConnectionTrait>(
    conn: &C,
    id: &NotificationId,
    next_at: Timestamp,
    reason: &str,
) -> Result<bool, StoreError> {
    back_in(TABLE, conn, id, Back::untried(next_at, reason)).await
}

/// At most `limit` messages that were left in `sending` by somebody whose lease has ended.
pub async fn stranded(store: &Store, limit: u64) -> Result<Vec<NotificationRow>, StoreError> {
    let sql = format!(
        "SELECT * FROM notifications WHERE status = 'sending' AND lease_until <= {} ORDER BY lease_until, id LIMIT $1",
        store.dialect.now_ms()
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = store.query(&sql, [limit.into()]).await?;
    Ok(decoded(&rows, |row| decode(Model::from_query_result(row, "")?)))
}

/// Ends a stranded message and says whether it still was stranded.
async fn lose(tx: &Tx, end: &NoticeEnd) -> Result<bool, StoreError> {
    let sql = format!(
        "UPDATE notifications SET status = $2, reason = $3, ended_at = $4, lease_owner = NULL, lease_until = NULL \
         WHERE id = $1 AND case_id = $5 AND status = 'sending' AND lease_until <= {}",
        tx.dialect().now_ms()
    );
    let done = tx.conn().execute_raw(tx.statement(&sql, single(end))).await?;
    Ok(done.rows_affected() == 1)
}

/// Writes what became of a message that the relay has, and says whether that was news.
async fn learn_fate(tx: &Tx, end: &NoticeEnd) -> Result<bool, StoreError> {
    let sql = "UPDATE notifications SET status = $2, reason = $3, ended_at = COALESCE(ended_at, $4), lease_owner = NULL, \
               lease_until = NULL WHERE id = $1 AND case_id = $5 AND status IN ('sending', 'sent', 'unknown') \
               AND (status <> $2 OR reason IS DISTINCT FROM $3)";
    let done = tx.conn().execute_raw(tx.statement(sql, single(end))).await?;
    Ok(done.rows_affected() == 1)
}

fn single(end: &NoticeEnd) -> [sea_orm::Value; 5] {
    [
        end.id.as_str().into(),
        end.status.as_str().into(),
        end.reason.clone().into(),
        end.at.as_millisecond().into(),
        end.case_id.as_str().into(),
    ]
}

/// The message of that id.
pub async fn find<C: ConnectionTrait>(conn: &C, id: &NotificationId) -> Result<Option<NotificationRow>, StoreError> {
    let row = Entity::find().filter(Column::Id.eq(id.as_str())).one(conn).await?;
    row.map(decode).transpose()
}

/// The messages of a case, oldest first.
pub async fn by_case<C: ConnectionTrait>(conn: &C, case: &CaseId) -> Result<Vec<NotificationRow>, StoreError> {
    let rows = Entity::find()
        .filter(Column::CaseId.eq(case.as_str()))
        .order_by_asc(Column::QueuedAt)
        .order_by_asc(Column::Id)
        .all(conn)
        .await?;
    rows.into_iter().map(decode).collect()
}

/// Messages, newest first: at most `limit` after `cursor`, of one case where one is named.
pub async fn list<C: ConnectionTrait>(
    conn: &C,
    case: Option<&CaseId>,
    cursor: Option<&NotificationId>,
    limit: u64,
) -> Result<Vec<NotificationRow>, StoreError> {
    let mut query = Entity::find();
    if let Some(case) = case {
        query = query.filter(Column::CaseId.eq(case.as_str()));
    }
    if let Some(cursor) = cursor {
        query = query.filter(Column::Id.lt(cursor.as_str()));
    }
    let rows = query.order_by_desc(Column::Id).limit(limit).all(conn).await?;
    rows.into_iter().map(decode).collect()
}

const TABLE: &str = "notifications";

const DUE: Queue = Queue {
    table: TABLE,
    key: "id",
    part: Some("case_id"),
    due: "status = 'pending' AND next_at <= $1",
    order: "next_at, id",
    also_set: "",
    returning: "*",
};

/// How a message is put back into the queue.
#[derive(Clone, Copy)]
pub(super) struct Back<'a> {
    from: NotificationStatus,
    next_at: Timestamp,
    reason: &'a str,
    tries: i64,
}

impl<'a> Back<'a> {
    /// The mail server was asked, and certainly did not take it.
    pub(super) fn tried(next_at: Timestamp, reason: &'a str) -> Self {
        Self {
            from: NotificationStatus::Sending,
            next_at,
            reason,
            tries: 1,
        }
    }

    /// Nothing was tried.
    pub(super) fn untried(next_at: Timestamp, reason: &'a str) -> Self {
        Self {
            from: NotificationStatus::Pending,
            next_at,
            reason,
            tries: 0,
        }
    }
}

/// Puts a message of a table that has these columns back into the queue.
pub(super) async fn back_in<C: ConnectionTrait>(
    table: &'static str,
    conn: &C,
    id: &NotificationId,
    back: Back<'_>,
) -> Result<bool, StoreError> {
    let sql = format!(
        "UPDATE {table} SET status = 'pending', next_at = $3, reason = $4, tries = tries + $5, \
         lease_owner = NULL, lease_until = NULL WHERE id = $1 AND status = $2"
    );
    let values = [
        id.as_str().into(),
        back.from.as_str().into(),
        back.next_at.as_millisecond().into(),
        back.reason.into(),
        back.tries.into(),
    ];
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    Ok(conn.execute_raw(statement).await?.rows_affected() == 1)
}

fn decode(model: Model) -> Result<NotificationRow, StoreError> {
    let row = Row {
        table: "notifications",
        id: &model.id,
    };
    Ok(NotificationRow {
        case_id: CaseId::from(model.case_id),
        connection: model.connection,
        message: row.word("message", &model.message)?,
        step: model.step,
        status: row.word("status", &model.status)?,
        recipient: model.recipient,
        locale: model.locale,
        subject: model.subject,
        body_text: model.body_text,
        body_html: model.body_html,
        queued_at: row.instant("queued_at", model.queued_at)?,
        next_at: row.instant("next_at", model.next_at)?,
        ended_at: row.maybe_instant("ended_at", model.ended_at)?,
        tries: row.count("tries", model.tries)?,
        reason: model.reason,
        id: NotificationId::from(model.id.clone()),
    })
}
