//! The decider: an exhaustive match over state and event. It never awaits, asks or draws; it is told.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::calendar::{secs_from, written};
use super::case::{Case, Collector, State, Trigger, Warning};
use super::ceiling::Verdict;
use super::command::{Change, Command, Decision, Entry, EntryKind, Moment, Reason};
use super::decline::DeclineKind;
use super::event::Event;
use super::instrument::{Instrument, Tried};
use super::learning::model::{Evidence, Fact};
use super::message::Message;

mod announce;
mod answer;
mod asks;
mod books;
mod close;
pub mod customer;
mod doubt;
mod late;
mod look;
mod method;
mod migrate;
mod open;
pub mod past;
mod plan;
pub mod reach;
pub mod shadow;
mod staff;
mod target;
mod timers;
mod win_back;

pub use asks::{bank_asked, instruments_asked};
pub use open::{NoCase, decline_untold, facts, open, open_excluded, open_reversal, opened_anew};

/// The first wait after the provider was out of reach; it doubles up to the longest.
const BACKOFF_FIRST_SECS: i64 = 60;
/// The longest wait between two tries to reach the provider.
const BACKOFF_LONGEST_SECS: i64 = 3600;
/// How often a case that waits for a person or for a slow payment is looked at.
const DAILY_SECS: i64 = 24 * 3600;
/// After this long an attempt without a clear answer goes to a person.
const UNRESOLVED_SECS: i64 = 72 * 3600;

/// What follows for `case` from `event`.
pub fn decide(case: &Case, event: &Event, moment: &Moment<'_>) -> Decision {
    let draft = Draft::new(case, *moment);
    match event {
        Event::Looked { snapshot, cause } => look::looked(draft, snapshot, *cause),
        Event::OutOfReach {
            reason,
            retry_after,
            refused,
        } => out_of_reach(draft, reason, *retry_after, *refused),
        Event::InvoiceMissing => invoice_missing(draft),
        Event::Answered { attempt, answer } => answer::answered(draft, attempt, answer),
        Event::Finished => close::finished(draft, None),
        Event::FinishRefused { reason } => close::finished(draft, Some(reason)),
        Event::MethodChanged {
            payment_method,
            fingerprint,
            instrument,
            renewed,
            at,
        } => {
            let seen = method::Seen {
                method: payment_method.as_deref(),
                fingerprint: fingerprint.as_deref(),
                instrument: instrument.as_ref(),
                renewed: *renewed,
                at: *at,
            };
            method::changed(draft, &seen)
        }
        Event::ContactChanged { contact, zone } => method::contact_changed(draft, contact, zone.as_deref()),
        Event::Disputed => late::disputed(draft),
        Event::Refunded { amount } => late::refunded(draft, *amount),
        Event::Bounced { address, notice } => reach::bounced(draft, address, notice.as_ref()),
        Event::Reachable { address } => reach::reachable(draft, address),
        Event::FinalNoticeWaits { step, until } => announce::waits(draft, step, *until),
        Event::Subscribed { subscription_id, at } => win_back::subscribed(draft, subscription_id, *at),
        Event::Customer(action) => customer::act(draft, action),
        Event::ChargeFound {
            charge_id,
            amount,
            invoice_total,
        } => books::charge_found(draft, charge_id, *amount, *invoice_total),
        Event::BooksDisagree { what } => books::disagree(draft, what),
        Event::AttemptStray { attempt } => books::stray(draft, attempt),
        Event::Restored => books::restored(draft),
        Event::Staff { action, actor, comment } => staff::act(draft, action, actor, comment.as_deref()),
    }
}

/// A case being changed, with what is to be committed along.
struct Draft<'a> {
    case: Case,
    before: &'a Case,
    entries: Vec<Entry>,
    commands: Vec<Command>,
    moment: Moment<'a>,
    /// Whether what is said leaves the case as it is, so that an act before it can still be taken back.
    is_aside: bool,
}

impl<'a> Draft<'a> {
    fn new(case: &'a Case, moment: Moment<'a>) -> Self {
        Self {
            case: case.clone(),
            before: case,
            entries: Vec::new(),
            commands: Vec::new(),
            moment,
            is_aside: false,
        }
    }

    fn now(&self) -> Timestamp {
        self.moment.now
    }

    fn in_secs(&self, secs: i64) -> Timestamp {
        secs_from(self.moment.now, secs)
    }

    fn say(&mut self, kind: EntryKind, text: impl Into<String>, data: Value) {
        self.entries.push(Entry {
            kind,
            text: text.into(),
            data,
        });
    }

    fn warn(&mut self, warning: Warning, text: impl Into<String>) {
        if !self.case.warnings.contains(&warning) {
            self.case.warn(warning);
            self.say(EntryKind::Warned, text, json!({ "warning": warning }));
        }
    }

    /// Plans the rest of the case anew. A payment method that was never tried is charged first, and so is what staff asked
    /// for and was not done yet.
    fn replan(&mut self) {
        let waiting = self.case.timers.charge_at.and(self.case.timers.charge_trigger);
        let trigger = match waiting {
            Some(Trigger::CardUpdate | Trigger::Staff) => waiting,
            Some(Trigger::Schedule) | None => self.case.fresh_method().then_some(Trigger::CardUpdate),
        };
        let tried = self.tried(self.case.instrument());
        let before = self.moment.shadow.map(|shadow| (shadow, self.case.clone()));
        let (entry, refused) = plan::replan(&mut self.case, &self.moment, &tried);
        self.entries.push(entry);
        if let Some((shadow, before)) = before {
            let both = shadow::beside(before, &self.case, shadow, &self.moment, &tried);
            self.commands.push(Command::Shadow(Box::new(both)));
        }
        if let Some(verdict) = refused {
            self.block(tried.instrument, verdict);
        }
        if let Some(trigger) = trigger.filter(|_| self.case.collector == Collector::Us) {
            self.charge_now(trigger);
        }
    }

    /// An instrument with everything that was tried on it, this decision's own doings included.
    fn tried(&self, instrument: Instrument) -> Tried {
        let mut tried = Tried::on(instrument, self.moment.grounds.history);
        for command in &self.commands {
            tried.note(&self.case, command, self.moment.now);
        }
        tried
    }

    /// Records that the ceiling did not allow a charge that was wanted.
    fn block(&mut self, instrument: Instrument, verdict: Verdict) {
        let (rule, until) = match verdict {
            Verdict::Allowed => return,
            Verdict::NotBefore(until, rule) => (rule, Some(until)),
            Verdict::Never(rule) => (rule, None),
        };
        self.commands.push(Command::Block {
            instrument,
            rule,
            until,
        });
    }

    /// Keeps what was seen of a kind of decline, to learn from it.
    fn learn(&mut self, kind: DeclineKind, fact: Fact) {
        let at = self.moment.now;
        self.commands.push(Command::Learn(Evidence { at, kind, fact }));
    }

    fn charge_now(&mut self, trigger: Trigger) {
        plan::charge_now(&mut self.case, trigger, self.moment.now);
    }

    /// Has staff written to, at most once a day about the same.
    fn tell_staff(&mut self, message: Message) {
        let step = message.step_of_day(self.moment.now);
        let done = &mut self.case.memory.steps_done;
        if !done.contains(&step) {
            done.push(step.clone());
            self.commands.push(Command::TellStaff { message, step });
        }
    }

    /// The decision: changed, or nothing new where nothing differs.
    fn done(mut self) -> Decision {
        if self.case.state == State::NeedsPerson && self.before.state != State::NeedsPerson {
            self.tell_staff(Message::StaffPersonNeeded);
        }
        if self.case == *self.before && self.commands.is_empty() && self.entries.is_empty() {
            return Decision::Ignored(Reason::NothingNew);
        }
        // Once something else has happened, taking an act back would undo that too.
        if !self.is_aside && self.case.memory.undo == self.before.memory.undo {
            self.case.memory.undo = None;
        }
        Decision::Changed(Box::new(Change {
            case: self.case,
            entries: self.entries,
            commands: self.commands,
            refused: None,
        }))
    }
}

/// The wait before the provider is asked again: what it asks for, else doubling, both within an hour.
fn backoff_secs(tries: u32, retry_after: Option<Duration>) -> i64 {
    let asked = retry_after.map(|wait| i64::try_from(wait.as_secs()).unwrap_or(BACKOFF_LONGEST_SECS));
    let doubled = BACKOFF_FIRST_SECS << tries.saturating_sub(1).min(6);
    asked.unwrap_or(doubled).clamp(BACKOFF_FIRST_SECS, BACKOFF_LONGEST_SECS)
}

/// The freshness gate could not be passed: nothing outward is done, nothing is counted as a decline.
fn out_of_reach(mut draft: Draft<'_>, reason: &str, retry_after: Option<Duration>, refused: bool) -> Decision {
    let now = draft.now();
    match &draft.case.state {
        State::Closed { .. } => return Decision::Ignored(Reason::CaseClosed),
        State::Charging { attempt } => {
            draft.case.state = State::InDoubt {
                attempt: attempt.clone(),
                asked: 0,
            };
            draft.case.timers.look_at = Some(now);
        }
        State::InDoubt { attempt, .. } if now >= secs_from(attempt.started_at, UNRESOLVED_SECS) => {
            let attempt = attempt.clone();
            return doubt::give_up(draft, &attempt);
        }
        State::InDoubt { .. }
        | State::Active
        | State::Processing { .. }
        | State::Paused { .. }
        | State::NeedsPerson
        | State::Ending { .. } => {}
    }
    draft.case.memory.out_of_reach = draft.case.memory.out_of_reach.saturating_add(1);
    let tries = match &draft.case.state {
        // The invoice may be readable while the final action is not to be had: its own count makes the waits grow.
        State::Ending { sent, .. } => draft.case.memory.out_of_reach.max(*sent),
        State::Active
        | State::Charging { .. }
        | State::InDoubt { .. }
        | State::Processing { .. }
        | State::Paused { .. }
        | State::NeedsPerson
        | State::Closed { .. } => draft.case.memory.out_of_reach,
    };
    let wait = backoff_secs(tries, retry_after);
    let until = draft.in_secs(if refused { BACKOFF_LONGEST_SECS } else { wait });
    draft.case.timers.hold_until = Some(until);
    if draft.case.memory.out_of_reach == 1 {
        let text = format!(
            "The provider could not be asked; nothing is done before {}.",
            written(until)
        );
        draft.say(
            EntryKind::StoodBack,
            text,
            json!({"reason": reason, "hold_until": until}),
        );
    }
    if refused {
        draft.warn(
            Warning::ProviderRefuses,
            "The provider refuses our calls: check the API key and its rights.",
        );
    }
    draft.done()
}

fn invoice_missing(mut draft: Draft<'_>) -> Decision {
    match &draft.case.state {
        State::Closed { .. } => return Decision::Ignored(Reason::CaseClosed),
        State::Charging { .. } | State::InDoubt { .. } | State::Processing { .. } => {
            if let Some(attempt) = draft.case.open_attempt().cloned() {
                return doubt::give_up(draft, &attempt);
            }
        }
        State::Active | State::Paused { .. } | State::NeedsPerson | State::Ending { .. } => {}
    }
    doubt::to_person(&mut draft);
    draft.warn(
        Warning::InvoiceMissing,
        "The provider no longer knows the invoice; a person must decide.",
    );
    late::settle(&mut draft);
    draft.done()
}
