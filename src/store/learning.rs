//! Evidence and posteriors: what is learned from, and what was learned.

use jiff::Timestamp;
use sea_orm::{ConnectionTrait, QueryResult, Statement};
use serde::Serialize;

use super::bulk::{Column as Field, Kind};
use super::row::{Row, to_json};
use super::{Store, StoreError, Tx, bulk};
use crate::domain::case::Case;
use crate::domain::decline::DeclineKind;
use crate::domain::ids::{CaseId, EvidenceId};
use crate::domain::learning::model::{Document, Evidence};

/// Evidence that no posterior holds yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Waiting {
    /// Its name.
    pub id: EvidenceId,
    /// What was seen.
    pub evidence: Evidence,
}

/// A posterior that is to be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Posterior {
    /// One more than that of the posterior it came from.
    pub version: u64,
    /// When it was made.
    pub at: Timestamp,
    /// What it holds.
    pub document: Document,
}

/// The columns of a piece of evidence, in the order of `Record`.
const COLUMNS: [Field; 6] = [
    ("id", Kind::Text),
    ("connection", Kind::Text),
    ("case_id", Kind::Text),
    ("at", Kind::Int),
    ("kind", Kind::Text),
    ("fact", Kind::Text),
];

/// A piece of evidence as it is written.
#[derive(Serialize)]
struct Record<'a> {
    id: &'a EvidenceId,
    connection: &'a str,
    case_id: &'a CaseId,
    at: i64,
    kind: DeclineKind,
    fact: String,
}

/// Writes what was seen of cases.
pub async fn see(tx: &Tx, seen: &[(&Case, &EvidenceId, &Evidence)]) -> Result<(), StoreError> {
    let mut rows = Vec::with_capacity(seen.len());
    for (case, id, evidence) in seen {
        rows.push(Record {
            id,
            connection: &case.connection,
            case_id: &case.id,
            at: evidence.at.as_millisecond(),
            kind: evidence.kind,
            fact: to_json(&evidence.fact)?,
        });
    }
    let sql = format!(
        "INSERT INTO evidence ({}) SELECT {} FROM {}",
        bulk::names(&COLUMNS),
        bulk::values(&COLUMNS),
        tx.new_rows(&COLUMNS)
    );
    tx.write_rows(&sql, &COLUMNS, &rows).await?;
    Ok(())
}

/// At most `limit` pieces of evidence that no posterior holds yet, oldest first.
pub async fn waiting<C: ConnectionTrait>(conn: &C, limit: u64) -> Result<Vec<Waiting>, StoreError> {
    let sql = "SELECT id, at, kind, fact FROM evidence WHERE version IS NULL ORDER BY id LIMIT $1";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, [limit.into()]);
    conn.query_all_raw(statement).await?.iter().map(decode).collect()
}

fn decode(found: &QueryResult) -> Result<Waiting, StoreError> {
    let id: String = found.try_get("", "id")?;
    let row = Row {
        table: "evidence",
        id: &id,
    };
    let evidence = Evidence {
        at: row.instant("at", found.try_get("", "at")?)?,
        kind: row.word("kind", &found.try_get::<String>("", "kind")?)?,
        fact: row.json("fact", &found.try_get::<String>("", "fact")?)?,
    };
    Ok(Waiting {
        id: EvidenceId::from(id.clone()),
        evidence,
    })
}

/// The newest posterior.
pub async fn newest<C: ConnectionTrait>(conn: &C) -> Result<Option<Posterior>, StoreError> {
    posterior(
        conn,
        "SELECT version, at, document FROM posteriors ORDER BY version DESC LIMIT 1",
        [],
    )
    .await
}

/// The version of the newest posterior; 0 where there is none yet.
pub async fn newest_version<C: ConnectionTrait>(conn: &C) -> Result<u64, StoreError> {
    let statement = Statement::from_string(
        conn.get_database_backend(),
        "SELECT COALESCE(MAX(version), 0) AS version FROM posteriors",
    );
    let found = conn.query_one_raw(statement).await?;
    let version: i64 = found.map_or(Ok(0), |row| row.try_get("", "version"))?;
    Row {
        table: "posteriors",
        id: "newest",
    }
    .count("version", version)
}

/// The posterior of a version.
pub async fn of_version<C: ConnectionTrait>(conn: &C, version: u64) -> Result<Option<Posterior>, StoreError> {
    let version = i64::try_from(version).unwrap_or(i64::MAX);
    let sql = "SELECT version, at, document FROM posteriors WHERE version = $1";
    posterior(conn, sql, [version.into()]).await
}

async fn posterior<C: ConnectionTrait>(
    conn: &C,
    sql: &str,
    values: impl IntoIterator<Item = sea_orm::Value>,
) -> Result<Option<Posterior>, StoreError> {
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    let Some(found) = conn.query_one_raw(statement).await? else {
        return Ok(None);
    };
    let version: i64 = found.try_get("", "version")?;
    let row = Row {
        table: "posteriors",
        id: &version.to_string(),
    };
    Ok(Some(Posterior {
        version: row.count("version", version)?,
        at: row.instant("at", found.try_get("", "at")?)?,
        document: row.json("document", &found.try_get::<String>("", "document")?)?,
    }))
}

/// Stores a posterior and says of the evidence that it is in it. Says no where somebody else made that version first.
pub async fn keep(store: &Store, posterior: &Posterior, holds: &[EvidenceId]) -> Result<bool, StoreError> {
    let tx = store.begin().await?;
    let version = i64::try_from(posterior.version).unwrap_or(i64::MAX);
    let values = [
        version.into(),
        posterior.at.as_millisecond().into(),
        to_json(&posterior.document)?.into(),
    ];
    let sql = "INSERT INTO posteriors (version, at, document) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    let insert = Statement::from_sql_and_values(tx.conn().get_database_backend(), sql, values);
    if tx.conn().execute_raw(insert).await?.rows_affected() == 0 {
        return Ok(false);
    }
    let columns: [Field; 2] = [("id", Kind::Text), ("version", Kind::Int)];
    let rows: Vec<Mark<'_>> = holds.iter().map(|id| Mark { id, version }).collect();
    let sql = format!(
        "UPDATE evidence SET version = new.version FROM {} WHERE evidence.id = new.id AND evidence.version IS NULL",
        tx.new_rows(&columns)
    );
    let marked = tx.write_rows(&sql, &columns, &rows).await?;
    if marked != rows.len() as u64 {
        return Ok(false);
    }
    tx.commit().await?;
    Ok(true)
}

/// A piece of evidence that is in a posterior from now on.
#[derive(Serialize)]
struct Mark<'a> {
    id: &'a EvidenceId,
    version: i64,
}
