//! Staff changes what is planned: a step is passed over, the end comes later.

use jiff::Timestamp;
use serde_json::json;

use crate::domain::calendar::{days_from, written, zone};
use crate::domain::case::{State, Trigger};
use crate::domain::command::{EntryKind, Reason};
use crate::domain::decide::Draft;
use crate::domain::decide::migrate::soonest_end;
use crate::domain::decide::plan::plan_notice;
use crate::domain::event::{ExtendTo, SkipStep};
use crate::domain::message::Message;
use crate::domain::schedule::final_at;

/// The end comes at most so many days later than the campaign itself would have it: what is owed for longer is a matter for a
/// person, not for a plan.
pub const EXTEND_DAYS_MAX: i32 = 60;

/// Whether the next step may be passed over.
pub(super) fn may_skip(draft: &Draft<'_>, step: SkipStep) -> Result<(), Reason> {
    if draft.case.state != State::Active {
        return Err(Reason::NothingToSkip);
    }
    match step {
        SkipStep::Charge => match (draft.case.timers.charge_at, draft.case.timers.charge_trigger) {
            (None, _) => Err(Reason::NothingToSkip),
            (Some(_), Some(Trigger::CardUpdate)) => Err(Reason::NewMethod),
            (Some(_), Some(Trigger::Schedule | Trigger::Staff) | None) => Ok(()),
        },
        SkipStep::Message => match next_message(draft) {
            None => Err(Reason::NothingToSkip),
            Some((_, Message::FinalNotice)) => Err(Reason::FinalNotice),
            Some(_) => Ok(()),
        },
    }
}

/// The step of the next message, and what it says.
fn next_message(draft: &Draft<'_>) -> Option<(String, Message)> {
    let (key, _) = draft.case.timers.notice.as_ref()?;
    let step = draft.moment.campaign.messages.iter().find(|step| step.key == *key)?;
    Some((key.clone(), step.message))
}

/// Passes over the next charge or message.
pub(super) fn skip(draft: &mut Draft<'_>, step: SkipStep) {
    match step {
        SkipStep::Charge => {
            let planned = draft.case.timers.charge_at.take();
            let by_staff = draft.case.timers.charge_trigger.take() == Some(Trigger::Staff);
            // What staff asked for is only taken back; the campaign goes on as it stands.
            if !by_staff {
                let memory = &mut draft.case.memory;
                memory.skipped_until = memory.skipped_until.max(planned);
                memory.skipped = memory.skipped.saturating_add(1);
            }
            draft.replan();
        }
        SkipStep::Message => {
            let Some((key, message)) = next_message(draft) else {
                return;
            };
            draft.case.memory.steps_done.push(key.clone());
            let text = format!("The message {message} is not sent.");
            draft.say(EntryKind::NoticeSkipped, text, json!({"steps": [key], "why": "staff"}));
            plan_notice(&mut draft.case, draft.moment.campaign, draft.moment.now);
        }
    }
}

/// The end that staff asks for, where the campaign may end then.
pub(super) fn end_wanted(draft: &Draft<'_>, to: ExtendTo) -> Result<Timestamp, Reason> {
    let (case, campaign, tz) = (&draft.case, draft.moment.campaign, zone(&draft.case.zone));
    let planned = final_at(case.campaign_since(), campaign, &case.zone);
    let present = case.timers.final_at.unwrap_or(planned);
    let on_day = |from, days| days_from(from, days, campaign.ending.at, &tz);
    let wanted = match to {
        ExtendTo::Days(days) => on_day(present, i32::from(days)),
        ExtendTo::Until(until) => Some(on_day(until, 0))
            .filter(|end| *end >= until)
            .unwrap_or_else(|| on_day(until, 1)),
    };
    if wanted <= present || wanted <= draft.now() {
        return Err(Reason::NotLater);
    }
    if wanted > on_day(planned, EXTEND_DAYS_MAX) {
        return Err(Reason::TooFar);
    }
    Ok(wanted)
}

/// Lets the campaign end later.
pub(super) fn extend(draft: &mut Draft<'_>, to: ExtendTo) {
    let Ok(end) = end_wanted(draft, to) else { return };
    move_end(draft, end);
    match draft.case.state {
        State::Active => draft.replan(),
        // They plan anew once they go on.
        State::Paused { .. } | State::NeedsPerson => {}
        State::Charging { .. }
        | State::InDoubt { .. }
        | State::Processing { .. }
        | State::Ending { .. }
        | State::Closed { .. } => unreachable!("staff is refused while a charge or the end is under way"),
    }
}

/// Moves the end, and its notice with it: where that has left already, it comes once more and names the new end.
pub(super) fn move_end(draft: &mut Draft<'_>, end: Timestamp) {
    let (campaign, now) = (draft.moment.campaign, draft.now());
    let announces = |key: &String| {
        let mut steps = campaign.messages.iter();
        steps.any(|step| step.key == *key && step.message == Message::FinalNotice)
    };
    let memory = &mut draft.case.memory;
    if memory.steps_done.iter().any(announces) {
        memory.steps_done.retain(|key| !announces(key));
        memory.announced_anew = memory.announced_anew.saturating_add(1);
    }
    memory.end_planned = None;
    let end = end.max(soonest_end(&draft.case, campaign, now));
    draft.case.timers.final_at = Some(end);
    let text = format!("The campaign ends on {} now.", written(end));
    draft.say(EntryKind::Planned, text, json!({ "final_at": end }));
}
