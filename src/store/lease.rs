//! Claiming rows of a queue by lease: who holds the lease works on the row, and whoever dies loses it with time.
//!
//! Leases run by the database's time, so that replicas whose clocks differ agree, and so that the test clock cannot end
//! one. A row is claimed by its status, never by its position.

use sea_orm::{ConnectionTrait, QueryResult};

use super::{Dialect, Store, StoreError};

/// One queue. Its parts are SQL and constants of this crate; `$1` stands for the present instant.
pub(super) struct Queue {
    /// The table.
    pub(super) table: &'static str,
    /// Its key.
    pub(super) key: &'static str,
    /// The column that says in which partition a row lies, where the table has any.
    pub(super) part: Option<&'static str>,
    /// Which rows are due, leases aside.
    pub(super) due: &'static str,
    /// Which of them come first.
    pub(super) order: &'static str,
    /// What else to set, with a leading comma.
    pub(super) also_set: &'static str,
    /// What to read of the claimed rows.
    pub(super) returning: &'static str,
}

impl Queue {
    /// One statement that takes the lease of at most `$2` due rows for `$3`, until `$4` milliseconds from now.
    fn claim_sql(&self, dialect: Dialect) -> String {
        let Self {
            table,
            key,
            part,
            due,
            order,
            also_set,
            returning,
        } = self;
        let now = dialect.now_ms();
        let free = format!("(lease_until IS NULL OR lease_until <= {now})");
        let take = format!("UPDATE {table} SET lease_owner = $3, lease_until = {now} + $4{also_set}");
        let first =
            |columns: &str| format!("SELECT {columns} FROM {table} WHERE {due} AND {free} ORDER BY {order} LIMIT $2");
        match (dialect, part) {
            // SQLite has one writer at a time and takes the statement as a whole.
            (Dialect::Sqlite, _) => format!("{take} WHERE {key} IN ({}) RETURNING {returning}", first(key)),
            // A plain `IN (SELECT ... LIMIT)` may be evaluated more than once; the array is not.
            (Dialect::Postgres, None) => format!(
                "WITH first AS ({} FOR UPDATE SKIP LOCKED) \
                 {take} WHERE {key} = ANY(ARRAY(SELECT {key} FROM first)) RETURNING {returning}",
                first(key)
            ),
            // Each row is looked for in its own partition. Rows that are locked are never found twice.
            (Dialect::Postgres, Some(part)) => format!(
                "WITH first AS ({} FOR UPDATE SKIP LOCKED) {take} FROM first \
                 WHERE {table}.{key} = first.{key} AND {table}.{part} = first.{part} RETURNING {table}.{returning}",
                first(&format!("{key}, {part}"))
            ),
        }
    }

    /// Claims at most `limit` due rows for `owner`, in no particular order.
    pub(super) async fn claim(
        &self,
        store: &Store,
        now: jiff::Timestamp,
        limit: u64,
        lease_secs: u32,
        owner: &str,
    ) -> Result<Vec<QueryResult>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let values = [
            now.as_millisecond().into(),
            limit.into(),
            owner.into(),
            lease_millis(lease_secs).into(),
        ];
        let _turn = store.turn().await?;
        store.query(&self.claim_sql(store.dialect), values).await
    }
}

impl Store {
    /// Ends every lease now, whoever holds it. Only for a process that knows itself to be alone on the database.
    pub async fn end_leases(&self) -> Result<(), StoreError> {
        for table in ["due_cases", "inbox", "notifications", "courtesies", "digests"] {
            let sql = format!("UPDATE {table} SET lease_until = 0 WHERE lease_until IS NOT NULL");
            self.connection.execute_raw(self.statement(&sql, [])).await?;
        }
        Ok(())
    }
}

/// Decodes claimed rows. One that does not decode stays claimed until its lease ends: it is told of, and keeps nobody
/// else waiting.
pub(super) fn decoded<T>(rows: &[QueryResult], decode: impl Fn(&QueryResult) -> Result<T, StoreError>) -> Vec<T> {
    let mut decoded = Vec::with_capacity(rows.len());
    for row in rows {
        match decode(row) {
            Ok(row) => decoded.push(row),
            Err(error) => tracing::error!(%error, "a claimed row cannot be read; it is left alone"),
        }
    }
    decoded
}

/// The length of a lease in milliseconds.
pub(super) fn lease_millis(lease_secs: u32) -> i64 {
    i64::from(lease_secs) * 1000
}
