//! Why a case stands where it stands, in one sentence and the facts behind it.

use jiff::Timestamp;
use jiff::civil::Time;
use serde::{Deserialize, Serialize};

use super::calendar::written;
use super::campaign::{Campaign, When};
use super::case::{CampaignRef, Case, Collector, NextAction, Trigger, Warning};
use super::ceiling::{Grounds, Rules, Said, Verdict, consulted, may_charge};
use super::decline::{Decline, Disposition};
use super::instrument::Tried;
use super::outcome::Outcome;
use super::schedule::planned::{Decided, Stored};
use super::schedule::{Rung, rung, step_at};

/// One rule that was consulted and what it said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct RuleSaid {
    /// The rule.
    pub rule: String,
    /// What it said.
    pub said: String,
    /// Where the rule is published, for those of card networks and bank debits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Which edition of it was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edition: Option<String>,
}

/// Why, and when next.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Explanation {
    /// One English sentence.
    pub sentence: String,
    /// What happens next, when, and why.
    pub next_action: Option<NextAction>,
    /// The last decline.
    pub decline: Decline,
    /// The campaign version.
    pub campaign: CampaignRef,
    /// The rules consulted now, in their order.
    pub rules: Vec<RuleSaid>,
    /// What a person should see.
    pub warnings: Vec<Warning>,
    /// The inputs of the last stored plan, as they were stored.
    pub plan: Option<serde_json::Value>,
}

/// Explains a case at `now`. `plan` is the data of the last `planned` line of its timeline.
pub fn explain(
    case: &Case,
    campaign: &Campaign,
    plan: Option<serde_json::Value>,
    grounds: Grounds<'_>,
    now: Timestamp,
) -> Explanation {
    let next_action = case.next_action();
    Explanation {
        sentence: sentence(case, next_action.as_ref(), || {
            let next = next_action.as_ref()?;
            by_arm(next, plan.as_ref())
                .or_else(|| by_ladder(case, campaign, next, grounds))
                .or_else(|| by_step(case, campaign, next))
        }),
        decline: case.decline.clone(),
        campaign: case.campaign.clone(),
        rules: rules(case, campaign, grounds, now),
        warnings: case.warnings.clone(),
        plan,
        next_action,
    }
}

/// Why the arm of a case wants its next charge at that instant; nothing where no arm planned it, or it is not what comes next.
fn by_arm(next: &NextAction, plan: Option<&serde_json::Value>) -> Option<String> {
    let stored = Stored::deserialize(plan?).ok()?;
    let Decided {
        at,
        chance,
        chance_at_anchor,
        anchor_at,
        ..
    } = stored.decided;
    if next.kind != "charge" || at != Some(next.at) {
        return None;
    }
    let percent = |chance: f64| format!("{:.0} %", chance * 100.0);
    let arm = stored.inputs.choice.arm;
    let held_out = if stored.inputs.choice.held_out {
        ", whose customer is held out of learning,"
    } else {
        ""
    };
    Some(format!(
        "the arm {arm} of the case{held_out} expects {} there and {} at the even spacing of {}",
        percent(chance?),
        percent(chance_at_anchor?),
        written(anchor_at?)
    ))
}

/// Which step of the campaign wants the next charge at that instant, and what put it off; nothing where it is not what comes next, or
/// something else than the campaign wants it.
fn by_ladder(case: &Case, campaign: &Campaign, next: &NextAction, grounds: Grounds<'_>) -> Option<String> {
    let by_campaign = case
        .timers
        .charge_trigger
        .is_none_or(|trigger| trigger == Trigger::Schedule);
    if next.kind != "charge" || !by_campaign {
        return None;
    }
    let ladder = campaign.ladder(case.decline.kind)?;
    let (rung, wanted) = rung(case, ladder, next.at)?;
    let (name, version, kind) = (&campaign.name, campaign.version, case.decline.kind);
    let when = match rung {
        Rung::Day(days) => days_after(days, case.campaign_since(), ladder.at, case),
        Rung::Hours(hours) => format!("{} after {}", some(hours, "hour"), written(case.memory.kind_since)),
    };
    let step = format!("{name} version {version} charges for {kind} {when}");
    let tried = Tried::on(case.instrument(), grounds.history);
    Some(match may_charge(case, &tried, false, wanted, grounds) {
        Verdict::NotBefore(_, rule) if wanted < next.at => {
            format!("{step}, which {rule} puts off from {}", written(wanted))
        }
        Verdict::Allowed | Verdict::NotBefore(..) | Verdict::Never(_) => step,
    })
}

/// Which step of the campaign sends the next message, and when; nothing where no message comes next.
fn by_step(case: &Case, campaign: &Campaign, next: &NextAction) -> Option<String> {
    let (key, _) = case.timers.notice.as_ref().filter(|_| next.kind == "notify")?;
    let step = campaign.messages.iter().find(|step| step.key == *key)?;
    let since = case.memory.disposition_since;
    let when = match step.when {
        When::AfterHours(hours) => format!("{} after {}", some(hours, "hour"), written(since)),
        When::AfterDays { days, at } => days_after(days, since, at, case),
        When::BeforeFinal { days, at } => {
            let end = case.timers.final_at?;
            let [at, zone] = [at.strftime("%H:%M").to_string(), case.zone.clone()];
            format!(
                "{} before the end at {}, at {at} where the customer lives ({zone})",
                some(days, "day"),
                written(end)
            )
        }
    };
    let wanted = step_at(case, campaign, step);
    let put_off = if wanted < next.at {
        format!(", put off from {}", written(wanted))
    } else {
        String::new()
    };
    let (name, version, message) = (&campaign.name, campaign.version, step.message);
    Some(format!("{name} version {version} sends {message} {when}{put_off}"))
}

fn some(count: u16, unit: &str) -> String {
    let end = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{end}")
}

fn days_after(days: u16, since: Timestamp, at: Time, case: &Case) -> String {
    format!(
        "{} after {}, at {} where the customer lives ({})",
        some(days, "day"),
        written(since),
        at.strftime("%H:%M"),
        case.zone
    )
}

fn sentence(case: &Case, next: Option<&NextAction>, reason: impl FnOnce() -> Option<String>) -> String {
    let decline = &case.decline;
    let code = decline.provider_code.as_deref().unwrap_or("no code given");
    let because = format!("The last charge was declined for {} ({code})", decline.kind);
    match (case.outcome(), next) {
        (Some(Outcome::Recovered { by }), _) => format!("The invoice was paid by {by}, so nothing more happens."),
        (Some(Outcome::Exhausted { reason, then }), _) => {
            format!("The campaign ended without money ({reason}); the final action left it {then}.")
        }
        (Some(Outcome::Stopped { why }), _) => format!("The chase was stopped ({why}), so nothing more happens."),
        (None, Some(next)) => {
            format!(
                "{because}; next comes {} at {} because {}.",
                next.kind,
                written(next.at),
                reason().as_ref().unwrap_or(&next.why)
            )
        }
        (None, None) => format!("{because}; nothing is planned and a person must decide."),
    }
}

fn rules(case: &Case, campaign: &Campaign, grounds: Grounds<'_>, now: Timestamp) -> Vec<RuleSaid> {
    let mut rules = Vec::new();
    let mut say = |rule: &str, said: String| {
        rules.push(RuleSaid {
            rule: rule.to_owned(),
            said,
            source: None,
            edition: None,
        });
    };
    say(
        "collector",
        match case.collector {
            Collector::Us => "we may charge".to_owned(),
            Collector::Provider => "the provider charges by its own schedule; we only write".to_owned(),
        },
    );
    if let Some(at) = case.memory.provider_next_attempt_at {
        say(
            "provider_retries",
            format!(
                "the provider plans its own charge for {}; we do not charge meanwhile",
                written(at)
            ),
        );
    }
    say(
        "disposition",
        match case.decline.disposition {
            Disposition::Retry => "time may heal it: the ladder of the campaign holds",
            Disposition::FixData => "the payment data must change first",
            Disposition::CustomerAction => "only the customer can make it succeed",
            Disposition::Never => "this instrument must not be charged again",
            Disposition::Merchant => "the fault is ours",
        }
        .to_owned(),
    );
    let at = case.timers.charge_at.unwrap_or(now);
    let tried = Tried::on(case.instrument(), grounds.history);
    let fresh = case.fresh_method();
    say(
        "ceiling",
        match may_charge(case, &tried, fresh, at, grounds) {
            Verdict::Allowed => format!("a charge at {} is allowed", written(at)),
            Verdict::NotBefore(until, rule) => format!("no charge before {} ({rule})", written(until)),
            Verdict::Never(rule) => format!("no charge at all ({rule})"),
        },
    );
    say(
        "campaign",
        format!(
            "{} version {}: ends {} days after opening with {}",
            campaign.name, campaign.version, campaign.ending.after_days, campaign.ending.action
        ),
    );
    let said = consulted(case, &tried, fresh, at, grounds);
    rules.extend(said.iter().map(|said| of_ceiling(said, grounds.rules)));
    rules
}

/// A rule of the ceiling, with where it stands.
fn of_ceiling(said: &Said, rules: &Rules) -> RuleSaid {
    let known = rules.rules.iter().find(|known| known.rule == said.rule);
    let counted = match (said.counted, said.limit) {
        (Some(counted), Some(limit)) => format!(" ({counted} of at most {limit} were made)"),
        (Some(_) | None, Some(_) | None) => String::new(),
    };
    RuleSaid {
        rule: said.rule.to_string(),
        said: format!("{}{counted}", said.verdict),
        source: known.map(|known| known.source.clone()),
        edition: known.map(|known| known.edition.clone()),
    }
}
