//! How far cases got beyond what their tables tell: that the customer used the page. The rest of `report_funnel` is written by the
//! database itself, whoever writes messages and timelines.

use jiff::Timestamp;
use sea_orm::ConnectionTrait;

use super::{Store, StoreError};
use crate::domain::ids::CaseId;

/// Notes that the customer of a case used the page behind the links; the first time counts.
pub async fn clicked(store: &Store, case: &CaseId, now: Timestamp) -> Result<(), StoreError> {
    let sql = "INSERT INTO report_funnel (case_id, clicked_at) VALUES ($1, $2) ON CONFLICT (case_id) DO UPDATE SET \
               clicked_at = COALESCE(report_funnel.clicked_at, excluded.clicked_at)";
    let tx = store.begin().await?;
    let values = [case.as_str().into(), now.as_millisecond().into()];
    tx.conn().execute_raw(tx.statement(sql, values)).await?;
    tx.commit().await
}
