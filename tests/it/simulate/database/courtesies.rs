//! Messages that belong to no case: this world announces no renewals, so there are none.

use async_trait::async_trait;
use jiff::Timestamp;
use recoup::domain::ids::NotificationId;
use recoup::store::courtesies::{CourtesyEnd, CourtesyRow, NewCourtesy};
use recoup::store::notifications::Rendered;
use recoup::store::{Courtesies, Lease, StoreError};

use super::Port;

#[async_trait]
impl Courtesies for Port {
    async fn queue_courtesy(&self, _: &NewCourtesy) -> Result<bool, StoreError> {
        unreachable!("no renewal is announced")
    }

    async fn claim_courtesies(&self, _: Timestamp, _: u64, _: Lease<'_>) -> Result<Vec<CourtesyRow>, StoreError> {
        Ok(Vec::new())
    }

    async fn stranded_courtesies(&self, _: u64) -> Result<Vec<NotificationId>, StoreError> {
        Ok(Vec::new())
    }

    async fn start_courtesy(&self, _: &NotificationId, _: Rendered<'_>) -> Result<bool, StoreError> {
        unreachable!("no renewal is announced")
    }

    async fn put_courtesy_back(&self, _: &NotificationId, _: Timestamp, _: &str, _: bool) -> Result<(), StoreError> {
        unreachable!("no renewal is announced")
    }

    async fn end_courtesy(&self, _: &CourtesyEnd) -> Result<bool, StoreError> {
        unreachable!("no renewal is announced")
    }
}
