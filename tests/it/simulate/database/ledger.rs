//! The model of the ledger: what moved for which case and under which reference, and what it comes to.

use std::collections::BTreeMap;

use recoup::domain::case::Case;
use recoup::domain::ids::{CaseId, TransferId};
use recoup::domain::ledger::{Account, Transfer, TransferKind};
use recoup::domain::money::Money;
use recoup::store::StoreError;
use recoup::store::changes::{CaseChange, RowWrite};
use recoup::store::drift::Faults;

/// One transfer as it was booked.
#[derive(Clone, Debug)]
pub struct Moved {
    pub case: CaseId,
    pub kind: TransferKind,
    pub debit: Account,
    pub minor: i64,
    pub reference: String,
    /// Whether the reference is a charge of the provider that no other case claims.
    pub is_charge: bool,
}

/// What the transfers of a case come to.
#[derive(Debug, Default)]
struct Sums {
    receivable: i64,
    /// That part of it which is money that came twice.
    over: i64,
    late: i64,
    /// The same by the table of late money.
    late_money: i64,
    contested: bool,
}

#[derive(Debug, Default)]
pub struct Ledger {
    pub moved: Vec<Moved>,
    owners: BTreeMap<String, CaseId>,
    sums: BTreeMap<CaseId, Sums>,
}

impl Ledger {
    /// A name of ours is booked once.
    pub fn check(&self, change: &CaseChange) -> Result<(), StoreError> {
        let twice = change.rows.iter().find_map(|row| match row {
            RowWrite::Book(_, transfer) if !transfer.is_charge => transfer.reference.as_ref(),
            _ => None,
        });
        match twice.filter(|name| self.owners.contains_key(*name)) {
            Some(name) => Err(StoreError::Conflict(format!("ledger_reference_once: {name}"))),
            None => Ok(()),
        }
    }

    /// Whether a reference is on the books.
    pub fn knows(&self, reference: &str) -> bool {
        self.owners.contains_key(reference)
    }

    pub fn book(&mut self, case: &Case, id: &TransferId, transfer: Transfer) {
        let Transfer {
            kind,
            mut debit,
            credit,
            amount,
            reference,
            mut is_charge,
        } = transfer;
        let mut reference = reference.unwrap_or_else(|| id.to_string());
        if is_charge && let Some(other) = self.owners.get(&reference) {
            let closes = matches!(kind, TransferKind::Payment | TransferKind::LateRecovery);
            if *other == case.id && !closes {
                return;
            }
            reference = format!("contested:{reference}:{}", case.id);
            debit = Account::Suspense;
            is_charge = false;
            if credit == debit || self.knows(&reference) {
                return;
            }
            self.sums.entry(case.id.clone()).or_default().contested = true;
        }
        let minor = amount.amount_minor;
        let sums = self.sums.entry(case.id.clone()).or_default();
        for (account, signed) in [(debit, minor), (credit, -minor)] {
            if account == Account::Receivable {
                sums.receivable += signed;
                sums.over += if kind == TransferKind::Overpayment { signed } else { 0 };
            }
        }
        if matches!(
            kind,
            TransferKind::LateRecovery | TransferKind::Refund | TransferKind::Dispute
        ) {
            sums.late += minor;
        }
        self.owners.entry(reference.clone()).or_insert_with(|| case.id.clone());
        self.moved.push(Moved {
            case: case.id.clone(),
            kind,
            debit,
            minor,
            reference,
            is_charge,
        });
    }

    pub fn late(&mut self, case: &CaseId, amount: Money) {
        self.sums.entry(case.clone()).or_default().late_money += amount.amount_minor;
    }

    /// What is wrong with the books of a case.
    pub fn faults(&self, case: &Case) -> Faults {
        let none = Sums::default();
        let sums = self.sums.get(&case.id).unwrap_or(&none);
        let is_owed = case.closed_at.is_none() && case.reversal_of.is_none();
        let owed = if is_owed { case.amount_due.amount_minor } else { 0 };
        Faults {
            unbalanced: false,
            receivable: sums.receivable - sums.over != owed,
            late: sums.late != sums.late_money,
            contested: sums.contested,
            overpaid: sums.receivable < 0,
        }
    }
}
