//! What a decision needs to know of instruments.

use jiff::Timestamp;

use super::target::Target;
use crate::domain::case::{Case, State};
use crate::domain::event::{Answer, Event};
use crate::domain::instrument::Instrument;
use crate::domain::snapshot::Snapshot;

/// The keys of the instruments that a decision over the event may charge, or plan charges of. Whatever is not told of by these
/// was never tried, as far as the decision knows.
pub fn instruments_asked(case: &Case, event: &Event, now: Timestamp) -> Vec<String> {
    let memory = &case.memory;
    let told: Vec<Option<&Instrument>> = match event {
        Event::Looked { snapshot, .. } if is_quiet(case, snapshot, now) => return Vec::new(),
        Event::Looked { snapshot, .. } => {
            let default = snapshot.default_method.as_ref();
            let payment = snapshot.payment.as_ref();
            vec![
                default.and_then(|method| method.instrument.as_ref()),
                payment.and_then(|payment| payment.instrument.as_ref()),
            ]
        }
        Event::Answered {
            answer: Answer::Declined { instrument, .. },
            ..
        }
        | Event::MethodChanged { instrument, .. } => vec![instrument.as_ref()],
        Event::Answered { .. } | Event::Staff { .. } => Vec::new(),
        Event::OutOfReach { .. }
        | Event::InvoiceMissing
        | Event::Finished
        | Event::FinishRefused { .. }
        | Event::ContactChanged { .. }
        | Event::Disputed
        | Event::Refunded { .. }
        | Event::Bounced { .. }
        | Event::Reachable { .. }
        | Event::FinalNoticeWaits { .. }
        | Event::Subscribed { .. }
        | Event::Customer(_)
        | Event::ChargeFound { .. }
        | Event::BooksDisagree { .. }
        | Event::AttemptStray { .. }
        | Event::Restored => return Vec::new(),
    };
    let known = [memory.instrument.as_ref(), memory.new_instrument.as_ref()];
    let mut keys: Vec<String> = told
        .into_iter()
        .chain(known)
        .flatten()
        .map(|instrument| instrument.key.clone())
        .chain(memory.new_method.clone())
        .collect();
    if keys.is_empty() {
        keys.push(Instrument::of_case(&case.id).key);
    }
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// The group whose bank a decision may ask for money: what a charge that is due would go to.
pub fn bank_asked(case: &Case, event: &Event, now: Timestamp) -> Option<String> {
    let Event::Looked { snapshot, .. } = event else {
        return None;
    };
    let is_due = event.is_due_look() && case.timers.charge_at.is_some_and(|at| at <= now);
    is_due.then(|| Target::of(case, snapshot).instrument.group())
}

/// Whether nothing is charged or planned by a look: no charge is due, and the payment tells nothing new.
fn is_quiet(case: &Case, snapshot: &Snapshot, now: Timestamp) -> bool {
    let memory = &case.memory;
    let is_due = case.timers.charge_at.is_some_and(|at| at <= now);
    let payment_is_known = snapshot.payment.as_ref().is_none_or(|payment| {
        let charge = payment.charge_id.as_ref();
        let decline = payment.decline.as_ref();
        charge.is_none_or(|charge| memory.known_charges.contains(charge))
            && decline.is_none_or(|decline| *decline == case.decline)
    });
    let method_is_known = snapshot.default_method.as_ref().is_none_or(|method| {
        memory.declined_methods.contains(&method.id) && !memory.bars(method.fingerprint.as_deref())
    });
    matches!(case.state, State::Active) && !is_due && payment_is_known && method_is_known
}
