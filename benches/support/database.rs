//! Databases that are used by nobody else, and what they do without us: one row, one durable commit.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use recoup::clock;
use recoup::store::Store;
use sea_orm::ConnectionTrait;
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sea_orm::sqlx::{ConnectOptions, Connection, PgConnection, SqliteConnection, query};

use super::event::{Event, Template};

/// The server that is used unless `RECOUP_TEST_POSTGRES` names another.
const POSTGRES: &str = "postgres://postgres@127.0.0.1:5432/postgres";
/// On a busy machine the clients of a shorter run may still be connecting when it ends.
const PGBENCH_SECS_MIN: u64 = 3;
/// What a connection binds for one row.
const INSERT: &str = "INSERT INTO inbox (id, connection, event_id, kind, body, received_at, status, next_at) \
    VALUES ($1, 'stripe', $2, 'invoice.payment_failed', $3, $4, 'pending', $4)";

/// A schema on a PostgreSQL server.
pub struct Schema {
    server: String,
    pub name: String,
}

impl Schema {
    /// Makes one. Fails where there is no server, or one that does not commit durably.
    pub async fn create() -> anyhow::Result<Self> {
        let server = std::env::var("RECOUP_TEST_POSTGRES").unwrap_or_else(|_| POSTGRES.to_owned());
        let mark = if server.contains('?') { '&' } else { '?' };
        let schema = Self {
            server: format!("{server}{mark}sslmode=disable"),
            name: format!("bench_{:032x}", clock::entropy()),
        };
        let store = Store::connect(&schema.server, 1).await?;
        for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
            let show = sea_orm::Statement::from_string(sea_orm::DbBackend::Postgres, format!("SHOW {setting}"));
            let row = store
                .conn()
                .query_one_raw(show)
                .await?
                .context("a setting has a value")?;
            let value: String = row.try_get_by_index(0)?;
            anyhow::ensure!(
                value == "on",
                "PostgreSQL does not commit durably: {setting} is {value}"
            );
        }
        let create = format!("CREATE SCHEMA {}", schema.name);
        store.conn().execute_unprepared(&create).await?;
        store.close().await?;
        Ok(schema)
    }

    pub fn url(&self) -> String {
        format!("{}&options[search_path]={}", self.server, self.name)
    }

    pub async fn drop(self) -> anyhow::Result<()> {
        let store = Store::connect(&self.server, 1).await?;
        let drop = format!("DROP SCHEMA {} CASCADE", self.name);
        store.conn().execute_unprepared(&drop).await?;
        Ok(store.close().await?)
    }

    /// Single rows a second that so many clients commit durably into the schema's inbox, as PostgreSQL's own tool
    /// measures it; nothing where that tool is missing.
    pub async fn pgbench(&self, folder: &Path, clients: usize, time: Duration) -> anyhow::Result<Option<f64>> {
        let mut body = Vec::new();
        Template::new().write(Event::of(0), &mut body);
        // The event's name is the one thing that differs: the body needs no binding, which favours this side.
        let script = format!(
            "\\set a random(0, 9223372036854775806)\n\\set b random(0, 9223372036854775806)\n\
             INSERT INTO {}.inbox (id, connection, event_id, kind, body, received_at, status, next_at) \
             VALUES ('inb_' || :a::text || :b::text, 'stripe', 'evt_' || :a::text || :b::text, \
             'invoice.payment_failed', '\\x{}', 1772445600000, 'pending', 1772445600000);\n",
            self.name,
            hex::encode(body)
        );
        let path = folder.join("single.sql");
        std::fs::write(&path, script)?;
        let mut command = Command::new("pgbench");
        command
            .args(["--no-vacuum", "--protocol=prepared", "--jobs=2", "--client"])
            .arg(clients.to_string())
            .arg("--time")
            .arg(time.as_secs().max(PGBENCH_SECS_MIN).to_string())
            .arg("--file")
            .arg(&path)
            .arg(&self.server);
        let output = match tokio::task::spawn_blocking(move || command.output()).await? {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            output => output?,
        };
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let rate = text
            .lines()
            .find_map(|line| line.strip_prefix("tps = "))
            .with_context(|| format!("pgbench failed: {}", String::from_utf8_lossy(&output.stderr)))?;
        Ok(Some(rate.split(' ').next().unwrap_or_default().parse()?))
    }
}

/// The URL of a database file in `folder`.
pub fn sqlite_url(folder: &Path, name: &str) -> String {
    format!("sqlite://{}", folder.join(name).display())
}

/// Makes the tables.
pub async fn migrate(url: &str) -> anyhow::Result<()> {
    let store = Store::connect(url, 1).await?;
    store.migrate().await?;
    Ok(store.close().await?)
}

/// One connection that commits one row at a time, with nothing between it and the driver.
pub enum Single {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

impl Single {
    /// Connects to a database that has its tables.
    pub async fn connect(url: &str) -> anyhow::Result<Self> {
        if url.starts_with("postgres") {
            return Ok(Self::Postgres(PgConnection::connect(url).await?));
        }
        let options: SqliteConnectOptions = url.parse()?;
        let connection = options
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .connect()
            .await?;
        Ok(Self::Sqlite(connection))
    }

    /// Commits one row; it is durable afterwards.
    pub async fn insert(&mut self, number: u64) -> anyhow::Result<()> {
        let mut body = Vec::new();
        Template::new().write(Event::of(number), &mut body);
        let (id, event_id) = (format!("inb_{number:032x}"), format!("evt_{number:016x}"));
        let at = clock::Clock::System.now().as_millisecond();
        match self {
            Self::Postgres(connection) => {
                let insert = query(INSERT).bind(id).bind(event_id).bind(body).bind(at);
                insert.execute(connection).await?;
            }
            Self::Sqlite(connection) => {
                let insert = query(INSERT).bind(id).bind(event_id).bind(body).bind(at);
                insert.execute(connection).await?;
            }
        }
        Ok(())
    }
}

/// Single rows a second that so many connections commit durably, one of ours for each.
pub async fn single_rows(url: &str, clients: usize, time: Duration, first: u64) -> anyhow::Result<f64> {
    let mut connections = Vec::new();
    for _ in 0..clients {
        connections.push(Single::connect(url).await?);
    }
    let began = tokio::time::Instant::now();
    let mut writers = tokio::task::JoinSet::new();
    for (offset, mut connection) in (0_u64..).zip(connections) {
        writers.spawn(async move {
            let mut rows = 0_u32;
            while began.elapsed() < time {
                // Far enough apart that no two connections ever name the same row.
                let number = first + (offset << 32) + u64::from(rows);
                connection.insert(number).await?;
                rows += 1;
            }
            anyhow::Ok(rows)
        });
    }
    let mut rows = 0.0;
    while let Some(written) = writers.join_next().await {
        rows += f64::from(written??);
    }
    Ok(rows / began.elapsed().as_secs_f64())
}
