//! An invoice that staff puts in: the event of its failure was lost, or came before this service was there.

use super::handle::{Hand, Opened, put_in};
use super::{Engine, detached};
use crate::domain::case::Case;
use crate::domain::decide::NoCase;
use crate::domain::ids::CaseId;
use crate::providers::ReadError;
use crate::store::StoreError;

/// Why an invoice that staff puts in gets no case.
#[derive(Debug, thiserror::Error)]
pub enum NotPutIn {
    /// There is no such connection.
    #[error("there is no such connection")]
    NoConnection,
    /// It has a case.
    #[error("it has the case {0}")]
    Chased(CaseId),
    /// Its customer is excluded.
    #[error("its customer is excluded")]
    Excluded,
    /// It needs none, or must have none.
    #[error("it gets no case: {0}")]
    None(NoCase),
    /// The provider could not tell of it.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Engine {
    /// Whether there is a connection of that name.
    pub fn has_connection(&self, name: &str) -> bool {
        self.inner.connections.contains_key(name)
    }

    /// The names of the connections.
    pub fn connections(&self) -> Vec<&str> {
        self.inner.connections.keys().map(String::as_str).collect()
    }

    /// Reads an invoice at the provider and opens a case for it, where it is owed, its charge failed, and it has none.
    pub async fn put_in(
        &self,
        connection: &str,
        invoice_id: &str,
        actor: &str,
        comment: Option<String>,
    ) -> Result<Case, NotPutIn> {
        let (engine, connection, invoice_id) = (self.clone(), connection.to_owned(), invoice_id.to_owned());
        let by = Hand {
            actor: actor.to_owned(),
            comment,
        };
        // A caller that goes away must not take along the changes of others that share its transaction.
        let work = async move { engine.read_and_open(&connection, &invoice_id, by).await };
        let case = detached(&self.inner.clock, work).await?;
        self.nudge();
        Ok(case)
    }

    async fn read_and_open(&self, connection: &str, invoice_id: &str, by: Hand) -> Result<Case, NotPutIn> {
        let inner = &*self.inner;
        let connection = inner.connections.get(connection).ok_or(NotPutIn::NoConnection)?;
        if let Some(id) = inner.storage.case_of_invoice(&connection.name, invoice_id).await? {
            return Err(NotPutIn::Chased(id));
        }
        let snapshot = inner.snapshot(connection, invoice_id).await?;
        if inner
            .storage
            .is_excluded(&connection.name, &snapshot.customer_id)
            .await?
        {
            return Err(NotPutIn::Excluded);
        }
        let opened = put_in(inner, connection, &snapshot, by).await?;
        let id = inner
            .storage
            .case_of_invoice(&connection.name, &snapshot.invoice_id)
            .await?;
        let case = match &id {
            Some(id) => inner.storage.case(id).await?,
            None => None,
        };
        match (opened, id, case) {
            (Opened::New, _, Some(case)) => Ok(case),
            (Opened::None(reason), ..) => Err(NotPutIn::None(reason)),
            (Opened::Exists, Some(id), _) => Err(NotPutIn::Chased(id)),
            (Opened::New | Opened::Exists, ..) => {
                Err(StoreError::Unavailable("the case was not found".to_owned()).into())
            }
        }
    }
}
