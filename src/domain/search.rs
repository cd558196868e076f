//! What a person types in order to find cases: an id, an address, the last digits of a card, an amount.

use super::money::Currency;

/// How many of its last digits people know a card by.
const CARD_DIGITS: usize = 4;
/// More digits than an amount has.
const DIGITS_MAX: usize = 12;

/// What is looked for. A text may be several things at once, and finds the cases of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sought {
    /// The text, which may be an id of the provider or of ours.
    pub id: String,
    /// The address, in small letters, where the text is one.
    pub address: Option<String>,
    /// The last digits of a card, where the text is four digits.
    pub last4: Option<String>,
    /// The amount, where the text is one.
    pub figure: Option<Figure>,
}

impl Sought {
    /// Reads what was typed; nothing where nothing was.
    pub fn of(text: &str) -> Option<Self> {
        let text = text.trim();
        let is_last4 = text.len() == CARD_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
        (!text.is_empty()).then(|| Self {
            id: text.to_owned(),
            address: text.contains('@').then(|| text.to_lowercase()),
            last4: is_last4.then(|| text.to_owned()),
            figure: Figure::of(text),
        })
    }
}

/// An amount as people write it, in one currency or, where none is named, in any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    whole: String,
    part: String,
    /// The currency, where one is named.
    pub currency: Option<Currency>,
}

impl Figure {
    /// Reads `19.99`, `19,99 EUR`, `EUR 1,234.50` or `1.234,50`; nothing where the text is no amount.
    pub fn of(text: &str) -> Option<Self> {
        let text = text.trim();
        let code = |text: &str| text.parse::<Currency>().ok();
        let (number, currency) = match text.rsplit_once(' ') {
            Some((number, last)) if code(last).is_some() => (number, code(last)),
            _ => match text.split_once(' ') {
                Some((first, number)) if code(first).is_some() => (number, code(first)),
                _ => (text, None),
            },
        };
        let (whole, part) = halves(number.trim(), currency)?;
        (whole.len() + part.len() <= DIGITS_MAX).then_some(Self { whole, part, currency })
    }

    /// The amount in minor units of a currency with so many decimals; what is finer than they are is cut off.
    pub fn minor(&self, decimals: u32) -> i64 {
        let decimals = decimals as usize;
        let part = self.part.get(..decimals).unwrap_or(&self.part);
        let digits = format!("{}{part:0<decimals$}", self.whole);
        digits.parse().unwrap_or(i64::MAX)
    }

    /// Whether a currency with so many decimals can have this amount.
    pub fn fits(&self, decimals: u32) -> bool {
        self.part.trim_end_matches('0').len() <= decimals as usize
    }
}

/// The digits before and behind the decimal sign. Of two signs the last is the decimal one; a single one with three digits behind it
/// groups thousands, unless the currency has as many decimals.
fn halves(number: &str, currency: Option<Currency>) -> Option<(String, String)> {
    let signs: Vec<(usize, char)> = number
        .char_indices()
        .filter(|(_, letter)| matches!(letter, '.' | ','))
        .collect();
    let decimal = signs.last().filter(|(at, sign)| {
        let behind = number.len() - at - 1;
        let alone = signs.iter().filter(|(_, other)| other == sign).count() == 1;
        let groups = behind == 3 && signs.len() == 1 && currency.is_none_or(|currency| currency.decimals() != 3);
        alone && (1..=3).contains(&behind) && !groups
    });
    let (whole, part) = decimal.map_or((number, ""), |(at, _)| (&number[..*at], &number[at + 1..]));
    let grouped = whole.split(['.', ',', ' ']).skip(1).all(|group| group.len() == 3);
    let whole: String = whole
        .chars()
        .filter(|letter| !matches!(letter, '.' | ',' | ' '))
        .collect();
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    (grouped && !whole.is_empty() && digits(&whole) && digits(part)).then(|| (whole, part.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minor(text: &str, decimals: u32) -> Option<i64> {
        Figure::of(text).map(|figure| figure.minor(decimals))
    }

    #[test]
    fn amounts_are_read_as_people_write_them() {
        for text in ["19.99", "19,99", "19.99 EUR", "EUR 19,99", " 19.99 eur "] {
            assert_eq!(minor(text, 2), Some(1_999), "{text}");
        }
        for text in ["1234.5", "1,234.50", "1.234,5", "1 234,50 EUR"] {
            assert_eq!(minor(text, 2), Some(123_450), "{text}");
        }
        assert_eq!(minor("1,500", 0), Some(1_500));
        assert_eq!(minor("1.500 JPY", 0), Some(1_500));
        assert_eq!(minor("1.500 KWD", 3), Some(1_500));
        assert_eq!(minor("1,234,567", 2), Some(123_456_700));
        for text in [
            "",
            "EUR",
            "in_1",
            "-5",
            "1.2.3",
            "12,34,56",
            "1e5",
            "19.9999",
            "9999999999999",
        ] {
            assert_eq!(Figure::of(text), None, "{text}");
        }
        let cents = Figure::of("19.99").unwrap();
        assert!(!cents.fits(0) && cents.fits(2) && cents.fits(3));
        assert!(Figure::of("20.00").unwrap().fits(0));
        assert_eq!(Figure::of("19.99 EUR").unwrap().currency, "EUR".parse().ok());
    }

    #[test]
    fn four_digits_are_a_card_and_an_amount() {
        let digits = Sought::of("4242").unwrap();
        assert_eq!(digits.last4.as_deref(), Some("4242"));
        assert_eq!(digits.figure.map(|figure| figure.minor(2)), Some(424_200));
        let address = Sought::of(" Ada@Customers.example ").unwrap();
        assert_eq!(address.address.as_deref(), Some("ada@customers.example"));
        assert_eq!((address.last4, address.figure), (None, None));
        assert_eq!(Sought::of("  "), None);
    }
}
