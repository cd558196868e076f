//! Messages to customers that belong to no case, because nothing has failed yet. They leave as all [`letters`](super::letters) do.

use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};

use super::entity::courtesies::{Column, Entity, Model};
use super::lease::{Queue, decoded};
use super::notifications::NotificationStatus;
use super::row::{Row, to_json};
use super::{Lease, Store, StoreError};
use crate::domain::ids::NotificationId;
use crate::domain::message::Message;
use crate::domain::money::Money;

const TABLE: &str = "courtesies";

const DUE: Queue = Queue {
    table: TABLE,
    key: "id",
    part: None,
    due: "status = 'pending' AND next_at <= $1",
    order: "next_at, id",
    also_set: "",
    returning: "*",
};

/// What such a message tells, beside what is read anew when it leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CourtesyFacts {
    /// When the charge is made that it is about.
    pub charge_at: Timestamp,
    /// What is charged.
    pub amount: Money,
    /// What is paid for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A message to queue, due at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCourtesy {
    /// The id of its row.
    pub id: NotificationId,
    /// The connection of the customer.
    pub connection: String,
    /// The customer.
    pub customer_id: String,
    /// The subscription it is about.
    pub subscription_id: String,
    /// The end of the period it is about.
    pub period_ends_at: Timestamp,
    /// The message.
    pub message: Message,
    /// What it tells.
    pub facts: CourtesyFacts,
    /// The present instant.
    pub at: Timestamp,
}

/// A message that belongs to no case.
#[derive(Clone, PartialEq, Eq)]
pub struct CourtesyRow {
    /// Its id.
    pub id: NotificationId,
    /// The connection of the customer.
    pub connection: String,
    /// The customer.
    pub customer_id: String,
    /// The subscription it is about.
    pub subscription_id: String,
    /// The message.
    pub message: Message,
    /// What it tells.
    pub facts: CourtesyFacts,
    /// How it stands.
    pub status: NotificationStatus,
    /// Where it went, once it was rendered.
    pub recipient: Option<String>,
    /// The locale it was rendered in.
    pub locale: Option<String>,
    /// The rendered subject.
    pub subject: Option<String>,
    /// The rendered text.
    pub body_text: Option<String>,
    /// The rendered HTML.
    pub body_html: Option<String>,
    /// When it was queued.
    pub queued_at: Timestamp,
    /// When it is due.
    pub next_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How often it was tried in vain.
    pub tries: u32,
    /// Why it stands as it does.
    pub reason: Option<String>,
}

impl fmt::Debug for CourtesyRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CourtesyRow")
            .field("id", &self.id)
            .field("message", &self.message)
            .field("status", &self.status)
            .field("next_at", &self.next_at)
            .finish_non_exhaustive()
    }
}

/// What the engine asks of a database for messages to customers that belong to no case, beside what it asks for every letter.
#[async_trait]
pub trait Courtesies: Send + Sync {
    /// Queues a message; says no where this one was queued for this period before.
    async fn queue_courtesy(&self, new: &NewCourtesy) -> Result<bool, StoreError>;

    /// Claims at most `limit` messages that are due at `now`, longest due first.
    async fn claim_courtesies(
        &self,
        now: Timestamp,
        limit: u64,
        lease: Lease<'_>,
    ) -> Result<Vec<CourtesyRow>, StoreError>;
}

#[async_trait]
impl Courtesies for Store {
    async fn queue_courtesy(&self, new: &NewCourtesy) -> Result<bool, StoreError> {
        let sql = "INSERT INTO courtesies (id, connection, customer_id, subscription_id, period_ends_at, message, facts, \
                   status, queued_at, next_at) VALUES ($1, $2, $3, $4, $5, $6, $7, 'pending', $8, $8) ON CONFLICT DO NOTHING";
        let values = [
            new.id.as_str().into(),
            new.connection.as_str().into(),
            new.customer_id.as_str().into(),
            new.subscription_id.as_str().into(),
            new.period_ends_at.as_millisecond().into(),
            new.message.as_str().into(),
            to_json(&new.facts)?.into(),
            new.at.as_millisecond().into(),
        ];
        self.write_one(sql, values).await
    }

    async fn claim_courtesies(
        &self,
        now: Timestamp,
        limit: u64,
        lease: Lease<'_>,
    ) -> Result<Vec<CourtesyRow>, StoreError> {
        let rows = DUE.claim(self, now, limit, lease.secs, lease.owner).await?;
        let mut claimed = decoded(&rows, |row| decode(Model::from_query_result(row, "")?));
        claimed.sort_by(|a, b| (a.next_at, &a.id).cmp(&(b.next_at, &b.id)));
        Ok(claimed)
    }
}

/// Messages that belong to no case, newest first: at most `limit` after `cursor`, of one customer where one is named.
pub async fn list<C: ConnectionTrait>(
    conn: &C,
    customer: Option<&str>,
    cursor: Option<&NotificationId>,
    limit: u64,
) -> Result<Vec<CourtesyRow>, StoreError> {
    let mut query = Entity::find();
    if let Some(customer) = customer {
        query = query.filter(Column::CustomerId.eq(customer));
    }
    if let Some(cursor) = cursor {
        query = query.filter(Column::Id.lt(cursor.as_str()));
    }
    let rows = query.order_by_desc(Column::Id).limit(limit).all(conn).await?;
    rows.into_iter().map(decode).collect()
}

fn decode(model: Model) -> Result<CourtesyRow, StoreError> {
    let row = Row {
        table: TABLE,
        id: &model.id,
    };
    Ok(CourtesyRow {
        connection: model.connection,
        customer_id: model.customer_id,
        subscription_id: model.subscription_id,
        message: row.word("message", &model.message)?,
        facts: row.json("facts", &model.facts)?,
        status: row.word("status", &model.status)?,
        recipient: model.recipient,
        locale: model.locale,
        subject: model.subject,
        body_text: model.body_text,
        body_html: model.body_html,
        queued_at: row.instant("queued_at", model.queued_at)?,
        next_at: row.instant("next_at", model.next_at)?,
        ended_at: row.maybe_instant("ended_at", model.ended_at)?,
        tries: row.count("tries", model.tries)?,
        reason: model.reason,
        id: NotificationId::from(model.id.clone()),
    })
}
