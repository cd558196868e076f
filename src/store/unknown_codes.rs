//! The codes of declines that nobody knew when they came: each once, with how often it was seen.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sea_orm::{ConnectionTrait, Statement};
use serde::Serialize;

use super::bulk::{Column as Field, Kind};
use super::changes::{CaseChange, RowWrite};
use super::row::Row;
use super::{StoreError, Tx, bulk};

/// The longest code that is kept, in characters; what is longer is cut.
const CODE_CHARS_MAX: usize = 64;

/// A code that nobody knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownCodeRow {
    /// The connection it came by.
    pub connection: String,
    /// Where it was looked for.
    pub section: String,
    /// The code.
    pub code: String,
    /// When it was seen first.
    pub first_seen: Timestamp,
    /// When it was seen last.
    pub last_seen: Timestamp,
    /// How many declines had it.
    pub count: u64,
}

const COLUMNS: [Field; 6] = [
    ("connection", Kind::Text),
    ("section", Kind::Text),
    ("code", Kind::Text),
    ("first_seen", Kind::Int),
    ("last_seen", Kind::Int),
    ("count", Kind::Int),
];

/// What a transaction adds to a code.
#[derive(Serialize)]
struct Sighting<'a> {
    connection: &'a str,
    section: &'a str,
    code: String,
    first_seen: i64,
    last_seen: i64,
    count: i64,
}

/// Counts the unknown codes among the rows of the changes, in the order of their names so that nobody waits in a circle.
pub async fn count(tx: &Tx, changes: &[&CaseChange]) -> Result<(), StoreError> {
    let mut seen: BTreeMap<(&str, &str, &str), Sighting<'_>> = BTreeMap::new();
    for change in changes {
        let at = change.at.as_millisecond();
        for row in &change.rows {
            let RowWrite::UnknownCode(unknown) = row else { continue };
            let (connection, section) = (change.case.connection.as_str(), unknown.section.as_str());
            let known = seen
                .entry((connection, section, &unknown.code))
                .or_insert_with(|| Sighting {
                    connection,
                    section,
                    code: unknown.code.chars().take(CODE_CHARS_MAX).collect(),
                    first_seen: at,
                    last_seen: at,
                    count: 0,
                });
            known.first_seen = known.first_seen.min(at);
            known.last_seen = known.last_seen.max(at);
            known.count += 1;
        }
    }
    let rows: Vec<_> = seen.into_values().collect();
    let sql = format!(
        "INSERT INTO unknown_codes ({}) SELECT {} FROM {} WHERE true ON CONFLICT (connection, section, code) DO UPDATE \
         SET count = unknown_codes.count + excluded.count, \
         last_seen = CASE WHEN excluded.last_seen > unknown_codes.last_seen THEN excluded.last_seen \
         ELSE unknown_codes.last_seen END",
        bulk::names(&COLUMNS),
        bulk::values(&COLUMNS),
        tx.new_rows(&COLUMNS)
    );
    tx.write_rows(&sql, &COLUMNS, &rows).await?;
    Ok(())
}

/// The codes that were seen last, at most `limit`.
pub async fn list<C: ConnectionTrait>(conn: &C, limit: u64) -> Result<Vec<UnknownCodeRow>, StoreError> {
    let sql = "SELECT connection, section, code, first_seen, last_seen, count FROM unknown_codes \
               ORDER BY last_seen DESC, connection, section, code LIMIT $1";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, [limit.into()]);
    let mut codes = Vec::new();
    for found in conn.query_all_raw(statement).await? {
        let code: String = found.try_get_by_index(2)?;
        let row = Row {
            table: "unknown_codes",
            id: &code,
        };
        codes.push(UnknownCodeRow {
            connection: found.try_get_by_index(0)?,
            section: found.try_get_by_index(1)?,
            first_seen: row.instant("first_seen", found.try_get_by_index(3)?)?,
            last_seen: row.instant("last_seen", found.try_get_by_index(4)?)?,
            count: row.count("count", found.try_get_by_index(5)?)?,
            code: code.clone(),
        });
    }
    Ok(codes)
}
