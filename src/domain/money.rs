//! Money: integer minor units and a currency; never a float, never a sum across currencies.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An ISO 4217 currency code, upper case.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency([u8; 3]);

/// A text that is not three ASCII letters was given as a currency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a currency: three letters are expected, such as EUR")]
pub struct BadCurrency(String);

/// A text was given as an amount that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not an amount: digits and a currency are expected, with no more decimals than it has, such as \"99.50 EUR\""
)]
pub struct BadMoney(String);

/// Currencies whose minor unit is the unit itself, in the provider's amounts
/// (<https://docs.stripe.com/currencies#zero-decimal>).
const NO_DECIMALS: [&str; 15] = [
    "BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF",
];
/// Currencies with a thousandth as minor unit (<https://docs.stripe.com/currencies#three-decimal>).
const THREE_DECIMALS: [&str; 5] = ["BHD", "JOD", "KWD", "OMR", "TND"];

impl Currency {
    /// The code, three upper-case letters.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a currency is made of ASCII letters only")
    }

    /// The codes whose amounts carry none, or three decimals; all others carry two.
    pub const fn codes_with(decimals: u32) -> &'static [&'static str] {
        match decimals {
            0 => &NO_DECIMALS,
            3 => &THREE_DECIMALS,
            _ => &[],
        }
    }

    /// How many decimals the amounts of this currency carry in minor units, as the provider counts them.
    pub fn decimals(&self) -> u32 {
        if NO_DECIMALS.contains(&self.code()) {
            0
        } else if THREE_DECIMALS.contains(&self.code()) {
            3
        } else {
            2
        }
    }
}

impl FromStr for Currency {
    type Err = BadCurrency;

    fn from_str(text: &str) -> Result<Self, BadCurrency> {
        let bytes: [u8; 3] = text.as_bytes().try_into().map_err(|_| BadCurrency(text.to_owned()))?;
        if !bytes.iter().all(u8::is_ascii_alphabetic) {
            return Err(BadCurrency(text.to_owned()));
        }
        Ok(Self(bytes.map(|b| b.to_ascii_uppercase())))
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// An amount in minor units of one currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// The amount in the currency's minor unit (cents for EUR, yen for JPY, fils for KWD).
    pub amount_minor: i64,
    /// The currency of the amount.
    pub currency: Currency,
}

impl Money {
    /// An amount of `amount_minor` minor units.
    pub const fn new(amount_minor: i64, currency: Currency) -> Self {
        Self { amount_minor, currency }
    }

    /// The sum, or nothing where the currencies differ or the sum does not fit.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        (self.currency == other.currency)
            .then(|| self.amount_minor.checked_add(other.amount_minor))
            .flatten()
            .map(|amount_minor| Self::new(amount_minor, self.currency))
    }
}

/// An amount of nothing or more, as a person writes it; decimals may be left out.
impl FromStr for Money {
    type Err = BadMoney;

    fn from_str(text: &str) -> Result<Self, BadMoney> {
        let read = || {
            let (amount, code) = text.trim().rsplit_once(' ')?;
            let currency: Currency = code.parse().ok()?;
            let (whole, part) = amount.trim_end().split_once('.').unwrap_or((amount.trim_end(), "0"));
            let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let decimals = usize::try_from(currency.decimals()).ok()?;
            let fits = part.len() <= decimals || !amount.contains('.');
            if !is_number(whole) || !is_number(part) || !fits {
                return None;
            }
            let minor = format!("{whole}{:0<decimals$}", part.get(..part.len().min(decimals))?);
            Some(Self::new(minor.parse().ok()?, currency))
        };
        read().ok_or_else(|| BadMoney(text.to_owned()))
    }
}

/// The amount as texts write it, with the currency's decimals: `59.35 EUR`, `1200 JPY`, `-1.234 KWD`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = self.currency.decimals();
        let unit = 10_u64.pow(decimals);
        let minor = self.amount_minor.unsigned_abs();
        let sign = if self.amount_minor < 0 { "-" } else { "" };
        let (whole, part) = (minor / unit, minor % unit);
        match decimals {
            0 => write!(f, "{sign}{whole} {}", self.currency),
            _ => write!(
                f,
                "{sign}{whole}.{part:0width$} {}",
                self.currency,
                width = decimals as usize
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_currency_is_three_letters_in_any_case() {
        assert_eq!("eur".parse::<Currency>().unwrap().code(), "EUR");
        for bad in ["", "EU", "EURO", "E1R", "€€€"] {
            assert!(bad.parse::<Currency>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn sums_stay_in_one_currency_and_never_wrap() {
        let eur = |minor| Money::new(minor, "EUR".parse().unwrap());
        let jpy = Money::new(1, "JPY".parse().unwrap());
        assert_eq!(eur(1).checked_add(eur(2)), Some(eur(3)));
        assert_eq!(eur(1).checked_add(jpy), None);
        assert_eq!(eur(i64::MAX).checked_add(eur(1)), None);
    }

    #[test]
    fn an_amount_is_written_with_the_decimals_of_its_currency() {
        for (minor, code, written) in [
            (5935, "EUR", "59.35 EUR"),
            (1200, "JPY", "1200 JPY"),
            (1234, "KWD", "1.234 KWD"),
            (0, "EUR", "0.00 EUR"),
            (5, "KWD", "0.005 KWD"),
            (-5, "EUR", "-0.05 EUR"),
            (-1999, "USD", "-19.99 USD"),
            (-7, "JPY", "-7 JPY"),
            (i64::MIN, "EUR", "-92233720368547758.08 EUR"),
            (i64::MAX, "KWD", "9223372036854775.807 KWD"),
        ] {
            assert_eq!(Money::new(minor, code.parse().unwrap()).to_string(), written);
        }
    }

    #[test]
    fn decimals_follow_the_provider() {
        let decimals = |code: &str| code.parse::<Currency>().unwrap().decimals();
        assert_eq!(
            (decimals("EUR"), decimals("JPY"), decimals("KWD"), decimals("UGX")),
            (2, 0, 3, 2)
        );
    }
}
