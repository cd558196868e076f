//! How long the queues are, for people who look after the service.

use jiff::Timestamp;

use super::row::Row;
use super::{Store, StoreError};

/// The queues: what people call each, its table, what of it waits, and since when.
const QUEUES: [(&str, &str, &str, &str); 5] = [
    ("events", "inbox", "ended_at IS NULL", "next_at"),
    ("steps", "due_cases", "due_at IS NOT NULL", "due_at"),
    ("mails", "notifications", "status = 'pending'", "next_at"),
    ("courtesies", "courtesies", "status = 'pending'", "next_at"),
    ("digests", "digests", "status = 'pending'", "next_at"),
];

/// One queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLength {
    /// What waits in it.
    pub name: &'static str,
    /// How many rows are due.
    pub due: u64,
    /// Since when the first of them is.
    pub since: Option<Timestamp>,
    /// How many wait for their time.
    pub later: u64,
}

/// How long each queue is at `now`.
pub async fn lengths(store: &Store, now: Timestamp) -> Result<Vec<QueueLength>, StoreError> {
    let mut lengths = Vec::with_capacity(QUEUES.len());
    for (name, table, waits, at) in QUEUES {
        let sql = format!(
            "SELECT COUNT(*), MIN({at}), (SELECT COUNT(*) FROM {table} WHERE {waits} AND {at} > $1) \
             FROM {table} WHERE {waits} AND {at} <= $1"
        );
        let row = Row { table, id: "count" };
        for found in store.query(&sql, [now.as_millisecond().into()]).await? {
            lengths.push(QueueLength {
                name,
                due: row.count("due", found.try_get_by_index::<i64>(0)?)?,
                since: row.maybe_instant(at, found.try_get_by_index(1)?)?,
                later: row.count("later", found.try_get_by_index::<i64>(2)?)?,
            });
        }
    }
    Ok(lengths)
}

/// How many messages the relay did not take yet, and what it said of one of them.
pub async fn put_back(store: &Store) -> Result<(u64, Option<String>), StoreError> {
    let sql = "SELECT COUNT(*), MAX(reason) FROM notifications WHERE status = 'pending' AND tries > 0";
    let rows = store.query(sql, []).await?;
    let Some(found) = rows.first() else {
        return Ok((0, None));
    };
    let row = Row {
        table: "notifications",
        id: "count",
    };
    let count = row.count("tries", found.try_get_by_index::<i64>(0)?)?;
    Ok((count, found.try_get_by_index(1)?))
}

/// When the newest event of a connection was received.
pub async fn last_event(store: &Store, connection: &str) -> Result<Option<Timestamp>, StoreError> {
    let sql = "SELECT received_at FROM inbox WHERE connection = $1 ORDER BY id DESC LIMIT 1";
    let rows = store.query(sql, [connection.into()]).await?;
    let row = Row {
        table: "inbox",
        id: connection,
    };
    let at = rows.first().map(|found| found.try_get_by_index(0)).transpose()?;
    row.maybe_instant("received_at", at)
}
