//! Who can be written to: in the simulated world an address that refused us belongs to one customer, whose cases know it.

use async_trait::async_trait;
use recoup::domain::ids::{CaseId, NotificationId};
use recoup::domain::suppression::{SuppressionScope, SuppressionWhy};
use recoup::store::notifications::NotificationRow;
use recoup::store::suppressions::NewSuppression;
use recoup::store::{Reach, StoreError};

use super::Port;

#[async_trait]
impl Reach for Port {
    async fn suppressed(&self, _: &str, _: SuppressionScope) -> Result<Option<SuppressionWhy>, StoreError> {
        Ok(None)
    }

    async fn is_excluded(&self, _: &str, _: &str) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn excludes(&self, _: &CaseId) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn suppress(&self, _: NewSuppression<'_>) -> Result<(), StoreError> {
        Ok(())
    }

    async fn untouch(&self, _: &NotificationId) -> Result<(), StoreError> {
        Ok(())
    }

    async fn notification(&self, _: &NotificationId) -> Result<Option<NotificationRow>, StoreError> {
        unreachable!("the simulated mail server sends no reports")
    }
}
