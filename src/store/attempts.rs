//! The attempts: every try to charge, whoever made it. An attempt of ours is committed before its call leaves.

use jiff::Timestamp;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder};

use super::entity::attempts::{ActiveModel, Column, Entity, Model};
use super::row::{Codes, Row};
use super::{StoreError, Tx};
use crate::domain::case::{Case, OpenAttempt, Origin, Trigger};
use crate::domain::command::AttemptStatus;
use crate::domain::decline::Decline;
use crate::domain::event::SeenAttempt;
use crate::domain::ids::{AttemptId, CaseId};
use crate::domain::money::Money;

/// One try to charge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRow {
    /// Its id; for ours the idempotency key at the provider.
    pub id: AttemptId,
    /// The case.
    pub case_id: CaseId,
    /// The connection of the case.
    pub connection: String,
    /// Who made it.
    pub origin: Origin,
    /// Why, where it is ours.
    pub trigger: Option<Trigger>,
    /// How it stands.
    pub status: AttemptStatus,
    /// The amount.
    pub amount: Money,
    /// The payment method, where one was named.
    pub payment_method: Option<String>,
    /// The provider's name for the charge, where known.
    pub charge_id: Option<String>,
    /// Why it was declined, where it was.
    pub decline: Option<Decline>,
    /// When it was made.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// Writes the intent to charge. A case that has an open attempt refuses a second one with `Conflict`.
pub async fn open(tx: &Tx, case: &Case, attempt: &OpenAttempt, origin: Origin) -> Result<(), StoreError> {
    let row = ActiveModel {
        trigger: Set(Some(attempt.trigger.to_string())),
        payment_method: Set(attempt.payment_method.clone()),
        started_at: Set(attempt.started_at.as_millisecond()),
        ..blank(&attempt.id, case, origin, AttemptStatus::Open, attempt.amount)
    };
    Entity::insert(row).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Records an attempt that somebody else made. Says false where its charge is on record already.
pub async fn record(
    tx: &Tx,
    id: AttemptId,
    case: &Case,
    seen: &SeenAttempt,
    origin: Origin,
) -> Result<bool, StoreError> {
    let decline = decline_columns(Some(&seen.decline));
    let row = ActiveModel {
        payment_method: Set(seen.payment_method.clone()),
        charge_id: Set(seen.charge_id.clone()),
        started_at: Set(seen.at.as_millisecond()),
        ended_at: Set(Some(seen.at.as_millisecond())),
        decline_kind: decline.decline_kind,
        decline_disposition: decline.decline_disposition,
        provider_code: decline.provider_code,
        network_code: decline.network_code,
        advice_code: decline.advice_code,
        ..blank(&id, case, origin, AttemptStatus::Declined, seen.amount)
    };
    let written = Entity::insert(row)
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .exec_without_returning(tx.conn())
        .await?;
    Ok(written == 1)
}

/// Writes how an attempt ended and says whether it was open until now; an ended one stays as it is. A charge that
/// another attempt bears already is left out, so that a true answer is never refused for its name.
pub async fn close(
    tx: &Tx,
    id: &AttemptId,
    status: AttemptStatus,
    charge_id: Option<&str>,
    decline: Option<&Decline>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let Some(attempt) = Entity::find_by_id(id.as_str()).one(tx.conn()).await? else {
        return Ok(false);
    };
    let charge_id = match charge_id {
        Some(charge) if !is_on_record(tx, &attempt, charge).await? => Some(charge.to_owned()),
        Some(_) | None => None,
    };
    let row = ActiveModel {
        status: Set(status.to_string()),
        charge_id: Set(charge_id),
        ended_at: Set((status != AttemptStatus::Open).then(|| now.as_millisecond())),
        ..decline_columns(decline)
    };
    let written = Entity::update_many()
        .set(row)
        .filter(Column::Id.eq(id.as_str()))
        .filter(Column::Status.eq(AttemptStatus::Open.as_str()))
        .exec(tx.conn())
        .await?;
    Ok(written.rows_affected == 1)
}

/// The attempts of a case, oldest first.
pub async fn by_case<C: ConnectionTrait>(conn: &C, case: &CaseId) -> Result<Vec<AttemptRow>, StoreError> {
    let rows = Entity::find()
        .filter(Column::CaseId.eq(case.as_str()))
        .order_by_asc(Column::StartedAt)
        .order_by_asc(Column::Id)
        .all(conn)
        .await?;
    rows.into_iter().map(decode).collect()
}

async fn is_on_record(tx: &Tx, attempt: &Model, charge: &str) -> Result<bool, StoreError> {
    let others = Entity::find()
        .filter(Column::Connection.eq(attempt.connection.as_str()))
        .filter(Column::ChargeId.eq(charge))
        .filter(Column::Id.ne(attempt.id.as_str()))
        .count(tx.conn())
        .await?;
    Ok(others > 0)
}

fn blank(id: &AttemptId, case: &Case, origin: Origin, status: AttemptStatus, amount: Money) -> ActiveModel {
    ActiveModel {
        id: Set(id.to_string()),
        connection: Set(case.connection.clone()),
        case_id: Set(case.id.to_string()),
        origin: Set(origin.to_string()),
        status: Set(status.to_string()),
        amount_minor: Set(amount.amount_minor),
        currency: Set(amount.currency.to_string()),
        ..ActiveModel::default()
    }
}

fn decline_columns(decline: Option<&Decline>) -> ActiveModel {
    ActiveModel {
        decline_kind: Set(decline.map(|decline| decline.kind.to_string())),
        decline_disposition: Set(decline.map(|decline| decline.disposition.to_string())),
        provider_code: Set(decline.and_then(|decline| decline.provider_code.clone())),
        network_code: Set(decline.and_then(|decline| decline.network_code.clone())),
        advice_code: Set(decline.and_then(|decline| decline.advice_code.clone())),
        ..ActiveModel::default()
    }
}

fn decode(model: Model) -> Result<AttemptRow, StoreError> {
    let row = Row {
        table: "attempts",
        id: &model.id,
    };
    let codes = Codes {
        provider: model.provider_code,
        network: model.network_code,
        advice: model.advice_code,
    };
    let decline = match (&model.decline_kind, &model.decline_disposition) {
        (Some(kind), Some(disposition)) => Some(row.decline(kind, disposition, codes)?),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => return Err(row.corrupt("half a decline")),
    };
    Ok(AttemptRow {
        case_id: CaseId::from(model.case_id),
        connection: model.connection,
        origin: row.word("origin", &model.origin)?,
        trigger: row.maybe_word("trigger", model.trigger.as_deref())?,
        status: row.word("status", &model.status)?,
        amount: row.money(model.amount_minor, &model.currency)?,
        payment_method: model.payment_method,
        charge_id: model.charge_id,
        decline,
        started_at: row.instant("started_at", model.started_at)?,
        ended_at: row.maybe_instant("ended_at", model.ended_at)?,
        id: AttemptId::from(model.id.clone()),
    })
}
