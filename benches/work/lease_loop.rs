//! The least that a queue on PostgreSQL does: rows are claimed by lease, a hundred at a time, and marked as done together.

use anyhow::ensure;
use futures_util::{StreamExt, TryStreamExt, stream};
use sea_orm::sqlx::{Connection, PgConnection, Row, query, raw_sql};
use tokio::time::Instant;

use super::account::{CHARGES_IN_FLIGHT, Wire};

const BATCH: i64 = 100;
const TABLE: &str = "CREATE TABLE lease_loop (
        id TEXT PRIMARY KEY, due_at BIGINT NOT NULL, lease_owner TEXT, lease_until BIGINT, ended_at BIGINT);
    CREATE INDEX lease_loop_due ON lease_loop (due_at, id) WHERE ended_at IS NULL";
const SEED: &str = "INSERT INTO lease_loop (id, due_at) \
    SELECT 'case_' || lpad(to_hex(n), 32, '0'), 1000000 + n % 3600 FROM generate_series(1, $1) AS n";
const CLAIM: &str = "WITH now (ms) AS (SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)), \
    first AS (SELECT id FROM lease_loop, now WHERE ended_at IS NULL AND due_at <= now.ms \
        AND (lease_until IS NULL OR lease_until <= now.ms) ORDER BY due_at, id LIMIT $1 FOR UPDATE OF lease_loop SKIP LOCKED) \
    UPDATE lease_loop SET lease_owner = 'loop', lease_until = (SELECT ms FROM now) + 120000 \
    WHERE id = ANY(ARRAY(SELECT id FROM first)) RETURNING id";
const FINISH: &str = "UPDATE lease_loop SET ended_at = CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT), \
    lease_owner = NULL, lease_until = NULL WHERE id = ANY($1)";

/// Fills a table of its own with so many due rows and works them off; gives rows a second.
pub async fn run(url: &str, rows: usize, wire: Option<&Wire>) -> anyhow::Result<f64> {
    let mut connection = PgConnection::connect(url).await?;
    raw_sql(TABLE).execute(&mut connection).await?;
    query(SEED).bind(i64::try_from(rows)?).execute(&mut connection).await?;
    raw_sql("ANALYZE lease_loop").execute(&mut connection).await?;
    let mut done = 0;
    let began = Instant::now();
    loop {
        let claimed = query(CLAIM).bind(BATCH).fetch_all(&mut connection).await?;
        if claimed.is_empty() {
            break;
        }
        let ids: Vec<String> = claimed.iter().map(|row| row.get(0)).collect();
        if let Some(wire) = wire {
            let calls = stream::iter(&ids).map(|id| wire.charge(id));
            calls.buffer_unordered(CHARGES_IN_FLIGHT).try_collect::<()>().await?;
        }
        done += ids.len();
        query(FINISH).bind(ids).execute(&mut connection).await?;
    }
    let secs = began.elapsed().as_secs_f64();
    ensure!(done == rows, "{done} of {rows} rows were worked on");
    connection.close().await?;
    #[expect(clippy::cast_precision_loss, reason = "a count of rows")]
    Ok(rows as f64 / secs)
}
