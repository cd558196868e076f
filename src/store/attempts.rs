//! The attempts: every try to charge, whoever made it. An attempt of ours is committed before its call leaves.

use std::collections::HashSet;

use jiff::Timestamp;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};
use serde::Serialize;

use super::bulk::{Column as Field, Kind};
use super::changes::AttemptEnd;
use super::entity::attempts::{Column, Entity, Model};
use super::row::{Codes, Row};
use super::{StoreError, Tx, bulk};
use crate::domain::case::{Case, OpenAttempt, Origin, Trigger};
use crate::domain::command::AttemptStatus;
use crate::domain::decline::{Decline, DeclineKind, Disposition};
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

/// The columns of an attempt, in the order of `Record`.
const COLUMNS: [Field; 17] = [
    ("id", Kind::Text),
    ("connection", Kind::Text),
    ("case_id", Kind::Text),
    ("origin", Kind::Text),
    ("trigger", Kind::Text),
    ("status", Kind::Text),
    ("amount_minor", Kind::Int),
    ("currency", Kind::Text),
    ("payment_method", Kind::Text),
    ("charge_id", Kind::Text),
    ("started_at", Kind::Int),
    ("ended_at", Kind::Int),
    ("decline_kind", Kind::Text),
    ("decline_disposition", Kind::Text),
    ("provider_code", Kind::Text),
    ("network_code", Kind::Text),
    ("advice_code", Kind::Text),
];
/// Those of them that its end sets.
const ENDS: [Field; 10] = [
    ("id", Kind::Text),
    ("case_id", Kind::Text),
    ("status", Kind::Text),
    ("charge_id", Kind::Text),
    ("ended_at", Kind::Int),
    ("decline_kind", Kind::Text),
    ("decline_disposition", Kind::Text),
    ("provider_code", Kind::Text),
    ("network_code", Kind::Text),
    ("advice_code", Kind::Text),
];

/// An attempt as it is written.
#[derive(Serialize)]
struct Record<'a> {
    id: &'a AttemptId,
    connection: &'a str,
    case_id: &'a CaseId,
    origin: Origin,
    trigger: Option<Trigger>,
    status: AttemptStatus,
    #[serde(flatten)]
    amount: Money,
    payment_method: Option<&'a str>,
    charge_id: Option<&'a str>,
    started_at: i64,
    ended_at: Option<i64>,
    #[serde(flatten)]
    decline: Words<'a>,
}

/// The end of an attempt as it is written.
#[derive(Serialize)]
struct End<'a> {
    id: &'a AttemptId,
    case_id: &'a CaseId,
    status: AttemptStatus,
    charge_id: Option<&'a str>,
    ended_at: Option<i64>,
    #[serde(flatten)]
    decline: Words<'a>,
}

/// The five columns of a decline.
#[derive(Default, Serialize)]
pub(super) struct Words<'a> {
    decline_kind: Option<DeclineKind>,
    decline_disposition: Option<Disposition>,
    provider_code: Option<&'a str>,
    network_code: Option<&'a str>,
    advice_code: Option<&'a str>,
}

impl<'a> From<&'a Decline> for Words<'a> {
    fn from(decline: &'a Decline) -> Self {
        Self {
            decline_kind: Some(decline.kind),
            decline_disposition: Some(decline.disposition),
            provider_code: decline.provider_code.as_deref(),
            network_code: decline.network_code.as_deref(),
            advice_code: decline.advice_code.as_deref(),
        }
    }
}

/// Writes intents to charge. A case that has an open attempt refuses a second one with `Conflict`.
pub async fn open(tx: &Tx, opened: &[(&Case, &OpenAttempt, Origin)]) -> Result<(), StoreError> {
    let rows = opened.iter().map(|(case, attempt, origin)| Record {
        id: &attempt.id,
        connection: &case.connection,
        case_id: &case.id,
        origin: *origin,
        trigger: Some(attempt.trigger),
        status: AttemptStatus::Open,
        amount: attempt.amount,
        payment_method: attempt.payment_method.as_deref(),
        charge_id: None,
        started_at: attempt.started_at.as_millisecond(),
        ended_at: None,
        decline: Words::default(),
    });
    tx.write_rows(&insert(tx), &COLUMNS, &rows.collect::<Vec<_>>()).await?;
    Ok(())
}

/// Records attempts that somebody else made; says which of them, since a charge is on record once.
pub async fn record(
    tx: &Tx,
    recorded: &[(&AttemptId, &Case, &SeenAttempt, Origin, Timestamp)],
) -> Result<HashSet<AttemptId>, StoreError> {
    let rows = recorded.iter().map(|(id, case, seen, origin, _)| Record {
        id,
        connection: &case.connection,
        case_id: &case.id,
        origin: *origin,
        trigger: None,
        status: AttemptStatus::Declined,
        amount: seen.amount,
        payment_method: seen.payment_method.as_deref(),
        charge_id: seen.charge_id.as_deref(),
        started_at: seen.at.as_millisecond(),
        ended_at: Some(seen.at.as_millisecond()),
        decline: Words::from(&seen.decline),
    });
    let sql = format!("{} WHERE true ON CONFLICT DO NOTHING RETURNING id", insert(tx));
    tx.write_rows_returning(&sql, &COLUMNS, &rows.collect::<Vec<_>>()).await
}

fn insert(tx: &Tx) -> String {
    format!(
        "INSERT INTO attempts ({}) SELECT {} FROM {}",
        bulk::names(&COLUMNS),
        bulk::values(&COLUMNS),
        tx.new_rows(&COLUMNS)
    )
}

/// Writes how attempts ended and says how many were open until now; an ended one stays as it is. A charge that another
/// attempt bears already is left out, so that a true answer is never refused for its name.
pub async fn close(tx: &Tx, closed: &[(&CaseId, &AttemptEnd, Timestamp)]) -> Result<u64, StoreError> {
    let rows = closed.iter().map(|(case_id, end, at)| End {
        id: &end.id,
        case_id,
        status: end.status,
        charge_id: end.charge_id.as_deref(),
        ended_at: (end.status != AttemptStatus::Open).then(|| at.as_millisecond()),
        decline: end.decline.as_ref().map(Words::from).unwrap_or_default(),
    });
    let sql = format!(
        "UPDATE attempts SET status = new.status, ended_at = new.ended_at, charge_id = CASE WHEN EXISTS (\
         SELECT 1 FROM attempt_charges AS other WHERE other.connection = attempts.connection \
         AND other.charge_id = new.charge_id AND other.attempt_id <> attempts.id) THEN NULL ELSE new.charge_id END, {} \
         FROM {} WHERE attempts.id = new.id AND attempts.case_id = new.case_id AND {} AND attempts.status = 'open'",
        bulk::assignments(&ENDS[5..]),
        tx.new_rows(&ENDS),
        tx.within("attempts", &ENDS)
    );
    let cases: Vec<&CaseId> = closed.iter().map(|(case, ..)| *case).collect();
    tx.write_rows_of(&sql, &ENDS, &rows.collect::<Vec<_>>(), &cases).await
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
