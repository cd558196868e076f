//! The future of a case as its campaign plans it.

use jiff::Timestamp;
use serde::Serialize;

use super::calendar::zone;
use super::campaign::{Campaign, MessageStep};
use super::case::{Case, Collector, State};
use super::ceiling::{CHARGES_MAX, Grounds};
use super::instrument::Tried;
use super::message::Message;
use super::schedule::{charges_after, end_after_notice, next_notice, notice_owed, notices_left};

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
        State::Closed { .. }
        | State::Ending { .. }
        | State::NeedsPerson
        | State::Paused {
            held_since: Some(_), ..
        } => return Vec::new(),
        State::Paused {
            until,
            held_since: None,
        } => Some(*until),
        State::Active | State::Charging { .. } | State::InDoubt { .. } | State::Processing { .. } => None,
    };
    let from = resumed_at.unwrap_or(now).max(now);
    let mut steps = charges(case, campaign, grounds, (from, resumed_at.is_some()));
    let (messages, end) = notices(case, campaign, written, (from, resumed_at.is_some()));
    steps.extend(messages);
    steps.extend(end.map(|at| ForecastStep {
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
    let end = case.planned_end();
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

/// The messages, each at the instant at which it leaves: one that the customer's other mails hold up leaves later than it is due. Then
/// the end, which waits for its notice.
fn notices(
    case: &Case,
    campaign: &Campaign,
    written: &[Timestamp],
    (from, resumed): (Timestamp, bool),
) -> (Vec<ForecastStep>, Option<Timestamp>) {
    let mut ahead = case.clone();
    if resumed {
        let missed = notices_left(case, campaign).into_iter().filter(|(_, at)| *at <= from);
        let missed = missed.filter(|(step, _)| step.message != Message::FinalNotice);
        let missed: Vec<String> = missed.map(|(step, _)| step.key.clone()).collect();
        ahead.memory.steps_done.extend(missed);
    }
    let mut written = written.to_vec();
    let mut steps = Vec::new();
    let mut now = from;
    while let Some((next, at, mut overtaken)) = next_notice(&ahead, campaign, now) {
        let end = ahead.timers.final_at.filter(|end| at.max(now) >= *end);
        let owed = end.and_then(|_| notice_owed(&ahead, campaign));
        let key = match (end, owed) {
            (Some(end), Some(owed)) => {
                now = now.max(end);
                let overdue = notices_left(&ahead, campaign).into_iter().filter(|(_, at)| *at <= now);
                overtaken = overdue.map(|(step, _)| step.key.clone()).collect();
                owed.key.clone()
            }
            (Some(_), None) => break,
            (None, _) if at > now => {
                // What falls due while it waits may overtake it.
                now = at;
                continue;
            }
            (None, _) => next,
        };
        let step = campaign.messages.iter().find(|step| step.key == key);
        let step = step.filter(|step| !case.memory.reminders_stopped || !step.message.is_reminder());
        if let Some(step) = step {
            let at = leaves(case, campaign, step.message, &mut written, now);
            if step.message == Message::FinalNotice && (at > now || end.is_some()) {
                let soonest = end_after_notice(campaign, &key, at, &case.zone);
                ahead.timers.final_at = ahead.timers.final_at.map(|end| end.max(soonest));
            }
            // One that still waits at the end is held back.
            if ahead.timers.final_at.is_none_or(|end| at < end) {
                steps.push(notice(case, step, at));
            }
        }
        ahead.memory.steps_done.extend(overtaken);
        ahead.memory.steps_done.push(key);
        ahead.memory.last_notice_at = Some(now);
    }
    (steps, ahead.timers.final_at)
}

fn notice(case: &Case, step: &MessageStep, at: Timestamp) -> ForecastStep {
    ForecastStep {
        kind: "notify",
        at,
        message: Some(step.message),
        step: Some(step.key.clone()),
        why: format!("message step {} for {}", step.key, case.decline.disposition),
    }
}

/// When a message that is due at `at` leaves, and is written down as such.
fn leaves(
    case: &Case,
    campaign: &Campaign,
    message: Message,
    written: &mut Vec<Timestamp>,
    at: Timestamp,
) -> Timestamp {
    let awake = |at| campaign.quiet.map_or(at, |quiet| quiet.over(at, &zone(&case.zone)));
    let at = awake(at);
    let Some(limits) = campaign.touches.filter(|_| message.is_reminder()) else {
        return at;
    };
    let next = limits.next(written, message == Message::FinalNotice);
    let at = next.filter(|next| *next > at).map_or(at, awake);
    written.push(at);
    at
}
