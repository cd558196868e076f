//! Messages that belong to no case. They leave by the same rules as those of a case: committed as `sending` before any byte leaves,
//! and never sent again where nobody knows what became of them.

use async_trait::async_trait;
use jiff::Timestamp;
use sea_orm::ConnectionTrait;

use super::notifications::{Back, NotificationStatus, Rendered, back_in, start_in};
use super::{Store, StoreError};
use crate::domain::ids::NotificationId;

/// The table that such a message lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drawer {
    /// Messages to customers about something else than a failed charge.
    Courtesies,
    /// Weekly digests to staff.
    Digests,
}

impl Drawer {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Courtesies, Self::Digests];

    pub(super) const fn table(self) -> &'static str {
        match self {
            Self::Courtesies => "courtesies",
            Self::Digests => "digests",
        }
    }
}

/// How such a message ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterEnd {
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

/// What the engine asks of a database for every message that belongs to no case.
#[async_trait]
pub trait Letters: Send + Sync {
    /// At most `limit` messages that were being sent when the lease of their sender ran out.
    async fn stranded_letters(&self, of: Drawer, limit: u64) -> Result<Vec<NotificationId>, StoreError>;

    /// Commits the words of a claimed message and that it is about to leave. Says no where it is not ours to send any more.
    async fn start_letter(&self, of: Drawer, id: &NotificationId, rendered: Rendered<'_>) -> Result<bool, StoreError>;

    /// Puts a message off that was not sent; `tried` says whether the mail server was asked.
    async fn put_letter_back(
        &self,
        of: Drawer,
        id: &NotificationId,
        next_at: Timestamp,
        reason: &str,
        tried: bool,
    ) -> Result<(), StoreError>;

    /// Writes how a message ended; says whether that was news. Only what has not left can be held back.
    async fn end_letter(&self, of: Drawer, end: &LetterEnd) -> Result<bool, StoreError>;
}

#[async_trait]
impl Letters for Store {
    async fn stranded_letters(&self, of: Drawer, limit: u64) -> Result<Vec<NotificationId>, StoreError> {
        let sql = format!(
            "SELECT id FROM {} WHERE status = 'sending' AND lease_until <= {} ORDER BY lease_until, id LIMIT $1",
            of.table(),
            self.dialect.now_ms()
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.query(&sql, [limit.into()]).await?;
        rows.iter()
            .map(|row| Ok(NotificationId::from(row.try_get_by_index::<String>(0)?)))
            .collect()
    }

    async fn start_letter(&self, of: Drawer, id: &NotificationId, rendered: Rendered<'_>) -> Result<bool, StoreError> {
        start_in(of.table(), self.conn(), id, rendered).await
    }

    async fn put_letter_back(
        &self,
        of: Drawer,
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
        back_in(of.table(), self.conn(), id, back).await?;
        Ok(())
    }

    async fn end_letter(&self, of: Drawer, end: &LetterEnd) -> Result<bool, StoreError> {
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
            "UPDATE {} SET status = $2, reason = $3, ended_at = $4, lease_owner = NULL, lease_until = NULL \
             WHERE id = $1 AND {is_news}",
            of.table()
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
    /// Runs a statement that writes one row or none; says whether it did.
    pub(super) async fn write_one<const N: usize>(
        &self,
        sql: &str,
        values: [sea_orm::Value; N],
    ) -> Result<bool, StoreError> {
        let _turn = self.turn().await?;
        let done = self.conn().execute_raw(self.statement(sql, values)).await?;
        Ok(done.rows_affected() == 1)
    }
}
