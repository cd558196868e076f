//! Money that moved after a case had ended: it never changes the outcome, and reports show it on a line of its own.

use jiff::Timestamp;
use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::entity::late_money::{ActiveModel, Column, Entity, Model};
use super::row::Row;
use super::{StoreError, Tx};
use crate::domain::case::Case;
use crate::domain::command::LateKind;
use crate::domain::ids::CaseId;
use crate::domain::money::Money;

/// One movement of late money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LateRow {
    /// The case.
    pub case_id: CaseId,
    /// The connection of the case.
    pub connection: String,
    /// Which way it moved, and why.
    pub kind: LateKind,
    /// How much.
    pub amount: Money,
    /// When we learned of it.
    pub booked_at: Timestamp,
}

/// Books late money. The caller holds the lock of the case.
pub async fn book(tx: &Tx, case: &Case, kind: LateKind, amount: Money, now: Timestamp) -> Result<(), StoreError> {
    let last: Option<i64> = Entity::find()
        .select_only()
        .column(Column::Seq)
        .filter(Column::CaseId.eq(case.id.as_str()))
        .order_by_desc(Column::Seq)
        .into_tuple()
        .one(tx.conn())
        .await?;
    let row = ActiveModel {
        connection: Set(case.connection.clone()),
        case_id: Set(case.id.to_string()),
        seq: Set(last.unwrap_or(0) + 1),
        kind: Set(kind.to_string()),
        amount_minor: Set(amount.amount_minor),
        currency: Set(amount.currency.to_string()),
        booked_at: Set(now.as_millisecond()),
    };
    Entity::insert(row).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// What was booked in `[from, to)`, oldest first.
pub async fn list<C: ConnectionTrait>(conn: &C, from: Timestamp, to: Timestamp) -> Result<Vec<LateRow>, StoreError> {
    let rows = Entity::find()
        .filter(Column::BookedAt.gte(from.as_millisecond()))
        .filter(Column::BookedAt.lt(to.as_millisecond()))
        .order_by_asc(Column::BookedAt)
        .order_by_asc(Column::CaseId)
        .order_by_asc(Column::Seq)
        .all(conn)
        .await?;
    rows.into_iter().map(decode).collect()
}

pub(super) fn decode(model: Model) -> Result<LateRow, StoreError> {
    let row = Row {
        table: "late_money",
        id: &model.case_id,
    };
    Ok(LateRow {
        kind: row.word("kind", &model.kind)?,
        amount: row.money(model.amount_minor, &model.currency)?,
        booked_at: row.instant("booked_at", model.booked_at)?,
        connection: model.connection,
        case_id: CaseId::from(model.case_id.clone()),
    })
}
