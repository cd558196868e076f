//! Whether the books hold together.

use super::{Findings, Verdict};
use crate::store::{Oversight, Store, StoreError};

/// The cases that are checked with one statement.
const PAGE: u64 = 500;
/// The cases that are named at most.
const NAMED: usize = 5;

pub(super) async fn check(store: &Store, findings: &mut Findings) -> Result<(), StoreError> {
    let (mut wrong, mut overpaid, mut checked) = (Vec::new(), Vec::new(), None);
    loop {
        let page = store.check_books(checked.as_ref(), PAGE).await?;
        for (id, faults) in page.wrong {
            if faults.any() {
                wrong.push(id.to_string());
            }
            if faults.overpaid {
                overpaid.push(id.to_string());
            }
        }
        if page.last.is_none() {
            break;
        }
        checked = page.last;
    }
    told(
        findings,
        "ledger",
        &wrong,
        "cases do not fit with the ledger",
        "somebody changed rows by hand, or two cases claim one charge: compare the case's timeline with the provider",
    );
    told(
        findings,
        "overpaid",
        &overpaid,
        "cases were paid more than once",
        "pay back at the provider what came too much",
    );
    let chain = store.check_chain().await?;
    let (verdict, says) = match chain.broken {
        None => (
            Verdict::Good,
            format!("{} entries, the last hash is {}", chain.length, chain.head),
        ),
        Some(broken) => (Verdict::Bad, broken),
    };
    let mend = "somebody changed the audit log: compare it with a backup";
    findings.tell("audit log", verdict, says, mend);
    Ok(())
}

fn told(findings: &mut Findings, check: &'static str, cases: &[String], what: &str, mend: &'static str) {
    let verdict = if cases.is_empty() { Verdict::Good } else { Verdict::Bad };
    let some = &cases[..cases.len().min(NAMED)];
    let named = if some.is_empty() {
        String::new()
    } else {
        format!(": {}", some.join(" "))
    };
    findings.tell(check, verdict, format!("{} {what}{named}", cases.len()), mend);
}
