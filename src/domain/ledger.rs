//! The books: what each change of a case moves, as transfers between accounts in minor units.
//!
//! An open case has what it is owed on `receivable`, a closed one nothing: whatever ends it moves that amount to where
//! the money is, or to `given_up`. So a receivable below zero says that an invoice was paid more than once, whoever did.

use super::case::Case;
use super::command::{Command, LateKind};
use super::ids::CaseId;
use super::money::Money;
use super::outcome::{ExhaustedThen, Outcome, RecoveredBy, StoppedWhy};
use super::words::words;

words! {
    /// Where an amount stands.
    Account {
        /// What customers owe on the invoices that are chased.
        Receivable = "receivable",
        /// What was invoiced, the other side of what is owed.
        Invoiced = "invoiced",
        /// Money that the provider took, by charges known by name.
        ProviderClearing = "provider_clearing",
        /// Money that came outside the provider.
        Elsewhere = "elsewhere",
        /// Money that came, and whose charge is not known or is claimed twice.
        Suspense = "suspense",
        /// What is not chased any more.
        GivenUp = "given_up",
        /// What was paid back to customers or is disputed by them.
        TakenBack = "taken_back",
    }
}

words! {
    /// Why an amount moved.
    TransferKind {
        /// A case was opened.
        Owed = "owed",
        /// What is owed changed.
        Amended = "amended",
        /// The invoice was paid while it was chased.
        Payment = "payment",
        /// The charge behind a payment became known.
        Named = "named",
        /// Money came for an invoice that was paid already.
        Overpayment = "overpayment",
        /// The chase ended without money.
        Abandoned = "abandoned",
        /// The invoice was written off.
        WriteOff = "write_off",
        /// Money came after the chase had ended without.
        LateRecovery = "late_recovery",
        /// Money was paid back.
        Refund = "refund",
        /// Money is disputed.
        Dispute = "dispute",
    }
}

/// One amount that moves from one account to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Why.
    pub kind: TransferKind,
    /// Where it goes.
    pub debit: Account,
    /// Where it comes from.
    pub credit: Account,
    /// How much; above zero.
    pub amount: Money,
    /// What it may be booked for only once on its connection: the provider's charge, or a name of ours. Nothing where the
    /// transfer may be repeated.
    pub reference: Option<String>,
    /// Whether `reference` is a charge of the provider.
    pub is_charge: bool,
}

/// What a change moves. `before` is the case as it was, nothing where it was just opened.
pub fn transfers(before: Option<&Case>, after: &Case, commands: &[Command]) -> Vec<Transfer> {
    let mut moved = Vec::new();
    // The linked case of a reversal tells of money that stands on the case it goes back to.
    if after.reversal_of.is_none() {
        match before {
            None => moved.push(owed(after)),
            Some(before) => moved.extend(amended(before, after)),
        }
        if before.is_none_or(|before| before.outcome().is_none()) {
            moved.extend(after.outcome().map(|outcome| ended(after, outcome)));
        }
    }
    moved.extend(commands.iter().filter_map(|command| commanded(after, command)));
    moved.retain(|transfer| transfer.amount.amount_minor > 0);
    moved
}

fn own(kind: TransferKind, debit: Account, credit: Account, amount: Money, reference: Option<String>) -> Transfer {
    Transfer {
        kind,
        debit,
        credit,
        amount,
        reference,
        is_charge: false,
    }
}

/// A name of ours for what happens once to a case.
fn named(kind: &str, case: &CaseId) -> String {
    format!("{kind}:{case}")
}

fn owed(case: &Case) -> Transfer {
    let reference = named("owed", &case.id);
    own(
        TransferKind::Owed,
        Account::Receivable,
        Account::Invoiced,
        case.amount_due,
        Some(reference),
    )
}

fn amended(before: &Case, after: &Case) -> Vec<Transfer> {
    let (was, is) = (before.amount_due, after.amount_due);
    let more = |amount| {
        own(
            TransferKind::Amended,
            Account::Receivable,
            Account::Invoiced,
            amount,
            None,
        )
    };
    let less = |amount| {
        own(
            TransferKind::Amended,
            Account::Invoiced,
            Account::Receivable,
            amount,
            None,
        )
    };
    if was.currency != is.currency {
        return vec![less(was), more(is)];
    }
    let by = is.amount_minor.saturating_sub(was.amount_minor);
    let amount = Money::new(by.saturating_abs(), is.currency);
    vec![if by > 0 { more(amount) } else { less(amount) }]
}

/// The end of a case takes what it is owed off its receivable.
fn ended(case: &Case, outcome: Outcome) -> Transfer {
    let without = |kind| {
        let reference = named("end", &case.id);
        own(
            kind,
            Account::GivenUp,
            Account::Receivable,
            case.amount_due,
            Some(reference),
        )
    };
    match outcome {
        Outcome::Recovered {
            by: RecoveredBy::OutOfBand,
        } => own(
            TransferKind::Payment,
            Account::Elsewhere,
            Account::Receivable,
            case.amount_due,
            Some(named("end", &case.id)),
        ),
        Outcome::Recovered {
            by: RecoveredBy::Retry | RecoveredBy::ProviderRetry | RecoveredBy::CardUpdate | RecoveredBy::Customer,
        } => came(TransferKind::Payment, case, Account::Receivable, case.amount_due, "end"),
        Outcome::Stopped {
            why: StoppedWhy::WrittenOff,
        }
        | Outcome::Exhausted {
            then: ExhaustedThen::Uncollectible,
            ..
        } => without(TransferKind::WriteOff),
        Outcome::Exhausted {
            then: ExhaustedThen::Cancelled | ExhaustedThen::Unpaid | ExhaustedThen::Paused | ExhaustedThen::LeftOpen,
            ..
        }
        | Outcome::Stopped {
            why:
                StoppedWhy::CustomerCancelled
                | StoppedWhy::Voided
                | StoppedWhy::Disputed
                | StoppedWhy::Staff
                | StoppedWhy::Erased,
        } => without(TransferKind::Abandoned),
    }
}

/// Money that came through the provider: by its charge where that is known, else in suspense until it is.
fn came(kind: TransferKind, case: &Case, from: Account, amount: Money, unnamed: &str) -> Transfer {
    match &case.memory.paid_charge {
        Some(charge) => Transfer {
            is_charge: true,
            ..own(kind, Account::ProviderClearing, from, amount, Some(charge.clone()))
        },
        None => own(kind, Account::Suspense, from, amount, Some(named(unnamed, &case.id))),
    }
}

fn commanded(case: &Case, command: &Command) -> Option<Transfer> {
    match command {
        Command::BookLate { kind, amount } => Some(late(case, *kind, *amount)),
        Command::NamePayment { charge_id, amount } => Some(Transfer {
            is_charge: true,
            ..own(
                TransferKind::Named,
                Account::ProviderClearing,
                Account::Suspense,
                *amount,
                Some(charge_id.clone()),
            )
        }),
        Command::BookOverpayment { charge_id, amount } => Some(Transfer {
            is_charge: true,
            ..own(
                TransferKind::Overpayment,
                Account::ProviderClearing,
                Account::Receivable,
                *amount,
                Some(charge_id.clone()),
            )
        }),
        Command::OpenAttempt { .. }
        | Command::Resend { .. }
        | Command::RecordAttempt { .. }
        | Command::CloseAttempt { .. }
        | Command::Finish
        | Command::Notify { .. }
        | Command::TellStaff { .. }
        | Command::SupersedeNotices { .. }
        | Command::WinBack { .. }
        | Command::Learn(_)
        | Command::Shadow(_)
        | Command::Block { .. }
        | Command::OpenReversal => None,
    }
}

fn late(case: &Case, kind: LateKind, amount: Money) -> Transfer {
    match kind {
        LateKind::LateRecovery => came(TransferKind::LateRecovery, case, Account::GivenUp, amount, "late"),
        LateKind::Refund => {
            // What was paid back in all grows with each refund, and so names it.
            let reference = format!("refund:{}:{}", case.id, case.memory.refunded_minor);
            own(
                TransferKind::Refund,
                Account::TakenBack,
                source(case),
                amount,
                Some(reference),
            )
        }
        LateKind::Dispute => own(
            TransferKind::Dispute,
            Account::TakenBack,
            source(case),
            amount,
            Some(named("dispute", &case.id)),
        ),
    }
}

/// Where the money of a case stands that is taken back.
fn source(case: &Case) -> Account {
    match (&case.memory.paid_charge, case.outcome()) {
        (Some(_), _) => Account::ProviderClearing,
        (
            None,
            Some(Outcome::Recovered {
                by: RecoveredBy::OutOfBand,
            }),
        ) => Account::Elsewhere,
        (None, _) => Account::Suspense,
    }
}
