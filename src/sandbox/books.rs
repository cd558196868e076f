//! The world's own ledger, for tests to compare with what the service believes.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::domain::money::Money;

/// Who had a charge made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChargedBy {
    /// The billing run, at the start of a period.
    Renewal,
    /// The provider's own retry.
    Provider,
    /// A call of the API.
    Api,
    /// The customer, on the hosted page.
    Customer,
}

/// One charge that the world really tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargeEntry {
    /// The charge's id.
    pub charge: String,
    /// The invoice it was for.
    pub invoice: String,
    /// The fingerprint of the card.
    pub fingerprint: String,
    /// When.
    pub at: Timestamp,
    /// What was asked.
    pub amount: Money,
    /// The decline code; nothing where the money was taken.
    pub declined: Option<String>,
    /// Who had it made.
    pub by: ChargedBy,
    /// The Idempotency-Key of the call.
    pub idempotency_key: Option<String>,
}

/// Everything that moved money, or tried to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// Every charge, in the order of time.
    pub charges: Vec<ChargeEntry>,
    /// What was paid on each invoice by charges, minor units; never more than the invoice where nothing is wrong.
    pub paid_minor: BTreeMap<String, i64>,
    /// What was settled outside of the provider on each invoice, minor units.
    pub out_of_band_minor: BTreeMap<String, i64>,
    /// What was given back on each invoice, minor units.
    pub refunded_minor: BTreeMap<String, i64>,
}

impl Books {
    pub(super) fn enter(&mut self, entry: ChargeEntry) {
        if entry.declined.is_none() {
            *self.paid_minor.entry(entry.invoice.clone()).or_default() += entry.amount.amount_minor;
        }
        self.charges.push(entry);
    }

    /// How many charges of the invoice succeeded; two mean that somebody paid twice.
    pub fn successes(&self, invoice: &str) -> usize {
        self.charges_of(invoice)
            .filter(|entry| entry.declined.is_none())
            .count()
    }

    /// The charges of one invoice, in the order of time.
    pub fn charges_of<'a>(&'a self, invoice: &'a str) -> impl Iterator<Item = &'a ChargeEntry> {
        self.charges.iter().filter(move |entry| entry.invoice == invoice)
    }

    /// The invoices whose first charge failed: those that need recovery.
    pub fn failed_first(&self) -> Vec<&str> {
        let mut seen = std::collections::BTreeSet::new();
        let mut failed = Vec::new();
        for entry in &self.charges {
            if seen.insert(entry.invoice.as_str()) && entry.declined.is_some() {
                failed.push(entry.invoice.as_str());
            }
        }
        failed
    }
}
