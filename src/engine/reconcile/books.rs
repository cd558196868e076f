//! The ledger and the audit log, checked as a whole.

use crate::domain::event::Event;
use crate::engine::Inner;
use crate::engine::handle::{ENGINE, Handled, handle};
use crate::store::StoreError;

/// The cases that are checked with one statement.
const PAGE: u64 = 500;

/// The books of every case. A case whose books cannot be right goes to a person, once.
pub(super) async fn ledger(inner: &Inner) -> Result<u64, StoreError> {
    let mut found = 0;
    let mut after = None;
    loop {
        let page = inner.storage.check_books(after.as_ref(), PAGE).await?;
        for (id, faults) in &page.wrong {
            if !faults.any() {
                continue;
            }
            let event = Event::BooksDisagree {
                what: "The ledger does not fit with this case; nothing is charged until a person has decided."
                    .to_owned(),
            };
            let news = matches!(handle(inner, id, event, ENGINE).await?, Handled::Changed(_));
            if news || faults.unbalanced || faults.receivable || faults.late {
                tracing::error!(case_id = %id, ?faults, "the ledger does not fit with a case");
                found += 1;
            }
        }
        if page.last.is_none() || inner.is_stopping() {
            return Ok(found);
        }
        after = page.last;
    }
}

/// The chain over the audit log. Its last hash is logged: kept with the logs, it shows a chain that was written anew.
pub(super) async fn chain(inner: &Inner) -> Result<u64, StoreError> {
    let check = inner.storage.check_chain().await?;
    match &check.broken {
        None => {
            tracing::info!(entries = check.length, head = check.head, "the audit log is whole");
            Ok(0)
        }
        Some(broken) => {
            tracing::error!(broken, "the audit log was tampered with");
            Ok(1)
        }
    }
}
