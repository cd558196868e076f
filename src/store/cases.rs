//! The cases: insert, lock, save; find and list; claim those that are due.

use std::collections::HashSet;

use jiff::Timestamp;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    Select, Statement, Value,
};

use super::changes::{CaseChange, Locked};
use super::entity::cases::{Column, Entity, Model};
use super::row::{Row, to_json};
use super::{Dialect, StoreError, Tx, bulk};
use crate::domain::case::{CampaignRef, Case};
use crate::domain::ids::CaseId;
use crate::domain::outcome::Status;
use codec::{FIXED, PLAN, SELDOM};

mod codec;
mod due;
mod search;

pub(super) use codec::outcome;
pub use due::{Claim, claim_due, next_due, release};
pub use search::{COUNTED_MAX, CaseFilter, Sort, count, list};

/// For how long before a case closes a message counts as what moved the customer.
const TOUCH_MS: i64 = 7 * 24 * 3_600_000;

/// Opens cases, except where an invoice has or had one; says which were opened. Only a reversal follows another case: whoever
/// read the invoice long ago must not open a second one after the first has ended.
pub async fn insert(tx: &Tx, changes: &[&CaseChange]) -> Result<HashSet<CaseId>, StoreError> {
    let columns = [&FIXED[..], &SELDOM, &PLAN].concat();
    let sql = format!(
        "INSERT INTO cases ({}) SELECT {} FROM {} WHERE new.reversal_of IS NOT NULL OR NOT EXISTS (\
           SELECT 1 FROM cases WHERE cases.connection = new.connection AND cases.invoice_id = new.invoice_id) \
         ON CONFLICT DO NOTHING RETURNING id",
        bulk::names(&columns),
        bulk::values(&columns),
        tx.new_rows(&columns)
    );
    let mut ordered = changes.to_vec();
    // Two transactions that meet at the same invoices in another order would wait for each other.
    ordered.sort_by(|a, b| (&a.case.connection, &a.case.invoice_id).cmp(&(&b.case.connection, &b.case.invoice_id)));
    let opened: HashSet<CaseId> = tx.write_rows_returning(&sql, &columns, &encoded(&ordered)?).await?;
    ordered.retain(|change| opened.contains(&change.case.id));
    due::join(tx, &ordered).await?;
    Ok(opened)
}

/// Writes cases as they are now, next actions included, and gives back the claims that were held for them.
pub async fn save(tx: &Tx, changes: &[&CaseChange]) -> Result<(), StoreError> {
    let (restated, planned): (Vec<&CaseChange>, Vec<&CaseChange>) = changes.iter().partition(|change| change.restated);
    let plans: Result<Vec<_>, _> = planned
        .iter()
        .map(|change| codec::encode_plan(&change.case, change.at))
        .collect();
    let saved = update(tx, &plans?).await? + restate(tx, &restated).await?;
    if saved != changes.len() as u64 {
        return Err(StoreError::Other(format!(
            "{} cases were to be saved, and {saved} are there",
            changes.len()
        )));
    }
    due::follow(tx, changes).await
}

/// Writes the plans of cases; says how many were there.
async fn update(tx: &Tx, plans: &[codec::Plan<'_>]) -> Result<u64, StoreError> {
    let read = [&FIXED[..1], &PLAN].concat();
    let sql = format!(
        "UPDATE cases SET {} FROM {} WHERE cases.id = new.id",
        bulk::assignments(&PLAN),
        tx.new_rows(&read)
    );
    tx.write_rows(&sql, &read, plans).await
}

/// Writes cases as they are now; one that closes keeps the last message that had left within the week before. Says how many
/// were there.
async fn restate(tx: &Tx, changes: &[&CaseChange]) -> Result<u64, StoreError> {
    let columns = [&SELDOM[..], &PLAN].concat();
    let read = [&FIXED[..1], &columns].concat();
    let within = tx.within("sent", &read);
    let touch = |column: &str| {
        format!(
            "touch_{column} = CASE WHEN cases.closed_at IS NULL AND new.closed_at IS NOT NULL THEN (\
             SELECT sent.{column} FROM notifications AS sent WHERE sent.case_id = cases.id AND {within} \
             AND sent.status = 'sent' AND sent.ended_at BETWEEN new.closed_at - {TOUCH_MS} AND new.closed_at \
             ORDER BY sent.ended_at DESC, sent.id DESC LIMIT 1) ELSE cases.touch_{column} END"
        )
    };
    let sql = format!(
        "UPDATE cases SET {}, {}, {} FROM {} WHERE cases.id = new.id",
        bulk::assignments(&columns),
        touch("message"),
        touch("step"),
        tx.new_rows(&read)
    );
    let ids: Vec<&CaseId> = changes.iter().map(|change| &change.case.id).collect();
    tx.write_rows_of(&sql, &read, &encoded(changes)?, &ids).await
}

fn encoded<'a>(changes: &[&'a CaseChange]) -> Result<Vec<codec::Record<'a>>, StoreError> {
    let records = changes.iter().map(|change| codec::encode(&change.case, change.at));
    records.collect()
}

/// Reads a case and keeps everybody else from changing it until the transaction ends.
pub async fn lock(tx: &Tx, id: &CaseId) -> Result<Option<Case>, StoreError> {
    lock_all(tx, std::slice::from_ref(id)).await?.remove(id).transpose()
}

/// Reads cases and keeps everybody else from changing them until the transaction ends. They are locked in the order of
/// their ids, so that two transactions never wait for each other.
pub async fn lock_all(tx: &Tx, ids: &[CaseId]) -> Result<Locked, StoreError> {
    if ids.is_empty() {
        return Ok(Locked::new());
    }
    let sql = match tx.dialect() {
        // Its transaction is the only writer from the start.
        Dialect::Sqlite => "SELECT * FROM cases WHERE id IN (SELECT value FROM json_each($1)) ORDER BY id",
        Dialect::Postgres => "SELECT * FROM cases WHERE id = ANY ($1::text[]) ORDER BY id FOR UPDATE",
    };
    let ids: Value = match tx.dialect() {
        Dialect::Sqlite => to_json(&ids)?.into(),
        Dialect::Postgres => ids.iter().map(ToString::to_string).collect::<Vec<String>>().into(),
    };
    let rows = tx.conn().query_all_raw(tx.statement(sql, [ids])).await?;
    let mut found = Locked::with_capacity(rows.len());
    for row in rows {
        let model = Model::from_query_result(&row, "")?;
        found.insert(CaseId::from(model.id.clone()), codec::decode(model));
    }
    Ok(found)
}

/// The case of that id.
pub async fn find<C: ConnectionTrait>(conn: &C, id: &CaseId) -> Result<Option<Case>, StoreError> {
    let row = Entity::find_by_id(id.as_str()).one(conn).await?;
    row.map(codec::decode).transpose()
}

/// The case of an invoice. The linked case of a reversal is born closed and takes no news.
pub async fn by_invoice<C: ConnectionTrait>(
    conn: &C,
    connection: &str,
    invoice_id: &str,
) -> Result<Option<CaseId>, StoreError> {
    let id: Option<String> = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::Connection.eq(connection))
        .filter(Column::InvoiceId.eq(invoice_id))
        .filter(Column::ReversalOf.is_null())
        .into_tuple()
        .one(conn)
        .await?;
    Ok(id.map(CaseId::from))
}

/// The open cases of a customer, oldest first.
pub async fn open_by_customer<C: ConnectionTrait>(
    conn: &C,
    connection: &str,
    customer_id: &str,
) -> Result<Vec<CaseId>, StoreError> {
    open_by(conn, connection, Column::CustomerId, customer_id).await
}

/// The open cases of a subscription, oldest first.
pub async fn open_by_subscription<C: ConnectionTrait>(
    conn: &C,
    connection: &str,
    subscription_id: &str,
) -> Result<Vec<CaseId>, StoreError> {
    open_by(conn, connection, Column::SubscriptionId, subscription_id).await
}

/// The open cases that may write to an address, oldest first.
pub async fn open_by_address<C: ConnectionTrait>(conn: &C, address: &str) -> Result<Vec<CaseId>, StoreError> {
    let sql = "SELECT id FROM cases WHERE closed_at IS NULL \
               AND $1 IN (LOWER(contact_email), LOWER(contact_alternate)) ORDER BY id";
    let values = [address.trim().to_lowercase().into()];
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    let rows = conn.query_all_raw(statement).await?;
    rows.iter()
        .map(|row| Ok(CaseId::from(row.try_get::<String>("", "id")?)))
        .collect()
}

async fn open_by<C: ConnectionTrait>(
    conn: &C,
    connection: &str,
    column: Column,
    value: &str,
) -> Result<Vec<CaseId>, StoreError> {
    let ids: Vec<String> = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::Connection.eq(connection))
        .filter(column.eq(value))
        .filter(Column::ClosedAt.is_null())
        .order_by_asc(Column::Id)
        .into_tuple()
        .all(conn)
        .await?;
    Ok(ids.into_iter().map(CaseId::from).collect())
}

/// At most `limit` open cases that are to be moved to a version, from the one after `after` on, oldest first: see [`to_move`].
pub async fn open_on<C: ConnectionTrait>(
    conn: &C,
    from: (&str, Option<&[u32]>),
    to: &CampaignRef,
    (after, limit): (Option<&str>, u64),
) -> Result<Vec<Case>, StoreError> {
    let mut query = to_move(from, to);
    if let Some(after) = after {
        query = query.filter(Column::Id.gt(after));
    }
    let rows = query.order_by_asc(Column::Id).limit(limit).all(conn).await?;
    rows.into_iter().map(codec::decode).collect()
}

/// At most `limit` cases that were opened from `from` on, before `to`, and have ended; the newest first.
pub async fn closed_between<C: ConnectionTrait>(
    conn: &C,
    [from, to]: [Timestamp; 2],
    limit: u64,
) -> Result<Vec<Case>, StoreError> {
    let id = |at: Timestamp| CaseId::new(at.as_millisecond(), 0);
    let rows = Entity::find()
        .filter(Column::Id.gte(id(from).as_str()))
        .filter(Column::Id.lt(id(to).as_str()))
        .filter(Column::ClosedAt.is_not_null())
        .filter(Column::ReversalOf.is_null())
        .order_by_desc(Column::Id)
        .limit(limit)
        .all(conn)
        .await?;
    rows.into_iter().map(codec::decode).collect()
}

/// How many open cases are to be moved to a version.
pub async fn count_on<C: ConnectionTrait>(
    conn: &C,
    from: (&str, Option<&[u32]>),
    to: &CampaignRef,
) -> Result<u64, StoreError> {
    Ok(to_move(from, to).count(conn).await?)
}

/// The open cases of a campaign that do not have the version yet; where `from` names versions, only theirs.
fn to_move((name, from): (&str, Option<&[u32]>), to: &CampaignRef) -> Select<Entity> {
    let mut query = Entity::find()
        .filter(Column::ClosedAt.is_null())
        .filter(Column::CampaignName.eq(name));
    if name == to.name {
        query = query.filter(Column::CampaignVersion.ne(i64::from(to.version)));
    }
    if let Some(from) = from {
        query = query.filter(Column::CampaignVersion.is_in(from.iter().map(|version| i64::from(*version))));
    }
    query
}

/// How many open cases are pinned to a version of a campaign.
pub async fn open_with<C: ConnectionTrait>(conn: &C, version: &CampaignRef) -> Result<u64, StoreError> {
    let open = Entity::find()
        .filter(Column::ClosedAt.is_null())
        .filter(Column::CampaignName.eq(&version.name))
        .filter(Column::CampaignVersion.eq(i64::from(version.version)));
    Ok(open.count(conn).await?)
}

/// How many cases stand where; a status without a case is left out.
pub async fn count_by_status<C: ConnectionTrait>(conn: &C) -> Result<Vec<(Status, u64)>, StoreError> {
    let rows: Vec<(String, i64)> = Entity::find()
        .select_only()
        .column(Column::Status)
        .column_as(Column::Id.count(), "cases")
        .group_by(Column::Status)
        .order_by_asc(Column::Status)
        .into_tuple()
        .all(conn)
        .await?;
    let row = Row {
        table: "cases",
        id: "count",
    };
    rows.into_iter()
        .map(|(status, count)| Ok((row.word("status", &status)?, row.count("count", count)?)))
        .collect()
}

/// How many open cases are in which state; a state without a case is left out.
pub async fn open_by_state<C: ConnectionTrait>(conn: &C) -> Result<Vec<(String, u64)>, StoreError> {
    let rows: Vec<(String, i64)> = Entity::find()
        .select_only()
        .column(Column::State)
        .column_as(Column::Id.count(), "cases")
        .filter(Column::ClosedAt.is_null())
        .group_by(Column::State)
        .into_tuple()
        .all(conn)
        .await?;
    let row = Row {
        table: "cases",
        id: "count",
    };
    rows.into_iter()
        .map(|(state, count)| Ok((state, row.count("count", count)?)))
        .collect()
}
