//! A new payment method or a new address.

use jiff::Timestamp;
use serde_json::json;

use super::close::notify_at;
use super::doubt::SKEW_SECS;
use super::{Draft, reach};
use crate::domain::calendar::{self, secs_from};
use crate::domain::case::{Contact, State, Trigger};
use crate::domain::command::{Decision, EntryKind, Reason};
use crate::domain::decline::Disposition;
use crate::domain::instrument::Instrument;
use crate::domain::message::Message;

/// How long the charge of a new payment method has to settle the case before the customer hears that the method was taken.
const CONFIRM_SECS: i64 = 3600;

/// A payment method that was seen.
pub struct Seen<'a> {
    /// Its name, where the provider names it.
    pub method: Option<&'a str>,
    /// The stable name of the card.
    pub fingerprint: Option<&'a str>,
    /// What stands behind it, as far as that is told.
    pub instrument: Option<&'a Instrument>,
    /// Whether it is a known one with new data.
    pub renewed: bool,
    /// When it changed, where that is told.
    pub at: Option<Timestamp>,
}

/// The customer has a new or renewed payment method.
pub fn changed(mut draft: Draft<'_>, seen: &Seen<'_>) -> Decision {
    match &draft.case.state {
        State::Closed { .. } => return Decision::Ignored(Reason::CaseClosed),
        State::Ending { .. } => return Decision::Ignored(Reason::FinalActionRunning),
        State::Active
        | State::Charging { .. }
        | State::InDoubt { .. }
        | State::Processing { .. }
        | State::Paused { .. }
        | State::NeedsPerson => take(&mut draft, seen),
    }
    draft.done()
}

/// Takes the method in, and plans one immediate charge of it where nothing forbids that.
pub fn take(draft: &mut Draft<'_>, seen: &Seen<'_>) {
    let Seen {
        method,
        fingerprint,
        instrument,
        renewed,
        at,
    } = *seen;
    let memory = &draft.case.memory;
    if memory.bars(fingerprint) {
        barred(draft, method);
        return;
    }
    // News that somebody brings again: the new data was charged since.
    let charged = memory.charged_method.as_deref();
    let same = charged.is_none() || method.is_none() || charged == method;
    let since = at.is_some_and(|at| memory.last_charge_at > Some(secs_from(at, SKEW_SECS)));
    if renewed && same && since {
        return;
    }
    let nothing_new = match method {
        Some(method) => {
            let known = memory.new_method.as_deref() == Some(method);
            !renewed && (known || memory.declined_methods.iter().any(|declined| declined == method))
        }
        // Which one was renewed is not told; where the last must never be charged again, it could be that one.
        None => !renewed || draft.case.decline.disposition == Disposition::Never,
    };
    if nothing_new {
        return;
    }
    let memory = &mut draft.case.memory;
    if renewed {
        memory
            .declined_methods
            .retain(|declined| Some(declined.as_str()) != method);
    }
    memory.new_method = method.map(str::to_owned).or_else(|| memory.new_method.take());
    if method.is_some() {
        memory.new_instrument = instrument.cloned();
    }
    let text = if renewed {
        "A payment method got new data."
    } else {
        "The customer has a new payment method."
    };
    draft.say(
        EntryKind::MethodChanged,
        text,
        json!({"payment_method": method, "renewed": renewed}),
    );
    if !renewed && method.is_some() {
        confirm(draft);
    }
    if super::open::provider_collects(&draft.case) {
        return;
    }
    match draft.case.state {
        State::Active => draft.charge_now(Trigger::CardUpdate),
        // Remembered: charged once the open attempt is answered, or the case goes on.
        State::Charging { .. }
        | State::InDoubt { .. }
        | State::Processing { .. }
        | State::Paused { .. }
        | State::NeedsPerson
        | State::Ending { .. }
        | State::Closed { .. } => {}
    }
}

/// The customer hears that the new payment method was taken, unless the charge that follows settles the case first.
fn confirm(draft: &mut Draft<'_>) {
    let message = Message::PaymentMethodUpdated;
    let done = &draft.case.memory.steps_done;
    let step = (0..message.times())
        .map(|nth| message.own_step(nth))
        .find(|step| !done.contains(step));
    let step = step.filter(|_| !draft.case.memory.disputed);
    if let Some(step) = step {
        notify_at(draft, message, &step, draft.in_secs(CONFIRM_SECS));
    }
}

/// The card behind a payment method must not be charged again: a charge of it that is planned already is given up.
fn barred(draft: &mut Draft<'_>, method: Option<&str>) {
    let memory = &mut draft.case.memory;
    let news: Vec<String> = method
        .map(str::to_owned)
        .filter(|method| !memory.declined_methods.contains(method))
        .into_iter()
        .collect();
    if news.is_empty() {
        return;
    }
    memory.declined_methods.extend(news);
    let text = "A payment method was added, but it is the card that must not be charged again.";
    let data = json!({"payment_method": method, "barred": true});
    draft.say(EntryKind::MethodChanged, text, data);
    if draft.case.timers.charge_trigger == Some(Trigger::CardUpdate) {
        draft.case.timers.charge_at = None;
        draft.case.timers.charge_trigger = None;
        draft.replan();
    }
}

/// Contact data changed.
pub fn contact_changed(mut draft: Draft<'_>, contact: &Contact, zone: Option<&str>) -> Decision {
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
    // A name that this binary's zone data does not know reads as UTC from here on, visibly.
    let zone = zone.map(|name| calendar::zone(name).iana_name().unwrap_or("UTC").to_owned());
    let new_zone = zone.filter(|zone| *zone != draft.case.zone);
    if draft.case.contact == *contact && new_zone.is_none() {
        return Decision::Ignored(Reason::NothingNew);
    }
    reach::moved(&mut draft, contact.email.clone(), contact.alternate.clone());
    draft.case.contact = contact.clone();
    if let Some(zone) = new_zone {
        draft.case.zone = zone;
    }
    draft.say(
        EntryKind::ContactChanged,
        "The customer's contact data changed.",
        json!({}),
    );
    draft.done()
}
