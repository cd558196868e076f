//! The instants of a case's remaining charges and messages, by its campaign.

use jiff::Timestamp;

use super::calendar::{days_from, hours_from, secs_from, zone};
use super::campaign::{Campaign, Ladder, MessageStep, When};
use super::case::{Case, Warning};
use super::ceiling::{Grounds, Verdict, may_charge};
use super::instrument::Tried;
use super::message::Message;
use super::mutant::alive;

pub mod planned;

/// Two charges of the day ladder keep at least this distance, so that a charge for a new card and the planned one
/// become one.
const CHARGE_GAP_SECS: i64 = 12 * 3600;
/// Two messages of the time line keep at least this distance.
const NOTICE_GAP_SECS: i64 = 20 * 3600;

/// The charges that remain, as far as the ceiling lets them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Charges {
    /// When, in order of time.
    pub at: Vec<Timestamp>,
    /// What the ceiling said of the next one as it was wanted, where it did not allow it.
    pub refused: Option<Verdict>,
}

/// Every charge the ladder still holds after `after`, if each is declined like the last one; the ceiling is asked for each,
/// over what was tried and what is planned before it.
pub fn charges_after(
    case: &Case,
    campaign: &Campaign,
    after: Timestamp,
    mut tried: Tried,
    grounds: Grounds<'_>,
) -> Charges {
    let Some(ladder) = campaign.ladder(case.decline.kind) else {
        return Charges::default();
    };
    let after = case.memory.charges_from(after);
    if let Some(planned) = &ladder.planned {
        let (choice, _) = planned::arm(case, planned, grounds.learned);
        let first = planned::next(case, planned, choice, after, &tried, grounds);
        return planned::from_first(case, planned, &first, tried, grounds);
    }
    let gap_secs = if ladder.days.is_empty() { 0 } else { CHARGE_GAP_SECS };
    let mut charges = Charges::default();
    for (nth, at) in wanted(case, ladder, after).into_iter().enumerate() {
        let verdict = may_charge(case, &tried, false, at, grounds);
        if nth == 0 && verdict != Verdict::Allowed {
            charges.refused = Some(verdict);
        }
        let at = match verdict {
            Verdict::Allowed => at,
            Verdict::NotBefore(until, _) => until.max(at),
            Verdict::Never(_) => continue,
        };
        // The end comes first where both are due: what is planned for it or later is never made, even if the end has to wait.
        if case.planned_end().is_some_and(|end| at >= end) {
            continue;
        }
        // A charge that the ceiling moves may come close to the next one; they become one.
        let kept = charges.at.last();
        if kept.is_none_or(|kept| at > *kept && at >= secs_from(*kept, gap_secs)) {
            charges.at.push(at);
            tried.suppose_declined(case, at);
        }
    }
    charges
}

/// What a ladder of fixed instants wants after `after`, in order of time.
fn wanted(case: &Case, ladder: &Ladder, after: Timestamp) -> Vec<Timestamp> {
    let gap_end = case.memory.last_charge_at.filter(|_| !ladder.days.is_empty());
    let earliest = gap_end.map_or(after, |last| after.max(secs_from(last, CHARGE_GAP_SECS)));
    let wanted = rungs(case, ladder).map(|(_, at)| at);
    let mut wanted: Vec<Timestamp> = wanted.filter(|at| *at > earliest).collect();
    wanted.sort_unstable();
    wanted
}

/// A step of a ladder of fixed instants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rung {
    /// So many days after the campaign of the case began, at the hour of the ladder.
    Day(u16),
    /// So many hours after the kind of decline was first seen.
    Hours(u16),
}

/// The step that wants the charge which is planned for `at`, and when it wants it: where that is earlier, a rule put the charge off.
pub fn rung(case: &Case, ladder: &Ladder, at: Timestamp) -> Option<(Rung, Timestamp)> {
    let before = rungs(case, ladder).filter(|(_, wanted)| *wanted <= at);
    before.max_by_key(|(_, wanted)| *wanted)
}

fn rungs<'a>(case: &Case, ladder: &'a Ladder) -> impl Iterator<Item = (Rung, Timestamp)> + use<'a> {
    let (tz, began, first_seen) = (zone(&case.zone), case.campaign_since(), case.memory.kind_since);
    let by_days = ladder.days.iter();
    let by_days = by_days.map(move |day| (Rung::Day(*day), days_from(began, i32::from(*day), ladder.at, &tz)));
    let by_hours = ladder.hours.iter();
    let by_hours = by_hours.map(move |hours| (Rung::Hours(*hours), hours_from(first_seen, *hours)));
    by_days.chain(by_hours)
}

/// When a campaign ends that began at `since`.
pub fn final_at(since: Timestamp, campaign: &Campaign, zone_name: &str) -> Timestamp {
    days_from(
        since,
        i32::from(campaign.ending.after_days),
        campaign.ending.at,
        &zone(zone_name),
    )
}

/// The soonest that a campaign ends whose last notice leaves at `at`: so many days later as its step says, and one at least.
pub fn end_after_notice(campaign: &Campaign, step: &str, at: Timestamp, zone_name: &str) -> Timestamp {
    let step = campaign.messages.iter().find(|known| known.key == step);
    let days = match step.map(|step| step.when) {
        Some(When::BeforeFinal { days, .. }) => days.max(1),
        Some(When::AfterHours(_) | When::AfterDays { .. }) | None => 1,
    };
    days_from(at, i32::from(days), campaign.ending.at, &zone(zone_name))
}

/// The step that still has to announce the end: it was due before it, and neither it nor another one like it was sent.
pub fn notice_owed<'a>(case: &Case, campaign: &'a Campaign) -> Option<&'a MessageStep> {
    let announces = |step: &MessageStep| step.message == Message::FinalNotice;
    let mut announcing = campaign.messages.iter().filter(|step| announces(step));
    let is_announced = announcing.any(|step| case.memory.steps_done.contains(&step.key));
    let gets_none = case.address().is_none() || case.warnings.contains(&Warning::MailBounced);
    let end = case.timers.final_at.filter(|_| !is_announced && !gets_none)?;
    let left = notices_left(case, campaign).into_iter();
    let owed = left.filter(|(step, at)| announces(step) && *at < end && !case.memory.reminders_stopped);
    owed.map(|(step, _)| step).next_back()
}

/// When a message step is due for a case, not regarding other messages.
pub fn step_at(case: &Case, campaign: &Campaign, step: &MessageStep) -> Timestamp {
    let tz = zone(&case.zone);
    let at = match step.when {
        When::AfterHours(hours) => hours_from(case.memory.disposition_since, hours),
        When::AfterDays { days, at } => days_from(case.memory.disposition_since, i32::from(days), at, &tz),
        When::BeforeFinal { days, at } => {
            let end = case
                .timers
                .final_at
                .unwrap_or_else(|| final_at(case.campaign_since(), campaign, &case.zone));
            days_from(end, -i32::from(days), at, &tz)
        }
    };
    campaign.quiet.map_or(at, |quiet| quiet.over(at, &tz))
}

/// The messages that remain for the present disposition, in order of time.
pub fn notices_left<'a>(case: &Case, campaign: &'a Campaign) -> Vec<(&'a MessageStep, Timestamp)> {
    let mut left: Vec<_> = campaign
        .messages
        .iter()
        .filter(|step| step.is_for(&case.decline))
        .filter(|step| !case.memory.steps_done.contains(&step.key))
        .map(|step| (step, step_at(case, campaign, step)))
        .collect();
    left.sort_by_key(|(_, at)| *at);
    left
}

/// The next message: its step and instant, and the steps it overtakes because all of them are overdue at `now`.
pub fn next_notice(case: &Case, campaign: &Campaign, now: Timestamp) -> Option<(String, Timestamp, Vec<String>)> {
    let left = notices_left(case, campaign);
    if alive("steps_in_a_burst") {
        return left.first().map(|(step, at)| (step.key.clone(), *at, Vec::new()));
    }
    let overdue = left.iter().filter(|(_, at)| *at <= now).count();
    let chosen = overdue.saturating_sub(1);
    let (step, at) = left.get(chosen)?;
    let overtaken = left[..chosen].iter().map(|(step, _)| step.key.clone()).collect();
    let last = case.memory.last_notice_at;
    let at = last.map_or(*at, |last| (*at).max(secs_from(last, NOTICE_GAP_SECS)));
    // What is overdue in the quiet hours, or kept apart until then, waits for their end.
    let awake = campaign.quiet.map(|quiet| quiet.over(at.max(now), &zone(&case.zone)));
    let at = awake.filter(|awake| *awake > at.max(now)).unwrap_or(at);
    Some((step.key.clone(), at, overtaken))
}
