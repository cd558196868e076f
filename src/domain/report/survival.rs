//! How long recoveries take: quantiles of those that came, and the share of all cases not recovered yet, by hours since the failure.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::outcome::Status;

/// The normal quantile of a band in which the truth lies 95 times of 100.
const Z: f64 = 1.959_963_984_540_054;

/// What each figure means.
pub const DEFINITIONS: [(&str, &str); 4] = [
    (
        "hours",
        "From the hour of the first failed charge to the hour of the end of the case, or to the present one while it is open.",
    ),
    (
        "p50_hours, p90_hours",
        "The hours within which half, and nine tenths, of the recovered cases of the row were recovered (nearest rank). Cases that are \
         not recovered are not in it, so a young cohort looks faster than it is: see the curve.",
    ),
    (
        "curve",
        "Kaplan-Meier: the share of all cases not recovered up to and with that hour. An open case counts for as long as it is old. A \
         case that ended without money counts to the end: it is not recovered, and will not be.",
    ),
    (
        "low, high",
        "The band in which the true share lies 95 times of 100, by Greenwood's variance of log(-log). None where every case at risk was \
         recovered.",
    ),
];

/// One hour in which cases were recovered.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Step {
    /// Hours since the failure.
    pub hours: u64,
    /// How many cases were old enough and not recovered before.
    pub at_risk: u64,
    /// How many of them were recovered in this hour.
    pub recovered: u64,
    /// The share of all cases that is not recovered after it, 0 to 1.
    pub unrecovered: f64,
    /// The lower end of its band.
    pub low: Option<f64>,
    /// The upper end of its band.
    pub high: Option<f64>,
}

/// How long it took the cases of a cohort.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Times {
    /// All cases.
    pub cases: u64,
    /// Those recovered.
    pub recovered: u64,
    /// Those still open.
    pub open: u64,
    /// The hours within which half of the recovered ones were recovered.
    pub p50_hours: Option<u64>,
    /// The hours within which nine tenths of them were.
    pub p90_hours: Option<u64>,
}

/// Cases by how many hours they took or, while they are open, are old.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ages {
    recovered: BTreeMap<u64, u64>,
    lost: u64,
    open: BTreeMap<u64, u64>,
}

impl Ages {
    /// Adds cases that ended so many hours after they were opened, or are so old while they are open.
    pub fn add(&mut self, status: Status, hours: u64, cases: u64) {
        match status {
            Status::Recovered => *self.recovered.entry(hours).or_default() += cases,
            Status::Exhausted | Status::Stopped => self.lost += cases,
            Status::Open => *self.open.entry(hours).or_default() += cases,
        }
    }

    /// The figures.
    pub fn times(&self) -> Times {
        let recovered = self.recovered.values().sum();
        let open = self.open.values().sum();
        Times {
            cases: recovered + open + self.lost,
            recovered,
            open,
            p50_hours: self.quantile(recovered, 50),
            p90_hours: self.quantile(recovered, 90),
        }
    }

    fn quantile(&self, recovered: u64, percent: u64) -> Option<u64> {
        let rank = (recovered * percent).div_ceil(100).max(1);
        let mut passed = 0;
        let hour = self.recovered.iter().find(|(_, cases)| {
            passed += **cases;
            passed >= rank
        });
        hour.map(|(hours, _)| *hours)
    }

    /// The curve, a step for each hour in which there was a recovery.
    pub fn curve(&self) -> Vec<Step> {
        let mut at_risk = self.times().cases;
        let mut open = self.open.iter().peekable();
        let (mut unrecovered, mut variance) = (1.0, 0.0);
        let mut steps = Vec::with_capacity(self.recovered.len());
        for (hours, recovered) in &self.recovered {
            // Who is as old as this hour is still at risk in it.
            while let Some((_, cases)) = open.next_if(|(age, _)| *age < hours) {
                at_risk -= cases;
            }
            let (of, gone) = (count(at_risk), count(*recovered));
            unrecovered *= 1.0 - gone / of;
            variance += gone / (of * (of - gone));
            let band = band(unrecovered, variance);
            steps.push(Step {
                hours: *hours,
                at_risk,
                recovered: *recovered,
                unrecovered,
                low: band.map(|(low, _)| low),
                high: band.map(|(_, high)| high),
            });
            at_risk -= recovered;
        }
        steps
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "no database holds as many cases as a float has whole numbers"
)]
const fn count(cases: u64) -> f64 {
    cases as f64
}

fn band(share: f64, variance: f64) -> Option<(f64, f64)> {
    if share <= 0.0 || share >= 1.0 || !variance.is_finite() {
        return None;
    }
    let spread = Z * libm::sqrt(variance) / libm::fabs(libm::log(share));
    let [low, high] = [spread, -spread].map(|by| libm::pow(share, libm::exp(by)));
    Some((low, high))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Twelve cases: five recovered after 3, 3, 10, 24 and 24 hours, three lost, four open at the age of 3, 9, 10 and 300 hours.
    fn ages() -> Ages {
        Ages {
            recovered: [(3, 2), (10, 1), (24, 2)].into(),
            lost: 3,
            open: [(3, 1), (9, 1), (10, 1), (300, 1)].into(),
        }
    }

    #[test]
    fn the_curve_is_the_one_worked_out_by_hand() {
        let curve = ages().curve();
        let told: Vec<(u64, u64, u64)> = curve
            .iter()
            .map(|step| (step.hours, step.at_risk, step.recovered))
            .collect();
        // The two open ones of 3 and 9 hours are gone by hour 10, the one of 10 hours by hour 24.
        assert_eq!(told, [(3, 12, 2), (10, 8, 1), (24, 6, 2)]);
        let shares = [
            10.0 / 12.0,
            10.0 / 12.0 * 7.0 / 8.0,
            10.0 / 12.0 * 7.0 / 8.0 * 4.0 / 6.0,
        ];
        for (step, share) in curve.iter().zip(shares) {
            assert!((step.unrecovered - share).abs() < 1e-12, "{step:?}");
            assert!(step.low < Some(share) && step.high > Some(share), "{step:?}");
        }
        // Of the first step: variance 2 / (12 * 10), log of 10 / 12.
        let spread: f64 = Z * (2.0_f64 / 120.0).sqrt() / (10.0_f64 / 12.0).ln().abs();
        let low = (10.0_f64 / 12.0).powf(spread.exp());
        assert!((curve[0].low.unwrap() - low).abs() < 1e-12);
    }

    #[test]
    fn quantiles_are_of_those_that_came() {
        let times = ages().times();
        assert_eq!((times.cases, times.recovered, times.open), (12, 5, 4));
        assert_eq!((times.p50_hours, times.p90_hours), (Some(10), Some(24)));
        assert_eq!(Ages::default().times().p50_hours, None);
        assert_eq!(Ages::default().curve(), []);
    }

    #[test]
    fn where_all_were_recovered_there_is_no_band() {
        let ages = Ages {
            recovered: [(5, 4)].into(),
            ..Ages::default()
        };
        let [step] = &ages.curve()[..] else { panic!("one step") };
        assert_eq!((step.unrecovered, step.low, step.high), (0.0, None, None));
    }
}
