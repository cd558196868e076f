//! F2: the database. The same code runs on SQLite and PostgreSQL; entities stay in here, domain types go in and out.
//!
//! Invariants: no transaction is open during a network call; every write transaction on SQLite is `BEGIN IMMEDIATE`;
//! business times are bound by the caller, only leases use the database's time; queues are claimed by status, never by
//! position; a row that does not decode is an error, never a guess.

use std::sync::Arc;
use std::time::Duration;

use migrations::{Migrator, MigratorTrait};
use sea_orm::sqlx::Connection;
use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend, Statement,
    TransactionOptions, TransactionTrait,
};

use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::timeout;

use crate::domain::retention::Retention;

pub use courtesies::Courtesies;
pub use digests::Digests;
pub use error::StoreError;
pub use letters::Letters;
pub use oversight::Oversight;
pub use port::{Lease, Storage};
pub use suppressions::Reach;

pub mod active;
pub mod approvals;
pub mod attempts;
pub mod audit;
pub mod backup;
mod bulk;
pub mod campaigns;
pub mod cases;
pub mod changes;
pub mod courtesies;
pub mod digests;
pub mod drift;
mod entity;
mod error;
pub mod exchange;
pub mod exclusions;
pub mod exports;
pub mod funnel;
pub mod idempotency;
pub mod identities;
pub mod inbox;
pub mod instruments;
pub mod invitations;
pub mod keys;
pub mod late;
pub mod learning;
mod lease;
pub mod ledger;
pub mod letters;
pub mod notifications;
mod oversight;
pub mod people;
mod port;
pub mod publications;
pub mod queues;
pub mod reports;
mod retention;
pub mod rollups;
mod row;
pub mod scans;
pub mod sessions;
pub mod settings;
pub mod shadows;
pub mod suppressions;
pub mod timeline;
pub mod touches;
pub mod unknown_codes;
pub mod views;
pub mod win_back;

/// How long a caller waits for a free connection to PostgreSQL.
const POSTGRES_ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a caller waits for a free connection to SQLite; a writer holds one while it waits for its turn.
const SQLITE_ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a SQLite writer waits for its turn.
const SQLITE_BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection that was not used for so long is asked for a sign of life before it is used again.
const PING_AFTER_IDLE: Duration = Duration::from_secs(1);
/// What PostgreSQL ends by itself, so that a stuck peer frees its locks; times in milliseconds.
const POSTGRES_SETTINGS: [(&str, &str); 4] = [
    ("statement_timeout", "15000"),
    ("lock_timeout", "5000"),
    ("idle_in_transaction_session_timeout", "30000"),
    ("default_transaction_isolation", "read committed"),
];

/// Which database it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// A file beside the service, one writer at a time.
    Sqlite,
    /// A server that several replicas share.
    Postgres,
}

impl Dialect {
    const fn backend(self) -> DbBackend {
        match self {
            Self::Sqlite => DbBackend::Sqlite,
            Self::Postgres => DbBackend::Postgres,
        }
    }

    fn of(backend: DbBackend) -> Self {
        match backend {
            DbBackend::Sqlite => Self::Sqlite,
            _ => Self::Postgres,
        }
    }

    /// The database's own time in milliseconds since the epoch, as SQL.
    const fn now_ms(self) -> &'static str {
        match self {
            Self::Sqlite => "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
            Self::Postgres => "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)",
        }
    }
}

/// A pool of connections to one database.
#[derive(Clone, Debug)]
pub struct Store {
    connection: DatabaseConnection,
    /// How further pools on the same database are opened.
    options: ConnectOptions,
    dialect: Dialect,
    /// The turn to write to SQLite, first come, first served: the file's own lock is polled, which wastes time and can
    /// pass a waiting writer over until it gives up. PostgreSQL needs no turns.
    turn: Option<Arc<Mutex<()>>>,
    /// For how long what has ended is kept.
    retention: Retention,
}

/// A transaction that may write. Dropped without `commit` it is rolled back.
#[derive(Debug)]
pub struct Tx {
    transaction: DatabaseTransaction,
    /// Given up last, once the transaction has ended.
    _turn: Option<OwnedMutexGuard<()>>,
}

impl Store {
    /// Connects to `sqlite://FILE` (created when missing) or `postgres://...` with at most `max_connections`.
    /// `?options[search_path]=NAME` puts a PostgreSQL schema first.
    pub async fn connect(url: &str, max_connections: u32) -> Result<Self, StoreError> {
        let (dialect, options) = options(url, max_connections)?;
        let connection = Database::connect(options.clone()).await?;
        Ok(Self {
            connection,
            options,
            dialect,
            turn: (dialect == Dialect::Sqlite).then(Arc::default),
            retention: Retention::default(),
        })
    }

    /// The same, but what has ended is kept for so long and no longer.
    #[must_use]
    pub fn keeping(self, retention: Retention) -> Self {
        Self { retention, ..self }
    }

    /// A second pool on the same database, whose users cannot take the connections of this one away. Its connections belong to
    /// the runtime on which it was opened: whoever waits for an answer there is woken by nobody else.
    pub async fn beside(&self, max_connections: u32) -> Result<Self, StoreError> {
        let mut options = self.options.clone();
        options.max_connections(max_connections.max(1));
        Ok(Self {
            connection: Database::connect(options.clone()).await?,
            options,
            ..self.clone()
        })
    }

    /// Which database it is.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// What reads and single-statement writes run on.
    pub fn conn(&self) -> &DatabaseConnection {
        &self.connection
    }

    /// Begins a transaction that may write: `BEGIN IMMEDIATE` on SQLite, READ COMMITTED on PostgreSQL.
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        let turn = self.turn().await?;
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(sea_orm::SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let transaction = self.connection.begin_with_options(options).await?;
        Ok(Tx {
            transaction,
            _turn: turn,
        })
    }

    /// Waits for the turn to write, where turns are taken.
    async fn turn(&self) -> Result<Option<OwnedMutexGuard<()>>, StoreError> {
        let Some(turn) = &self.turn else {
            return Ok(None);
        };
        let turn = timeout(SQLITE_ACQUIRE_TIMEOUT, Arc::clone(turn).lock_owned()).await;
        turn.map(Some)
            .map_err(|_| StoreError::Unavailable("the turn to write did not come in time".to_owned()))
    }

    /// Brings the schema up to date, all or nothing. Several replicas may do so at once; a schema that is ahead of this
    /// binary is left alone.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        if !self.migrations_pending().await? {
            return Ok(());
        }
        let tx = self.begin().await?;
        if self.dialect == Dialect::Postgres {
            // A replica waits for as long as another one migrates; the migration itself waits for no lock that long.
            for sql in [
                "SET LOCAL statement_timeout = 0",
                "SET LOCAL lock_timeout = 0",
                "SELECT pg_advisory_xact_lock(hashtextextended('recoup schema ' || current_schema(), 0))",
                "SET LOCAL lock_timeout = 5000",
            ] {
                tx.transaction.execute_unprepared(sql).await?;
            }
        }
        Migrator::up(&tx.transaction, None).await?;
        tx.commit().await
    }

    /// Whether this binary knows a migration that the database has not seen.
    pub async fn migrations_pending(&self) -> Result<bool, StoreError> {
        let table = match self.dialect {
            Dialect::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'seaql_migrations'",
            Dialect::Postgres => "SELECT 1 WHERE to_regclass('seaql_migrations') IS NOT NULL",
        };
        if self.query(table, []).await?.is_empty() {
            return Ok(true);
        }
        let mut applied = Vec::new();
        for row in self.query("SELECT version FROM seaql_migrations", []).await? {
            applied.push(row.try_get_by_index::<String>(0)?);
        }
        let known = Migrator::migrations();
        Ok(known
            .iter()
            .any(|migration| !applied.iter().any(|name| name == migration.name())))
    }

    /// Asks the database for a sign of life.
    pub async fn ping(&self) -> Result<(), StoreError> {
        Ok(self.connection.ping().await?)
    }

    /// Whether it may still be used: what was closed opens no further connection.
    fn check_open(&self) -> Result<(), StoreError> {
        let closed = match self.dialect {
            Dialect::Sqlite => self.connection.get_sqlite_connection_pool().is_closed(),
            Dialect::Postgres => self.connection.get_postgres_connection_pool().is_closed(),
        };
        if closed {
            return Err(StoreError::Unavailable("the connections are closed".to_owned()));
        }
        Ok(())
    }

    /// Closes every connection once its work is done.
    pub async fn close(self) -> Result<(), StoreError> {
        Ok(self.connection.close().await?)
    }

    fn statement<const N: usize>(&self, sql: &str, values: [sea_orm::Value; N]) -> Statement {
        Statement::from_sql_and_values(self.dialect.backend(), sql, values)
    }

    async fn query<const N: usize>(
        &self,
        sql: &str,
        values: [sea_orm::Value; N],
    ) -> Result<Vec<sea_orm::QueryResult>, StoreError> {
        Ok(self.connection.query_all_raw(self.statement(sql, values)).await?)
    }

    async fn query_many(
        &self,
        sql: &str,
        values: Vec<sea_orm::Value>,
    ) -> Result<Vec<sea_orm::QueryResult>, StoreError> {
        let statement = Statement::from_sql_and_values(self.dialect.backend(), sql, values);
        Ok(self.connection.query_all_raw(statement).await?)
    }
}

impl Tx {
    /// What statements of this transaction run on.
    pub fn conn(&self) -> &DatabaseTransaction {
        &self.transaction
    }

    fn dialect(&self) -> Dialect {
        Dialect::of(self.transaction.get_database_backend())
    }

    fn statement<const N: usize>(&self, sql: &str, values: [sea_orm::Value; N]) -> Statement {
        Statement::from_sql_and_values(self.transaction.get_database_backend(), sql, values)
    }

    /// Makes it durable. Where the answer is lost, the error is `Uncertain`.
    pub async fn commit(self) -> Result<(), StoreError> {
        self.transaction
            .commit()
            .await
            .map_err(|error| match StoreError::from(error) {
                StoreError::Unavailable(why) => StoreError::Uncertain(why),
                refused => refused,
            })
    }
}

fn options(url: &str, max_connections: u32) -> Result<(Dialect, ConnectOptions), StoreError> {
    let (dialect, url) = if url.starts_with("sqlite:") {
        if url.contains(":memory:") || url.contains("mode=memory") {
            return Err(StoreError::Other(
                "a SQLite database needs a file: in memory each connection would see its own".to_owned(),
            ));
        }
        (Dialect::Sqlite, url.to_owned())
    } else if let Some(rest) = url
        .strip_prefix("postgres://")
        .or_else(|| url.strip_prefix("postgresql://"))
    {
        (Dialect::Postgres, format!("postgres://{rest}"))
    } else {
        return Err(StoreError::Other(
            "the database URL must start with sqlite:// or postgres://".to_owned(),
        ));
    };
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(max_connections.max(1))
        .sqlx_logging(false)
        .record_stmt_in_spans(false)
        .test_before_acquire_if_idle_for(PING_AFTER_IDLE)
        .acquire_timeout(match dialect {
            Dialect::Sqlite => SQLITE_ACQUIRE_TIMEOUT,
            Dialect::Postgres => POSTGRES_ACQUIRE_TIMEOUT,
        })
        .map_sqlx_sqlite_opts(|sqlite| {
            sqlite
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .foreign_keys(true)
                .busy_timeout(SQLITE_BUSY_TIMEOUT)
        })
        .map_sqlx_sqlite_before_acquire(|connection, _| {
            // Where the disk is full, SQLite ends a transaction by itself, and sqlx still counts it: what began next would be
            // a savepoint that does not take the write lock, and could leave the connection in a read for ever.
            Box::pin(std::future::ready(Ok(!connection.is_in_transaction())))
        })
        .map_sqlx_postgres_opts(|postgres| postgres.options(POSTGRES_SETTINGS));
    Ok((dialect, options))
}
