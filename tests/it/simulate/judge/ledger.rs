//! Our ledger against the provider's own book: each charge that took money is on it, once, and it names no other.

use recoup::domain::ledger::{Account, TransferKind};
use recoup::domain::outcome::{Outcome, RecoveredBy};

use super::breaks;
use crate::simulate::books::{Charge, Fate, Invoice};
use crate::simulate::database::Moved;
use crate::simulate::state::{DAY, State};

/// The charges are read every day; what is younger, or what an outage kept from being read, may be missing.
const READ_WITHIN: i64 = 2 * DAY;

pub fn ledger(state: &mut State) {
    if let Some(wrong) = invented(state) {
        return breaks(state, "I8 the ledger names the provider's charges only", &wrong);
    }
    if let Some(wrong) = paid_twice(state) {
        return breaks(state, "I1 a receivable below zero", &wrong);
    }
    if let Some(wrong) = missing(state) {
        breaks(state, "I8 each charge is on the ledger", &wrong);
    }
}

fn took(charge: &Charge) -> bool {
    charge.fate == Fate::Succeeded
}

/// A transfer in the name of a charge that took no money of this invoice, or another amount.
fn invented(state: &State) -> Option<String> {
    let named = state.db.ledger.moved.iter().filter(|moved| moved.is_charge);
    for moved in named {
        let invoice = &state.db.cases[&moved.case].case.invoice_id;
        let invoice = &state.books.invoices[state.books.by_name[invoice]];
        let charge = invoice
            .charges
            .iter()
            .filter(|charge| took(charge))
            .find(|one| one.id == moved.reference);
        // What a credit left of the invoice while a slow charge of all of it was under way: the rest is not the invoice's.
        // And what was paid back of a charge before we heard of it.
        let fits = |charge: &&Charge| {
            let kept = charge.minor - charge.refunded;
            [charge.minor, invoice.minor.min(charge.minor), kept].contains(&moved.minor)
        };
        if !charge.as_ref().is_some_and(fits) {
            return Some(format!("{moved:?}, but {charge:?}"));
        }
    }
    None
}

/// A receivable below zero says that an invoice was paid twice. The provider's book must say so too, which it cannot where
/// the provider refuses to be paid again; or staff marked as paid what the customer then paid.
fn paid_twice(state: &State) -> Option<String> {
    let cases = state.db.cases.values();
    let mut overpaid = cases.filter(|row| state.db.ledger.faults(&row.case).overpaid);
    let wrong = overpaid.find(|row| {
        let invoice = &state.books.invoices[state.books.by_name[&row.case.invoice_id]];
        let by = RecoveredBy::OutOfBand;
        let elsewhere = row.case.outcome() == Some(Outcome::Recovered { by });
        let charges = invoice.charges.iter().filter(|charge| took(charge)).count() + usize::from(elsewhere);
        charges < 2 || state.books.conditional && !elsewhere
    });
    wrong.map(|row| format!("{} of {}", row.case.id, row.case.invoice_id))
}

/// More charges that took money for an invoice while it was chased, or later, than transfers that name them or hold their
/// money without a name. The list of charges goes by when they were made and is read for three days, so one that takes
/// longer to succeed may be missing.
fn missing(state: &State) -> Option<String> {
    let slow = |invoice: &Invoice| invoice.charges.iter().any(|charge| charge.was_slow);
    let chased = |invoice: &Invoice, charge: &Charge| {
        let mut cases = state.db.cases_of(&invoice.id);
        cases.any(|row| row.case.opened_at.as_millisecond() <= charge.at && row.case.reversal_of.is_none())
    };
    for invoice in state.books.invoices.iter().filter(|invoice| !slow(invoice)) {
        let charges = invoice.charges.iter().filter(|charge| took(charge));
        let old = charges.filter(|charge| charge.at < state.now - READ_WITHIN);
        let missing = old.filter(|charge| !state.db.ledger.knows(&charge.id) && chased(invoice, charge));
        let missing: Vec<_> = missing.collect();
        if missing.len() > nameless(state, invoice) {
            return Some(format!("{missing:?} of {}", invoice.id));
        }
    }
    None
}

/// How many payments of an invoice are on the ledger without a name.
fn nameless(state: &State, invoice: &Invoice) -> usize {
    let of = |moved: &&Moved| state.db.cases[&moved.case].case.invoice_id == invoice.id;
    let moved = || state.db.ledger.moved.iter().filter(of);
    let suspended = moved().filter(|moved| moved.debit == Account::Suspense).count();
    let named = moved().filter(|moved| moved.kind == TransferKind::Named).count();
    suspended.saturating_sub(named)
}
