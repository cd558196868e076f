//! Charges that an arm plans: the decision with everything it rests on, so that it can be derived again.

use std::cell::RefCell;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Charges;
use crate::domain::calendar::{WallClock, payday_weight, secs_from, zone};
use crate::domain::campaign::Planned;
use crate::domain::case::Case;
use crate::domain::ceiling::{Grounds, Verdict, may_charge};
use crate::domain::instrument::Tried;
use crate::domain::learning::Learned;
use crate::domain::learning::arms::{Arm, Candidate, candidates as candidates_of, draw};
use crate::domain::learning::choice::{Choice, choose, seed};
use crate::domain::learning::dice::Dice;
use crate::domain::learning::hazard::{Features, Past};
use crate::domain::learning::plan::{self, Ask, NoNext, Terms, charges_at_most};
use crate::domain::learning::slots::Slot;

const HOUR_SECS: i64 = 3600;
const DAY_HOURS: u16 = 24;

/// What a decision is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inputs {
    /// The posterior.
    pub version: u64,
    /// The arm, which was chosen when the kind was first seen.
    pub choice: Choice,
    /// What is asked.
    pub ask: Ask,
    /// The full local hour in which the case began: hours are counted from it.
    pub from: Timestamp,
    /// The customer's zone.
    pub zone: String,
    /// The customer's country, which tells the paydays.
    pub country: Option<String>,
    /// What charges cost and bring.
    pub terms: Terms,
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decided {
    /// The next charge; none where there is to be none.
    pub at: Option<Timestamp>,
    /// Why there is none.
    pub none: Option<NoNext>,
    /// The chance that it succeeds.
    pub chance: Option<f64>,
    /// The instant of an even spacing, and the chance there.
    pub anchor_at: Option<Timestamp>,
    /// The chance at that instant.
    pub chance_at_anchor: Option<f64>,
    /// What the charge is expected to be worth, in minor units.
    pub value_minor: Option<f64>,
}

/// The choice of an arm, with what it was made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chosen {
    /// The arms of the campaign.
    pub arms: Vec<Arm>,
    /// What was known of them.
    pub candidates: Vec<Candidate>,
    /// The seed.
    pub seed: u64,
}

/// A decision as it stands in a timeline.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Stored {
    /// What it is made of.
    pub inputs: Inputs,
    /// What was decided.
    pub decided: Decided,
    /// The choice of the arm, where it was made with it.
    pub chosen: Option<Chosen>,
}

impl Stored {
    /// How the decision differs when it is derived again from the posterior that it names; nothing where it does not.
    pub fn difference(&self, learned: &Learned) -> Option<String> {
        let decided = decide(&self.inputs, learned);
        if decided != self.decided {
            let (then, now) = (&self.decided, &decided);
            return Some(format!("it was decided {then:?}, and is now {now:?}"));
        }
        let Chosen { arms, candidates, seed } = self.chosen.as_ref()?;
        let choice = self.inputs.choice;
        if choice.held_out {
            return None;
        }
        let found = candidates_of(&learned.model.arms(choice.kind, arms));
        let drawn = draw(&found, &mut Dice::new(*seed));
        let same = drawn.is_none_or(|drawn| drawn.arm == choice.arm) && found == *candidates;
        (!same).then(|| format!("{} was chosen of {candidates:?}, and now it is {drawn:?}", choice.arm))
    }
}

/// The arm of a case: the one it has, or one that is chosen now.
pub fn arm(case: &Case, planned: &Planned, learned: &Learned) -> (Choice, Option<Chosen>) {
    let kind = case.decline.kind;
    if let Some(choice) = case.memory.choice.filter(|choice| choice.kind == kind) {
        return (choice, None);
    }
    let seed = seed(case.id.as_str(), kind);
    let chosen = choose(learned, &planned.arms, kind, seed, &case.customer_id);
    let candidates = chosen.candidates;
    let arms = planned.arms.clone();
    let choice = chosen.choice.after(case.memory.choice);
    (choice, Some(Chosen { arms, candidates, seed }))
}

/// What the next charge of a case after an instant is decided by.
pub fn inputs(case: &Case, planned: &Planned, learned: &Learned, choice: Choice, after: Timestamp) -> Inputs {
    let kind = case.decline.kind;
    let from = full_hour(case.campaign_since(), &case.zone);
    // A charge that staff passed over took its turn all the same; else the next one would come right behind it.
    let last = case.memory.last_charge_at.max(case.memory.skipped_until);
    let last = last.map(|last| hours(from, last));
    let made = case.memory.charges.saturating_add(case.memory.skipped);
    Inputs {
        version: learned.version,
        choice,
        ask: Ask {
            kind,
            now: hours(from, after),
            last,
            made: u8::try_from(made).unwrap_or(u8::MAX),
            budget: planned.charges.min(charges_at_most(kind)),
            window: planned.within_days.saturating_mul(DAY_HOURS),
            amount_minor: case.amount_due.amount_minor,
            seed: seed(case.id.as_str(), kind),
        },
        from,
        zone: case.zone.clone(),
        country: case.memory.country.clone(),
        terms: learned.policy.terms,
    }
}

/// The next charge of an arm, and what the ceiling made of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Next {
    /// The arm.
    pub choice: Choice,
    /// What the decision is made of.
    pub inputs: Inputs,
    /// The decision.
    pub decided: Decided,
    /// When the charge may be made; none where there is to be none.
    pub at: Option<Timestamp>,
    /// What the ceiling said of the instant that was wanted first, where it did not allow it.
    pub refused: Option<Verdict>,
}

/// Decides on the next charge after an instant, as far as the ceiling lets it. Where the ceiling wants it later, the arm decides
/// again from there on.
pub fn next(
    case: &Case,
    planned: &Planned,
    choice: Choice,
    after: Timestamp,
    tried: &Tried,
    grounds: Grounds<'_>,
) -> Next {
    let of = |after, refused| {
        let inputs = inputs(case, planned, grounds.learned, choice, after);
        let decided = decide(&inputs, grounds.learned);
        let at = decided.at;
        Next {
            choice,
            inputs,
            decided,
            at,
            refused,
        }
    };
    let wanted = of(after, None);
    let Some(at) = wanted.at else { return wanted };
    let verdict = may_charge(case, tried, false, at, grounds);
    let refused = Some(verdict);
    match verdict {
        Verdict::Allowed => wanted,
        Verdict::Never(_) => Next {
            at: None,
            refused,
            ..wanted
        },
        Verdict::NotBefore(until, _) => {
            let mut later = of(until, refused);
            later.at = later.at.map(|at| at.max(until));
            later.at = later
                .at
                .and_then(|at| match may_charge(case, tried, false, at, grounds) {
                    Verdict::Allowed => Some(at),
                    Verdict::NotBefore(until, _) => Some(until.max(at)),
                    Verdict::Never(_) => None,
                });
            later
        }
    }
}

/// The charges of an arm from the next one on, if each is declined like the last one.
pub fn from_first(case: &Case, planned: &Planned, first: &Next, mut tried: Tried, grounds: Grounds<'_>) -> Charges {
    let mut case = case.clone();
    let refused = first.refused;
    let (choice, mut at, mut next) = (first.choice, Vec::new(), first.at);
    while let Some(charge) = next {
        at.push(charge);
        tried.suppose_declined(&case, charge);
        case.memory.charges = case.memory.charges.saturating_add(1);
        case.memory.last_charge_at = Some(charge);
        next = self::next(&case, planned, choice, charge, &tried, grounds).at;
    }
    Charges { at, refused }
}

/// Decides on the next charge.
pub fn decide(inputs: &Inputs, learned: &Learned) -> Decided {
    let calendar = Calendar::new(inputs.from, &inputs.zone, inputs.country.as_deref());
    let next = match learned.model.weights(inputs.ask.kind) {
        Some(weights) => plan::next(inputs.choice.arm, &inputs.ask, weights, &inputs.terms, &|after| {
            calendar.slot(after)
        }),
        None => Err(NoNext::Spent),
    };
    let at = |after: u16| secs_from(inputs.from, i64::from(after) * HOUR_SECS);
    let found = next.ok();
    Decided {
        at: found.map(|next| at(next.slot.after)),
        none: next.err(),
        chance: found.map(|next| next.chance),
        anchor_at: found.map(|next| at(next.anchor)),
        chance_at_anchor: found.map(|next| next.chance_at_anchor),
        value_minor: found.map(|next| next.value_minor),
    }
}

/// What tells of a charge of the case at an instant.
pub fn features(case: &Case, at: Timestamp) -> Features {
    let from = full_hour(case.campaign_since(), &case.zone);
    let calendar = Calendar::new(from, &case.zone, case.memory.country.as_deref());
    let past = Past {
        last: case.memory.last_charge_at.map(|last| hours(from, last)),
        made: u8::try_from(case.memory.charges).unwrap_or(u8::MAX),
    };
    Features::new(&calendar.slot(hours(from, at)), past)
}

/// Whole hours from one instant to another; none where that is earlier.
fn hours(from: Timestamp, to: Timestamp) -> u16 {
    let secs = to.as_second().saturating_sub(from.as_second()).max(0);
    u16::try_from(secs / HOUR_SECS).unwrap_or(u16::MAX)
}

/// The beginning of the local hour of an instant.
fn full_hour(at: Timestamp, zone_name: &str) -> Timestamp {
    let offset = i64::from(zone(zone_name).to_offset(at).seconds());
    let into = (at.as_second() + offset).rem_euclid(HOUR_SECS);
    Timestamp::from_second(at.as_second() - into).unwrap_or(at)
}

/// The hours of a case as the customer's clock and calendar show them.
struct Calendar<'a> {
    from: Timestamp,
    clock: RefCell<WallClock>,
    country: Option<&'a str>,
    /// The payday of the date that was asked for last, because most hours are on the same day as the one before.
    payday: RefCell<Option<(jiff::civil::Date, f64)>>,
}

impl<'a> Calendar<'a> {
    fn new(from: Timestamp, zone_name: &str, country: Option<&'a str>) -> Self {
        Self {
            from,
            clock: RefCell::new(WallClock::new(zone(zone_name))),
            country,
            payday: RefCell::new(None),
        }
    }

    fn slot(&self, after: u16) -> Slot {
        let local = self
            .clock
            .borrow_mut()
            .at(secs_from(self.from, i64::from(after) * HOUR_SECS));
        let small = |number: i8| u8::try_from(number).unwrap_or(0);
        Slot {
            after,
            hour: small(local.hour),
            weekday: small(local.weekday),
            month_day: small(local.day),
            before_month_end: small(local.before_month_end),
            payday: self.payday(local.date),
        }
    }

    fn payday(&self, date: jiff::civil::Date) -> f64 {
        let mut known = self.payday.borrow_mut();
        if let Some((of, weight)) = *known
            && of == date
        {
            return weight;
        }
        let weight = payday_weight(self.country, date);
        *known = Some((date, weight));
        weight
    }
}
