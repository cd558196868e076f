//! The future of a case as its campaign plans it.

use jiff::Timestamp;
use serde::Serialize;

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

/// Every step still planned, in order of time, if each charge is declined like the last one and nobody intervenes.
pub fn forecast(case: &Case, campaign: &Campaign, grounds: Grounds<'_>, now: Timestamp) -> Vec<ForecastStep> {
    let resumed_at = match &case.state {
        // Where a person must decide, nothing happens while nobody intervenes.
        State::Closed { .. } | State::Ending { .. } | State::NeedsPerson => return Vec::new(),
        State::Paused { until } => Some(*until),
        State::Active | State::Charging { .. } | State::InDoubt { .. } | State::Processing { .. } => None,
    };
    let from = resumed_at.unwrap_or(now).max(now);
    let mut steps = charges(case, campaign, grounds, (from, resumed_at.is_some()));
    steps.extend(notices(case, campaign, from, resumed_at.is_some()));
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

fn notices(case: &Case, campaign: &Campaign, from: Timestamp, resumed: bool) -> Vec<ForecastStep> {
    let mut case = case.clone();
    if resumed {
        let missed = notices_left(&case, campaign).into_iter().filter(|(_, at)| *at <= from);
        let missed: Vec<String> = missed.map(|(step, _)| step.key.clone()).collect();
        case.memory.steps_done.extend(missed);
    }
    let mut steps = Vec::new();
    let mut now = from;
    while let Some((key, at, overtaken)) = next_notice(&case, campaign, now) {
        now = at.max(now);
        if case.timers.final_at.is_some_and(|end| now >= end) {
            break;
        }
        let step = campaign.messages.iter().find(|step| step.key == key);
        let step = step.filter(|step| !case.memory.reminders_stopped || !step.message.is_reminder());
        steps.extend(step.map(|step| ForecastStep {
            kind: "notify",
            at: now,
            message: Some(step.message),
            step: Some(key.clone()),
            why: format!("message step {key} for {}", case.decline.disposition),
        }));
        case.memory.steps_done.extend(overtaken);
        case.memory.steps_done.push(key);
        case.memory.last_notice_at = Some(now);
    }
    steps
}
