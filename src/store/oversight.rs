//! What reconciliation asks of a database, beside the work on cases: what stands still, and whether the books are right.

use async_trait::async_trait;
use jiff::Timestamp;

use super::drift::{self, BooksPage, ChainCheck, OpenCase, OpenSince, Overdue};
use super::{Store, StoreError, idempotency, ledger};
use crate::domain::ids::CaseId;

/// The part of the port that only reads, but for `free_leases` and `purge`, which change nothing that a case depends on.
#[async_trait]
pub trait Oversight: Send + Sync {
    /// At most `limit` attempts that stand open since before `before`, longest first.
    async fn open_attempts(&self, before: Timestamp, limit: u64) -> Result<Vec<OpenSince>, StoreError>;

    /// At most `limit` open cases that follow `after` in the order of ids and were not written since `untouched_since`.
    async fn open_cases(
        &self,
        after: Option<&CaseId>,
        untouched_since: Timestamp,
        limit: u64,
    ) -> Result<Vec<OpenCase>, StoreError>;

    /// Those of the charges, each with its customer, that are not on the books although the customer has a case that is open
    /// or ended after `since`.
    async fn unknown_charges(
        &self,
        connection: &str,
        charges: &[(String, String)],
        since: Timestamp,
    ) -> Result<Vec<String>, StoreError>;

    /// How many rows of each queue fell due before `before` and still wait.
    async fn overdue(&self, before: Timestamp) -> Result<Overdue, StoreError>;

    /// Frees rows whose lease no worker can hold: it ended more than ten times its length of `lease_secs` ago, or ends later
    /// than a lease lasts. Says how many kept due work from being done.
    async fn free_leases(&self, now: Timestamp, lease_secs: u32) -> Result<u64, StoreError>;

    /// Checks the books of at most `limit` cases that follow `after` in the order of ids.
    async fn check_books(&self, after: Option<&CaseId>, limit: u64) -> Result<BooksPage, StoreError>;

    /// How many events were received after `from` and up to `to`, by connection.
    async fn events_received(&self, from: Timestamp, to: Timestamp) -> Result<Vec<(String, u64)>, StoreError>;

    /// Checks the chain over the whole audit log.
    async fn check_chain(&self) -> Result<ChainCheck, StoreError>;

    /// The database's own time.
    async fn database_now(&self) -> Result<Timestamp, StoreError>;

    /// What tells this database from a copy of it.
    async fn birthmark(&self) -> Result<String, StoreError>;

    /// Forgets the answers to requests from before `before`; says how many.
    async fn purge(&self, before: Timestamp) -> Result<u64, StoreError>;

    /// Makes room for the months that come, and lets go of what was kept for long enough.
    async fn tidy(&self, now: Timestamp) -> Result<(), StoreError>;
}

#[async_trait]
impl Oversight for Store {
    async fn open_attempts(&self, before: Timestamp, limit: u64) -> Result<Vec<OpenSince>, StoreError> {
        drift::open_attempts(self, before, limit).await
    }

    async fn open_cases(
        &self,
        after: Option<&CaseId>,
        untouched_since: Timestamp,
        limit: u64,
    ) -> Result<Vec<OpenCase>, StoreError> {
        drift::open_cases(self, after, untouched_since, limit).await
    }

    async fn unknown_charges(
        &self,
        connection: &str,
        charges: &[(String, String)],
        since: Timestamp,
    ) -> Result<Vec<String>, StoreError> {
        ledger::unknown_charges(self, connection, charges, since).await
    }

    async fn overdue(&self, before: Timestamp) -> Result<Overdue, StoreError> {
        drift::overdue(self, before).await
    }

    async fn free_leases(&self, now: Timestamp, lease_secs: u32) -> Result<u64, StoreError> {
        drift::free_leases(self, now, lease_secs).await
    }

    async fn check_books(&self, after: Option<&CaseId>, limit: u64) -> Result<BooksPage, StoreError> {
        drift::check_books(self, after, limit).await
    }

    async fn events_received(&self, from: Timestamp, to: Timestamp) -> Result<Vec<(String, u64)>, StoreError> {
        drift::events_received(self, from, to).await
    }

    async fn check_chain(&self) -> Result<ChainCheck, StoreError> {
        drift::check_chain(self).await
    }

    async fn database_now(&self) -> Result<Timestamp, StoreError> {
        drift::database_now(self).await
    }

    async fn birthmark(&self) -> Result<String, StoreError> {
        drift::birthmark(self).await
    }

    async fn purge(&self, before: Timestamp) -> Result<u64, StoreError> {
        idempotency::purge(self, before).await
    }

    async fn tidy(&self, now: Timestamp) -> Result<(), StoreError> {
        self.make_months(now).await?;
        self.forget(now).await?;
        Ok(())
    }
}
