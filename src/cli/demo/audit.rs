//! The audit: what the service believes, held against the provider's own books.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::domain::case::Case;
use crate::domain::command::LateKind;
use crate::domain::ids::CaseId;
use crate::domain::money::Currency;
use crate::domain::outcome::Status;
use crate::domain::report::Rate;
use crate::sandbox::Books;
use crate::store::cases::CaseFilter;
use crate::store::late::LateRow;
use crate::store::notifications::{NotificationRow, NotificationStatus};
use crate::store::{Store, StoreError, cases, courtesies, late, notifications};

/// How many rows are read at a time.
const PAGE: u64 = 200;

/// The money of one currency, in minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chased {
    /// What was owed on all cases.
    pub owed_minor: i64,
    /// What the recovered ones brought, and what came late.
    pub recovered_minor: i64,
}

/// What an audit found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Invoices whose first charge was refused, by the books.
    pub failures: u64,
    /// Cases.
    pub cases: u64,
    /// Those recovered.
    pub recovered: u64,
    /// Those exhausted.
    pub exhausted: u64,
    /// Those stopped.
    pub stopped: u64,
    /// Charges tried, by the books.
    pub charges: u64,
    /// Invoices charged with success more than once, by the books.
    pub paid_twice: u64,
    /// Messages that left.
    pub mails: u64,
    /// What was chased, by currency.
    pub money: BTreeMap<Currency, Chased>,
    /// The case that shows most: recovered, after the most attempts and messages.
    pub worth_reading: Option<CaseId>,
    /// Where books and cases disagree; each names its invoice or its currency.
    pub faults: Vec<String>,
}

/// The books of one invoice.
#[derive(Default)]
struct Entries {
    failed_first: bool,
    charges: u64,
    paid_at: Vec<Timestamp>,
    paid_minor: i64,
    currency: Option<Currency>,
}

/// Compares every case with the books, and every invoice of the books with the cases.
pub async fn audit(store: &Store, books: &Books) -> Result<Audit, StoreError> {
    let ledger = ledger(books);
    let mut audit = Audit {
        failures: ledger.values().filter(|entries| entries.failed_first).count() as u64,
        charges: books.charges.len() as u64,
        ..Audit::default()
    };
    let mut late: BTreeMap<CaseId, Vec<LateRow>> = BTreeMap::new();
    for row in late::list(store.conn(), Timestamp::MIN, Timestamp::MAX).await? {
        late.entry(row.case_id.clone()).or_default().push(row);
    }
    let mut chased = BTreeSet::new();
    let mut most = 0;
    for case in all_cases(store).await? {
        if !chased.insert(case.invoice_id.clone()) {
            audit
                .faults
                .push(format!("{}: it has more than one case", case.invoice_id));
        }
        let mails = notifications::by_case(store.conn(), &case.id).await?;
        let late = late.remove(&case.id).unwrap_or_default();
        audit.take(&case, ledger.get(&case.invoice_id), &mails, &late);
        let events = case.attempts + case.notifications;
        if case.status() == Status::Recovered && events > most {
            (most, audit.worth_reading) = (events, Some(case.id));
        }
    }
    audit.take_ledger(&ledger, &chased);
    audit.mails += courtesies_sent(store).await?;
    Ok(audit)
}

/// How many messages left that belong to no case.
async fn courtesies_sent(store: &Store) -> Result<u64, StoreError> {
    let (mut sent, mut after) = (0, None);
    loop {
        let rows = courtesies::list(store.conn(), None, after.as_ref(), PAGE).await?;
        let Some(last) = rows.last() else { return Ok(sent) };
        after = Some(last.id.clone());
        sent += rows.iter().filter(|row| row.status == NotificationStatus::Sent).count() as u64;
    }
}

/// `part` of `whole` in percent with one decimal; nothing of nothing.
pub fn percent(part: u64, whole: u64) -> Option<String> {
    let rate = Rate::of_counts(part, whole)?;
    let tenths = (rate.parts_per_10k + 5) / 10;
    Some(format!("{}.{}", tenths / 10, tenths % 10))
}

/// An amount in units of its currency, `1234.50`.
pub fn decimal(amount_minor: i64, currency: Currency) -> String {
    let unit = 10_i64.pow(currency.decimals());
    let (whole, part) = (amount_minor / unit, amount_minor % unit);
    match usize::try_from(currency.decimals()) {
        Ok(decimals) if decimals > 0 => format!("{whole}.{part:0decimals$}"),
        _ => whole.to_string(),
    }
}

fn ledger(books: &Books) -> BTreeMap<String, Entries> {
    let mut ledger: BTreeMap<String, Entries> = BTreeMap::new();
    for charge in &books.charges {
        let entries = ledger.entry(charge.invoice.clone()).or_default();
        entries.failed_first |= entries.charges == 0 && charge.declined.is_some();
        entries.charges += 1;
        entries.currency = Some(charge.amount.currency);
        if charge.declined.is_none() {
            entries.paid_at.push(charge.at);
            entries.paid_minor += charge.amount.amount_minor;
        }
    }
    ledger
}

async fn all_cases(store: &Store) -> Result<Vec<Case>, StoreError> {
    let mut all: Vec<Case> = Vec::new();
    loop {
        let filter = CaseFilter {
            cursor: all.last().map(|case| case.id.clone()),
            limit: PAGE,
            ..CaseFilter::default()
        };
        let page = cases::list(store.conn(), &filter).await?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

impl Audit {
    /// Counts one case, and compares it with the entries of its invoice.
    fn take(&mut self, case: &Case, entries: Option<&Entries>, mails: &[NotificationRow], late: &[LateRow]) {
        self.cases += 1;
        let money = self.money.entry(case.amount_due.currency).or_default();
        money.owed_minor += case.amount_due.amount_minor;
        let mut paid = 0;
        match case.status() {
            Status::Recovered => {
                self.recovered += 1;
                paid += case.amount_due.amount_minor;
            }
            Status::Exhausted => self.exhausted += 1,
            Status::Stopped => self.stopped += 1,
            Status::Open => {}
        }
        let came_late = late.iter().filter(|row| row.kind == LateKind::LateRecovery);
        paid += came_late.map(|row| row.amount.amount_minor).sum::<i64>();
        money.recovered_minor += paid;
        let invoice = &case.invoice_id;
        let Some(entries) = entries else {
            self.faults
                .push(format!("{invoice}: it has a case, but the books do not know it"));
            return;
        };
        if !entries.failed_first {
            self.faults
                .push(format!("{invoice}: it has a case, but its first charge succeeded"));
        }
        if entries.paid_minor != paid {
            let (booked, status) = (entries.paid_minor, case.status());
            self.faults.push(format!(
                "{invoice}: the books hold {booked} minor units of it, its case ({status}) {paid}"
            ));
        }
        for mail in mails.iter().filter(|mail| mail.status == NotificationStatus::Sent) {
            self.mails += 1;
            let after = |paid_at: &Timestamp| mail.ended_at.is_some_and(|at| at > *paid_at);
            if mail.message.is_of_open_invoice() && entries.paid_at.first().is_some_and(after) {
                let message = mail.message;
                self.faults.push(format!("{invoice}: {message} left after it was paid"));
            }
        }
    }

    /// Looks for what the cases do not tell of.
    fn take_ledger(&mut self, ledger: &BTreeMap<String, Entries>, chased: &BTreeSet<String>) {
        let mut booked: BTreeMap<Currency, i64> = BTreeMap::new();
        for (invoice, entries) in ledger {
            if entries.failed_first && !chased.contains(invoice) {
                self.faults
                    .push(format!("{invoice}: its first charge failed, but it has no case"));
            }
            if entries.paid_at.len() > 1 {
                self.paid_twice += 1;
                self.faults
                    .push(format!("{invoice}: it was paid {} times", entries.paid_at.len()));
            }
            if let (true, Some(currency)) = (entries.failed_first, entries.currency) {
                *booked.entry(currency).or_default() += entries.paid_minor;
            }
        }
        for (currency, money) in &self.money {
            let booked = booked.get(currency).copied().unwrap_or(0);
            let ours = money.recovered_minor;
            if booked != ours {
                self.faults.push(format!(
                    "{currency}: the books hold {booked} recovered minor units, the cases {ours}"
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_for_people() {
        assert_eq!(percent(2, 3).as_deref(), Some("66.7"));
        assert_eq!(percent(5, 5).as_deref(), Some("100.0"));
        assert_eq!(percent(0, 0), None);
        let decimal = |minor, code: &str| decimal(minor, code.parse().unwrap());
        assert_eq!(decimal(123_405, "EUR"), "1234.05");
        assert_eq!(decimal(1_500, "JPY"), "1500");
        assert_eq!(decimal(7, "KWD"), "0.007");
    }
}
