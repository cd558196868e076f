//! A case on hold: the customer disputes what is owed, and only staff lets it go on. The invoice is watched meanwhile, so that money,
//! a cancellation or a dispute at the provider still ends the case.

use jiff::Timestamp;

use super::{go_on, plan};
use crate::domain::calendar::{days_from, zone};
use crate::domain::case::State;
use crate::domain::decide::{DAILY_SECS, Draft, late};

/// Holds the case.
pub(super) fn hold(draft: &mut Draft<'_>) {
    draft.case.state = State::Paused {
        until: draft.in_secs(DAILY_SECS),
        held_since: Some(draft.now()),
    };
    draft.case.timers.look_at = None;
}

/// Goes on: nobody loses the days in which a question of theirs was answered.
pub(super) fn release(draft: &mut Draft<'_>) {
    let since = draft.case.held_since().unwrap_or(draft.now());
    let end = draft.case.timers.final_at.map(|end| later(draft, end, since));
    go_on(draft);
    if let Some(end) = end {
        plan::move_end(draft, end);
    }
    draft.replan();
    late::settle(draft);
}

/// An end that is as many days later as have begun since.
fn later(draft: &Draft<'_>, end: Timestamp, since: Timestamp) -> Timestamp {
    let secs = draft.now().duration_since(since).as_secs().max(0);
    let days = i32::try_from(secs.saturating_add(DAILY_SECS - 1) / DAILY_SECS).unwrap_or(i32::MAX);
    days_from(end, days, draft.moment.campaign.ending.at, &zone(&draft.case.zone))
}
