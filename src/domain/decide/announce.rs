//! The end waits for the message that announces it.

use jiff::Timestamp;
use serde_json::json;

use super::Draft;
use super::close::notify;
use super::plan::plan_notice;
use super::reach::{queued_as, step_of};
use crate::domain::calendar::written;
use crate::domain::case::State;
use crate::domain::command::{Decision, EntryKind, Reason};
use crate::domain::message::Message;
use crate::domain::schedule::{end_after_notice, notice_owed, notices_left};

/// The last notice leaves at `until` or later: the end stays as many days behind it as its step says.
pub(super) fn waits(mut draft: Draft<'_>, step: &str, until: Timestamp) -> Decision {
    match &draft.case.state {
        State::Closed { .. } => return Decision::Ignored(Reason::CaseClosed),
        State::Ending { .. } => return Decision::Ignored(Reason::FinalActionRunning),
        State::Active
        | State::Charging { .. }
        | State::InDoubt { .. }
        | State::Processing { .. }
        | State::Paused { .. }
        | State::NeedsPerson => {}
    }
    put_end_off(&mut draft, step_of(step), until);
    draft.done()
}

/// Sends the last notice where its turn never came, as it may be after a pause, and says whether it did: then the end waits.
pub(super) fn announce(draft: &mut Draft<'_>) -> bool {
    let (campaign, now) = (draft.moment.campaign, draft.now());
    let Some(step) = notice_owed(&draft.case, campaign) else {
        return false;
    };
    let overdue = notices_left(&draft.case, campaign).into_iter();
    let overtaken = overdue.filter(|(other, at)| *at <= now && other.key != step.key);
    let overtaken: Vec<String> = overtaken.map(|(other, _)| other.key.clone()).collect();
    draft.case.memory.steps_done.extend(overtaken);
    let queued = queued_as(&draft.case, &step.key, Message::FinalNotice);
    notify(draft, Message::FinalNotice, &queued);
    draft.case.memory.last_notice_at = Some(now);
    put_end_off(draft, &step.key, now);
    true
}

/// Keeps the end behind a last notice that leaves at `leaves`.
fn put_end_off(draft: &mut Draft<'_>, step: &str, leaves: Timestamp) {
    let campaign = draft.moment.campaign;
    let soonest = end_after_notice(campaign, step, leaves, &draft.case.zone);
    let Some(end) = draft.case.timers.final_at.filter(|end| *end < soonest) else {
        return;
    };
    draft.case.memory.end_planned.get_or_insert(end);
    draft.case.timers.final_at = Some(soonest);
    draft.say(
        EntryKind::StoodBack,
        format!(
            "The final notice leaves on {} at the earliest: the campaign ends on {} instead.",
            written(leaves),
            written(soonest)
        ),
        json!({"why": "the end waits for its notice", "until": leaves, "final_at": soonest}),
    );
    if draft.case.state == State::Active {
        plan_notice(&mut draft.case, campaign, draft.moment.now);
    }
}
