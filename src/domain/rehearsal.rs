//! A campaign rehearsed over cases that have ended: what it would have done to each of them until it ended as it did. Whether it would
//! have brought more nobody can tell from that, so nothing here says so.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::campaign::segment::{choose, in_order};
use super::campaign::{Campaign, Facts};
use super::case::Case;
use super::ceiling::Grounds;
use super::decide::opened_anew;
use super::forecast::forecast;
use super::ids::AttemptId;
use super::money::{Currency, Money};
use super::outcome::{Outcome, RecoveredBy, Status};
use super::report::{Sum, TooLarge};
use super::snapshot::Traits;

/// How a campaign would have gone over the cases that it takes. Charges do not count the first, failed one of each case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Rehearsal {
    /// How many cases were looked at.
    pub looked_at: u64,
    /// How many of them the campaign takes.
    pub taken: u64,
    /// Those that were recovered: until then.
    pub recovered: Compared,
    /// All other ones: until its own end, beside what was done to them until theirs.
    pub not_recovered: Compared,
    /// What was recovered only after the campaign would have ended, by currency: it would not have waited for that.
    pub recovered_after_its_end: BTreeMap<String, Sum>,
}

/// What was done, beside what the campaign would have done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Compared {
    /// The cases.
    pub cases: u64,
    /// The charges that were made, whoever made them.
    pub charges: u64,
    /// The charges that the campaign would have made.
    pub charges_planned: u64,
    /// The messages that were queued.
    pub messages: u64,
    /// The messages that the campaign would have sent.
    pub messages_planned: u64,
    /// The days that the cases were open, all together.
    pub days: u64,
    /// The days that they would have been open at most, all together.
    pub days_planned: u64,
}

/// Rehearses the campaign over closed cases. `others` are the live versions of all other campaigns, which are asked before or after it.
pub fn rehearse<'a>(
    cases: &[Case],
    campaign: &Campaign,
    others: &[&Campaign],
    grounds: impl Fn(&Case) -> Grounds<'a>,
) -> Result<Rehearsal, TooLarge> {
    let mut offer: Vec<&Campaign> = others.iter().copied().chain([campaign]).collect();
    in_order(&mut offer);
    let mut rehearsal = Rehearsal::default();
    for case in cases {
        let Some(closed_at) = case.closed_at else { continue };
        rehearsal.looked_at += 1;
        if !takes(&offer, campaign, case) {
            continue;
        }
        rehearsal.taken += 1;
        let planned = planned(case, campaign, grounds(case));
        let is_recovered = case.status() == Status::Recovered;
        // What brings the money happens at the instant of the end.
        let is_before = |at: &Timestamp| !is_recovered || *at <= closed_at;
        let compared = if is_recovered {
            &mut rehearsal.recovered
        } else {
            &mut rehearsal.not_recovered
        };
        compared.cases += 1;
        compared.charges += charges(case);
        compared.messages += u64::from(case.notifications);
        compared.charges_planned += count(planned.charges.iter().filter(|at| is_before(at)).count());
        compared.messages_planned += count(planned.messages.iter().filter(|at| is_before(at)).count());
        compared.days += days(case.opened_at, closed_at);
        let ends_at = planned
            .ends_at
            .filter(|at| !is_recovered || *at < closed_at)
            .unwrap_or(closed_at);
        compared.days_planned += days(case.opened_at, ends_at);
        if is_recovered && planned.ends_at.is_some_and(|at| at < closed_at) {
            let currency: Currency = case.amount_due.currency;
            let sum = rehearsal
                .recovered_after_its_end
                .entry(currency.code().to_owned())
                .or_default();
            sum.cases += 1;
            let more = sum.amount_minor.checked_add(case.amount_due.amount_minor);
            sum.amount_minor = more.ok_or(TooLarge)?;
        }
    }
    Ok(rehearsal)
}

/// Whether the campaign takes a case, as far as the case remembers what it was when it was opened: metadata is not kept, so a segment
/// that asks for them holds none.
fn takes(offer: &[&Campaign], campaign: &Campaign, case: &Case) -> bool {
    let birth = &case.birth;
    let since = birth.tenure_days.and_then(|days| {
        let hours = days.checked_mul(24)?;
        case.opened_at.checked_sub(SignedDuration::from_hours(hours)).ok()
    });
    let currency = case.amount_due.currency;
    let traits = Traits {
        plans: birth.plan.iter().cloned().collect(),
        plan: birth.plan.clone(),
        since,
        monthly: birth.monthly_minor.map(|minor| Money::new(minor, currency)),
        ..Traits::default()
    };
    let facts = Facts {
        amount: case.amount_due,
        country: case.memory.country.as_deref().or(birth.country.as_deref()),
        kind: birth.first.as_ref().map_or(case.decline.kind, |first| first.kind),
        traits: &traits,
        at: case.opened_at,
    };
    choose(offer, &facts).is_some_and(|chosen| std::ptr::eq(*chosen, campaign))
}

/// What a campaign plans for a case, if nobody ever pays.
struct Planned {
    charges: Vec<Timestamp>,
    messages: Vec<Timestamp>,
    ends_at: Option<Timestamp>,
}

fn planned(case: &Case, campaign: &Campaign, grounds: Grounds<'_>) -> Planned {
    // The same case gets the same arm at each rehearsal.
    let fresh = AttemptId::from(case.id.to_string());
    let opened = opened_anew(case, campaign, &fresh, grounds);
    let steps = forecast(&opened, campaign, grounds, &[], case.opened_at);
    let of = |kind: &str| {
        steps
            .iter()
            .filter(|step| step.kind == kind)
            .map(|step| step.at)
            .collect()
    };
    let ends: Vec<Timestamp> = of("final_action");
    Planned {
        charges: of("charge"),
        messages: of("notify"),
        ends_at: ends.first().copied(),
    }
}

/// The charges of a case after the first, failed one. The one by which the provider itself brought the money is not among those that
/// the case counts.
fn charges(case: &Case) -> u64 {
    let by = RecoveredBy::ProviderRetry;
    let unseen = case.outcome() == Some(Outcome::Recovered { by });
    u64::from(case.attempts.saturating_sub(1)) + u64::from(unseen)
}

fn days(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.duration_since(from).as_hours() / 24).unwrap_or(0)
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
