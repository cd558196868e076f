//! What customers do on the page behind the links in messages.

use serde_json::json;

use super::Draft;
use crate::domain::calendar::{days_from, secs_from, zone};
use crate::domain::campaign::Campaign;
use crate::domain::case::{Case, State};
use crate::domain::command::{Command, Decision, EntryKind, Reason};
use crate::domain::event::{CustomerAction, CustomerAnswer};
use jiff::Timestamp;
use jiff::civil::Date;

/// How often a customer may promise to pay in one case.
pub const PROMISES_MAX: u32 = 2;
/// How long before the end a promise must be due, so that there is still time to charge and to write.
const BEFORE_FINAL_SECS: i64 = 24 * 3600;

/// The days on which a customer may promise to pay: tomorrow, and the last one that the campaign and its end leave. Nothing where
/// no promise is taken.
pub fn promise_days(case: &Case, campaign: &Campaign, now: Timestamp) -> Option<(Date, Date)> {
    let may = matches!(case.state, State::Active) && case.memory.promises < PROMISES_MAX;
    let latest = days_from(
        now,
        i32::from(campaign.promise_days),
        jiff::civil::Time::midnight(),
        &zone(&case.zone),
    );
    let latest = match case.timers.final_at {
        Some(end) => latest.min(secs_from(end, -BEFORE_FINAL_SECS)),
        None => latest,
    };
    let day = |at: Timestamp| at.to_zoned(zone(&case.zone)).date();
    let (first, last) = (day(now).tomorrow().ok()?, day(latest));
    (may && first <= last).then_some((first, last))
}

/// Does what the customer asks for, or refuses it with the reason.
pub(super) fn act(draft: Draft<'_>, action: &CustomerAction) -> Decision {
    if matches!(draft.case.state, State::Closed { .. }) {
        return Decision::Ignored(Reason::CaseClosed);
    }
    match action {
        CustomerAction::Promise { until } => promise(draft, *until),
        CustomerAction::StopReminders => stop_reminders(draft),
        CustomerAction::Answer(answer) => answered(draft, *answer),
    }
}

fn promise(mut draft: Draft<'_>, until: Timestamp) -> Decision {
    match draft.case.state {
        State::Charging { .. } | State::InDoubt { .. } | State::Processing { .. } => {
            return Decision::Ignored(Reason::AttemptOpen);
        }
        State::Ending { .. } | State::Closed { .. } => return Decision::Ignored(Reason::FinalActionRunning),
        State::NeedsPerson => return Decision::Ignored(Reason::NeedsPerson),
        State::Paused { .. } => return Decision::Ignored(Reason::NothingNew),
        State::Active => {}
    }
    let day = until.to_zoned(zone(&draft.case.zone)).date();
    let fits = promise_days(&draft.case, draft.moment.campaign, draft.now())
        .is_some_and(|(first, last)| (first..=last).contains(&day));
    if !fits {
        return Decision::Ignored(Reason::PromiseRefused);
    }
    draft.case.memory.promises = draft.case.memory.promises.saturating_add(1);
    draft.case.state = State::Paused {
        until,
        held_since: None,
    };
    draft.case.timers.look_at = None;
    draft.say(
        EntryKind::Customer,
        format!("The customer promises to pay on {day}: until then nothing is charged and nothing is written."),
        json!({ "action": "promise", "until": until }),
    );
    draft.commands.push(Command::SupersedeNotices {
        reason: Reason::Promised,
    });
    draft.done()
}

fn stop_reminders(mut draft: Draft<'_>) -> Decision {
    if draft.case.memory.reminders_stopped {
        return Decision::Ignored(Reason::NothingNew);
    }
    draft.case.memory.reminders_stopped = true;
    draft.say(
        EntryKind::Customer,
        "The customer wants no more reminders about this invoice. Charges go on.",
        json!({ "action": "stop_reminders" }),
    );
    draft.commands.push(Command::SupersedeNotices {
        reason: Reason::RemindersStopped,
    });
    draft.done()
}

fn answered(mut draft: Draft<'_>, answer: CustomerAnswer) -> Decision {
    if draft.case.memory.answer == Some(answer) {
        return Decision::Ignored(Reason::NothingNew);
    }
    draft.case.memory.answer = Some(answer);
    draft.say(
        EntryKind::Customer,
        format!("Asked what would help, the customer said: {answer}."),
        json!({ "action": "answer", "answer": answer }),
    );
    draft.done()
}
