//! The rows that reports are computed from: without personal data, by the time the case was opened.

use std::collections::HashSet;

use jiff::Timestamp;
use sea_orm::sea_query::Query;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, FromQueryResult, PaginatorTrait, QueryFilter, QueryOrder,
    QueryResult, QuerySelect, Select, Statement,
};
use serde::Deserialize;

use super::entity::{cases, late_money};
use super::late::{self, LateRow};
use super::row::Row;
use super::{StoreError, cases as case_store};
use crate::domain::case::{CampaignRef, Collector};
use crate::domain::event::{CustomerAnswer, StaffAction};
use crate::domain::ids::CaseId;
use crate::domain::learning::choice::Choice;
use crate::domain::money::{Currency, Money};
use crate::domain::outcome::{Outcome, Status};
use crate::domain::report::digest::Dated;

/// One case as reports see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryRow {
    /// The case.
    pub case_id: CaseId,
    /// The connection it came by.
    pub connection: String,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it ended.
    pub closed_at: Option<Timestamp>,
    /// What is or was owed.
    pub amount: Money,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// The case whose recovery was taken back, where this one goes back to it.
    pub reversal_of: Option<CaseId>,
}

impl RecoveryRow {
    /// The row as digests read it, with what the ledger says was paid.
    pub fn dated(self, recovered_minor: i64) -> Dated {
        Dated {
            opened_at: self.opened_at,
            closed_at: self.closed_at,
            amount: self.amount,
            outcome: self.outcome,
            recovered_minor,
            connection: self.connection,
        }
    }
}

/// The cases opened in `[from, to)`, oldest first.
pub async fn recovery_rows<C: ConnectionTrait>(
    conn: &C,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<RecoveryRow>, StoreError> {
    let opened = Condition::all()
        .add(cases::Column::OpenedAt.gte(from.as_millisecond()))
        .add(cases::Column::OpenedAt.lt(to.as_millisecond()));
    rows_where(conn, opened).await
}

/// The cases of which a condition holds, oldest first.
pub(super) async fn rows_where<C: ConnectionTrait>(
    conn: &C,
    condition: Condition,
) -> Result<Vec<RecoveryRow>, StoreError> {
    let rows = cases::Entity::find()
        .select_only()
        .columns([
            cases::Column::Id,
            cases::Column::Connection,
            cases::Column::OpenedAt,
            cases::Column::ClosedAt,
            cases::Column::AmountMinor,
            cases::Column::Currency,
            cases::Column::OutcomeKind,
            cases::Column::OutcomeDetail,
            cases::Column::OutcomeThen,
            cases::Column::ReversalOf,
        ])
        .filter(condition)
        .order_by_asc(cases::Column::OpenedAt)
        .order_by_asc(cases::Column::Id)
        .into_model::<Line>()
        .all(conn)
        .await?;
    rows.into_iter().map(decode).collect()
}

/// The late money of the cases opened in `[from, to)`, oldest booking first.
pub async fn late_rows<C: ConnectionTrait>(
    conn: &C,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<LateRow>, StoreError> {
    let opened = Query::select()
        .column(cases::Column::Id)
        .from(cases::Entity)
        .and_where(cases::Column::OpenedAt.gte(from.as_millisecond()))
        .and_where(cases::Column::OpenedAt.lt(to.as_millisecond()))
        .to_owned();
    let rows = late_money::Entity::find()
        .filter(late_money::Column::CaseId.in_subquery(opened))
        .order_by_asc(late_money::Column::BookedAt)
        .order_by_asc(late_money::Column::CaseId)
        .order_by_asc(late_money::Column::Seq)
        .all(conn)
        .await?;
    rows.into_iter().map(late::decode).collect()
}

/// One case as the uplift report sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct UpliftRow {
    /// The case.
    pub case_id: CaseId,
    /// The connection it came by.
    pub connection: String,
    /// The customer, who is held out or not.
    pub customer_id: String,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// The currency of its money.
    pub currency: Currency,
    /// Where it stands, in one word.
    pub status: Status,
    /// The campaign it is pinned to.
    pub campaign: CampaignRef,
    /// The campaign it was opened with.
    pub opened_with: CampaignRef,
    /// Who may charge.
    pub collector: Collector,
    /// The customer's zone.
    pub zone: String,
    /// The arm that was chosen last, and how.
    pub choice: Option<Choice>,
    /// How many charges we made.
    pub charges: u32,
}

/// The cases opened in `[from, to)` with what was drawn for them, oldest first. Those that go back to the recovery of another
/// are not among them. They are read some thousands at a time: what a case remembers is long, and little of it is kept.
pub async fn uplift_rows<C: ConnectionTrait>(
    conn: &C,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<UpliftRow>, StoreError> {
    let mut found = Vec::new();
    let mut after = Condition::all();
    loop {
        let rows = drawn(from, to)
            .filter(after)
            .into_model::<DrawnLine>()
            .all(conn)
            .await?;
        let Some(last) = rows.last() else { return Ok(found) };
        after = Condition::any().add(cases::Column::OpenedAt.gt(last.opened_at)).add(
            Condition::all()
                .add(cases::Column::OpenedAt.eq(last.opened_at))
                .add(cases::Column::Id.gt(&last.id)),
        );
        for row in rows {
            found.push(decode_drawn(row)?);
        }
    }
}

/// The first of the cases opened in `[from, to)`, with what was drawn for them.
fn drawn(from: Timestamp, to: Timestamp) -> Select<cases::Entity> {
    opened_between(from, to)
        .select_only()
        .columns([
            cases::Column::Id,
            cases::Column::Connection,
            cases::Column::CustomerId,
            cases::Column::OpenedAt,
            cases::Column::Currency,
            cases::Column::Status,
            cases::Column::CampaignName,
            cases::Column::CampaignVersion,
            cases::Column::Collector,
            cases::Column::Zone,
            cases::Column::Memory,
        ])
        .filter(cases::Column::ReversalOf.is_null())
        .order_by_asc(cases::Column::OpenedAt)
        .order_by_asc(cases::Column::Id)
        .limit(DRAWN_AT_ONCE)
}

/// The cases opened in `[from, to)` that staff acted on beyond a note.
pub async fn overridden<C: ConnectionTrait>(
    conn: &C,
    from: Timestamp,
    to: Timestamp,
) -> Result<HashSet<CaseId>, StoreError> {
    let sql = "SELECT DISTINCT cases.id FROM audit JOIN cases ON cases.id = audit.object \
               WHERE cases.opened_at >= $1 AND cases.opened_at < $2 AND audit.action <> $3";
    let values = [
        from.as_millisecond().into(),
        to.as_millisecond().into(),
        StaffAction::Note.as_str().into(),
    ];
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    let rows = conn.query_all_raw(statement).await?;
    let id = |row: &QueryResult| Ok(CaseId::from(row.try_get_by_index::<String>(0)?));
    rows.iter().map(id).collect()
}

/// How many cases were opened in `[from, to)`, apart from those that go back to the recovery of another.
pub async fn opened<C: ConnectionTrait>(conn: &C, from: Timestamp, to: Timestamp) -> Result<u64, StoreError> {
    let cases = opened_between(from, to).filter(cases::Column::ReversalOf.is_null());
    Ok(cases.count(conn).await?)
}

/// Whether more than so many cases were opened in `[from, to)`.
pub async fn are_more<C: ConnectionTrait>(conn: &C, [from, to]: [Timestamp; 2], than: u64) -> Result<bool, StoreError> {
    let next: Option<String> = opened_between(from, to)
        .select_only()
        .column(cases::Column::Id)
        .order_by_asc(cases::Column::OpenedAt)
        .offset(than)
        .limit(1)
        .into_tuple()
        .one(conn)
        .await?;
    Ok(next.is_some())
}

/// What customers answered in the cases opened in `[from, to)`, and where each case stands.
pub async fn answers<C: ConnectionTrait>(
    conn: &C,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<(CustomerAnswer, Status)>, StoreError> {
    let columns = [cases::Column::Id, cases::Column::Status, cases::Column::Memory];
    let rows: Vec<(String, String, String)> = opened_between(from, to)
        .filter(cases::Column::ReversalOf.is_null())
        .filter(cases::Column::Memory.contains(ANSWER))
        .select_only()
        .columns(columns)
        .into_tuple()
        .all(conn)
        .await?;
    let mut answers = Vec::with_capacity(rows.len());
    for (id, status, memory) in &rows {
        let row = Row { table: "cases", id };
        let Answered { memory } = row.json("memory", memory)?;
        if let Some(answer) = memory.answer {
            answers.push((answer, row.word("status", status)?));
        }
    }
    Ok(answers)
}

/// How many cases are read at once of which the whole memory is read.
const DRAWN_AT_ONCE: u64 = 5_000;
/// What the column `memory` of a case holds in which the customer answered; few do, so the others are not read.
const ANSWER: &str = "\"answer\":\"";

#[derive(Deserialize)]
struct Answered {
    memory: Answer,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    answer: Option<CustomerAnswer>,
}

fn opened_between(from: Timestamp, to: Timestamp) -> Select<cases::Entity> {
    cases::Entity::find()
        .filter(cases::Column::OpenedAt.gte(from.as_millisecond()))
        .filter(cases::Column::OpenedAt.lt(to.as_millisecond()))
}

#[derive(FromQueryResult)]
struct DrawnLine {
    id: String,
    connection: String,
    customer_id: String,
    opened_at: i64,
    currency: String,
    status: String,
    campaign_name: String,
    campaign_version: i64,
    collector: String,
    zone: String,
    memory: String,
}

/// What the report needs of the column `memory`; the rest is not read.
#[derive(Deserialize)]
struct Document {
    memory: Remembered,
}

#[derive(Deserialize)]
struct Remembered {
    #[serde(default)]
    choice: Option<Choice>,
    charges: u32,
    #[serde(default)]
    opened_with: Option<CampaignRef>,
}

fn decode_drawn(line: DrawnLine) -> Result<UpliftRow, StoreError> {
    let row = Row {
        table: "cases",
        id: &line.id,
    };
    let Document { memory } = row.json("memory", &line.memory)?;
    let campaign = CampaignRef {
        name: line.campaign_name,
        version: row.count("campaign_version", line.campaign_version)?,
    };
    Ok(UpliftRow {
        opened_at: row.instant("opened_at", line.opened_at)?,
        currency: row.word("currency", &line.currency)?,
        status: row.word("status", &line.status)?,
        opened_with: memory.opened_with.unwrap_or_else(|| campaign.clone()),
        campaign,
        collector: row.word("collector", &line.collector)?,
        choice: memory.choice,
        charges: memory.charges,
        zone: line.zone,
        connection: line.connection,
        customer_id: line.customer_id,
        case_id: CaseId::from(line.id.clone()),
    })
}

#[derive(FromQueryResult)]
struct Line {
    id: String,
    connection: String,
    opened_at: i64,
    closed_at: Option<i64>,
    amount_minor: i64,
    currency: String,
    outcome_kind: Option<String>,
    outcome_detail: Option<String>,
    outcome_then: Option<String>,
    reversal_of: Option<String>,
}

fn decode(line: Line) -> Result<RecoveryRow, StoreError> {
    let row = Row {
        table: "cases",
        id: &line.id,
    };
    let columns = [
        line.outcome_kind.as_deref(),
        line.outcome_detail.as_deref(),
        line.outcome_then.as_deref(),
    ];
    Ok(RecoveryRow {
        outcome: case_store::outcome(row, columns)?,
        opened_at: row.instant("opened_at", line.opened_at)?,
        closed_at: row.maybe_instant("closed_at", line.closed_at)?,
        amount: row.money(line.amount_minor, &line.currency)?,
        connection: line.connection,
        reversal_of: line.reversal_of.map(CaseId::from),
        case_id: CaseId::from(line.id.clone()),
    })
}
