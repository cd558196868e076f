//! What each arm would have brought in had it planned all cases, from cases that drew their arms by known probabilities.
//!
//! A case that drew an arm with one chance in twenty stands for twenty. SNIPS is the mean of the cases of an arm with these
//! weights; the doubly robust estimate adds the weighted surprise of these cases to what a simple model expects of all, so that
//! it is right where either the probabilities or the model are. Both are worth as much as the effective number of the weights.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use super::interval::{Difference, Estimate, Seen, Share, clustered, effective, whole};
use super::{Drawn, Verdict, judged, texts};
use crate::domain::decline::DeclineKind;
use crate::domain::learning::arms::{Arm, Arms};

/// Below so many effective cases no estimate is given.
pub(super) const EFFECTIVE_MIN: f64 = 100.0;
/// How many cases the share of a kind is worth, where an arm has few of them.
const MODEL_WEIGHT: f64 = 20.0;

/// Cases that are no part of the sample, each counted under the first reason that holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct LeftOut {
    /// Their window is not over.
    pub window_open: u64,
    /// Only one arm could be drawn: the campaign pins it, or the others rest; or it was not kept which could.
    pub one_arm: u64,
    /// Staff acted on them beyond a note.
    pub overridden: u64,
}

/// What one arm would have brought in.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct ArmValue {
    /// The arm.
    pub arm: Arm,
    /// In how many cases of the sample it could be drawn: its estimates speak of these.
    pub could_be_drawn: u64,
    /// How many drew it.
    pub drawn: u64,
    /// How many cases of equal weight would tell as much, cut to one decimal.
    pub effective_cases: f64,
    /// The largest weight of a case, cut to one decimal.
    pub weight_max: f64,
    /// Why there is no estimate, where there is none.
    pub refused: Option<String>,
    /// The share by weighting.
    pub snips: Option<Estimate>,
    /// The share by weighting what a model did not expect.
    pub doubly_robust: Option<Estimate>,
    /// How much more than the holdout it would recover by weighting, in campaigns and kinds where it could always be drawn.
    pub against_holdout: Option<Difference>,
    /// Whether that can be told from chance.
    pub verdict: Verdict,
    /// Why the verdict is what it is.
    pub why: &'static str,
}

/// The off-policy part of the report.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct OffPolicy {
    /// How many cases the sample has.
    pub cases: u64,
    /// How many that drew an arm are no part of it.
    pub left_out: LeftOut,
    /// Each arm that could be drawn in it.
    pub arms: Vec<ArmValue>,
}

/// Estimates for each arm. `drawn` are all cases that drew, `held_out` those of the holdout, which began at `since`.
pub(super) fn estimate(drawn: &[Drawn<'_>], held_out: &[Drawn<'_>], since: Option<Timestamp>) -> OffPolicy {
    let mut left_out = LeftOut::default();
    let mut sample = Vec::new();
    for case in drawn {
        if !case.fact.window_over {
            left_out.window_open += 1;
        } else if could_draw(case).count() < 2 {
            left_out.one_arm += 1;
        } else if case.fact.overridden {
            left_out.overridden += 1;
        } else {
            sample.push(*case);
        }
    }
    let could = |arm: &&Arm| sample.iter().any(|case| could_draw(case).has(**arm));
    let holdout = Holdout {
        since,
        cases: held_out
            .iter()
            .copied()
            .filter(|case| case.fact.window_over && !case.fact.overridden)
            .collect(),
    };
    OffPolicy {
        cases: sample.len() as u64,
        left_out,
        arms: Arm::ALL
            .iter()
            .filter(could)
            .map(|arm| value(*arm, &sample, &holdout))
            .collect(),
    }
}

/// The arms that a case could have drawn, as far as that was kept.
fn could_draw(case: &Drawn<'_>) -> Arms {
    case.draw.drawable.unwrap_or_default()
}

struct Holdout<'a> {
    since: Option<Timestamp>,
    cases: Vec<Drawn<'a>>,
}

fn value(arm: Arm, sample: &[Drawn<'_>], holdout: &Holdout<'_>) -> ArmValue {
    let could: Vec<Drawn<'_>> = sample
        .iter()
        .copied()
        .filter(|case| could_draw(case).has(arm))
        .collect();
    let its = of_arm(&could, arm);
    let effective_cases = effective(its.iter().map(|seen| seen.weight));
    let enough = effective_cases >= EFFECTIVE_MIN;
    let (against_holdout, verdict, why) = against(arm, sample, holdout);
    ArmValue {
        arm,
        could_be_drawn: could.len() as u64,
        drawn: its.len() as u64,
        effective_cases: tenths(effective_cases),
        weight_max: tenths(its.iter().map(|seen| seen.weight).fold(0.0, f64::max)),
        refused: (!enough).then(|| {
            format!(
                "the cases that drew it tell as much as {:.1} of equal weight, and {EFFECTIVE_MIN:.0} are needed",
                tenths(effective_cases)
            )
        }),
        snips: Share::of(&its).filter(|_| enough).map(|share| share.estimate()),
        doubly_robust: doubly_robust(&could, arm)
            .filter(|_| enough)
            .map(|share| share.estimate()),
        against_holdout,
        verdict,
        why,
    }
}

/// The cases that drew an arm, each standing for as many as its propensity says.
fn of_arm<'a>(cases: &[Drawn<'a>], arm: Arm) -> Vec<Seen<'a>> {
    let its = cases.iter().filter(|case| case.draw.arm == arm);
    its.map(|case| Seen {
        customer: &case.fact.customer,
        weight: 1.0 / case.draw.propensity,
        recovered: case.fact.is_recovered(),
    })
    .collect()
}

/// Where a case stands before its draw: customers are held out of each place alike.
fn place<'a>(case: &Drawn<'a>) -> (&'a str, u32, DeclineKind) {
    let (name, version) = &case.fact.campaign;
    (name, *version, case.draw.kind)
}

/// An arm against the holdout, in the places in which it could always be drawn.
fn against(arm: Arm, sample: &[Drawn<'_>], holdout: &Holdout<'_>) -> (Option<Difference>, Verdict, &'static str) {
    let Some(since) = holdout.since else {
        return (None, Verdict::NotYet, texts::NOBODY_HELD_OUT);
    };
    let compared = |case: &&Drawn<'_>| case.fact.opened_at >= since;
    let sample: Vec<Drawn<'_>> = sample.iter().filter(compared).copied().collect();
    let could_not = |case: &&Drawn<'_>| !could_draw(case).has(arm);
    let mut places: BTreeSet<_> = sample.iter().map(place).collect();
    for case in sample.iter().filter(could_not) {
        places.remove(&place(case));
    }
    let inside: Vec<Drawn<'_>> = sample
        .into_iter()
        .filter(|case| places.contains(&place(case)))
        .collect();
    let held: Vec<Seen<'_>> = holdout
        .cases
        .iter()
        .filter(|case| places.contains(&place(case)))
        .map(|case| Seen {
            customer: &case.fact.customer,
            weight: 1.0,
            recovered: case.fact.is_recovered(),
        })
        .collect();
    let its = of_arm(&inside, arm);
    if effective(its.iter().map(|seen| seen.weight)) < EFFECTIVE_MIN {
        return (None, Verdict::NotYet, texts::TOO_FEW_EFFECTIVE);
    }
    let Some((ours, theirs)) = Share::of(&its).zip(Share::of(&held)) else {
        return (None, Verdict::NotYet, texts::NO_WINDOW_OVER);
    };
    let limits = ours.above(&theirs);
    let (verdict, why) = judged(limits);
    (Some(Difference::of(limits)), verdict, why)
}

/// What a model expects of an arm: its share in the kind, drawn to the share of the kind where there are few.
struct Expected {
    of_arm: BTreeMap<DeclineKind, [f64; 2]>,
    of_kind: BTreeMap<DeclineKind, [f64; 2]>,
}

impl Expected {
    fn of(cases: &[Drawn<'_>], arm: Arm) -> Self {
        let (mut of_arm, mut of_kind) = (BTreeMap::new(), BTreeMap::new());
        for case in cases {
            add(of_kind.entry(case.draw.kind).or_default(), case);
            if case.draw.arm == arm {
                add(of_arm.entry(case.draw.kind).or_default(), case);
            }
        }
        Self { of_arm, of_kind }
    }

    fn share(&self, kind: DeclineKind) -> f64 {
        let of = |known: &BTreeMap<_, [f64; 2]>| known.get(&kind).copied().unwrap_or_default();
        let ([won, cases], [kind_won, kind_cases]) = (of(&self.of_arm), of(&self.of_kind));
        (won + MODEL_WEIGHT * kind_won / kind_cases.max(1.0)) / (cases + MODEL_WEIGHT)
    }
}

fn add([won, cases]: &mut [f64; 2], case: &Drawn<'_>) {
    *won += f64::from(u8::from(case.fact.is_recovered()));
    *cases += 1.0;
}

/// The doubly robust share of an arm over cases that could draw it.
fn doubly_robust(cases: &[Drawn<'_>], arm: Arm) -> Option<Share> {
    let expected = Expected::of(cases, arm);
    let weight = |case: &Drawn<'_>| {
        if case.draw.arm == arm {
            1.0 / case.draw.propensity
        } else {
            0.0
        }
    };
    let surprise = |case: &Drawn<'_>| f64::from(u8::from(case.fact.is_recovered())) - expected.share(case.draw.kind);
    let all = whole(cases.len());
    let weights: f64 = cases.iter().map(weight).sum();
    if weights <= 0.0 {
        return None;
    }
    let model: f64 = cases.iter().map(|case| expected.share(case.draw.kind)).sum::<f64>() / all;
    let mended: f64 = cases.iter().map(|case| weight(case) * surprise(case)).sum::<f64>() / weights;
    let influence = |case: &Drawn<'_>| {
        expected.share(case.draw.kind) - model + all / weights * weight(case) * (surprise(case) - mended)
    };
    let variance = clustered(cases.iter().map(|case| (case.fact.customer.as_str(), influence(case)))) / (all * all);
    let its = of_arm(cases, arm);
    let mut sums = BTreeMap::<&str, f64>::new();
    for seen in &its {
        *sums.entry(seen.customer).or_default() += seen.weight;
    }
    let value = (model + mended).clamp(0.0, 1.0);
    Some(Share::around(
        value,
        variance,
        all,
        effective(sums.into_values()),
        its.len(),
    ))
}

fn tenths(number: f64) -> f64 {
    libm::floor(number * 10.0 + 1e-6) / 10.0
}
