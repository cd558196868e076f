//! Messages that belong to no case: this world announces no renewals, and each week has its digest already, so there are none.

use async_trait::async_trait;
use jiff::Timestamp;
use recoup::domain::ids::NotificationId;
use recoup::domain::report::digest::{Dated, Span};
use recoup::store::courtesies::{CourtesyRow, NewCourtesy};
use recoup::store::digests::{DigestRow, NewDigest};
use recoup::store::letters::{Drawer, LetterEnd};
use recoup::store::notifications::Rendered;
use recoup::store::{Courtesies, Digests, Lease, Letters, StoreError};

use super::Port;

#[async_trait]
impl Courtesies for Port {
    async fn queue_courtesy(&self, _: &NewCourtesy) -> Result<bool, StoreError> {
        unreachable!("no renewal is announced")
    }

    async fn claim_courtesies(&self, _: Timestamp, _: u64, _: Lease<'_>) -> Result<Vec<CourtesyRow>, StoreError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl Letters for Port {
    async fn stranded_letters(&self, _: Drawer, _: u64) -> Result<Vec<NotificationId>, StoreError> {
        Ok(Vec::new())
    }

    async fn start_letter(&self, _: Drawer, _: &NotificationId, _: Rendered<'_>) -> Result<bool, StoreError> {
        unreachable!("there are no letters")
    }

    async fn put_letter_back(
        &self,
        _: Drawer,
        _: &NotificationId,
        _: Timestamp,
        _: &str,
        _: bool,
    ) -> Result<(), StoreError> {
        unreachable!("there are no letters")
    }

    async fn end_letter(&self, _: Drawer, _: &LetterEnd) -> Result<bool, StoreError> {
        unreachable!("there are no letters")
    }
}

#[async_trait]
impl Digests for Port {
    async fn has_digest(&self, _: &str) -> Result<bool, StoreError> {
        Ok(true)
    }

    async fn digest_cases(&self, _: Span) -> Result<Vec<Dated>, StoreError> {
        unreachable!("each week has its digest")
    }

    async fn undelivered(&self, _: Timestamp, _: Timestamp) -> Result<u64, StoreError> {
        unreachable!("each week has its digest")
    }

    async fn queue_digest(&self, _: &NewDigest<'_>) -> Result<bool, StoreError> {
        unreachable!("each week has its digest")
    }

    async fn claim_digests(&self, _: Timestamp, _: u64, _: Lease<'_>) -> Result<Vec<DigestRow>, StoreError> {
        Ok(Vec::new())
    }
}
