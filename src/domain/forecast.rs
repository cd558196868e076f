//! The future of a case as its campaign plans it.

use jiff::Timestamp;
use serde::Serialize;

use super::campaign::Campaign;
use super::case::{Case, Collector, State};
use super::ceiling::CHARGES_MAX;
use super::message::Message;
use super::schedule::{charges_after, notices_left};

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
pub fn forecast(case: &Case, campaign: &Campaign, now: Timestamp) -> Vec<ForecastStep> {
    let resumed_at = match &case.state {
        State::Closed { .. } | State::Ending { .. } => return Vec::new(),
        State::Paused { until } => Some(*until),
        State::Active
        | State::Charging { .. }
        | State::InDoubt { .. }
        | State::Processing { .. }
        | State::NeedsPerson => None,
    };
    let from = resumed_at.unwrap_or(now).max(now);
    let mut steps = charges(case, campaign, from, resumed_at.is_some());
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

fn charges(case: &Case, campaign: &Campaign, from: Timestamp, resumed: bool) -> Vec<ForecastStep> {
    if case.collector == Collector::Provider {
        return Vec::new();
    }
    let next = case.timers.charge_at.filter(|_| !resumed);
    let ladder = charges_after(case, campaign, next.unwrap_or(from));
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
    let next = case.timers.notice.as_ref().filter(|_| !resumed);
    notices_left(case, campaign)
        .into_iter()
        .map(|(step, at)| match next {
            Some((key, planned)) if *key == step.key => (step, *planned),
            Some(_) | None => (step, at),
        })
        .filter(|(_, at)| !resumed || *at > from)
        .map(|(step, at)| ForecastStep {
            kind: "notify",
            at: at.max(from),
            message: Some(step.message),
            step: Some(step.key.clone()),
            why: format!("message step {} for {}", step.key, case.decline.disposition),
        })
        .collect()
}
