//! Acts that wait for a second person. Their rows are written with the case, in its transaction.

use jiff::Timestamp;
use sea_orm::{ConnectionTrait, FromQueryResult, Statement, Value};

use super::row::Row;
use super::{StoreError, Tx};
use crate::domain::approval::{ApprovalStatus, Weighty};
use crate::domain::case::Case;
use crate::domain::ids::{ApprovalId, CaseId};
use crate::domain::money::Money;

const COLUMNS: &str = "id, case_id, act, amount_minor, currency, asked_by, asker_id, asked_at, expires_at, comment, status, \
                       ruled_by, ruler_id, ruled_at, ruling_comment";

/// An approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovalRow {
    /// Its id.
    pub id: ApprovalId,
    /// The case.
    pub case_id: CaseId,
    /// What is asked for.
    pub act: Weighty,
    /// What was owed when it was asked for.
    pub amount: Money,
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

impl ApprovalRow {
    /// Where it stands at `now`.
    pub fn status_at(&self, now: Timestamp) -> ApprovalStatus {
        self.status.at(self.expires_at, now)
    }
}

/// What is written of an approval together with its case.
#[derive(Clone, Debug)]
pub enum ApprovalWrite {
    /// Somebody asks.
    Ask {
        /// The approval.
        id: ApprovalId,
        /// What is asked for.
        act: Weighty,
        /// Who asks.
        asked_by: String,
        /// The id of the key or person that asks.
        asker_id: String,
        /// Until when it can be decided.
        expires_at: Timestamp,
        /// The remark given with it.
        comment: Option<String>,
    },
    /// A second person decides. One that is decided already, or has run out, refuses with `Conflict`.
    Rule {
        /// The approval.
        id: ApprovalId,
        /// How.
        status: ApprovalStatus,
        /// Who.
        ruled_by: String,
        /// The id of the key or person that decides.
        ruler_id: String,
        /// The remark given with it.
        comment: Option<String>,
    },
}

/// Writes what becomes of an approval of a case.
pub async fn write(tx: &Tx, case: &Case, what: &ApprovalWrite, at: Timestamp) -> Result<(), StoreError> {
    match what {
        ApprovalWrite::Ask {
            id,
            act,
            asked_by,
            asker_id,
            expires_at,
            comment,
        } => {
            let over = "UPDATE approvals SET status = 'expired' WHERE case_id = $1 AND act = $2 AND status = 'pending' \
                        AND expires_at <= $3";
            let values = [case.id.as_str().into(), act.as_str().into(), at.as_millisecond().into()];
            tx.conn().execute_raw(tx.statement(over, values)).await?;
            let sql = "INSERT INTO approvals (id, case_id, act, amount_minor, currency, asked_by, asker_id, asked_at, expires_at, \
                       comment, status) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'pending')";
            let values = [
                id.as_str().into(),
                case.id.as_str().into(),
                act.as_str().into(),
                case.amount_due.amount_minor.into(),
                case.amount_due.currency.code().into(),
                asked_by.as_str().into(),
                asker_id.as_str().into(),
                at.as_millisecond().into(),
                expires_at.as_millisecond().into(),
                comment.clone().into(),
            ];
            tx.conn().execute_raw(tx.statement(sql, values)).await?;
        }
        ApprovalWrite::Rule {
            id,
            status,
            ruled_by,
            ruler_id,
            comment,
        } => {
            let sql = "UPDATE approvals SET status = $2, ruled_by = $3, ruler_id = $4, ruled_at = $5, ruling_comment = $6 \
                       WHERE id = $1 AND status = 'pending' AND expires_at > $5";
            let values = [
                id.as_str().into(),
                status.as_str().into(),
                ruled_by.as_str().into(),
                ruler_id.as_str().into(),
                at.as_millisecond().into(),
                comment.clone().into(),
            ];
            if tx.conn().execute_raw(tx.statement(sql, values)).await?.rows_affected() == 0 {
                return Err(StoreError::Conflict("the approval is decided already".to_owned()));
            }
        }
    }
    Ok(())
}

/// The approval of that id.
pub async fn find<C: ConnectionTrait>(conn: &C, id: &ApprovalId) -> Result<Option<ApprovalRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM approvals WHERE id = $1");
    Ok(rows(conn, &sql, vec![id.as_str().into()]).await?.pop())
}

/// What waits for a second person in a case at `now`, oldest first. An act waits at most once, so these are few.
pub async fn of_case<C: ConnectionTrait>(
    conn: &C,
    case: &CaseId,
    now: Timestamp,
) -> Result<Vec<ApprovalRow>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM approvals WHERE case_id = $1 AND status = 'pending' AND expires_at > $2 ORDER BY id"
    );
    rows(conn, &sql, vec![case.as_str().into(), now.as_millisecond().into()]).await
}

/// The approval that an act of a case waits for at `now`.
pub async fn waiting<C: ConnectionTrait>(
    conn: &C,
    case: &CaseId,
    act: Weighty,
    now: Timestamp,
) -> Result<Option<ApprovalRow>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM approvals WHERE case_id = $1 AND act = $2 AND status = 'pending' AND expires_at > $3"
    );
    let values = vec![case.as_str().into(), act.as_str().into(), now.as_millisecond().into()];
    Ok(rows(conn, &sql, values).await?.pop())
}

/// Approvals, newest first: at most `limit` after `cursor`; where a status is given, those that stand so at `now`.
pub async fn list<C: ConnectionTrait>(
    conn: &C,
    (status, now): (Option<ApprovalStatus>, Timestamp),
    cursor: Option<&ApprovalId>,
    limit: u64,
) -> Result<Vec<ApprovalRow>, StoreError> {
    let stands = match status {
        None => "$2 = $2",
        Some(ApprovalStatus::Pending) => "status = 'pending' AND expires_at > $2",
        Some(ApprovalStatus::Expired) => "(status = 'expired' OR (status = 'pending' AND expires_at <= $2))",
        Some(ApprovalStatus::Approved) => "status = 'approved' AND $2 = $2",
        Some(ApprovalStatus::Refused) => "status = 'refused' AND $2 = $2",
    };
    let mut values: Vec<Value> = vec![
        i64::try_from(limit).unwrap_or(i64::MAX).into(),
        now.as_millisecond().into(),
    ];
    let after = match cursor {
        Some(cursor) => {
            values.push(cursor.as_str().into());
            " AND id < $3"
        }
        None => "",
    };
    let sql = format!("SELECT {COLUMNS} FROM approvals WHERE {stands}{after} ORDER BY id DESC LIMIT $1");
    rows(conn, &sql, values).await
}

#[derive(FromQueryResult)]
struct Found {
    id: String,
    case_id: String,
    act: String,
    amount_minor: i64,
    currency: String,
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

async fn rows<C: ConnectionTrait>(conn: &C, sql: &str, values: Vec<Value>) -> Result<Vec<ApprovalRow>, StoreError> {
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    let found = Found::find_by_statement(statement).all(conn).await?;
    found.into_iter().map(decode).collect()
}

fn decode(found: Found) -> Result<ApprovalRow, StoreError> {
    let row = Row {
        table: "approvals",
        id: &found.id,
    };
    Ok(ApprovalRow {
        case_id: CaseId::from(found.case_id),
        act: row.word("act", &found.act)?,
        amount: row.money(found.amount_minor, &found.currency)?,
        asked_by: found.asked_by,
        asker_id: found.asker_id,
        asked_at: row.instant("asked_at", found.asked_at)?,
        expires_at: row.instant("expires_at", found.expires_at)?,
        comment: found.comment,
        status: row.word("status", &found.status)?,
        ruled_by: found.ruled_by,
        ruled_at: row.maybe_instant("ruled_at", found.ruled_at)?,
        ruling_comment: found.ruling_comment,
        id: ApprovalId::from(found.id.clone()),
    })
}
