//! Versions of campaigns that wait for a second person before they are published.

use jiff::Timestamp;
use sea_orm::{ConnectionTrait, FromQueryResult, Statement, Value};

use super::row::Row;
use super::{StoreError, Tx};
use crate::domain::approval::ApprovalStatus;
use crate::domain::case::CampaignRef;
use crate::domain::ids::PublicationId;

const COLUMNS: &str = "id, name, version, source, asked_by, asker_id, asked_at, expires_at, comment, status, ruled_by, ruled_at, \
                       ruling_comment";

/// A version that somebody wants to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicationRow {
    /// Its id.
    pub id: PublicationId,
    /// The version.
    pub version: CampaignRef,
    /// The campaign as its TOML file.
    pub text: String,
    /// Who asked.
    pub asked_by: String,
    /// The id of the key or person that asked.
    pub asker_id: String,
    /// When.
    pub asked_at: Timestamp,
    /// Until when it can be decided.
    pub expires_at: Timestamp,
    /// The remark given with it.
    pub comment: Option<String>,
    /// Where it stands in its row; one that ran out stands as pending until it is asked for anew.
    pub status: ApprovalStatus,
    /// Who decided.
    pub ruled_by: Option<String>,
    /// When.
    pub ruled_at: Option<Timestamp>,
    /// The remark given with the decision.
    pub ruling_comment: Option<String>,
}

/// A decision.
#[derive(Clone, Debug)]
pub struct Ruled<'a> {
    /// How.
    pub status: ApprovalStatus,
    /// Who.
    pub by: &'a str,
    /// The id of the key or person that decides.
    pub ruler_id: &'a str,
    /// When.
    pub at: Timestamp,
    /// The remark given with it.
    pub comment: Option<String>,
}

/// Asks for a second person. A `Conflict` is a version that waits already.
pub async fn ask(tx: &Tx, row: &PublicationRow) -> Result<(), StoreError> {
    let version = i64::from(row.version.version);
    let over = "UPDATE publications SET status = 'expired' WHERE name = $1 AND version = $2 AND status = 'pending' \
                AND expires_at <= $3";
    let values = [
        row.version.name.as_str().into(),
        version.into(),
        row.asked_at.as_millisecond().into(),
    ];
    tx.conn().execute_raw(tx.statement(over, values)).await?;
    let sql = "INSERT INTO publications (id, name, version, source, asked_by, asker_id, asked_at, expires_at, comment, status) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'pending') ON CONFLICT DO NOTHING";
    let values = [
        row.id.as_str().into(),
        row.version.name.as_str().into(),
        version.into(),
        row.text.as_str().into(),
        row.asked_by.as_str().into(),
        row.asker_id.as_str().into(),
        row.asked_at.as_millisecond().into(),
        row.expires_at.as_millisecond().into(),
        row.comment.clone().into(),
    ];
    if tx.conn().execute_raw(tx.statement(sql, values)).await?.rows_affected() == 0 {
        return Err(StoreError::Conflict(format!(
            "{} waits for a second person already",
            row.version
        )));
    }
    Ok(())
}

/// Writes a decision. One that is decided already, or has run out, refuses with `Conflict`.
pub async fn rule(tx: &Tx, id: &PublicationId, ruled: &Ruled<'_>) -> Result<(), StoreError> {
    let sql = "UPDATE publications SET status = $2, ruled_by = $3, ruler_id = $4, ruled_at = $5, ruling_comment = $6 \
               WHERE id = $1 AND status = 'pending' AND expires_at > $5";
    let values = [
        id.as_str().into(),
        ruled.status.as_str().into(),
        ruled.by.into(),
        ruled.ruler_id.into(),
        ruled.at.as_millisecond().into(),
        ruled.comment.clone().into(),
    ];
    if tx.conn().execute_raw(tx.statement(sql, values)).await?.rows_affected() == 0 {
        return Err(StoreError::Conflict("it is decided already".to_owned()));
    }
    Ok(())
}

/// The one of that id.
pub async fn find<C: ConnectionTrait>(conn: &C, id: &PublicationId) -> Result<Option<PublicationRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM publications WHERE id = $1");
    Ok(rows(conn, &sql, vec![id.as_str().into()]).await?.pop())
}

/// All of them, newest first: at most `limit` after `cursor`.
pub async fn list<C: ConnectionTrait>(
    conn: &C,
    cursor: Option<&PublicationId>,
    limit: u64,
) -> Result<Vec<PublicationRow>, StoreError> {
    let mut values: Vec<Value> = vec![i64::try_from(limit).unwrap_or(i64::MAX).into()];
    let after = match cursor {
        Some(cursor) => {
            values.push(cursor.as_str().into());
            " WHERE id < $2"
        }
        None => "",
    };
    let sql = format!("SELECT {COLUMNS} FROM publications{after} ORDER BY id DESC LIMIT $1");
    rows(conn, &sql, values).await
}

/// Those that wait for a second person at `now`, oldest first. A version waits at most once, so these are few.
pub async fn waiting<C: ConnectionTrait>(conn: &C, now: Timestamp) -> Result<Vec<PublicationRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM publications WHERE status = 'pending' AND expires_at > $1 ORDER BY id");
    rows(conn, &sql, vec![now.as_millisecond().into()]).await
}

#[derive(FromQueryResult)]
struct Found {
    id: String,
    name: String,
    version: i64,
    source: String,
    asked_by: String,
    asker_id: String,
    asked_at: i64,
    expires_at: i64,
    comment: Option<String>,
    status: String,
    ruled_by: Option<String>,
    ruled_at: Option<i64>,
    ruling_comment: Option<String>,
}

async fn rows<C: ConnectionTrait>(conn: &C, sql: &str, values: Vec<Value>) -> Result<Vec<PublicationRow>, StoreError> {
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    let found = Found::find_by_statement(statement).all(conn).await?;
    found.into_iter().map(decode).collect()
}

fn decode(found: Found) -> Result<PublicationRow, StoreError> {
    let row = Row {
        table: "publications",
        id: &found.id,
    };
    Ok(PublicationRow {
        version: CampaignRef {
            name: found.name,
            version: row.count("version", found.version)?,
        },
        text: found.source,
        asked_by: found.asked_by,
        asker_id: found.asker_id,
        asked_at: row.instant("asked_at", found.asked_at)?,
        expires_at: row.instant("expires_at", found.expires_at)?,
        comment: found.comment,
        status: row.word("status", &found.status)?,
        ruled_by: found.ruled_by,
        ruled_at: row.maybe_instant("ruled_at", found.ruled_at)?,
        ruling_comment: found.ruling_comment,
        id: PublicationId::from(found.id.clone()),
    })
}
