//! Rates of exchange as decimal numbers, and amounts converted by them, without a float.

use std::fmt;
use std::str::FromStr;

use super::money::Currency;

/// The most digits of a rate: so many that no product of an amount and a rate is wider than 128 bits.
const DIGITS_MAX: usize = 15;

/// How many units of one currency a unit of another is worth: a decimal number above nought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ExchangeRate {
    /// Its digits without the point.
    digits: u64,
    /// How many of them stand behind it.
    decimals: u32,
}

/// A text was given as a rate that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a rate: a decimal number above 0 with at most 15 digits is expected, such as \"1.0834\"")]
pub struct BadRate(String);

impl ExchangeRate {
    /// An amount in minor units of `from`, in minor units of `to`, rounded half to even; nothing where it does not fit.
    pub fn convert(self, minor: i64, from: Currency, to: Currency) -> Option<i64> {
        let product = i128::from(minor)
            .checked_mul(i128::from(self.digits))?
            .checked_mul(10_i128.pow(to.decimals()))?;
        let by = 10_i128.pow(self.decimals + from.decimals());
        i64::try_from(half_even(product, by)).ok()
    }
}

/// A quotient, rounded to the nearest whole number, from the middle to the even one.
const fn half_even(whole: i128, by: i128) -> i128 {
    let (quotient, rest) = (whole.div_euclid(by), whole.rem_euclid(by));
    let twice = rest * 2;
    if twice > by || twice == by && quotient % 2 != 0 {
        quotient + 1
    } else {
        quotient
    }
}

impl FromStr for ExchangeRate {
    type Err = BadRate;

    fn from_str(text: &str) -> Result<Self, BadRate> {
        let read = || {
            let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let (whole, part) = match text.split_once('.') {
                Some((whole, part)) if is_number(part) => (whole, part),
                Some(_) => return None,
                None => (text, ""),
            };
            if !is_number(whole) || whole.len() + part.len() > DIGITS_MAX {
                return None;
            }
            let digits: u64 = format!("{whole}{part}").parse().ok()?;
            let decimals = u32::try_from(part.len()).ok()?;
            (digits > 0).then_some(Self { digits, decimals })
        };
        read().ok_or_else(|| BadRate(text.to_owned()))
    }
}

impl fmt::Display for ExchangeRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = 10_u64.pow(self.decimals);
        match self.decimals {
            0 => write!(f, "{}", self.digits),
            decimals => write!(
                f,
                "{}.{:0width$}",
                self.digits / unit,
                self.digits % unit,
                width = decimals as usize
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn converted(minor: i64, rate: &str, from: &str, to: &str) -> Option<i64> {
        let rate: ExchangeRate = rate.parse().unwrap();
        rate.convert(minor, from.parse().unwrap(), to.parse().unwrap())
    }

    #[test]
    fn halves_go_to_the_even_one_and_decimals_follow_the_currencies() {
        for (minor, rate, from, to, expected) in [
            (100, "1.0834", "EUR", "USD", 108),
            (1, "0.5", "EUR", "USD", 0),
            (3, "0.5", "EUR", "USD", 2),
            (5, "0.5", "EUR", "USD", 2),
            (-3, "0.5", "EUR", "USD", -2),
            (-1, "0.5", "EUR", "USD", 0),
            (1_999, "162.35", "EUR", "JPY", 3_245),
            (1_200, "0.0062", "JPY", "EUR", 744),
            (1_234, "3", "KWD", "EUR", 370),
            (100, "0.31", "EUR", "KWD", 310),
        ] {
            assert_eq!(
                converted(minor, rate, from, to),
                Some(expected),
                "{minor} {from} at {rate}"
            );
        }
        assert_eq!(converted(i64::MAX, "2", "EUR", "USD"), None);
        assert_eq!(converted(i64::MAX, "999999999999999", "JPY", "KWD"), None);
    }

    #[test]
    fn a_rate_is_a_decimal_number_above_nought() {
        for bad in [
            "",
            "0",
            "0.000",
            "-1",
            "1.",
            ".5",
            "1e3",
            "1,5",
            "1.2.3",
            "+1",
            " 1",
            "1234567890.123456",
        ] {
            assert!(bad.parse::<ExchangeRate>().is_err(), "{bad:?}");
        }
        for good in ["1", "1.0834", "0.00000123", "162.350"] {
            assert_eq!(good.parse::<ExchangeRate>().unwrap().to_string(), good);
        }
    }

    proptest! {
        /// By long division on decimal digits, which knows no 128 bits.
        #[test]
        fn it_is_what_long_division_says(minor in -10_000_000_i64..10_000_000, digits in 1_u64..10_000_000, decimals in 0_u32..7) {
            let rate = ExchangeRate { digits, decimals };
            let found = rate.convert(minor, "EUR".parse().unwrap(), "USD".parse().unwrap()).unwrap();
            let product = minor.unsigned_abs() * digits;
            let text = format!("{product:0width$}", width = decimals as usize + 1);
            let (whole, rest) = text.split_at(text.len() - decimals as usize);
            let whole: i64 = whole.parse().unwrap();
            let half = format!("{:0<width$}", "5", width = rest.len());
            let up = !rest.is_empty() && (rest > half.as_str() || rest == half && whole % 2 == 1);
            let size = whole + i64::from(up);
            prop_assert_eq!(found, if minor < 0 { -size } else { size });
        }
    }
}
