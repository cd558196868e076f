//! What a case was worth, by currency. Amounts of different currencies are never added.

use std::collections::BTreeSet;

use serde::Serialize;

use super::interval::{Z, clustered, whole};
use super::{UpliftFact, Verdict, by_currency};
use crate::domain::money::Currency;

/// Below so many customers a mean of money is not near enough to a normal distribution to give it an interval.
pub(super) const CUSTOMERS_MIN: usize = 30;

/// What a case of a group was worth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct NetValue {
    /// The currency.
    pub currency: String,
    /// How many cases.
    pub cases: u64,
    /// Of how many customers.
    pub customers: u64,
    /// What came in, less what was taken back and what charges cost: the mean of a case, in minor units.
    pub mean_minor: i64,
    /// The lower end of its interval; nothing below 30 customers.
    pub low_minor: Option<i64>,
    /// The upper end of its interval.
    pub high_minor: Option<i64>,
}

/// How much more a case of one group was worth than one of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct NetDifference {
    /// The currency.
    pub currency: String,
    /// How much more, in minor units.
    pub difference_minor: i64,
    /// The lower end of its interval; nothing where a group has less than 30 customers.
    pub low_minor: Option<i64>,
    /// The upper end of its interval.
    pub high_minor: Option<i64>,
    /// Whether that can be told from chance.
    pub verdict: Verdict,
}

/// A mean, and how far it may be off.
struct Mean {
    cases: usize,
    customers: usize,
    value: f64,
    variance: f64,
}

impl Mean {
    fn of(facts: &[&UpliftFact]) -> Self {
        let cases = facts.len();
        let sum: i128 = facts.iter().map(|fact| i128::from(fact.net_minor)).sum();
        let mean = float(sum) / whole(cases);
        let apart = |fact: &&&UpliftFact| float(i128::from(fact.net_minor)) - mean;
        let parts = facts.iter().map(|fact| (fact.customer.as_str(), apart(&fact)));
        let customers: BTreeSet<&str> = facts.iter().map(|fact| fact.customer.as_str()).collect();
        Self {
            cases,
            customers: customers.len(),
            value: mean,
            variance: clustered(parts) / (whole(cases) * whole(cases)),
        }
    }

    fn is_enough(&self) -> bool {
        self.customers >= CUSTOMERS_MIN
    }

    fn shown(&self, currency: Currency) -> NetValue {
        let reach = self.is_enough().then(|| Z * libm::sqrt(self.variance));
        NetValue {
            currency: currency.code().to_owned(),
            cases: self.cases as u64,
            customers: self.customers as u64,
            mean_minor: minor(self.value),
            low_minor: reach.map(|reach| minor(self.value - reach)),
            high_minor: reach.map(|reach| minor(self.value + reach)),
        }
    }

    fn above(&self, other: &Self, currency: Currency) -> NetDifference {
        let difference = self.value - other.value;
        let enough = self.is_enough() && other.is_enough();
        let reach = enough.then(|| Z * libm::sqrt(self.variance + other.variance));
        NetDifference {
            currency: currency.code().to_owned(),
            difference_minor: minor(difference),
            low_minor: reach.map(|reach| minor(difference - reach)),
            high_minor: reach.map(|reach| minor(difference + reach)),
            verdict: match reach {
                Some(reach) if difference > reach => Verdict::Ahead,
                Some(reach) if difference < -reach => Verdict::Behind,
                Some(_) | None => Verdict::NotYet,
            },
        }
    }
}

/// What a case was worth in each currency.
pub(super) fn values(facts: &[&UpliftFact]) -> Vec<NetValue> {
    let each = by_currency(facts).into_iter();
    each.map(|(currency, facts)| Mean::of(&facts).shown(currency)).collect()
}

/// How much more a case of the first was worth, in each currency that both have.
pub(super) fn differences(ours: &[&UpliftFact], others: &[&UpliftFact]) -> Vec<NetDifference> {
    let others = by_currency(others);
    let each = by_currency(ours).into_iter();
    each.filter_map(|(currency, facts)| {
        let others = others.get(&currency)?;
        Some(Mean::of(&facts).above(&Mean::of(others), currency))
    })
    .collect()
}

/// An amount to compute a mean of, which is an estimate and not a booking.
#[expect(
    clippy::cast_precision_loss,
    reason = "amounts are far below what a float holds exactly"
)]
fn float(minor: i128) -> f64 {
    minor as f64
}

/// The nearest whole number of minor units.
#[expect(clippy::cast_possible_truncation, reason = "it saturates, far beyond any amount")]
fn minor(mean: f64) -> i64 {
    libm::round(mean) as i64
}
