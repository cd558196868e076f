//! Many events in one statement: it is its own transaction, so all that it wrote is durable when it is answered.

use std::collections::HashSet;

use sea_orm::{ConnectionTrait, Statement, Value};

use super::{InboxStatus, NewInbox, Received};
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
/// One row of the statement for SQLite, which knows no arrays, and how many values it binds.
const SQLITE_ROW: &str = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
const SQLITE_VALUES: usize = 10;

/// Takes events in, each once; says in their order which of them are new. All of them are written, or none.
pub(super) async fn insert_all(store: &Store, events: &[NewInbox]) -> Result<Vec<Received>, StoreError> {
    let mut rows: Vec<&NewInbox> = events.iter().collect();
    // Two writers that meet at the same events in another order would wait for each other.
    rows.sort_by(|a, b| (&a.connection, &a.event_id).cmp(&(&b.connection, &b.event_id)));
    let (sql, values) = match store.dialect() {
        Dialect::Postgres => (POSTGRES.to_owned(), arrays(&rows)),
        Dialect::Sqlite => sqlite(&rows),
    };
    let _turn = store.turn().await?;
    let statement = Statement::from_sql_and_values(store.dialect().backend(), sql, values);
    let mut written = HashSet::with_capacity(events.len());
    for row in store.conn().query_all_raw(statement).await? {
        written.insert(row.try_get_by_index::<String>(0)?);
    }
    let received = |event: &NewInbox| {
        if written.contains(event.id.as_str()) {
            Received::Accepted
        } else {
            Received::Duplicate
        }
    };
    Ok(events.iter().map(received).collect())
}

fn arrays(rows: &[&NewInbox]) -> Vec<Value> {
    let texts = |text: fn(&NewInbox) -> &str| -> Value {
        let texts: Vec<String> = rows.iter().map(|row| text(row).to_owned()).collect();
        texts.into()
    };
    let bodies: Vec<Vec<u8>> = rows.iter().map(|row| row.body.clone()).collect();
    let instants: Vec<i64> = rows.iter().map(|row| row.received_at.as_millisecond()).collect();
    vec![
        texts(|row| row.id.as_str()),
        texts(|row| &row.connection),
        texts(|row| &row.event_id),
        texts(|row| &row.kind),
        bodies.into(),
        instants.into(),
        texts(|row| row.status.as_str()),
        texts(|row| row.reason.as_deref().unwrap_or_default()),
    ]
}

fn sqlite(rows: &[&NewInbox]) -> (String, Vec<Value>) {
    let mut values = Vec::with_capacity(rows.len() * SQLITE_VALUES);
    for row in rows {
        let received_at = row.received_at.as_millisecond();
        values.extend([
            row.id.as_str().into(),
            row.connection.as_str().into(),
            row.event_id.as_str().into(),
            row.kind.as_str().into(),
            row.body.clone().into(),
            received_at.into(),
            row.status.as_str().into(),
            // Due at once.
            received_at.into(),
            row.reason.clone().into(),
            (row.status != InboxStatus::Pending).then_some(received_at).into(),
        ]);
    }
    let sql = format!(
        "INSERT INTO inbox (id, connection, event_id, kind, body, received_at, status, next_at, reason, ended_at) \
         VALUES {} ON CONFLICT (connection, event_id) DO NOTHING RETURNING id",
        vec![SQLITE_ROW; rows.len()].join(", ")
    );
    (sql, values)
}
