//! Shares with their intervals, where the cases of one customer are not independent of one another.
//!
//! A share is a weighted mean of yes and no. Its variance is taken over customers, because charges of one customer meet one
//! account. The variance says how many independent cases would be as telling, and the interval is the one of Edwin Wilson for
//! that many: with one case for each customer and equal weights it is exactly his.

use serde::Serialize;

use crate::domain::report::Rate;

/// The normal quantile of 95 % on both sides.
pub(super) const Z: f64 = 1.959_963_984_540_054;
/// The squared sum of the quantiles of 5 % on both sides and of a power of 80 %.
const POWER: f64 = 7.848_879_734_349_09;
/// The quantiles of Student's distribution for one to ten degrees of freedom, 95 % on both sides.
const STUDENT: [f64; 10] = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228];

/// One case of a share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<'a> {
    pub customer: &'a str,
    /// How much it counts.
    pub weight: f64,
    pub recovered: bool,
}

/// A share as a number, with the limits between which it lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Share {
    pub value: f64,
    pub low: f64,
    pub high: f64,
    /// How many independent cases of equal weight would tell as much.
    pub independent: f64,
}

/// A share with its interval of 95 %.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Estimate {
    /// The share.
    pub share: Rate,
    /// The lower end of its interval.
    pub low: Rate,
    /// The upper end of its interval.
    pub high: Rate,
    /// How many independent cases of equal weight would tell as much, cut to one decimal.
    pub independent_cases: f64,
}

/// A difference of two shares with its interval of 95 %, in percentage points.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Difference {
    /// The difference.
    pub points: Rate,
    /// The lower end of its interval.
    pub low: Rate,
    /// The upper end of its interval.
    pub high: Rate,
}

impl Share {
    /// The share of those that recovered; nothing where there is none.
    pub(super) fn of(seen: &[Seen<'_>]) -> Option<Self> {
        let total: f64 = seen.iter().map(|one| one.weight).sum();
        if total <= 0.0 {
            return None;
        }
        let won: f64 = seen.iter().filter(|one| one.recovered).map(|one| one.weight).sum();
        let value = (won / total).clamp(0.0, 1.0);
        let surprise = |one: &Seen<'_>| one.weight * (f64::from(u8::from(one.recovered)) - value);
        let variance = clustered(seen.iter().map(|one| (one.customer, surprise(one)))) / (total * total);
        let most = effective(seen.iter().map(|one| one.weight));
        let customers = effective(sums(seen.iter().map(|one| (one.customer, one.weight))));
        Some(Self::around(value, variance, most, customers, seen.len()))
    }

    /// The share of a value of that variance, whose cases tell at most as much as `most` independent ones, and as `customers`
    /// where the variance cannot be known because all came out alike.
    pub(super) fn around(value: f64, variance: f64, most: f64, customers: f64, cases: usize) -> Self {
        let spread = value * (1.0 - value);
        let independent = if spread <= 0.0 || customers < 2.0 {
            customers
        } else {
            let few = if whole(cases) - customers > 0.5 {
                student(customers - 1.0) / Z
            } else {
                1.0
            };
            (1.0 + spread / (variance * few * few)).min(most)
        };
        let independent = independent.max(1.0);
        let (low, high) = wilson(value, independent);
        Self {
            value,
            low,
            high,
            independent,
        }
    }

    pub(super) fn estimate(&self) -> Estimate {
        Estimate {
            share: Rate::of_share(self.value),
            low: Rate::of_share(self.low),
            high: Rate::of_share(self.high),
            independent_cases: libm::floor(self.independent * 10.0 + 1e-6) / 10.0,
        }
    }

    /// How much it is above another share of other customers, with both intervals put together as Robert Newcombe does.
    pub(super) fn above(&self, other: &Self) -> [f64; 3] {
        let points = self.value - other.value;
        let below = libm::hypot(self.value - self.low, other.high - other.value);
        let beyond = libm::hypot(self.high - self.value, other.value - other.low);
        [points, points - below, points + beyond]
    }
}

impl Difference {
    pub(super) fn of([points, low, high]: [f64; 3]) -> Self {
        Self {
            points: Rate::of_share(points),
            low: Rate::of_share(low),
            high: Rate::of_share(high),
        }
    }
}

/// The interval of Wilson for a share of so many cases.
fn wilson(share: f64, cases: f64) -> (f64, f64) {
    let z = Z * Z / cases;
    let middle = (share + z / 2.0) / (1.0 + z);
    let reach = Z / (1.0 + z) * libm::sqrt(share * (1.0 - share) / cases + z / (4.0 * cases));
    ((middle - reach).clamp(0.0, share), (middle + reach).clamp(share, 1.0))
}

/// The sum of what belongs together, in the order of its names.
fn sums<'a>(parts: impl Iterator<Item = (&'a str, f64)>) -> impl Iterator<Item = f64> {
    let mut sums = std::collections::BTreeMap::<&str, f64>::new();
    for (name, part) in parts {
        *sums.entry(name).or_default() += part;
    }
    sums.into_values()
}

/// The variance of a sum of parts around nought that are independent from one customer to another.
pub(super) fn clustered<'a>(parts: impl Iterator<Item = (&'a str, f64)>) -> f64 {
    let (mut customers, mut squares) = (0.0, 0.0);
    for sum in sums(parts) {
        customers += 1.0;
        squares += sum * sum;
    }
    if customers < 2.0 {
        0.0
    } else {
        squares * customers / (customers - 1.0)
    }
}

/// How many of equal weight tell as much as these: the squared sum of the weights over the sum of their squares.
pub(super) fn effective(weights: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut squares) = (0.0, 0.0);
    for weight in weights {
        sum += weight;
        squares += weight * weight;
    }
    if squares > 0.0 { sum * sum / squares } else { 0.0 }
}

/// The quantile of Student's distribution; beyond ten degrees an expansion around the normal one.
fn student(degrees: f64) -> f64 {
    for (known, quantile) in (1_u8..).map(f64::from).zip(STUDENT) {
        if degrees <= known {
            return quantile;
        }
    }
    Z + 2.372 / degrees + 2.822 / (degrees * degrees)
}

/// How many cases two groups need together so that a difference of that size is told in four of five times, where the second
/// group has that part of the cases and each case of a group has that variance.
pub(super) fn needed(difference: f64, part: f64, variances: [f64; 2]) -> Option<u64> {
    let squared = difference * difference;
    if squared <= 0.0 || part <= 0.0 || part >= 1.0 {
        return None;
    }
    let cases = libm::ceil(POWER * (variances[0] / (1.0 - part) + variances[1] / part) / squared);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    let cases = cases as u64;
    Some(cases)
}

/// A number of cases, which a float holds exactly.
pub(super) fn whole(cases: usize) -> f64 {
    f64::from(u32::try_from(cases).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One case for each of so many customers, of which the first ones recovered.
    fn singles(recovered: usize, cases: usize) -> Share {
        let names: Vec<String> = (0..cases).map(|number| format!("cus_{number}")).collect();
        let seen = |(number, customer): (usize, &String)| (customer.clone(), number < recovered);
        let seen: Vec<(String, bool)> = names.iter().enumerate().map(seen).collect();
        let seen: Vec<Seen<'_>> = seen
            .iter()
            .map(|(customer, recovered)| Seen {
                customer,
                weight: 1.0,
                recovered: *recovered,
            })
            .collect();
        Share::of(&seen).unwrap()
    }

    fn near(found: f64, known: f64) -> bool {
        (found - known).abs() < 0.000_06
    }

    /// The examples of Newcombe's two papers of 1998, in Statistics in Medicine 17.
    #[test]
    fn intervals_are_those_of_the_literature() {
        for (recovered, cases, low, high) in [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ] {
            let share = singles(recovered, cases);
            assert!(near(share.low, low) && near(share.high, high), "{share:?}");
            assert!((share.independent - whole(cases)).abs() < 1e-6, "{share:?}");
        }
        for (one, other, low, high) in [
            ((56, 70), (48, 80), 0.0524, 0.3339),
            ((9, 10), (3, 10), 0.1705, 0.8090),
            ((5, 56), (0, 29), -0.0381, 0.1926),
            ((0, 10), (0, 10), -0.2775, 0.2775),
        ] {
            let found = singles(one.0, one.1).above(&singles(other.0, other.1));
            assert!(near(found[1], low) && near(found[2], high), "{found:?}");
        }
    }

    #[test]
    fn the_same_account_again_tells_little_more() {
        let twice = |number: usize| format!("cus_{}", number / 2);
        let names: Vec<String> = (0..400).map(twice).collect();
        let alike: Vec<Seen<'_>> = names
            .iter()
            .enumerate()
            .map(|(number, customer)| Seen {
                customer,
                weight: 1.0,
                recovered: number < 200,
            })
            .collect();
        let share = Share::of(&alike).unwrap();
        // Both cases of a customer ended alike: that is as good as one, less what is not known of the variance.
        assert!((190.0..=200.5).contains(&share.independent), "{share:?}");
        let one: Vec<Seen<'_>> = alike
            .iter()
            .map(|seen| Seen {
                customer: "cus",
                ..*seen
            })
            .collect();
        assert!((Share::of(&one).unwrap().independent - 1.0).abs() < 1e-9);
        let none: Vec<Seen<'_>> = alike
            .iter()
            .map(|seen| Seen {
                recovered: false,
                ..*seen
            })
            .collect();
        assert!((Share::of(&none).unwrap().independent - 200.0).abs() < 1e-9);
        assert_eq!(Share::of(&[]), None);
    }

    #[test]
    fn weights_tell_as_much_as_their_effective_number() {
        let names: Vec<String> = (0..200).map(|number| format!("cus_{number}")).collect();
        let seen: Vec<Seen<'_>> = names
            .iter()
            .enumerate()
            .map(|(number, customer)| Seen {
                customer,
                weight: if number % 2 == 0 { 1.0 } else { 3.0 },
                recovered: number % 4 < 2,
            })
            .collect();
        let share = Share::of(&seen).unwrap();
        assert!((share.value - 0.5).abs() < 1e-9, "{share:?}");
        assert!(share.independent <= 160.0 && share.independent > 155.0, "{share:?}");
    }

    /// Known sizes of two equal groups at a half: 10, 5, 3 and 2 points.
    #[test]
    fn the_cases_needed_are_those_of_the_tables() {
        for (points, each) in [(0.10, 385), (0.05, 1562), (0.03, 4353), (0.02, 9803)] {
            let above = 0.5 + points;
            let found = needed(points, 0.5, [above * (1.0 - above), 0.25]).unwrap();
            assert!(found.abs_diff(2 * each) <= 4, "{points}: {found}");
        }
        let tenth = needed(0.05, 0.1, [0.2475, 0.25]).unwrap();
        assert!((8_600..8_800).contains(&tenth), "{tenth}");
        assert_eq!(needed(0.0, 0.5, [0.25, 0.25]), None);
        assert_eq!(needed(0.1, 0.0, [0.25, 0.25]), None);
    }
}
