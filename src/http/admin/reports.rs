//! Reports: aggregates without personal data.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::domain::report::CaseFact;
use crate::http::HttpState;
use crate::http::error::Problem;
use crate::store::{ledger, reports};

pub(super) mod answers;
pub(in crate::http) mod asked;
pub(super) mod compliance;
pub(super) mod recovery;
mod table;
pub(in crate::http) mod uplift;
mod uplift_table;

/// What the report needs to know of the cases opened from `from` on and before `to`.
pub(in crate::http) async fn facts(
    state: &HttpState,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<CaseFact>, Problem> {
    let conn = state.reports.conn();
    let rows = reports::recovery_rows(conn, from, to).await?;
    let mut late = HashMap::<_, Vec<_>>::new();
    for row in reports::late_rows(conn, from, to).await? {
        late.entry(row.case_id)
            .or_default()
            .push((row.kind, row.amount.amount_minor));
    }
    let paid = ledger::recovered(conn, from, to).await?;
    let facts = rows.into_iter().filter(|row| row.reversal_of.is_none());
    let facts = facts.map(|row| {
        let recovered_minor = paid.get(&row.case_id).copied().unwrap_or(0);
        let late = late.remove(&row.case_id).unwrap_or_default();
        row.fact(recovered_minor, late)
    });
    Ok(facts.collect())
}
