//! What can go wrong at the database, sorted by what a caller can do about it.

use sea_orm::sqlx::error::{DatabaseError, Error as SqlxError};
use sea_orm::{DbErr, RuntimeErr, SqlErr};

/// Why the store could not do what it was asked. The texts carry no values of rows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The database is away, busy or full; the same may work later.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// The answer to a commit was lost: it may have been done.
    #[error("whether the database committed is not known: {0}")]
    Uncertain(String),
    /// A law of uniqueness forbids it: it is there already.
    #[error("it is there already: {0}")]
    Conflict(String),
    /// A row does not decode.
    #[error("row {id} of table {table} is corrupt: {what}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The row's key.
        id: String,
        /// What is wrong with it.
        what: String,
    },
    /// Anything else: a fault of ours, of the schema or of the configuration.
    #[error("the database refused: {0}")]
    Other(String),
}

impl StoreError {
    /// Whether the same may work later, unchanged. `Uncertain` counts: who asks again must bear that it was done.
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::Uncertain(_) => true,
            Self::Conflict(_) | Self::Corrupt { .. } | Self::Other(_) => false,
        }
    }
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        let text = error.to_string();
        if let Some(SqlErr::UniqueConstraintViolation(law)) = error.sql_err() {
            return Self::Conflict(law);
        }
        let transient = match &error {
            DbErr::ConnectionAcquire(_) => true,
            DbErr::Conn(RuntimeErr::SqlxError(cause))
            | DbErr::Exec(RuntimeErr::SqlxError(cause))
            | DbErr::Query(RuntimeErr::SqlxError(cause)) => is_transient(cause),
            _ => false,
        };
        if transient {
            Self::Unavailable(text)
        } else {
            Self::Other(text)
        }
    }
}

impl From<SqlxError> for StoreError {
    fn from(error: SqlxError) -> Self {
        DbErr::Exec(RuntimeErr::SqlxError(error.into())).into()
    }
}

fn is_transient(error: &SqlxError) -> bool {
    match error {
        SqlxError::Io(_)
        | SqlxError::PoolTimedOut
        | SqlxError::PoolClosed
        | SqlxError::WorkerCrashed
        // An answer cut off in the middle shows as a breach of the protocol.
        | SqlxError::Protocol(_)
        | SqlxError::BeginFailed => true,
        SqlxError::Database(refusal) => is_transient_refusal(refusal.as_ref()),
        _ => false,
    }
}

fn is_transient_refusal(refusal: &(dyn DatabaseError + 'static)) -> bool {
    let code = refusal.code().unwrap_or_default();
    if refusal
        .try_downcast_ref::<sea_orm::sqlx::postgres::PgDatabaseError>()
        .is_some()
    {
        is_transient_sqlstate(&code)
    } else {
        code.parse().is_ok_and(is_transient_sqlite)
    }
}

/// Classes 08 (connection), 53 (resources, disk full), 57 (shutdown, timeouts), 58 (system) and single codes:
/// serialization failure, deadlock, lock not available, idle transaction ended, read-only standby.
fn is_transient_sqlstate(code: &str) -> bool {
    matches!(code.get(..2), Some("08" | "53" | "57" | "58"))
        || matches!(code, "40001" | "40P01" | "55P03" | "25P03" | "25006")
}

/// Busy, locked, read-only, input/output error, disk full, cannot open; the low byte is the primary code.
fn is_transient_sqlite(code: u32) -> bool {
    matches!(code & 0xff, 5 | 6 | 8 | 10 | 13 | 14)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_sorted_by_what_a_caller_can_do() {
        for code in [
            "08006", "53100", "53300", "57P01", "57014", "40001", "40P01", "55P03", "25006",
        ] {
            assert!(is_transient_sqlstate(code), "{code}");
        }
        for code in ["23505", "23514", "42P01", "28P01", "3D000", ""] {
            assert!(!is_transient_sqlstate(code), "{code}");
        }
        // Busy, busy with a stale snapshot, disk full, input/output error while syncing.
        for code in [5, 517, 13, 1034] {
            assert!(is_transient_sqlite(code), "{code}");
        }
        for code in [1, 19, 275, 787, 1555, 2067] {
            assert!(!is_transient_sqlite(code), "{code}");
        }
    }
}
