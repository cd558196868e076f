//! The chance that a charge in some hour succeeds, as a sum of weights that a person can read: how long after the failure, at
//! which hour, on which weekday and day of the month, how near to a payday, how long after the last charge, and the how manieth
//! it is.
//!
//! For each kind of decline it is a logistic regression that learns one answer at a time: a weight has a mean and a precision,
//! and takes the part of the surprise that falls to its own uncertainty (a diagonal Kalman step over the logistic curve).

use serde::{Deserialize, Serialize};

use super::dice::Dice;
use super::prior::Prior;
use super::slots::Slot;
use crate::domain::decline::DeclineKind;

/// How much of what was learned is still believed a day later.
const KEPT_A_DAY: f64 = 0.999;
/// The square of the deviation at which the logistic curve is as flat as one over uncertain weights (an eighth of pi, after David Mackay).
const FLATTENING: f64 = core::f64::consts::PI / 8.0;
/// How many features a kind has.
pub const FEATURES: usize = 68;
/// The first feature of each group.
const DELAY: usize = 0;
const HOUR: usize = DELAY + 6;
const WEEKDAY: usize = HOUR + 8;
const MONTH_DAY: usize = WEEKDAY + 7;
const GAP: usize = MONTH_DAY + 33;
const NUMBER: usize = GAP + 5;
const PAYDAY: usize = NUMBER + 8;
/// How many of them one charge has, besides the payday.
const TOLD: usize = 6;
/// The last feature of the nights.
const NIGHT_END: usize = HOUR + 2;

const WEEKDAYS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];
const DELAYS: [&str; 6] = [
    "0 to 6 h",
    "7 to 30 h",
    "31 to 78 h",
    "79 to 150 h",
    "151 to 246 h",
    "over 246 h",
];
const GAPS: [&str; 5] = ["up to 20 h", "21 to 44 h", "45 to 92 h", "over 92 h", "none before"];

/// One weight.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Weight {
    /// What it adds to the logarithm of the odds.
    pub mean: f64,
    /// How well that is known: one over its variance.
    pub precision: f64,
    /// From how many answers.
    pub n: u32,
}

impl Weight {
    /// How far its mean may be off.
    pub fn deviation(&self) -> f64 {
        1.0 / libm::sqrt(self.precision)
    }
}

/// What a charge had before it, besides its hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// Hours from the failure to the last charge, where one was made since.
    pub last: Option<u16>,
    /// How many charges were made since the failure.
    pub made: u8,
}

/// What tells of a charge.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Features {
    /// The features it has.
    told: [u8; TOLD],
    /// The share of people who were just paid.
    payday: f64,
}

impl Features {
    /// Those of a charge in an hour.
    pub fn new(slot: &Slot, past: Past) -> Self {
        let delay = match slot.after {
            0..=6 => 0,
            7..=30 => 1,
            31..=78 => 2,
            79..=150 => 3,
            151..=246 => 4,
            _ => 5,
        };
        let gap = past.last.map_or(4, |last| match slot.after.saturating_sub(last) {
            0..=20 => 0,
            21..=44 => 1,
            45..=92 => 2,
            _ => 3,
        });
        let month_day = match slot.before_month_end {
            left @ 0..=1 => 31 + usize::from(left),
            _ => usize::from(slot.month_day.clamp(1, 31)) - 1,
        };
        let told = [
            DELAY + delay,
            HOUR + usize::from(slot.hour.min(23)) / 3,
            WEEKDAY + usize::from(slot.weekday.min(6)),
            MONTH_DAY + month_day,
            GAP + gap,
            NUMBER + usize::from(past.made.min(7)),
        ];
        Self {
            told: told.map(|feature| u8::try_from(feature).unwrap_or(u8::MAX)),
            payday: slot.payday,
        }
    }

    /// Each feature with its size.
    fn all(&self) -> impl Iterator<Item = (usize, f64)> {
        let told = self.told.map(|feature| (usize::from(feature).min(FEATURES - 1), 1.0));
        told.into_iter().chain([(PAYDAY, self.payday)])
    }
}

/// The weights of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights([Weight; FEATURES]);

impl Weights {
    /// What is believed of a kind before anything was seen.
    pub fn before(prior: &Prior, kind: DeclineKind) -> Self {
        let weight = |mean, deviation: f64| Weight {
            mean,
            precision: 1.0 / (deviation * deviation),
            n: 0,
        };
        let base = prior.base.get(&kind).copied().unwrap_or_default();
        let payday = prior.payday.get(&kind).copied().unwrap_or_default();
        Self(std::array::from_fn(|feature| match feature {
            0..HOUR => weight(base, prior.base_deviation),
            HOUR..NIGHT_END => weight(prior.night, prior.deviation),
            PAYDAY => weight(payday, prior.payday_deviation),
            _ => weight(0.0, prior.deviation),
        }))
    }

    /// The weights by name.
    pub fn rows(&self) -> impl Iterator<Item = (String, Weight)> {
        self.0
            .iter()
            .enumerate()
            .map(|(feature, weight)| (name(feature), *weight))
    }

    /// Puts what was stored of a weight in its place; a name that is not known any more is let go.
    pub fn set(&mut self, named: &str, weight: Weight) {
        if let Some(feature) = (0..FEATURES).find(|feature| name(*feature) == named) {
            self.0[feature] = weight;
        }
    }

    /// The logarithm of the odds: its mean and its variance.
    fn odds(&self, features: &Features) -> (f64, f64) {
        features.all().fold((0.0, 0.0), |(mean, variance), (feature, size)| {
            let weight = &self.0[feature];
            (mean + size * weight.mean, variance + size * size / weight.precision)
        })
    }

    /// The chance that a charge succeeds.
    pub fn chance(&self, features: &Features) -> f64 {
        let (mean, variance) = self.odds(features);
        flattened(mean, variance)
    }

    /// The chance if we are wrong by so many deviations.
    pub fn chance_at_best(&self, features: &Features, deviations: f64) -> f64 {
        let (mean, variance) = self.odds(features);
        logistic(mean + deviations * libm::sqrt(variance))
    }

    /// Learns from the answer to a charge.
    pub fn learn(&mut self, features: &Features, paid: bool) {
        let (mean, variance) = self.odds(features);
        let chance = flattened(mean, variance);
        let slope = chance * (1.0 - chance);
        let surprise = (f64::from(u8::from(paid)) - chance) / (1.0 + slope * variance);
        for (feature, size) in features.all().filter(|(_, size)| *size > 0.0) {
            let weight = &mut self.0[feature];
            weight.mean += size * surprise / weight.precision;
            weight.precision += size * size * slope;
            weight.n = weight.n.saturating_add(1);
        }
    }

    /// Lets what was learned fade for so many days towards what was believed before; the means stay, and are less sure.
    pub fn fade(&mut self, before: &Self, days: f64) {
        let kept = libm::pow(KEPT_A_DAY, days.max(0.0));
        for (weight, before) in self.0.iter_mut().zip(&before.0) {
            weight.precision = before.precision + (weight.precision - before.precision) * kept;
        }
    }

    /// Draws the weights once: their means, moved by so many of their deviations.
    pub fn drawn(&self, dice: &mut Dice, deviations: f64) -> Drawn {
        Drawn(std::array::from_fn(|feature| {
            let weight = &self.0[feature];
            weight.mean + deviations * dice.normal() / libm::sqrt(weight.precision)
        }))
    }
}

/// Weights as they were drawn for one decision.
#[derive(Clone, Debug)]
pub struct Drawn([f64; FEATURES]);

impl Drawn {
    /// The logarithm of the odds.
    pub fn odds(&self, features: &Features) -> f64 {
        features.all().map(|(feature, size)| size * self.0[feature]).sum()
    }
}

fn logistic(odds: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-odds))
}

/// The chance over weights that are uncertain, which is nearer to one half.
fn flattened(mean: f64, variance: f64) -> f64 {
    logistic(mean / libm::sqrt(1.0 + FLATTENING * variance))
}

/// A feature as people read it.
fn name(feature: usize) -> String {
    match feature {
        DELAY..HOUR => format!("{} after the failure", DELAYS[feature - DELAY]),
        HOUR..WEEKDAY => {
            let from = (feature - HOUR) * 3;
            format!("{from:02}:00 to {:02}:59", from + 2)
        }
        WEEKDAY..MONTH_DAY => WEEKDAYS[feature - WEEKDAY].to_owned(),
        MONTH_DAY..GAP => match feature - MONTH_DAY {
            31 => "last day of the month".to_owned(),
            32 => "last day but one of the month".to_owned(),
            day => format!("day {} of the month", day + 1),
        },
        GAP..NUMBER => format!("last charge: {}", GAPS[feature - GAP]),
        NUMBER..PAYDAY => format!("charge {}", feature - NUMBER + 1),
        _ => "payday".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(after: u16, hour: u8, weekday: u8) -> Slot {
        Slot {
            after,
            hour,
            weekday,
            month_day: 12,
            before_month_end: 18,
            payday: 0.0,
        }
    }

    fn before() -> Weights {
        Weights::before(&Prior::embedded(), DeclineKind::InsufficientFunds)
    }

    #[test]
    fn each_weight_has_a_name_of_its_own() {
        let mut names: Vec<String> = before().rows().map(|(name, _)| name).collect();
        assert_eq!(names[0], "0 to 6 h after the failure");
        assert_eq!(names[HOUR], "00:00 to 02:59");
        assert_eq!(names[GAP - 2], "last day of the month");
        names.sort();
        names.dedup();
        assert_eq!(names.len(), FEATURES);
    }

    #[test]
    fn what_was_stored_by_name_is_read_again() {
        let mut learned = before();
        learned.learn(&Features::new(&slot(40, 9, 4), Past::default()), true);
        let mut read = before();
        for (name, weight) in learned.rows() {
            read.set(&name, weight);
        }
        assert_eq!(read, learned);
    }

    /// Fridays pay in eight of ten, other days in two: after some hundred answers the weights say so, and keep to it.
    #[test]
    fn it_learns_what_is_so() {
        let mut weights = before();
        let mut dice = Dice::new(7);
        for number in 0..1400_u16 {
            let weekday = u8::try_from(number % 7).unwrap();
            let features = Features::new(&slot(24 + number % 200, 9, weekday), Past::default());
            let paid = dice.share() < if weekday == 4 { 0.8 } else { 0.2 };
            weights.learn(&features, paid);
        }
        let chance = |weekday| weights.chance(&Features::new(&slot(100, 9, weekday), Past::default()));
        assert!((0.7..0.88).contains(&chance(4)), "{}", chance(4));
        assert!((0.12..0.3).contains(&chance(2)), "{}", chance(2));
    }

    #[test]
    fn what_was_learned_fades_and_the_prior_does_not() {
        let (mut weights, before) = (before(), before());
        let features = Features::new(
            &slot(40, 9, 4),
            Past {
                last: Some(10),
                made: 1,
            },
        );
        (0..50).for_each(|_| weights.learn(&features, true));
        let learned = weights.clone();
        weights.fade(&before, 693.0);
        for ((now, then), first) in weights.0.iter().zip(&learned.0).zip(&before.0) {
            let half = f64::midpoint(then.precision, first.precision);
            assert!((now.precision - half).abs() < 0.01 * half, "{now:?} {then:?}");
            assert_eq!(now.mean.to_bits(), then.mean.to_bits());
        }
        weights.fade(&before, 0.0);
        assert!(
            weights
                .0
                .iter()
                .zip(&before.0)
                .all(|(now, first)| now.precision >= first.precision)
        );
    }
}
