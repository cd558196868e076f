//! Arms: named ways to plan the charges of a case, and the choice among them.
//!
//! How good an arm is, is a Beta distribution over the share that it brings in. The probability that an arm is the best one is
//! integrated, not sampled, so the propensity of a choice is exact; each arm keeps a floor, because a choice that is certain can
//! never again be compared.

use serde::{Deserialize, Serialize};

use super::dice::Dice;
use super::prior;
use crate::domain::decline::DeclineKind;
use crate::domain::words::words;

words! {
    /// A named way to plan the charges of a case.
    Arm {
        /// Where the learned hazard is highest, near an even spacing.
        Adaptive = "adaptive",
        /// At nine on the best payday of the country, near an even spacing.
        Payday = "payday",
        /// Evenly over the window, at nine.
        Even = "even",
        /// The days 1, 3, 5, 7 and so on, at nine.
        Front = "front",
        /// The days 3, 7, 10 and 14, at nine.
        Late = "late",
    }
}

/// A set of arms, as small as a number; written as the list of their names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Arm>", into = "Vec<Arm>")]
pub struct Arms(u8);

impl Arms {
    const fn bit(arm: Arm) -> u8 {
        1 << (arm as u8)
    }

    /// Whether an arm is in it.
    pub const fn has(self, arm: Arm) -> bool {
        self.0 & Self::bit(arm) != 0
    }

    /// How many are in it.
    pub const fn count(self) -> u32 {
        self.0.count_ones()
    }
}

impl FromIterator<Arm> for Arms {
    fn from_iter<I: IntoIterator<Item = Arm>>(arms: I) -> Self {
        Self(arms.into_iter().fold(0, |set, arm| set | Self::bit(arm)))
    }
}

impl From<Vec<Arm>> for Arms {
    fn from(arms: Vec<Arm>) -> Self {
        arms.into_iter().collect()
    }
}

impl From<Arms> for Vec<Arm> {
    fn from(arms: Arms) -> Self {
        Arm::ALL.iter().copied().filter(|arm| arms.has(*arm)).collect()
    }
}

/// The arms that a campaign chooses among where it does not say otherwise.
pub const USUAL: [Arm; 3] = [Arm::Adaptive, Arm::Payday, Arm::Even];

/// The arm of those who are held out, and what others are compared with.
pub const BASELINE: Arm = Arm::Even;

/// The share of choices that no posterior takes from an arm.
const FLOOR: f64 = 0.03;
/// The days in which a result loses half of its weight.
const HALF_LIFE_DAYS: f64 = 90.0;
/// The points at which the distributions are compared, and how many deviations beyond the outermost they reach.
const POINTS: usize = 128;
const REACH: f64 = 6.0;
/// The logarithm of a share that cannot be told from nothing.
const NOTHING: f64 = -60.0;
/// An arm rests while it is this sure to be behind the baseline by more than the margin.
pub const REST_SURE: f64 = 0.95;
/// By how much more of what is owed the baseline brings in than an arm that rests.
pub const REST_MARGIN: f64 = 0.03;

/// What is known of an arm: so many invoices brought in, so many not, each counting less the older it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Beta {
    /// Brought in.
    pub alpha: f64,
    /// Not.
    pub beta: f64,
    /// From how many invoices.
    pub n: u32,
}

impl Beta {
    /// What is believed of an arm before anything was seen.
    pub fn before(prior: &prior::Arms, kind: DeclineKind, arm: Arm) -> Self {
        let share = prior.share.get(&kind).copied().unwrap_or(0.1);
        let ahead = if arm == Arm::Adaptive {
            prior.adaptive_ahead
        } else {
            0.0
        };
        Self {
            alpha: (share + ahead) * prior.weight,
            beta: (1.0 - share - ahead) * prior.weight,
            n: 0,
        }
    }

    /// Adds a result of `reward`, from 0 to 1, that is so many days old.
    pub fn learn(&mut self, reward: f64, age_days: f64) {
        let weight = kept(age_days);
        self.alpha += reward * weight;
        self.beta += (1.0 - reward) * weight;
        self.n = self.n.saturating_add(1);
    }

    /// Turns a result that had brought `reward`, so many days ago, into one that brought nothing.
    pub fn take_back(&mut self, reward: f64, age_days: f64) {
        let moved = (reward * kept(age_days)).min(self.alpha);
        self.alpha -= moved;
        self.beta += moved;
    }

    /// Lets results fade for so many days towards what was believed before.
    pub fn fade(&mut self, before: &Self, days: f64) {
        let kept = kept(days);
        self.alpha = before.alpha + (self.alpha - before.alpha) * kept;
        self.beta = before.beta + (self.beta - before.beta) * kept;
    }

    /// The share that it is expected to bring in.
    pub fn mean(&self) -> f64 {
        self.alpha / (self.alpha + self.beta)
    }

    /// How far that may be off: one deviation.
    pub fn deviation(&self) -> f64 {
        let sum = self.alpha + self.beta;
        libm::sqrt(self.alpha * self.beta / (sum * sum * (sum + 1.0)))
    }

    /// Where its distribution lies: the share of it at each of the points.
    fn density(&self, points: &Points) -> [f64; POINTS] {
        let (alpha, beta) = (self.alpha - 1.0, self.beta - 1.0);
        let logs: [f64; POINTS] =
            std::array::from_fn(|point| alpha * points.logs[point] + beta * points.logs_of_rest[point]);
        let highest = logs.iter().copied().fold(f64::MIN, f64::max);
        let shape = logs.map(|log| {
            let below = log - highest;
            // What is smaller than this is nothing beside one.
            if below < NOTHING { 0.0 } else { libm::exp(below) }
        });
        let sum: f64 = shape.iter().sum();
        shape.map(|share| share / sum)
    }
}

/// The points at which distributions are compared, which all of them share.
struct Points {
    logs: [f64; POINTS],
    /// Those of what is missing from one.
    logs_of_rest: [f64; POINTS],
}

impl Points {
    fn between(low: f64, high: f64) -> Self {
        Self {
            logs: std::array::from_fn(|point| libm::log(at(low, high, point))),
            logs_of_rest: std::array::from_fn(|point| libm::log(1.0 - at(low, high, point))),
        }
    }
}

/// What is left of the weight of a result of that age.
fn kept(days: f64) -> f64 {
    libm::pow(0.5, days.max(0.0) / HALF_LIFE_DAYS)
}

#[expect(clippy::cast_precision_loss, reason = "a point is below 128")]
fn at(low: f64, high: f64, point: usize) -> f64 {
    low + (high - low) * (point as f64 + 0.5) / POINTS as f64
}

/// One arm that could be chosen, with all that the choice rests on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// The arm.
    pub arm: Arm,
    /// What is known of it.
    pub known: Beta,
    /// The probability that it is the best one.
    pub best: f64,
    /// The probability that it is chosen.
    pub propensity: f64,
    /// Whether it rests, because it is nearly certainly behind the baseline.
    pub rests: bool,
}

/// The probability of each to be the best.
fn best(known: &[Beta]) -> Vec<f64> {
    let edge = |beta: &Beta, side: f64| beta.mean() + side * REACH * beta.deviation();
    let low = known.iter().map(|beta| edge(beta, -1.0)).fold(1.0, f64::min).max(0.0);
    let high = known.iter().map(|beta| edge(beta, 1.0)).fold(0.0, f64::max).min(1.0);
    let points = Points::between(low, high);
    let densities: Vec<[f64; POINTS]> = known.iter().map(|beta| beta.density(&points)).collect();
    let below: Vec<[f64; POINTS]> = densities.iter().map(cumulated).collect();
    let wins = |mine: usize| -> f64 {
        let others = |point: usize| -> f64 {
            let other = |(number, below): (usize, &[f64; POINTS])| if number == mine { 1.0 } else { below[point] };
            below.iter().enumerate().map(other).product()
        };
        (0..POINTS).map(|point| densities[mine][point] * others(point)).sum()
    };
    let wins: Vec<f64> = (0..known.len()).map(wins).collect();
    let sum: f64 = wins.iter().sum();
    wins.iter().map(|one| one / sum).collect()
}

/// How much lies below the middle of each point.
fn cumulated(density: &[f64; POINTS]) -> [f64; POINTS] {
    let mut below = 0.0;
    density.map(|share| {
        below += share;
        below - share / 2.0
    })
}

/// Whether an arm is so surely behind the baseline that it rests.
pub fn rests(arm: &Beta, baseline: &Beta) -> bool {
    behind(arm, baseline) > REST_SURE
}

/// The probability that an arm is behind the baseline by more than the margin.
pub fn behind(arm: &Beta, baseline: &Beta) -> f64 {
    let difference = arm.mean() + REST_MARGIN - baseline.mean();
    let deviation = libm::sqrt(arm.deviation() * arm.deviation() + baseline.deviation() * baseline.deviation());
    // Both are nearly normal where enough was seen to be sure.
    0.5 * (1.0 + libm::erf(-difference / deviation / core::f64::consts::SQRT_2))
}

/// The arms that could be chosen, with the propensity of each.
pub fn candidates(known: &[(Arm, Beta)]) -> Vec<Candidate> {
    let baseline = known.iter().find(|(arm, _)| *arm == BASELINE).map(|(_, known)| *known);
    let rests = |(arm, beta): &(Arm, Beta)| *arm != BASELINE && baseline.is_some_and(|baseline| rests(beta, &baseline));
    let awake: Vec<Beta> = known.iter().filter(|arm| !rests(arm)).map(|(_, beta)| *beta).collect();
    let mut chances = best(&awake).into_iter();
    #[expect(clippy::cast_precision_loss, reason = "a handful of arms")]
    let floors = FLOOR * awake.len() as f64;
    known
        .iter()
        .map(|one| {
            let rests = rests(one);
            let best = if rests { 0.0 } else { chances.next().unwrap_or_default() };
            Candidate {
                arm: one.0,
                known: one.1,
                best,
                propensity: if rests { 0.0 } else { FLOOR + (1.0 - floors) * best },
                rests,
            }
        })
        .collect()
}

/// Draws one of the candidates by their propensities.
pub fn draw(candidates: &[Candidate], dice: &mut Dice) -> Option<Candidate> {
    let mut left = dice.share();
    let awake = candidates.iter().filter(|candidate| !candidate.rests);
    let mut chosen = None;
    for candidate in awake {
        chosen = Some(*candidate);
        if left < candidate.propensity {
            break;
        }
        left -= candidate.propensity;
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beta(alpha: f64, beta: f64) -> Beta {
        Beta { alpha, beta, n: 0 }
    }

    /// Against drawing: a Gamma of whole numbers is a sum of waits, and a Beta is the share of one Gamma of two.
    #[test]
    fn the_best_is_as_probable_as_drawing_says() {
        let known = [beta(60.0, 40.0), beta(55.0, 45.0), beta(8.0, 8.0)];
        let mut dice = Dice::new(3);
        let mut gamma = |shape: f64| {
            let mut left = shape;
            let mut sum = 0.0;
            while left > 0.5 {
                sum -= libm::log(1.0 - dice.share());
                left -= 1.0;
            }
            sum
        };
        let (mut wins, rounds) = ([0.0; 3], 40_000);
        for _ in 0..rounds {
            let drawn = known.map(|known| {
                let (a, b) = (gamma(known.alpha), gamma(known.beta));
                a / (a + b)
            });
            let won = (0..3).max_by(|a, b| drawn[*a].total_cmp(&drawn[*b])).unwrap();
            wins[won] += 1.0 / f64::from(rounds);
        }
        for (exact, drawn) in best(&known).into_iter().zip(wins) {
            assert!((exact - drawn).abs() < 0.01, "{exact} {drawn}");
        }
    }

    #[test]
    fn propensities_are_whole_and_keep_the_floor() {
        let sure = [
            (Arm::Adaptive, beta(900.0, 100.0)),
            (Arm::Payday, beta(895.0, 105.0)),
            (Arm::Even, beta(890.0, 110.0)),
        ];
        let found = candidates(&sure);
        let sum: f64 = found.iter().map(|candidate| candidate.propensity).sum();
        assert!((sum - 1.0).abs() < 1e-9, "{found:?}");
        assert!(found.iter().all(|candidate| candidate.propensity >= FLOOR), "{found:?}");
        let mut counts = [0_u32; 3];
        for seed in 0..20_000 {
            let drawn = draw(&found, &mut Dice::new(seed)).unwrap();
            counts[found.iter().position(|one| one.arm == drawn.arm).unwrap()] += 1;
        }
        for (candidate, count) in found.iter().zip(counts) {
            assert!(
                (candidate.propensity - f64::from(count) / 20_000.0).abs() < 0.012,
                "{candidate:?} {count}"
            );
        }
    }

    #[test]
    fn an_arm_that_is_surely_behind_rests_and_the_baseline_never_does() {
        let known = [
            (Arm::Adaptive, beta(500.0, 500.0)),
            (Arm::Payday, beta(400.0, 600.0)),
            (Arm::Even, beta(500.0, 500.0)),
        ];
        let found = candidates(&known);
        assert_eq!(
            found.iter().map(|one| one.rests).collect::<Vec<_>>(),
            [false, true, false]
        );
        assert_eq!(found[1].propensity.to_bits(), 0.0_f64.to_bits());
        let behind = [(Arm::Adaptive, beta(900.0, 100.0)), (Arm::Even, beta(1.0, 999.0))];
        assert!(
            candidates(&behind)
                .iter()
                .all(|one| !one.rests && one.propensity >= FLOOR)
        );
    }

    #[test]
    fn a_result_counts_less_the_older_it_is_and_can_be_taken_back() {
        let before = beta(450.0, 550.0);
        let mut known = before;
        known.learn(0.9, 0.0);
        known.learn(1.0, HALF_LIFE_DAYS);
        assert!(
            (known.alpha - 451.4).abs() < 1e-9 && (known.beta - 550.1).abs() < 1e-9,
            "{known:?}"
        );
        known.fade(&before, HALF_LIFE_DAYS);
        assert!(
            (known.alpha - 450.7).abs() < 1e-9 && (known.beta - 550.05).abs() < 1e-9,
            "{known:?}"
        );
        known.take_back(0.9, HALF_LIFE_DAYS);
        assert!(
            (known.alpha - 450.25).abs() < 1e-9 && (known.beta - 550.5).abs() < 1e-9,
            "{known:?}"
        );
    }

    #[test]
    fn a_set_of_arms_is_written_as_their_names() {
        let set: Arms = [Arm::Late, Arm::Adaptive].into_iter().collect();
        let text = serde_json::to_string(&set).unwrap();
        assert_eq!(text, r#"["adaptive","late"]"#);
        assert_eq!(serde_json::from_str::<Arms>(&text).unwrap(), set);
        assert_eq!((set.has(Arm::Late), set.has(Arm::Even), set.count()), (true, false, 2));
    }

    #[test]
    fn a_single_arm_is_certain() {
        let found = candidates(&[(Arm::Late, beta(1.0, 1.0))]);
        assert!((found[0].propensity - 1.0).abs() < 1e-9, "{found:?}");
        assert_eq!(draw(&found, &mut Dice::new(1)).map(|drawn| drawn.arm), Some(Arm::Late));
        assert_eq!(draw(&[], &mut Dice::new(1)), None);
    }
}
