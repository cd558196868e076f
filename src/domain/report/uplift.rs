//! The uplift report: what planning by what was learned brings in, against the customers who are held out of it, and what each
//! arm would have brought in had it planned all.
//!
//! A case counts once its window is over: recoveries close early and losses late, so the closed cases of a young cohort tell of
//! nothing but the speed. It counts where its **first** draw put it, whatever became of it: a change of its kind, and the draw
//! after it, follow from the first one.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use crate::domain::learning::arms::Arm;
use crate::domain::learning::choice::Draw;
use crate::domain::money::Currency;
use crate::domain::outcome::Status;
use crate::domain::report::Rate;
use crate::domain::words::words;

mod interval;
mod money;
mod off_policy;
mod split;
mod texts;

pub use interval::{Difference, Estimate};
use interval::{Seen, Share, needed, whole};
pub use money::{NetDifference, NetValue};
pub use off_policy::{ArmValue, LeftOut, OffPolicy};
pub use split::{Divided, SplitCompared, splits};
pub use texts::{DEFINITIONS, REASONS};

words! {
    /// Whether a difference can be told from chance.
    Verdict {
        /// Its interval contains nought, or there is none.
        NotYet = "not yet distinguishable",
        /// Its interval lies above nought.
        Ahead = "ahead",
        /// Its interval lies below nought.
        Behind = "behind",
    }
}

/// Differences for which the report says how many cases they take, in parts of ten thousand.
const EXAMPLES: [i32; 3] = [500, 300, 200];
/// A difference below this, in parts of one, is none to look for.
const SEEN_MIN: f64 = 0.000_5;

/// What the report needs to know of one case.
#[derive(Clone, Debug, PartialEq)]
pub struct UpliftFact {
    /// The customer, on one connection. Only to tell whose cases belong together; it is in no answer.
    pub customer: String,
    /// The name and the version of the campaign it was opened with.
    pub campaign: (String, u32),
    /// When it was opened.
    pub opened_at: Timestamp,
    /// The currency of its money.
    pub currency: Currency,
    /// Where it stands, in one word.
    pub status: Status,
    /// Whether its campaign would have ended by now, so that it had all its time.
    pub window_over: bool,
    /// What came in while it was chased, less what was taken back and what its charges cost, in minor units.
    pub net_minor: i64,
    /// How it came by its arm; nothing where the campaign's own days plan it.
    pub draw: Option<Draw>,
    /// Whether the provider collects the invoice, so that no plan of ours is carried out.
    pub provider_collects: bool,
    /// Whether staff acted on it beyond a note.
    pub overridden: bool,
}

impl UpliftFact {
    fn is_recovered(&self) -> bool {
        self.status == Status::Recovered
    }
}

/// How many cases there are, and how many have a draw to compare by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Counts {
    /// All cases opened in the span.
    pub opened: u64,
    /// Those that the campaign's own days plan, or that no schedule charges.
    pub never_drawn: u64,
    /// Those whose invoice the provider collects itself.
    pub provider_collects: u64,
    /// Those of customers who are held out.
    pub held_out: u64,
    /// Those that drew an arm.
    pub drawn: u64,
    /// Of both, those whose window is over.
    pub window_over: u64,
}

/// The cases of one side whose window is over.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Side {
    /// How many.
    pub cases: u64,
    /// Of how many customers.
    pub customers: u64,
    /// How many recovered.
    pub recovered: u64,
    /// Their share; nothing where there is no case.
    pub share: Option<Estimate>,
}

/// What became of the cases of one group.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Group {
    /// `held_out`, `drawn`, or the arm that was drawn first.
    pub group: String,
    /// All of its cases.
    pub cases: u64,
    /// Those that have their outcome.
    pub closed: u64,
    /// Those of all.
    pub maturity: Option<Rate>,
    /// Recovered so far.
    pub recovered: u64,
    /// Those whose window is over.
    pub window_over: Side,
    /// What one of them was worth, by currency.
    pub net_values: Vec<NetValue>,
}

/// How many cases it takes to tell a difference of that size in four of five times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Needed {
    /// The difference.
    pub points: Rate,
    /// Whether it is the one that is seen; else it is an example.
    pub seen: bool,
    /// How many cases in all, with the holdout as large a part of them as now.
    pub cases: u64,
    /// How many of them are still to come to the end of their windows.
    pub still: u64,
}

/// Who drew an arm against who is held out.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct AgainstHoldout {
    /// Since when somebody is held out: only cases opened from then on are compared.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Timestamp>,
    /// The cases that drew an arm.
    pub drawn: Side,
    /// The cases of customers who are held out.
    pub held_out: Side,
    /// How much more the drawn ones recover.
    pub difference: Option<Difference>,
    /// Whether that can be told from chance.
    pub verdict: Verdict,
    /// Why the verdict is what it is.
    pub why: &'static str,
    /// How many cases it takes to tell.
    pub needed: Vec<Needed>,
    /// How much more a drawn case is worth, by currency.
    pub net_values: Vec<NetDifference>,
}

/// The whole report.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Uplift {
    /// How many cases there are.
    pub cases: Counts,
    /// The holdout, all that drew, and each arm.
    pub groups: Vec<Group>,
    /// All that drew against the holdout.
    pub against_holdout: AgainstHoldout,
    /// What each arm would have brought in had it planned all.
    pub off_policy: OffPolicy,
}

/// A case with its first draw, which the comparisons go by.
#[derive(Clone, Copy)]
struct Drawn<'a> {
    fact: &'a UpliftFact,
    draw: Draw,
}

/// Compares.
pub fn uplift(facts: &[UpliftFact]) -> Uplift {
    let drawn: Vec<Drawn<'_>> = facts
        .iter()
        .filter(|fact| !fact.provider_collects)
        .filter_map(|fact| fact.draw.map(|draw| Drawn { fact, draw }))
        .collect();
    let (held_out, others): (Vec<_>, Vec<_>) = drawn.iter().copied().partition(|case| case.draw.held_out);
    let count = |keep: fn(&UpliftFact) -> bool| count(facts.iter().filter(|fact| keep(fact)));
    let cases = Counts {
        opened: count(|_| true),
        never_drawn: count(|fact| !fact.provider_collects && fact.draw.is_none()),
        provider_collects: count(|fact| fact.provider_collects),
        held_out: held_out.len() as u64,
        drawn: others.len() as u64,
        window_over: self::count(drawn.iter().filter(|case| case.fact.window_over)),
    };
    let mut groups = vec![group("held_out", &held_out), group("drawn", &others)];
    for arm in Arm::ALL {
        let its: Vec<_> = others.iter().copied().filter(|case| case.draw.arm == *arm).collect();
        if !its.is_empty() {
            groups.push(group(arm.as_str(), &its));
        }
    }
    // Who drew before anybody was held out lived in another time.
    let since = held_out.iter().map(|case| case.fact.opened_at).min();
    Uplift {
        cases,
        groups,
        against_holdout: against(since, &ripe(&others, since), &ripe(&held_out, since)),
        off_policy: off_policy::estimate(&others, &held_out, since),
    }
}

fn count<T>(those: impl Iterator<Item = T>) -> u64 {
    those.count() as u64
}

/// The cases whose window is over and that were opened since then; none where that never was.
fn ripe<'a>(cases: &[Drawn<'a>], since: Option<Timestamp>) -> Vec<&'a UpliftFact> {
    let over = cases.iter().map(|case| case.fact).filter(|fact| fact.window_over);
    over.filter(|fact| since.is_some_and(|since| fact.opened_at >= since))
        .collect()
}

fn group(name: &str, cases: &[Drawn<'_>]) -> Group {
    let ripe = ripe(cases, Some(Timestamp::MIN));
    let all = cases.len() as u64;
    let closed = count(cases.iter().filter(|case| case.fact.status != Status::Open));
    Group {
        group: name.to_owned(),
        cases: all,
        closed,
        maturity: Rate::of_counts(closed, all),
        recovered: count(cases.iter().filter(|case| case.fact.is_recovered())),
        window_over: side(&ripe).0,
        net_values: money::values(&ripe),
    }
}

/// The cases of a side, and their share as a number.
fn side(ripe: &[&UpliftFact]) -> (Side, Option<Share>) {
    let seen: Vec<Seen<'_>> = ripe
        .iter()
        .map(|fact| Seen {
            customer: &fact.customer,
            weight: 1.0,
            recovered: fact.is_recovered(),
        })
        .collect();
    let share = Share::of(&seen);
    let customers: BTreeSet<&str> = ripe.iter().map(|fact| fact.customer.as_str()).collect();
    let side = Side {
        cases: ripe.len() as u64,
        customers: customers.len() as u64,
        recovered: count(ripe.iter().filter(|fact| fact.is_recovered())),
        share: share.as_ref().map(Share::estimate),
    };
    (side, share)
}

fn against(since: Option<Timestamp>, drawn: &[&UpliftFact], held_out: &[&UpliftFact]) -> AgainstHoldout {
    let ((drawn_side, drawn_share), (held_side, held_share)) = (side(drawn), side(held_out));
    let both = drawn_share.zip(held_share);
    let limits = both.map(|(drawn, held_out)| drawn.above(&held_out));
    let (verdict, why) = match limits {
        Some(limits) => judged(limits),
        None if since.is_none() => (Verdict::NotYet, texts::NOBODY_HELD_OUT),
        None => (Verdict::NotYet, texts::NO_WINDOW_OVER),
    };
    AgainstHoldout {
        since,
        needed: both.map_or_else(Vec::new, |both| still_needed(both, [drawn.len(), held_out.len()])),
        drawn: drawn_side,
        held_out: held_side,
        difference: limits.map(Difference::of),
        verdict,
        why,
        net_values: money::differences(drawn, held_out),
    }
}

/// What an interval says.
fn judged([_, low, high]: [f64; 3]) -> (Verdict, &'static str) {
    if low > 0.0 {
        (Verdict::Ahead, texts::WITHOUT_NOUGHT)
    } else if high < 0.0 {
        (Verdict::Behind, texts::WITHOUT_NOUGHT)
    } else {
        (Verdict::NotYet, texts::WITH_NOUGHT)
    }
}

/// How many cases the difference that is seen would take, and those of the examples.
fn still_needed((drawn, held_out): (Share, Share), [drawn_cases, held_cases]: [usize; 2]) -> Vec<Needed> {
    let have = (drawn_cases + held_cases) as u64;
    let part = whole(held_cases) / whole(drawn_cases + held_cases);
    // How many cases tell as much as one that is independent, on each side.
    let repeats = [
        whole(drawn_cases) / drawn.independent,
        whole(held_cases) / held_out.independent,
    ];
    let one = |points: f64, seen: bool, shares: [f64; 2]| {
        let variance = |side: usize| shares[side] * (1.0 - shares[side]) * repeats[side];
        let cases = needed(points, part, [variance(0), variance(1)])?;
        Some(Needed {
            points: Rate::of_share(points),
            seen,
            cases,
            still: cases.saturating_sub(have),
        })
    };
    // Two of each kind are added, so that a share of nought or one does not look like certainty.
    let held = shrunk(&held_out);
    let seen = drawn.value - held_out.value;
    let first = (libm::fabs(seen) >= SEEN_MIN)
        .then(|| one(seen, true, [shrunk(&drawn), held]))
        .flatten();
    let example = |parts: &i32| {
        let points = f64::from(*parts) / 10_000.0;
        let above = if held + points < 1.0 {
            held + points
        } else {
            held - points
        };
        one(points, false, [above, held])
    };
    first.into_iter().chain(EXAMPLES.iter().filter_map(example)).collect()
}

fn shrunk(share: &Share) -> f64 {
    (share.value * share.independent + 2.0) / (share.independent + 4.0)
}

/// Those of a currency, in the order of their codes.
fn by_currency<'a>(facts: &[&'a UpliftFact]) -> BTreeMap<Currency, Vec<&'a UpliftFact>> {
    let mut split = BTreeMap::<Currency, Vec<_>>::new();
    for fact in facts {
        split.entry(fact.currency).or_default().push(*fact);
    }
    split
}

#[cfg(test)]
mod tests;
