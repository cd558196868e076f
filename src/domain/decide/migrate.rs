//! A case goes over to another version of a campaign, because staff says so.

use jiff::Timestamp;

use super::Draft;
use super::staff::{is_no_last_word, skip_overdue};
use crate::domain::calendar::{days_from, zone};
use crate::domain::campaign::{Campaign, When};
use crate::domain::case::{CampaignRef, Case, State};
use crate::domain::event::MigrateHow;
use crate::domain::schedule::final_at;

/// Moves the case. What was sent and charged stays so: no message step comes twice, and charges go on counting.
pub(super) fn migrate<'a>(draft: &mut Draft<'a>, campaign: &'a Campaign, how: MigrateHow) {
    let now = draft.now();
    let from = std::mem::replace(&mut draft.case.campaign, CampaignRef::of(campaign));
    draft.case.memory.opened_with.get_or_insert(from);
    draft.moment.campaign = campaign;
    draft.moment.shadow = None;
    if how == MigrateHow::Restart {
        draft.case.memory.restarted_at = Some(now);
        draft.case.memory.disposition_since = now;
        draft.case.memory.kind_since = now;
    }
    let planned = final_at(draft.case.campaign_since(), campaign, &draft.case.zone);
    draft.case.timers.final_at = Some(planned.max(soonest_end(&draft.case, campaign, now)));
    draft.case.memory.end_planned = None;
    if how == MigrateHow::Elapsed {
        let why = "Messages that would have come before the change are not sent.";
        skip_overdue(draft, why, is_no_last_word);
    }
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

/// The soonest end of a campaign for a case at which its last notice can still come before.
pub(super) fn soonest_end(case: &Case, campaign: &Campaign, now: Timestamp) -> Timestamp {
    let steps = campaign.messages.iter().filter(|step| step.is_for(&case.decline));
    let left = steps.filter(|step| !case.memory.steps_done.contains(&step.key));
    let notice = left.filter_map(|step| match step.when {
        When::BeforeFinal { days, .. } => Some(days),
        When::AfterHours(_) | When::AfterDays { .. } => None,
    });
    let days = notice.max().map_or(0, |days| i32::from(days) + 1);
    days_from(now, days, campaign.ending.at, &zone(&case.zone))
}
