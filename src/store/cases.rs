//! The cases: insert, lock, save; find and list; claim those that are due.

use jiff::Timestamp;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect};

use super::entity::cases::{Column, Entity};
use super::lease::{Queue, lease_millis};
use super::row::Row;
use super::{Store, StoreError, Tx};
use crate::domain::case::Case;
use crate::domain::decline::DeclineKind;
use crate::domain::ids::CaseId;
use crate::domain::outcome::Status;

mod codec;

pub(super) use codec::outcome;

/// Whether a case was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It was.
    New,
    /// The invoice has an open case already; nothing was written.
    Exists,
}

/// The right to work on a case until the lease ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The case.
    pub id: CaseId,
    /// The number of this claim; a later claim of the same case has a higher one.
    pub fence: i64,
}

/// Which cases to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaseFilter {
    /// Only those that stand so.
    pub status: Option<Status>,
    /// Only those of this customer.
    pub customer_id: Option<String>,
    /// Only those of this invoice.
    pub invoice_id: Option<String>,
    /// Only those whose last decline is of this kind.
    pub decline_kind: Option<DeclineKind>,
    /// Only those that came by this connection.
    pub connection: Option<String>,
    /// Only those after this one in the list.
    pub cursor: Option<CaseId>,
    /// At most this many.
    pub limit: u64,
}

/// Opens a case, unless its invoice has an open one.
pub async fn insert(tx: &Tx, case: &Case, now: Timestamp) -> Result<Inserted, StoreError> {
    let written = Entity::insert(codec::encode(case, now)?)
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .exec_without_returning(tx.conn())
        .await?;
    Ok(if written == 0 { Inserted::Exists } else { Inserted::New })
}

/// Reads a case and keeps everybody else from changing it until the transaction ends.
pub async fn lock(tx: &Tx, id: &CaseId) -> Result<Option<Case>, StoreError> {
    // SQLite drops the lock clause; its transaction is the only writer from the start.
    let row = Entity::find_by_id(id.as_str()).lock_exclusive().one(tx.conn()).await?;
    row.map(codec::decode).transpose()
}

/// Writes the whole case as it is now, next action included. Lease and fence stay as they are.
pub async fn save(tx: &Tx, case: &Case, now: Timestamp) -> Result<(), StoreError> {
    let written = Entity::update_many()
        .set(codec::encode(case, now)?)
        .filter(Column::Id.eq(case.id.as_str()))
        .exec(tx.conn())
        .await?;
    if written.rows_affected == 1 {
        Ok(())
    } else {
        Err(StoreError::Other(format!("there is no case {} to save", case.id)))
    }
}

/// The case of that id.
pub async fn find<C: ConnectionTrait>(conn: &C, id: &CaseId) -> Result<Option<Case>, StoreError> {
    let row = Entity::find_by_id(id.as_str()).one(conn).await?;
    row.map(codec::decode).transpose()
}

/// The case of an invoice: the open one, else the newest.
pub async fn latest_by_invoice<C: ConnectionTrait>(
    conn: &C,
    connection: &str,
    invoice_id: &str,
) -> Result<Option<CaseId>, StoreError> {
    let id: Option<String> = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::Connection.eq(connection))
        .filter(Column::InvoiceId.eq(invoice_id))
        .order_by_desc(Column::ClosedAt.is_null())
        .order_by_desc(Column::Id)
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

/// Claims at most `limit` open cases that are due at `now`, most overdue first.
pub async fn claim_due(
    store: &Store,
    now: Timestamp,
    limit: u64,
    lease_secs: u32,
    owner: &str,
) -> Result<Vec<Claim>, StoreError> {
    let rows = DUE.claim(store, now, limit, lease_secs, owner).await?;
    let mut claimed = Vec::with_capacity(rows.len());
    for row in rows {
        claimed.push(Claimed::from_query_result(&row, "")?);
    }
    claimed.sort_by(|a, b| (a.next_action_at, &a.id).cmp(&(b.next_action_at, &b.id)));
    Ok(claimed.into_iter().map(Claimed::claim).collect())
}

/// Claims one case, due or not; nothing where somebody else holds it or there is no such case.
pub async fn claim_one(store: &Store, id: &CaseId, lease_secs: u32, owner: &str) -> Result<Option<Claim>, StoreError> {
    let now = store.dialect.now_ms();
    let sql = format!(
        "UPDATE cases SET lease_owner = $2, lease_until = {now} + $3, fence = fence + 1 \
         WHERE id = $1 AND (lease_until IS NULL OR lease_until <= {now}) RETURNING id, next_action_at, fence"
    );
    let values = [id.as_str().into(), owner.into(), lease_millis(lease_secs).into()];
    let rows = store.query(&sql, values).await?;
    let claimed = rows
        .first()
        .map(|row| Claimed::from_query_result(row, ""))
        .transpose()?;
    Ok(claimed.map(Claimed::claim))
}

/// Gives a claim back. A claim that somebody else holds by now stays as it is.
pub async fn release(store: &Store, id: &CaseId, fence: i64) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::LeaseOwner, Option::<String>::None.into())
        .col_expr(Column::LeaseUntil, Option::<i64>::None.into())
        .filter(Column::Id.eq(id.as_str()))
        .filter(Column::Fence.eq(fence))
        .exec(store.conn())
        .await?;
    Ok(())
}

/// The earliest instant after `now` at which something falls due: a case, a row of the inbox, a notification. Leases do
/// not count.
pub async fn next_due(store: &Store, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
    let sql = "SELECT MIN(due_at) FROM (\
         SELECT MIN(next_action_at) AS due_at FROM cases WHERE closed_at IS NULL AND next_action_at > $1 \
         UNION ALL SELECT MIN(next_at) FROM inbox WHERE ended_at IS NULL AND next_at > $1 \
         UNION ALL SELECT MIN(next_at) FROM notifications WHERE status = 'pending' AND next_at > $1) AS dues";
    let rows = store.query(sql, [now.as_millisecond().into()]).await?;
    let millis = match rows.first() {
        Some(row) => row.try_get_by_index::<Option<i64>>(0)?,
        None => None,
    };
    let row = Row {
        table: "cases",
        id: "next due",
    };
    row.maybe_instant("next_action_at", millis)
}

/// Cases, newest first.
pub async fn list<C: ConnectionTrait>(conn: &C, filter: &CaseFilter) -> Result<Vec<Case>, StoreError> {
    let words = [
        (Column::Status, filter.status.map(Status::as_str)),
        (Column::CustomerId, filter.customer_id.as_deref()),
        (Column::InvoiceId, filter.invoice_id.as_deref()),
        (Column::DeclineKind, filter.decline_kind.map(DeclineKind::as_str)),
        (Column::Connection, filter.connection.as_deref()),
    ];
    let mut query = Entity::find();
    for (column, word) in words {
        if let Some(word) = word {
            query = query.filter(column.eq(word));
        }
    }
    if let Some(cursor) = &filter.cursor {
        query = query.filter(Column::Id.lt(cursor.as_str()));
    }
    let rows = query.order_by_desc(Column::Id).limit(filter.limit).all(conn).await?;
    rows.into_iter().map(codec::decode).collect()
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

const DUE: Queue = Queue {
    table: "cases",
    due: "closed_at IS NULL AND next_action_at <= $1",
    order: "next_action_at, id",
    also_set: ", fence = fence + 1",
    returning: "id, next_action_at, fence",
};

#[derive(FromQueryResult)]
struct Claimed {
    id: String,
    next_action_at: Option<i64>,
    fence: i64,
}

impl Claimed {
    fn claim(self) -> Claim {
        Claim {
            id: CaseId::from(self.id),
            fence: self.fence,
        }
    }
}
