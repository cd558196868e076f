//! Money that comes after the end, and money that is taken back: booked once, and no outcome ever changes.

use serde_json::json;

use super::close::{close, unlearn};
use super::doubt::to_person;
use super::{Draft, books, look};
use crate::domain::case::{State, Warning};
use crate::domain::command::{Command, Decision, EntryKind, LateKind, Reason};
use crate::domain::ids::AttemptId;
use crate::domain::money::Money;
use crate::domain::outcome::{Outcome, RecoveredBy, StoppedWhy};
use crate::domain::snapshot::{InvoiceStatus, Snapshot};

/// Closes the case as recovered, by `charge` where it is known. What the customer disputed or got back during the open
/// attempt follows at once.
pub fn recovered(draft: &mut Draft<'_>, by: RecoveredBy, charge: Option<String>) {
    draft.case.memory.paid_charge = charge.filter(|_| by != RecoveredBy::OutOfBand);
    close(draft, Outcome::Recovered { by });
    let refunded = std::mem::take(&mut draft.case.memory.refund_pending_minor);
    if refunded > 0 {
        book_refund(draft, refunded);
    }
    if draft.case.memory.disputed {
        book_dispute(draft, true);
    }
}

/// Closes the case as recovered by what a snapshot shows. The invoice may have become smaller since it was read last, so
/// that what came is what was owed in the end.
pub fn seen_paid(draft: &mut Draft<'_>, by: RecoveredBy, snapshot: &Snapshot) {
    if let Some(came) = draft.case.paid_since(snapshot) {
        look::absorb_amount(draft, came);
    }
    recovered(draft, by, snapshot.paying_charge());
}

/// A closed case whose invoice was read again.
pub fn looked(draft: Draft<'_>, outcome: Outcome, snapshot: &Snapshot) -> Decision {
    if snapshot.status != InvoiceStatus::Paid {
        return Decision::Ignored(Reason::CaseClosed);
    }
    match snapshot.paying_charge() {
        Some(charge) if books::wants_name(&draft.case, outcome) => books::name(draft, &charge),
        charge => {
            let came = draft.case.paid_since(snapshot).unwrap_or(draft.case.amount_due);
            paid(draft, outcome, charge, came)
        }
    }
}

/// `amount` came for a case that has ended: booked once, where the case had ended without.
pub fn paid(mut draft: Draft<'_>, outcome: Outcome, charge: Option<String>, amount: Money) -> Decision {
    let without_money = match outcome {
        Outcome::Recovered { .. } => false,
        // The invoice of a reversal has been paid all along; it is the dispute that took the money back.
        Outcome::Exhausted { .. } | Outcome::Stopped { .. } => draft.case.reversal_of.is_none(),
    };
    if !without_money || draft.case.memory.late_money {
        return Decision::Ignored(Reason::CaseClosed);
    }
    draft.case.memory.late_money = true;
    draft.case.memory.late_minor = Some(amount.amount_minor);
    draft.case.memory.paid_charge = charge;
    draft.say(
        EntryKind::LateRecovery,
        "The invoice was paid after the case had ended; the outcome stays.",
        json!({ "amount": amount }),
    );
    draft.commands.push(Command::BookLate {
        kind: LateKind::LateRecovery,
        amount,
    });
    draft.commands.push(Command::SupersedeNotices {
        reason: Reason::CaseClosed,
    });
    draft.done()
}

/// The customer disputes a charge of the invoice.
pub fn disputed(mut draft: Draft<'_>) -> Decision {
    match &draft.case.state {
        State::Active | State::Paused { .. } | State::NeedsPerson | State::Ending { .. } => {
            close(
                &mut draft,
                Outcome::Stopped {
                    why: StoppedWhy::Disputed,
                },
            );
        }
        State::Charging { .. } | State::InDoubt { .. } | State::Processing { .. } => {
            draft.case.memory.disputed = true;
            draft.case.memory.look_again = true;
        }
        State::Closed { outcome } => {
            let recovered = is_recovered(*outcome);
            if draft.case.memory.reversed || !(recovered || draft.case.memory.late_money) {
                return Decision::Ignored(Reason::CaseClosed);
            }
            book_dispute(&mut draft, recovered);
        }
    }
    draft.done()
}

/// Money of the invoice was paid back, `amount` in all: only what is more than we know of is news.
pub fn refunded(mut draft: Draft<'_>, amount: Money) -> Decision {
    let news = amount
        .amount_minor
        .saturating_sub(draft.case.memory.refunded_minor)
        .max(0);
    let known = draft.case.memory.refunded_minor.saturating_add(news);
    match &draft.case.state {
        State::Closed { outcome } => {
            let booked = is_recovered(*outcome) || draft.case.memory.late_money;
            if !booked || draft.case.memory.reversed || news == 0 {
                return Decision::Ignored(Reason::CaseClosed);
            }
            book_refund(&mut draft, news);
        }
        State::Active
        | State::Charging { .. }
        | State::InDoubt { .. }
        | State::Processing { .. }
        | State::Paused { .. }
        | State::NeedsPerson
        | State::Ending { .. }
            if news == 0 =>
        {
            return Decision::Ignored(Reason::NothingNew);
        }
        State::Active | State::Paused { .. } => hold(&mut draft),
        State::NeedsPerson | State::Ending { .. } => {
            draft.warn(Warning::RefundSeen, "Money of this invoice was paid back.");
        }
        State::Charging { .. } | State::InDoubt { .. } | State::Processing { .. } => {
            draft.warn(Warning::RefundSeen, "Money of this invoice was paid back.");
            let memory = &mut draft.case.memory;
            memory.refund_pending_minor = memory.refund_pending_minor.saturating_add(news);
            memory.look_again = true;
        }
    }
    draft.case.memory.refunded_minor = known;
    draft.done()
}

/// Money was paid back while the invoice is still owed: nothing is charged or written until a person has decided.
pub fn hold(draft: &mut Draft<'_>) {
    to_person(draft);
    draft.commands.push(Command::SupersedeNotices {
        reason: Reason::NeedsPerson,
    });
    draft.warn(
        Warning::RefundSeen,
        "Money of this invoice was paid back; a person must decide.",
    );
}

/// A charge that we had taken for lost brought the money after all: a true answer is welcome however late.
pub fn late_success(mut draft: Draft<'_>, id: &AttemptId, charge_id: Option<&str>) -> Decision {
    let memory = &mut draft.case.memory;
    let trigger = memory.unclear.as_ref().filter(|attempt| attempt.id == *id);
    let by = trigger.map_or(RecoveredBy::Retry, look::recovered_by);
    let amount = trigger.map_or(draft.case.amount_due, |attempt| attempt.amount);
    if let Some(charge) = charge_id.filter(|charge| !memory.known_charges.iter().any(|known| known == charge)) {
        memory.known_charges.push(charge.to_owned());
    }
    match &draft.case.state {
        State::Closed { outcome } => {
            let outcome = *outcome;
            return match charge_id {
                Some(charge) => books::came_after_the_end(draft, outcome, charge, amount),
                None => paid(draft, outcome, None, amount),
            };
        }
        // Another charge is open: it is answered first, and the invoice is read again then.
        State::Charging { .. } | State::Processing { attempt: Some(_), .. } => draft.case.memory.look_again = true,
        State::InDoubt { .. } => draft.case.timers.look_at = Some(draft.now()),
        State::Active
        | State::Processing { attempt: None, .. }
        | State::Paused { .. }
        | State::NeedsPerson
        | State::Ending { .. } => {
            draft.say(
                EntryKind::AttemptAnswered,
                "A charge that could not be resolved before brought the money.",
                json!({"attempt": id, "charge": charge_id}),
            );
            recovered(&mut draft, by, charge_id.map(str::to_owned));
        }
    }
    draft.done()
}

fn is_recovered(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Recovered { .. } => true,
        Outcome::Exhausted { .. } | Outcome::Stopped { .. } => false,
    }
}

fn book_refund(draft: &mut Draft<'_>, minor: i64) {
    let amount = Money::new(minor, draft.case.amount_due.currency);
    draft.say(
        EntryKind::Reversal,
        "Money was paid back to the customer.",
        json!({ "amount": amount }),
    );
    draft.commands.push(Command::BookLate {
        kind: LateKind::Refund,
        amount,
    });
}

/// What came and is not paid back yet is taken back; a case that was recovered gets a linked one.
fn book_dispute(draft: &mut Draft<'_>, linked: bool) {
    let due = draft.case.amount_due;
    let came_minor = draft.case.memory.late_minor.unwrap_or(due.amount_minor);
    let left = came_minor.saturating_sub(draft.case.memory.refunded_minor).max(0);
    draft.case.memory.reversed = true;
    unlearn(draft);
    draft.say(
        EntryKind::Reversal,
        "The customer disputes the payment.",
        json!({"kind": LateKind::Dispute}),
    );
    draft.commands.push(Command::BookLate {
        kind: LateKind::Dispute,
        amount: Money::new(left, due.currency),
    });
    if linked {
        draft.commands.push(Command::OpenReversal);
    }
}

/// What waited for the attempt to be answered without money: a dispute, a refund, a hint to look again.
pub fn settle(draft: &mut Draft<'_>) {
    if draft.case.memory.disputed {
        close(
            draft,
            Outcome::Stopped {
                why: StoppedWhy::Disputed,
            },
        );
        return;
    }
    if draft.case.memory.excluded {
        close(draft, Outcome::Stopped { why: StoppedWhy::Staff });
        return;
    }
    let again = std::mem::take(&mut draft.case.memory.look_again);
    if std::mem::take(&mut draft.case.memory.refund_pending_minor) > 0 {
        hold(draft);
    } else if again {
        draft.case.timers.look_at = Some(draft.now());
    }
}
