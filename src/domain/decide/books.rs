//! What reconciliation finds: money, attempts and copies of the past that no event had told of.

use serde_json::json;

use super::doubt::to_person;
use super::plan::plan_notice;
use super::staff::skip_overdue;
use super::{Draft, late};
use crate::domain::case::{Case, State, Warning};
use crate::domain::command::{AttemptStatus, Command, Decision, EntryKind, Reason};
use crate::domain::ids::AttemptId;
use crate::domain::money::Money;
use crate::domain::outcome::{Outcome, RecoveredBy};

/// The provider took money for the invoice, and our books do not know of it.
pub fn charge_found(mut draft: Draft<'_>, charge: &str, amount: Money, invoice_total: Money) -> Decision {
    match &draft.case.state {
        State::Closed { outcome } => {
            let outcome = *outcome;
            // A part that was paid before what was left of the invoice was paid.
            let booked = draft.case.amount_due.amount_minor;
            let named = draft.case.memory.paid_charge.is_some();
            if named && booked.saturating_add(amount.amount_minor) <= invoice_total.amount_minor {
                return Decision::Ignored(Reason::NothingNew);
            }
            came_after_the_end(draft, outcome, charge, amount)
        }
        // Its answer, or the next look, settles it.
        State::Charging { .. } | State::InDoubt { .. } | State::Processing { .. } => {
            Decision::Ignored(Reason::AttemptOpen)
        }
        State::Ending { .. } => Decision::Ignored(Reason::FinalActionRunning),
        State::Active | State::Paused { .. } | State::NeedsPerson => {
            let due = draft.case.amount_due;
            // A part of what was owed; what is left is on the invoice.
            if amount.currency == due.currency && amount.amount_minor < due.amount_minor {
                return Decision::Ignored(Reason::NothingNew);
            }
            let text = "A charge took what is owed, and the invoice is still open: nothing is charged until a person has \
                        decided.";
            doubtful(&mut draft, text);
            draft.done()
        }
    }
}

/// A charge that brought money is told of after the case has ended: it is the one behind a payment that was booked
/// without a name, or late money, or money that came twice.
pub fn came_after_the_end(mut draft: Draft<'_>, outcome: Outcome, charge: &str, amount: Money) -> Decision {
    let memory = &draft.case.memory;
    if memory.paid_charge.as_deref() == Some(charge) {
        return Decision::Ignored(Reason::CaseClosed);
    }
    let recovered = match outcome {
        Outcome::Recovered { .. } => true,
        Outcome::Exhausted { .. } | Outcome::Stopped { .. } => false,
    };
    if !recovered && !memory.late_money {
        return late::paid(draft, outcome, Some(charge.to_owned()), amount);
    }
    if wants_name(&draft.case, outcome) {
        return name(draft, charge);
    }
    if draft.case.memory.extra_charges.iter().any(|known| known == charge) {
        return Decision::Ignored(Reason::CaseClosed);
    }
    draft.case.memory.extra_charges.push(charge.to_owned());
    draft.warn(
        Warning::Overpaid,
        "The invoice was paid more than once; a person must pay back what is too much.",
    );
    draft.say(
        EntryKind::Warned,
        "A further charge brought money for this invoice.",
        json!({"charge": charge, "amount": amount}),
    );
    draft.commands.push(Command::BookOverpayment {
        charge_id: charge.to_owned(),
        amount,
    });
    draft.done()
}

/// Whether money came through the provider and it is not known by which charge.
pub fn wants_name(case: &Case, outcome: Outcome) -> bool {
    let through_provider = match outcome {
        Outcome::Recovered { by } => by != RecoveredBy::OutOfBand,
        Outcome::Exhausted { .. } | Outcome::Stopped { .. } => case.memory.late_money,
    };
    through_provider && case.memory.paid_charge.is_none() && case.reversal_of.is_none()
}

/// The charge behind the money became known.
pub fn name(mut draft: Draft<'_>, charge: &str) -> Decision {
    draft.case.memory.paid_charge = Some(charge.to_owned());
    draft.commands.push(Command::NamePayment {
        charge_id: charge.to_owned(),
        amount: draft.case.amount_due,
    });
    draft.done()
}

/// The books cannot be right: a person looks, and nothing is charged meanwhile.
pub fn disagree(mut draft: Draft<'_>, what: &str) -> Decision {
    if draft.case.warnings.contains(&Warning::BooksDisagree) {
        return Decision::Ignored(Reason::NothingNew);
    }
    doubtful(&mut draft, what);
    draft.done()
}

fn doubtful(draft: &mut Draft<'_>, text: &str) {
    match &draft.case.state {
        State::Active | State::Paused { .. } => {
            to_person(draft);
            draft.commands.push(Command::SupersedeNotices {
                reason: Reason::NeedsPerson,
            });
        }
        // What is under way must end first, and a person is asked already.
        State::Charging { .. }
        | State::InDoubt { .. }
        | State::Processing { .. }
        | State::NeedsPerson
        | State::Ending { .. }
        | State::Closed { .. } => {}
    }
    draft.warn(Warning::BooksDisagree, text);
}

/// An attempt that nobody waits for cannot be answered any more: it ends unresolved, and a person asks the provider.
pub fn stray(mut draft: Draft<'_>, attempt: &AttemptId) -> Decision {
    if draft.case.open_attempt().is_some_and(|open| open.id == *attempt) {
        return Decision::Ignored(Reason::AttemptOpen);
    }
    draft.say(
        EntryKind::AttemptAnswered,
        "An attempt stood open that nobody waited for; a person must ask the provider.",
        json!({"attempt": attempt, "status": AttemptStatus::Unresolved}),
    );
    draft.commands.push(Command::CloseAttempt {
        id: attempt.clone(),
        status: AttemptStatus::Unresolved,
        charge_id: None,
        decline: None,
        instrument: None,
    });
    match &draft.case.state {
        State::Active | State::Paused { .. } => to_person(&mut draft),
        State::Charging { .. }
        | State::InDoubt { .. }
        | State::Processing { .. }
        | State::NeedsPerson
        | State::Ending { .. }
        | State::Closed { .. } => {}
    }
    draft.warn(
        Warning::AttemptUnresolved,
        "An attempt could not be resolved in time; a person must decide.",
    );
    draft.done()
}

/// Messages that fell due since the copy was made have probably left: a customer who gets one twice is worse than one who
/// misses it. Charges need no such rule, for the invoice was read.
pub fn restored(mut draft: Draft<'_>) -> Decision {
    match &draft.case.state {
        State::Closed { .. } => Decision::Ignored(Reason::CaseClosed),
        State::Active
        | State::Charging { .. }
        | State::InDoubt { .. }
        | State::Processing { .. }
        | State::Paused { .. }
        | State::NeedsPerson
        | State::Ending { .. } => {
            let text = "Messages that fell due after the database's copy was made are not sent: they may have left.";
            // The last word may have left as well.
            if skip_overdue(&mut draft, text, |_| true) {
                plan_notice(&mut draft.case, draft.moment.campaign, draft.moment.now);
            }
            draft.done()
        }
    }
}
