//! Rates, computed and printed without a float.

use serde::{Deserialize, Serialize};

/// A share in hundredths of a percent, halves rounded up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Rate {
    /// The share in parts of ten thousand.
    pub parts_per_10k: i64,
    /// The same as a decimal number of percent with two decimals, such as `53.12`.
    pub percent: String,
}

impl Rate {
    /// `part` of `whole` cases; nothing where there are none.
    pub fn of_counts(part: u64, whole: u64) -> Option<Self> {
        Self::of(i128::from(part), i128::from(whole))
    }

    /// `part` of `whole` minor units; nothing where the whole is nought.
    pub fn of_amounts(part_minor: i64, whole_minor: i64) -> Option<Self> {
        Self::of(i128::from(part_minor), i128::from(whole_minor))
    }

    /// An estimate from -1 to 1, which is known to fewer places than a float has.
    pub fn of_share(share: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "it saturates, far beyond any share")]
        let parts_per_10k = libm::floor(share * 10_000.0 + 0.5) as i64;
        Self::of_parts(parts_per_10k)
    }

    fn of(part: i128, whole: i128) -> Option<Self> {
        if whole <= 0 {
            return None;
        }
        let parts = (part * 20_000 + whole).div_euclid(whole * 2);
        Some(Self::of_parts(i64::try_from(parts).ok()?))
    }

    fn of_parts(parts_per_10k: i64) -> Self {
        let sign = if parts_per_10k < 0 { "-" } else { "" };
        let size = parts_per_10k.unsigned_abs();
        Self {
            parts_per_10k,
            percent: format!("{sign}{}.{:02}", size / 100, size % 100),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_go_up_and_nothing_of_nothing_is_no_rate() {
        let percent = |part, whole| Rate::of_counts(part, whole).map(|rate| rate.percent);
        assert_eq!(percent(1, 3).as_deref(), Some("33.33"));
        assert_eq!(percent(2, 3).as_deref(), Some("66.67"));
        assert_eq!(percent(1, 20_000).as_deref(), Some("0.01"));
        assert_eq!(percent(0, 7).as_deref(), Some("0.00"));
        assert_eq!(percent(7, 7).as_deref(), Some("100.00"));
        assert_eq!(percent(0, 0), None);
        assert_eq!(Rate::of_amounts(i64::MAX, i64::MAX).unwrap().parts_per_10k, 10_000);
    }
}
