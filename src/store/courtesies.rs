//! Messages to customers that belong to no case, because nothing has failed yet. They leave by the same rules as those of a case:
//! committed as `sending` before any byte leaves, and never sent again where nobody knows what became of them.

use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};

use super::entity::courtesies::{Column, Entity, Model};
use super::lease::{Queue, decoded};
use super::notifications::{Back, NotificationStatus, Rendered, back_in, start_in};
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

/// How such a message ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CourtesyEnd {
    /// The message.
    pub id: NotificationId,
    /// How it ended.
    pub status: NotificationStatus,
    /// Why.
    pub reason: Option<String>,
    /// Only where it was being sent and the lease of its sender has run out.
    pub only_stranded: bool,
    /// The present instant.
    pub at: Timestamp,
}

/// What the engine asks of a database for messages that belong to no case.
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

    /// At most `limit` messages that were being sent when the lease of their sender ran out.
    async fn stranded_courtesies(&self, limit: u64) -> Result<Vec<NotificationId>, StoreError>;

    /// Commits the words of a claimed message and that it is about to leave. Says no where it is not ours to send any more.
    async fn start_courtesy(&self, id: &NotificationId, rendered: Rendered<'_>) -> Result<bool, StoreError>;

    /// Puts a message off that was not sent; `tried` says whether the mail server was asked.
    async fn put_courtesy_back(
        &self,
        id: &NotificationId,
        next_at: Timestamp,
        reason: &str,
        tried: bool,
    ) -> Result<(), StoreError>;

    /// Writes how a message ended; says whether that was news. Only what has not left can be held back.
    async fn end_courtesy(&self, end: &CourtesyEnd) -> Result<bool, StoreError>;
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

    async fn stranded_courtesies(&self, limit: u64) -> Result<Vec<NotificationId>, StoreError> {
        let sql = format!(
            "SELECT id FROM courtesies WHERE status = 'sending' AND lease_until <= {} ORDER BY lease_until, id LIMIT $1",
            self.dialect.now_ms()
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.query(&sql, [limit.into()]).await?;
        rows.iter()
            .map(|row| Ok(NotificationId::from(row.try_get_by_index::<String>(0)?)))
            .collect()
    }

    async fn start_courtesy(&self, id: &NotificationId, rendered: Rendered<'_>) -> Result<bool, StoreError> {
        start_in(TABLE, self.conn(), id, rendered).await
    }

    async fn put_courtesy_back(
        &self,
        id: &NotificationId,
        next_at: Timestamp,
        reason: &str,
        tried: bool,
    ) -> Result<(), StoreError> {
        let back = if tried {
            Back::tried(next_at, reason)
        } else {
            Back::untried(next_at, reason)
        };
        back_in(TABLE, self.conn(), id, back).await?;
        Ok(())
    }

    async fn end_courtesy(&self, end: &CourtesyEnd) -> Result<bool, StoreError> {
        let held_back = matches!(
            end.status,
            NotificationStatus::Superseded | NotificationStatus::Suppressed
        );
        let is_news = match (end.only_stranded, held_back) {
            (true, _) => format!("status = 'sending' AND lease_until <= {}", self.dialect.now_ms()),
            (false, true) => "status = 'pending'".to_owned(),
            // A late true answer also settles an unknown one.
            (false, false) => "status IN ('pending', 'sending', 'unknown')".to_owned(),
        };
        let sql = format!(
            "UPDATE courtesies SET status = $2, reason = $3, ended_at = $4, lease_owner = NULL, lease_until = NULL \
             WHERE id = $1 AND {is_news}"
        );
        let values = [
            end.id.as_str().into(),
            end.status.as_str().into(),
            end.reason.clone().into(),
            end.at.as_millisecond().into(),
        ];
        self.write_one(&sql, values).await
    }
}

impl Store {
    async fn write_one<const N: usize>(&self, sql: &str, values: [sea_orm::Value; N]) -> Result<bool, StoreError> {
        let _turn = self.turn().await?;
        let done = self.conn().execute_raw(self.statement(sql, values)).await?;
        Ok(done.rows_affected() == 1)
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
