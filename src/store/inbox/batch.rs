//! Many events in one statement: it is its own transaction, so all that it wrote is durable when it is answered.

use std::borrow::Cow;
use std::collections::HashSet;

use sea_orm::sqlx::{AssertSqlSafe, Connection, PgConnection, Row, SqliteConnection, query};

use super::{NewInbox, Received};
use crate::store::{Dialect, Store, StoreError};

/// One array for each column, so that the statement is the same for every number of rows. An array takes no NULL. The row of an
/// event says that it is here, for ever; its body lies in the partition of the month in which it came.
const POSTGRES: &str = "WITH new AS (\
    SELECT * FROM UNNEST($1::text[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::bigint[], $7::text[], \
        $8::text[]) AS new (id, connection, event_id, kind, body, received_at, status, reason)), \
    taken AS (INSERT INTO inbox (id, connection, event_id, kind, received_at, status, next_at, reason, ended_at) \
        SELECT id, connection, event_id, kind, received_at, status, received_at, NULLIF(reason, ''), \
            CASE WHEN status <> 'pending' THEN received_at END FROM new \
        ON CONFLICT (connection, event_id) DO NOTHING RETURNING id) \
    INSERT INTO inbox_bodies (id, body) SELECT id, body FROM new JOIN taken USING (id) RETURNING id";
/// The statement for SQLite, which knows no arrays, around its rows. The rows without an id only fill it up.
const SQLITE: [&str; 2] = [
    "INSERT INTO inbox (id, connection, event_id, kind, body, unpacked_bytes, received_at, status, next_at, reason, ended_at) \
     SELECT column1, column2, column3, column4, column5, column6, column7, column8, column7, column9, \
        CASE WHEN column8 <> 'pending' THEN column7 END FROM (VALUES ",
    ") WHERE column1 IS NOT NULL ON CONFLICT (connection, event_id) DO NOTHING RETURNING id",
];
/// One row of it.
const SQLITE_ROW: &str = "(?, ?, ?, ?, ?, ?, ?, ?, ?)";

/// A connection for nothing but batches. A pool would ask it for a sign of life after each.
pub(super) enum Link {
    /// To PostgreSQL.
    Postgres(Box<PgConnection>),
    /// To SQLite.
    Sqlite(Box<SqliteConnection>),
}

impl Link {
    /// Opens one beside the store's pool. It is served by the runtime that it is opened on.
    pub(super) async fn open(store: &Store) -> Result<Self, StoreError> {
        let conn = store.conn();
        Ok(match store.dialect() {
            Dialect::Postgres => {
                let options = conn.get_postgres_connection_pool().connect_options();
                Self::Postgres(Box::new(PgConnection::connect_with(&options).await?))
            }
            Dialect::Sqlite => {
                let options = conn.get_sqlite_connection_pool().connect_options();
                Self::Sqlite(Box::new(SqliteConnection::connect_with(&options).await?))
            }
        })
    }

    /// Takes events in over it, like [`insert_all`].
    pub(super) async fn insert_all(&mut self, store: &Store, events: &[NewInbox]) -> Result<Vec<Received>, StoreError> {
        let _turn = store.turn().await?;
        store.check_open()?;
        match self {
            Self::Postgres(conn) => to_postgres(conn, events).await,
            Self::Sqlite(conn) => to_sqlite(conn, events).await,
        }
    }
}

/// Takes events in, each once; says in their order which of them are new. All of them are written, or none.
pub(super) async fn insert_all(store: &Store, events: &[NewInbox]) -> Result<Vec<Received>, StoreError> {
    let _turn = store.turn().await?;
    let conn = store.conn();
    match store.dialect() {
        Dialect::Postgres => to_postgres(&mut *conn.get_postgres_connection_pool().acquire().await?, events).await,
        Dialect::Sqlite => to_sqlite(&mut *conn.get_sqlite_connection_pool().acquire().await?, events).await,
    }
}

async fn to_postgres(conn: &mut PgConnection, events: &[NewInbox]) -> Result<Vec<Received>, StoreError> {
    let rows = in_order(events);
    let texts = |text: fn(&NewInbox) -> &str| -> Vec<&str> { rows.iter().map(|row| text(row)).collect() };
    let statement = query(POSTGRES)
        .bind(texts(|row| row.id.as_str()))
        .bind(texts(|row| &row.connection))
        .bind(texts(|row| &row.event_id))
        .bind(texts(|row| &row.kind))
        .bind(rows.iter().map(|row| &row.body[..]).collect::<Vec<_>>())
        .bind(
            rows.iter()
                .map(|row| row.received_at.as_millisecond())
                .collect::<Vec<_>>(),
        )
        .bind(texts(|row| row.status.as_str()))
        .bind(texts(|row| row.reason.as_deref().unwrap_or_default()));
    let written = statement.fetch_all(conn).await?;
    let ids: Result<HashSet<&str>, _> = written.iter().map(|row| row.try_get(0)).collect();
    Ok(received(events, &ids?))
}

async fn to_sqlite(conn: &mut SqliteConnection, events: &[NewInbox]) -> Result<Vec<Received>, StoreError> {
    let rows = in_order(events);
    // Few sizes, so that each of them is prepared once.
    let size = rows.len().next_power_of_two();
    let sql = SQLITE.join(&vec![SQLITE_ROW; size].join(", "));
    let mut statement = query(AssertSqlSafe(sql));
    for nth in 0..size {
        let row = rows.get(nth);
        let (body, unpacked_bytes) = row.map(|row| packed(&row.body)).unzip();
        statement = statement
            .bind(row.map(|row| row.id.as_str()))
            .bind(row.map(|row| row.connection.as_str()))
            .bind(row.map(|row| row.event_id.as_str()))
            .bind(row.map(|row| row.kind.as_str()))
            .bind(body)
            .bind(unpacked_bytes.flatten())
            .bind(row.map(|row| row.received_at.as_millisecond()))
            .bind(row.map(|row| row.status.as_str()))
            .bind(row.and_then(|row| row.reason.as_deref()));
    }
    let written = statement.fetch_all(conn).await?;
    let ids: Result<HashSet<&str>, _> = written.iter().map(|row| row.try_get(0)).collect();
    Ok(received(events, &ids?))
}

/// A body as SQLite keeps it, which compresses nothing by itself, and how long it was; that is left out where it is as it came.
fn packed(body: &[u8]) -> (Cow<'_, [u8]>, Option<i64>) {
    let packed = lz4_flex::block::compress(body);
    match i64::try_from(body.len()) {
        Ok(bytes) if packed.len() < body.len() => (packed.into(), Some(bytes)),
        _ => (body.into(), None),
    }
}

/// Two writers that meet at the same events in another order would wait for each other.
fn in_order(events: &[NewInbox]) -> Vec<&NewInbox> {
    let mut rows: Vec<&NewInbox> = events.iter().collect();
    rows.sort_by(|a, b| (&a.connection, &a.event_id).cmp(&(&b.connection, &b.event_id)));
    rows
}

fn received(events: &[NewInbox], written: &HashSet<&str>) -> Vec<Received> {
    let received = |event: &NewInbox| {
        if written.contains(event.id.as_str()) {
            Received::Accepted
        } else {
            Received::Duplicate
        }
    };
    events.iter().map(received).collect()
}
