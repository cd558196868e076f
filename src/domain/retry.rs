//! Whether staff may have a case charged now, by which rule not, and against which caps the charge would count.

use jiff::Timestamp;
use serde::Serialize;

use super::calendar::written;
use super::campaign::Campaign;
use super::case::{Case, Collector, State};
use super::ceiling::{Grounds, Rule, Said, Verdict, consulted, may_charge};
use super::command::Reason;
use super::instrument::Tried;

/// One cap that a retry counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct RetryCap {
    /// The rule.
    pub rule: Rule,
    /// How many charges it counts by now.
    pub made: u32,
    /// The most it allows.
    pub limit: u32,
    /// How many are left before this one.
    pub left: u32,
}

/// What a retry by staff would meet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct RetryCheck {
    /// Whether it may be made now.
    pub allowed: bool,
    /// Why it is refused, as the refusal's code says.
    pub refused: Option<Reason>,
    /// The rule that refuses it, where a rule does.
    pub rule: Option<Rule>,
    /// From when on that rule allows it; null where it never does, or no rule refuses.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub not_before: Option<Timestamp>,
    /// The caps that it counts against. It does count: for the networks it is a charge like any other.
    pub caps: Vec<RetryCap>,
    /// Whether it takes one of the charges that the campaign still plans.
    pub uses_plan: bool,
    /// The same in one English sentence.
    pub sentence: String,
}

/// Why a case cannot be acted on in its present state, whatever is asked.
pub fn stands_open(state: &State) -> Result<(), Reason> {
    match state {
        State::Closed { .. } => Err(Reason::CaseClosed),
        State::Ending { .. } => Err(Reason::FinalActionRunning),
        State::Charging { .. } | State::InDoubt { .. } | State::Processing { .. } => Err(Reason::AttemptOpen),
        State::Active | State::Paused { .. } | State::NeedsPerson => Ok(()),
    }
}

/// Why a retry is refused, besides the ceiling.
pub fn may_ask(case: &Case) -> Result<(), Reason> {
    stands_open(&case.state)?;
    if case.held_since().is_some() {
        return Err(Reason::OnHold);
    }
    if case.collector == Collector::Provider || case.memory.provider_next_attempt_at.is_some() {
        return Err(Reason::ProviderCollects);
    }
    Ok(())
}

/// What a retry would meet at `now`. The ceiling is asked again just before the charge.
pub fn check(case: &Case, campaign: &Campaign, grounds: Grounds<'_>, now: Timestamp) -> RetryCheck {
    let tried = Tried::on(case.instrument(), grounds.history);
    let fresh = case.fresh_method();
    let said = consulted(case, &tried, fresh, now, grounds);
    let caps: Vec<RetryCap> = said.iter().filter_map(cap).collect();
    let (refused, rule, not_before) = match may_ask(case) {
        Err(reason) => (Some(reason), None, None),
        Ok(()) => match may_charge(case, &tried, fresh, now, grounds) {
            Verdict::Allowed => (None, None, None),
            Verdict::NotBefore(until, rule) => (Some(Reason::Ceiling), Some(rule), Some(until)),
            Verdict::Never(rule) => (Some(Reason::NeverOnThisMethod), Some(rule), None),
        },
    };
    let ladder = campaign.ladder(case.decline.kind);
    let uses_plan = ladder.is_some_and(|ladder| ladder.planned.is_some());
    let mut check = RetryCheck {
        allowed: refused.is_none(),
        refused,
        rule,
        not_before,
        caps,
        uses_plan,
        sentence: String::new(),
    };
    check.sentence = sentence(&check);
    check
}

fn cap(said: &Said) -> Option<RetryCap> {
    let (made, limit) = said.counted.zip(said.limit)?;
    Some(RetryCap {
        rule: said.rule,
        made,
        limit,
        left: limit.saturating_sub(made),
    })
}

fn sentence(check: &RetryCheck) -> String {
    match (check.refused, check.rule, check.not_before) {
        (None, ..) => {
            let caps = check.caps.iter();
            let caps: Vec<String> = caps
                .map(|cap| format!("{} of {} are left by {}", cap.left, cap.limit, cap.rule))
                .collect();
            let plan = if check.uses_plan {
                "It takes one of the charges that the campaign plans."
            } else {
                "The charges that the campaign plans stay."
            };
            format!("It counts against the caps: {}. {plan}", caps.join(", "))
        }
        (Some(_), Some(rule), Some(until)) => format!("It is refused before {} by the rule {rule}.", written(until)),
        (Some(_), Some(rule), None) => format!("It is refused by the rule {rule}, for this payment method for good."),
        (Some(reason), None, _) => format!("It is refused: {reason}."),
    }
}
