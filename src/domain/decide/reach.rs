//! Whether the customer can be written to, and where.

use serde_json::json;

use super::Draft;
use crate::domain::case::{Case, State, Warning};
use crate::domain::command::{Command, Decision, EntryKind, Reason};
use crate::domain::message::Message;

/// Ends the step of a message that goes to the second address because the first one refused it.
const AGAIN: &str = ":alternate";
/// Stands before the number of a final notice that announces a moved end.
const ANEW: &str = ":anew";

/// The step of the campaign that a message belongs to, whichever address it goes to and however often it comes.
pub fn step_of(step: &str) -> &str {
    let step = step.strip_suffix(AGAIN).unwrap_or(step);
    let numbered = step.rsplit_once(ANEW);
    let numbered =
        numbered.filter(|(_, number)| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()));
    numbered.map_or(step, |(step, _)| step)
}

/// What the next message of a step is queued as: a case receives each step once, but for the notice of an end that was moved.
pub(super) fn queued_as(case: &Case, key: &str, message: Message) -> String {
    match case.memory.announced_anew {
        moved if moved > 0 && message == Message::FinalNotice => format!("{key}{ANEW}{moved}"),
        _ => key.to_owned(),
    }
}

/// An address refuses our mail for good. From the first address messages move to the second one, where there is one; else a person
/// should know.
pub(super) fn bounced(mut draft: Draft<'_>, address: &str, notice: Option<&(Message, String)>) -> Decision {
    match &draft.case.state {
        State::Closed { .. } => return bounced_after_the_end(draft, address, notice),
        State::Active
        | State::Charging { .. }
        | State::InDoubt { .. }
        | State::Processing { .. }
        | State::Paused { .. }
        | State::NeedsPerson
        | State::Ending { .. } => {}
    }
    if !draft.case.address().is_some_and(|used| is_same(used, address)) {
        // News of an address that is not written to any more.
        return Decision::Ignored(Reason::NothingNew);
    }
    if !may_move(&draft, address) {
        draft.warn(
            Warning::MailBounced,
            "The customer's address refuses our mail; no more is sent to it.",
        );
        if notice.is_some() {
            draft.tell_staff(Message::StaffMailBounced);
        }
        return draft.done();
    }
    move_on(&mut draft);
    if let Some((message, step)) = notice {
        again(&mut draft, *message, step);
        draft.tell_staff(Message::StaffMailBounced);
    }
    draft.done()
}

/// A closed case stays as it ended. The word of how it ended is told at the second address all the same.
fn bounced_after_the_end(mut draft: Draft<'_>, address: &str, notice: Option<&(Message, String)>) -> Decision {
    let last_word = notice.filter(|(message, _)| message.is_last_word());
    let is_used = draft.case.address().is_some_and(|used| is_same(used, address));
    let Some((message, step)) = last_word.filter(|_| is_used && may_move(&draft, address)) else {
        return Decision::Ignored(Reason::CaseClosed);
    };
    move_on(&mut draft);
    queue_again(&mut draft, *message, step);
    draft.done()
}

/// Whether there is a second address to turn to from one that refuses our mail.
fn may_move(draft: &Draft<'_>, address: &str) -> bool {
    let second = draft.case.contact.alternate.as_deref();
    !draft.case.memory.address_bounced && second.is_some_and(|second| !is_same(second, address))
}

fn move_on(draft: &mut Draft<'_>) {
    draft.case.memory.address_bounced = true;
    draft.say(
        EntryKind::ContactChanged,
        "The customer's address refuses our mail; messages go to the alternate address from now on.",
        json!({"to": "alternate"}),
    );
}

/// Sends the refused message once more, unless a later one has taken its place.
fn again(draft: &mut Draft<'_>, message: Message, step: &str) {
    // What staff were told is no message to the customer.
    let mut done = draft.case.memory.steps_done.iter().rev();
    let is_last = done
        .find(|step| !Message::is_step_of_day(step))
        .is_some_and(|last| last == step);
    if is_last && !(draft.case.memory.reminders_stopped && message.is_reminder()) {
        queue_again(draft, message, step);
    }
}

fn queue_again(draft: &mut Draft<'_>, message: Message, step: &str) {
    let step = format!("{step}{AGAIN}");
    draft.case.notifications = draft.case.notifications.saturating_add(1);
    draft.say(
        EntryKind::NoticeQueued,
        format!("The message {message} was queued again, to the alternate address."),
        json!({"message": message, "step": step, "reason": null}),
    );
    let due_at = draft.now();
    draft.commands.push(Command::Notify { message, step, due_at });
}

/// Staff took an address off the list of those that are not written to.
pub(super) fn reachable(mut draft: Draft<'_>, address: &str) -> Decision {
    match &draft.case.state {
        State::Closed { .. } => return Decision::Ignored(Reason::CaseClosed),
        State::Active
        | State::Charging { .. }
        | State::InDoubt { .. }
        | State::Processing { .. }
        | State::Paused { .. }
        | State::NeedsPerson
        | State::Ending { .. } => {}
    }
    let contact = &draft.case.contact;
    let is = |known: Option<&str>| known.is_some_and(|known| is_same(known, address));
    let (first, second) = (is(contact.email.as_deref()), is(contact.alternate.as_deref()));
    let was_refused = draft.case.memory.address_bounced || draft.case.warnings.contains(&Warning::MailBounced);
    if !was_refused || !(first || second) {
        return Decision::Ignored(Reason::NothingNew);
    }
    draft.case.memory.address_bounced &= !first;
    draft.case.unwarn(Warning::MailBounced);
    draft.say(
        EntryKind::ContactChanged,
        "The customer's address is written to again.",
        json!({}),
    );
    draft.done()
}

/// Takes in the addresses as they are now. What is known of an old one says nothing of a new one.
pub(super) fn moved(draft: &mut Draft<'_>, email: Option<String>, alternate: Option<String>) {
    let contact = &mut draft.case.contact;
    let (first, second) = (contact.email != email, contact.alternate != alternate);
    contact.email = email;
    contact.alternate = alternate;
    if first {
        draft.case.memory.address_bounced = false;
        draft.case.unwarn(Warning::NoAddress);
    }
    if first || second {
        draft.case.unwarn(Warning::MailBounced);
    }
}

fn is_same(one: &str, other: &str) -> bool {
    one.trim().to_lowercase() == other.trim().to_lowercase()
}
