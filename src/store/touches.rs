//! Which customers were written to, and when.

use jiff::Timestamp;
use sea_orm::{ConnectionTrait, Statement};

use super::row::Row;
use super::{Dialect, Store, StoreError, Tx, cases};
use crate::domain::calendar::secs_from;
use crate::domain::campaign::Touches;
use crate::domain::ids::NotificationId;
use crate::domain::message::Message;

/// A message that has been due for so long keeps no other waiting: whatever holds it up may never end.
const STUCK_SECS: i64 = 24 * 3600;

/// A message that is about to leave, to a customer who may have been written to lately.
#[derive(Clone, Copy, Debug)]
pub struct Touch<'a> {
    /// The message.
    pub id: &'a NotificationId,
    /// The connection of the customer.
    pub connection: &'a str,
    /// The customer.
    pub customer_id: &'a str,
    /// Whether it is the last word before the end.
    pub last_word: bool,
    /// When it was queued.
    pub queued_at: Timestamp,
    /// The present instant.
    pub now: Timestamp,
}

/// Notes that a customer is written to now, unless the limits say later: then it gives when. Two messages to one customer ask one
/// after the other, whoever asks for them; of those that are due the last word before an end goes first, then whichever was queued
/// before. A message that asks again counts once.
pub async fn touch(store: &Store, touch: Touch<'_>, limits: Touches) -> Result<Option<Timestamp>, StoreError> {
    let tx = store.begin().await?;
    let backend = tx.dialect().backend();
    let whose = || [touch.customer_id.into(), touch.connection.into()];
    if tx.dialect() == Dialect::Postgres {
        let sql = "SELECT pg_advisory_xact_lock(hashtextextended('touch ' || $2 || ' ' || $1, 0))";
        tx.conn()
            .execute_raw(Statement::from_sql_and_values(backend, sql, whose()))
            .await?;
    }
    let since = limits.since(touch.now).as_millisecond();
    let [customer, connection] = whose();
    let old = "DELETE FROM touches WHERE customer_id = $1 AND connection = $2 AND (at < $3 OR notification_id = $4)";
    let values = [customer, connection, since.into(), touch.id.as_str().into()];
    tx.conn()
        .execute_raw(Statement::from_sql_and_values(backend, old, values))
        .await?;
    let mut before = written(tx.conn(), touch.connection, touch.customer_id).await?;
    let later = |before: &[Timestamp]| limits.next(before, touch.last_word).filter(|next| *next > touch.now);
    let mut next = later(&before);
    // Only one that may leave now is kept waiting by another: who waits anyway asks again, and may find the other gone.
    if next.is_none() && another_goes_first(&tx, touch).await? {
        before.push(touch.now);
        next = later(&before);
    }
    if next.is_none() {
        let sql = "INSERT INTO touches (customer_id, connection, at, notification_id) VALUES ($1, $2, $3, $4)";
        let [customer, connection] = whose();
        let values = [
            customer,
            connection,
            touch.now.as_millisecond().into(),
            touch.id.as_str().into(),
        ];
        tx.conn()
            .execute_raw(Statement::from_sql_and_values(backend, sql, values))
            .await?;
    }
    tx.commit().await?;
    Ok(next)
}

/// Whether another message to the customer is due that is more important, or was queued before. One that is on its way has had its
/// turn, and is counted among those that were written.
async fn another_goes_first(tx: &Tx, touch: Touch<'_>) -> Result<bool, StoreError> {
    let cases = cases::open_by_customer(tx.conn(), touch.connection, touch.customer_id).await?;
    // They stand in order; PostgreSQL leaves alone the months in which none of them was opened.
    let (Some(first), Some(last)) = (cases.first(), cases.last()) else {
        return Ok(false);
    };
    let reminders = Message::ALL.iter().filter(|message| message.is_reminder());
    let reminders: Vec<String> = reminders.map(|message| format!("'{message}'")).collect();
    let sql = format!(
        "SELECT 1 FROM notifications WHERE status = 'pending' AND next_at <= $1 AND next_at > $2 AND case_id BETWEEN $3 AND $4 \
         AND case_id IN (SELECT id FROM cases WHERE customer_id = $5 AND connection = $6 AND closed_at IS NULL) \
         AND id NOT IN (SELECT notification_id FROM touches WHERE customer_id = $5 AND connection = $6) \
         AND message IN ({}) AND (message <> '{}', queued_at, id) < ($7, $8, $9) LIMIT 1",
        reminders.join(", "),
        Message::FinalNotice
    );
    let values = [
        touch.now.as_millisecond().into(),
        secs_from(touch.now, -STUCK_SECS).as_millisecond().into(),
        first.as_str().into(),
        last.as_str().into(),
        touch.customer_id.into(),
        touch.connection.into(),
        (!touch.last_word).into(),
        touch.queued_at.as_millisecond().into(),
        touch.id.as_str().into(),
    ];
    Ok(tx.conn().query_one_raw(tx.statement(&sql, values)).await?.is_some())
}

/// Forgets that a customer was written to by a message.
pub async fn forget<C: ConnectionTrait>(conn: &C, id: &NotificationId) -> Result<(), StoreError> {
    let sql = "DELETE FROM touches WHERE notification_id = $1";
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, [id.as_str().into()]);
    conn.execute_raw(statement).await?;
    Ok(())
}

/// When a customer was written to lately, oldest first.
pub async fn written<C: ConnectionTrait>(
    conn: &C,
    connection: &str,
    customer_id: &str,
) -> Result<Vec<Timestamp>, StoreError> {
    let sql = "SELECT at FROM touches WHERE customer_id = $1 AND connection = $2 ORDER BY at";
    let whose = [customer_id.into(), connection.into()];
    let rows = conn
        .query_all_raw(Statement::from_sql_and_values(conn.get_database_backend(), sql, whose))
        .await?;
    let row = Row {
        table: "touches",
        id: customer_id,
    };
    rows.iter()
        .map(|found| row.instant("at", found.try_get("", "at")?))
        .collect()
}
