//! The audit of the ledger, page by page.

use jiff::Timestamp;
use sea_orm::{ConnectionTrait, QueryResult, Statement};

use super::decode;
use crate::domain::ceiling::{Rule, Rules};
use crate::domain::instrument::Instrument;
use crate::domain::network::Network;
use crate::domain::report::compliance::{Audit, Compliance, LedgerRow};
use crate::store::StoreError;
use crate::store::row::Row;

/// How many instruments an audit reads at once.
const PAGE: u64 = 500;

/// Everything that was tried before `to` on the next instruments, in the order of their names, that were charged from `from` on.
/// The rows of one instrument stand together, oldest first; the last ones tell where the next page begins.
async fn page<C: ConnectionTrait>(
    conn: &C,
    (from, to): (Timestamp, Timestamp),
    after: Option<(&str, &str)>,
    instruments: u64,
) -> Result<Vec<LedgerRow>, StoreError> {
    let sql = "SELECT known.* FROM (SELECT DISTINCT connection, instrument FROM instrument_attempts \
           WHERE at >= $1 AND at < $2 AND (connection, instrument) > ($3, $4) \
           ORDER BY connection, instrument LIMIT $5) AS asked \
         JOIN instrument_attempts AS known ON known.connection = asked.connection AND known.instrument = asked.instrument \
         WHERE known.at < $2 ORDER BY known.connection, known.instrument, known.at, known.id";
    let (connection, instrument) = after.unwrap_or_default();
    let values = [
        from.as_millisecond().into(),
        to.as_millisecond().into(),
        connection.into(),
        instrument.into(),
        i64::try_from(instruments).unwrap_or(i64::MAX).into(),
    ];
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    conn.query_all_raw(statement).await?.iter().map(decode_row).collect()
}

fn decode_row(found: &QueryResult) -> Result<LedgerRow, StoreError> {
    let id: String = found.try_get("", "id")?;
    let row = Row {
        table: "instrument_attempts",
        id: &id,
    };
    Ok(LedgerRow {
        connection: found.try_get("", "connection")?,
        instrument: Instrument {
            key: found.try_get("", "instrument")?,
            network: row.word("network", &found.try_get::<String>("", "network")?)?,
            country: found.try_get("", "country")?,
            funding: row.maybe_word("funding", found.try_get::<Option<String>>("", "funding")?.as_deref())?,
            // Only its group is kept, and no rule asks for it.
            bank: None,
        },
        attempt: decode(found)?,
        known_at: row.maybe_instant("known_at", found.try_get("", "known_at")?)?,
    })
}

/// How many charges a rule did not allow, and on which network.
#[derive(Clone, Debug, PartialEq, Eq)]
struct BlockedCount {
    /// The network.
    network: Network,
    /// The rule.
    rule: Rule,
    /// Whether they may be made later.
    put_off: bool,
    /// How many.
    count: u64,
}

/// The charges that the ceiling did not allow in `[from, to)`.
async fn blocked<C: ConnectionTrait>(
    conn: &C,
    (from, to): (Timestamp, Timestamp),
) -> Result<Vec<BlockedCount>, StoreError> {
    let sql = "SELECT network, rule, until IS NOT NULL AS put_off, COUNT(*) AS count FROM blocked_attempts \
         WHERE at >= $1 AND at < $2 GROUP BY network, rule, until IS NOT NULL ORDER BY network, rule, put_off";
    let values = [from.as_millisecond().into(), to.as_millisecond().into()];
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    let decode = |found: &QueryResult| {
        let row = Row {
            table: "blocked_attempts",
            id: "count",
        };
        Ok(BlockedCount {
            network: row.word("network", &found.try_get::<String>("", "network")?)?,
            rule: row.word("rule", &found.try_get::<String>("", "rule")?)?,
            put_off: found.try_get("", "put_off")?,
            count: row.count("count", found.try_get("", "count")?)?,
        })
    };
    conn.query_all_raw(statement).await?.iter().map(decode).collect()
}

/// Audits what was charged in `[from, to)`; `seen` is told how many instruments were gone through.
pub async fn audit<C: ConnectionTrait>(
    conn: &C,
    rules: &Rules,
    span: (Timestamp, Timestamp),
    mut seen: impl FnMut(u64),
) -> Result<Compliance, StoreError> {
    let mut audit = Audit::new(rules, span.0);
    let mut last: Option<(String, String)> = None;
    loop {
        let after = last
            .as_ref()
            .map(|(connection, key)| (connection.as_str(), key.as_str()));
        let rows = page(conn, span, after, PAGE).await?;
        let Some(end) = rows.last() else { break };
        last = Some((end.connection.clone(), end.instrument.key.clone()));
        let same = |a: &LedgerRow, b: &LedgerRow| a.connection == b.connection && a.instrument.key == b.instrument.key;
        for rows in rows.chunk_by(same) {
            audit.instrument(rows);
            seen(1);
        }
    }
    for blocked in blocked(conn, span).await? {
        audit.block(blocked.network, blocked.rule, blocked.put_off, blocked.count);
    }
    Ok(audit.done())
}
