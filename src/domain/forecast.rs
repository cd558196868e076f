//! The future of a case as its campaign plans it.

use jiff::Timestamp;
use serde::Serialize;

use super::calendar::zone;
use super::campaign::Campaign;
use super::case::{Case, Collector, State};
use super::ceiling::{CHARGES_MAX, Grounds};
use super::instrument::Tried;
use super::message::Message;
use super::schedule::{charges_after, next_notice, notices_left};

/// One step that is still planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ForecastStep {
    /// `charge`, `notify` or `final_action`.
    pub kind: &'static str,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The message, for `notify`.
    pub message: Option<Message>,
    /// The step of the campaign, for `notify`.
    pub step: Option<String>,
    /// Why, in a few words.
    pub why: String,
}

/// Every step still planned, in order of time, if each charge is declined like the last one and nobody intervenes. `written` tells
/// when the customer was written to lately, oldest first.
pub fn forecast(
    case: &Case,
    campaign: &Campaign,
    grounds: Grounds<'_>,
    written: &[Timestamp],
    now: Timestamp,
) -> Vec<ForecastStep> {
    let resumed_at = match &case.state {
        // Where a person must decide, nothing happens while nobody intervenes.
        State::Closed { .. } | State::Ending { .. } | State::NeedsPerson => return Vec::new(),
        State::Paused { until } => Some(*until),
        State::Active | State::Charging { .. } | State::InDoubt { .. } | State::Processing { .. } => None,
    };
    let from = resumed_at.unwrap_or(now).max(now);
    let mut steps = charges(case, campaign, grounds, (from, resumed_at.is_some()));
    steps.extend(notices(case, campaign, written, (from, resumed_at.is_some())));
    steps.extend(case.timers.final_at.map(|at| ForecastStep {
        kind: "final_action",
        at: at.max(from),
        message: None,
        step: None,
        why: format!("the campaign ends: {}", campaign.ending.action),
    }));
    steps.sort_by_key(|step| step.at);
    steps
}

fn charges(
    case: &Case,
    campaign: &Campaign,
    grounds: Grounds<'_>,
    (from, resumed): (Timestamp, bool),
) -> Vec<ForecastStep> {
    if case.collector == Collector::Provider {
        return Vec::new();
    }
    let next = case.timers.charge_at.filter(|_| !resumed).map(|at| at.max(from));
    let mut after = case.clone();
    after.memory.last_charge_at = next.or(case.memory.last_charge_at);
    let mut tried = Tried::on(case.instrument(), grounds.history);
    if let Some(next) = next {
        tried.suppose_declined(case, next);
    }
    let ladder = charges_after(&after, campaign, next.unwrap_or(from), tried, grounds).at;
    let left = usize::try_from(CHARGES_MAX.saturating_sub(case.memory.charges)).unwrap_or(0);
    let end = case.timers.final_at;
    next.into_iter()
        .chain(ladder)
        .filter(|at| end.is_none_or(|end| *at < end))
        .take(left)
        .map(|at| ForecastStep {
            kind: "charge",
            at,
            message: None,
            step: None,
            why: format!("retry after a decline for {}", case.decline.kind),
        })
        .collect()
}

/// The messages, each at the instant at which it leaves: one that the customer's other mails hold up leaves later than it is due.
fn notices(
    case: &Case,
    campaign: &Campaign,
    written: &[Timestamp],
    (from, resumed): (Timestamp, bool),
) -> Vec<ForecastStep> {
    let mut case = case.clone();
    if resumed {
        let missed = notices_left(&case, campaign).into_iter().filter(|(_, at)| *at <= from);
        let missed: Vec<String> = missed.map(|(step, _)| step.key.clone()).collect();
        case.memory.steps_done.extend(missed);
    }
    let is_over = |at: Timestamp| case.timers.final_at.is_some_and(|end| at >= end);
    let mut written = written.to_vec();
    let mut steps = Vec::new();
    let mut now = from;
    let mut ahead = case.clone();
    while let Some((key, at, overtaken)) = next_notice(&ahead, campaign, now) {
        if is_over(at.max(now)) {
            break;
        }
        if at > now {
            // What falls due while it waits may overtake it.
            now = at;
            continue;
        }
        let step = campaign.messages.iter().find(|step| step.key == key);
        let step = step.filter(|step| !case.memory.reminders_stopped || !step.message.is_reminder());
        let leaves = step.map(|step| (step, leaves(&case, campaign, step.message, &mut written, now)));
        // One that still waits at the end is held back.
        steps.extend(leaves.filter(|(_, at)| !is_over(*at)).map(|(step, at)| ForecastStep {
            kind: "notify",
            at,
            message: Some(step.message),
            step: Some(key.clone()),
            why: format!("message step {key} for {}", case.decline.disposition),
        }));
        ahead.memory.steps_done.extend(overtaken);
        ahead.memory.steps_done.push(key);
        ahead.memory.last_notice_at = Some(now);
    }
    steps
}

/// When a message that is due at `at` leaves, and is written down as such.
fn leaves(
    case: &Case,
    campaign: &Campaign,
    message: Message,
    written: &mut Vec<Timestamp>,
    at: Timestamp,
) -> Timestamp {
    let Some(limits) = campaign.touches.filter(|_| message.is_reminder()) else {
        return at;
    };
    let next = limits.next(written, message == Message::FinalNotice);
    let at = next.filter(|next| *next > at).map_or(at, |next| {
        let quiet = campaign.quiet;
        quiet.map_or(next, |quiet| quiet.over(next, &zone(&case.zone)))
    });
    written.push(at);
    at
}
