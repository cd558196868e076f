//! The languages customers are written to in: how each shows money, dates and reasons.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::domain::money::Money;
use crate::domain::taxonomy::Wording;

/// A language with its own templates. Adding one is a row here and a folder of templates.
#[derive(Debug)]
pub struct Locale {
    tag: &'static str,
    decimal_mark: &'static str,
    group_mark: &'static str,
    /// How a symbol such as `€` stands to the number.
    with_symbol: &'static str,
    /// How a code such as `KWD` stands to the number.
    with_code: &'static str,
    date: &'static str,
    months: [&'static str; 12],
    reason: fn(Wording) -> &'static str,
}

static ENGLISH: Locale = Locale {
    tag: "en",
    decimal_mark: ".",
    group_mark: ",",
    with_symbol: "{unit}{number}",
    with_code: "{unit}\u{a0}{number}",
    date: "{month} {day}, {year}",
    months: [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ],
    reason: english_reason,
};

static GERMAN: Locale = Locale {
    tag: "de",
    decimal_mark: ",",
    group_mark: ".",
    with_symbol: "{number}\u{a0}{unit}",
    with_code: "{number}\u{a0}{unit}",
    date: "{day}. {month} {year}",
    months: [
        "Januar",
        "Februar",
        "März",
        "April",
        "Mai",
        "Juni",
        "Juli",
        "August",
        "September",
        "Oktober",
        "November",
        "Dezember",
    ],
    reason: german_reason,
};

/// Currencies whose symbol is theirs alone in every supported language; the others show their code.
const SYMBOLS: [(&str, &str); 4] = [("EUR", "€"), ("USD", "$"), ("GBP", "£"), ("JPY", "¥")];

impl Locale {
    /// Every supported locale; the first is the last resort.
    pub fn all() -> [&'static Self; 2] {
        [&ENGLISH, &GERMAN]
    }

    /// The locale for a customer who asked for `requested` at a connection whose default is `default`: the tag itself,
    /// then the tag without its last parts (`de-AT`, `de`), then the same for the default, then English.
    pub fn pick(requested: Option<&str>, default: Option<&str>) -> &'static Self {
        let found = requested.and_then(Self::find).or_else(|| default.and_then(Self::find));
        found.unwrap_or(&ENGLISH)
    }

    /// The language tag, such as `de`.
    pub fn tag(&self) -> &'static str {
        self.tag
    }

    /// An amount as people write it, such as `€1,234.56` or `1.234,56 €`.
    pub fn money(&self, money: Money) -> String {
        let code = money.currency.code();
        let symbol = SYMBOLS
            .iter()
            .find(|(known, _)| *known == code)
            .map(|(_, symbol)| *symbol);
        let pattern = if symbol.is_some() {
            self.with_symbol
        } else {
            self.with_code
        };
        let sign = if money.amount_minor < 0 { "-" } else { "" };
        let number = self.number(money.amount_minor.unsigned_abs(), money.currency.decimals());
        format!(
            "{sign}{}",
            pattern
                .replace("{unit}", symbol.unwrap_or(code))
                .replace("{number}", &number)
        )
    }

    /// The day of an instant in a zone, such as `March 15, 2026` or `15. März 2026`.
    pub fn date(&self, at: Timestamp, zone: &TimeZone) -> String {
        let day = at.to_zoned(zone.clone()).date();
        let month = self.months[usize::try_from(day.month() - 1).expect("a month is one of twelve")];
        self.date
            .replace("{day}", &day.day().to_string())
            .replace("{month}", month)
            .replace("{year}", &day.year().to_string())
    }

    /// Why a charge was declined, as one sentence a customer may read. It never speaks of fraud, loss or theft: the
    /// person who reads it may be the one who has the card.
    pub fn reason(&self, wording: Wording) -> &'static str {
        (self.reason)(wording)
    }

    fn find(tag: &str) -> Option<&'static Self> {
        let tag = tag.trim().replace('_', "-").to_ascii_lowercase();
        let mut rest = tag.as_str();
        loop {
            if let Some(found) = Self::all().into_iter().find(|locale| locale.tag == rest) {
                return Some(found);
            }
            rest = rest.rsplit_once('-')?.0;
        }
    }

    fn number(&self, amount_minor: u64, decimals: u32) -> String {
        let unit = 10_u64.pow(decimals);
        let digits = (amount_minor / unit).to_string();
        let mut number = String::new();
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                number.push_str(self.group_mark);
            }
            number.push(digit);
        }
        if decimals > 0 {
            let width = usize::try_from(decimals).expect("a currency has a handful of decimals");
            number.push_str(self.decimal_mark);
            write!(number, "{:0width$}", amount_minor % unit).expect("a string takes all that is written");
        }
        number
    }
}

fn english_reason(wording: Wording) -> &'static str {
    match wording {
        Wording::NotEnoughMoney => "Your bank told us that not enough money was available at that moment.",
        Wording::LimitReached => "Your bank told us that a limit of the card had been reached.",
        Wording::NotApproved => "Your bank did not approve the payment.",
        Wording::BankAway => "Your bank could not be reached at that moment.",
        Wording::OutOfDate => "The card has expired, or its details have changed.",
        Wording::DetailsDiffer => "Your bank could not match the payment details we have on file.",
        Wording::SecurityCode => "Your bank told us that the security code of the card did not match.",
        Wording::Address => "Your bank told us that the billing address did not match.",
        Wording::NoMethod => "We have no payment method of yours on file.",
        Wording::NotAllowed => "Your bank does not allow this kind of payment with this payment method.",
        Wording::Confirm => "Your bank asks you to confirm this payment.",
        Wording::NoPermission => "The permission to charge this payment method is no longer in place.",
        Wording::OurFault => "This one is on us: something went wrong while we were processing it.",
    }
}

fn german_reason(wording: Wording) -> &'static str {
    match wording {
        Wording::NotEnoughMoney => "Laut Ihrer Bank war das Konto in diesem Moment nicht ausreichend gedeckt.",
        Wording::LimitReached => "Laut Ihrer Bank war ein Limit der Karte erreicht.",
        Wording::NotApproved => "Ihre Bank hat die Zahlung nicht freigegeben.",
        Wording::BankAway => "Ihre Bank war in diesem Moment nicht erreichbar.",
        Wording::OutOfDate => "Die Karte ist abgelaufen, oder ihre Daten haben sich geändert.",
        Wording::DetailsDiffer => "Ihre Bank konnte die hinterlegten Zahlungsdaten nicht zuordnen.",
        Wording::SecurityCode => "Laut Ihrer Bank stimmte die Prüfnummer der Karte nicht.",
        Wording::Address => "Laut Ihrer Bank stimmte die Rechnungsadresse nicht.",
        Wording::NoMethod => "Uns liegt keine Zahlungsmethode von Ihnen vor.",
        Wording::NotAllowed => "Ihre Bank lässt Zahlungen dieser Art mit dieser Zahlungsmethode nicht zu.",
        Wording::Confirm => "Ihre Bank bittet Sie, diese Zahlung zu bestätigen.",
        Wording::NoPermission => "Für diese Zahlungsmethode liegt uns keine gültige Einzugserlaubnis mehr vor.",
        Wording::OurFault => "Das lag an uns: Bei der Verarbeitung ist etwas schiefgegangen.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_supported_language_is_picked() {
        let pick = |requested, default| Locale::pick(requested, default).tag();
        assert_eq!(pick(Some("de-AT"), None), "de");
        assert_eq!(pick(Some("DE_ch_1996"), Some("en")), "de");
        assert_eq!(pick(Some("fr-CA"), Some("de-DE")), "de");
        assert_eq!(pick(Some("auto"), Some("tlh")), "en");
        assert_eq!(pick(Some(""), None), "en");
        assert_eq!(pick(None, Some("de")), "de");
        assert_eq!(pick(None, None), "en");
    }

    #[test]
    fn money_is_written_as_people_write_it() {
        let both = |minor, code: &str| {
            let money = Money::new(minor, code.parse().unwrap());
            (
                ENGLISH.money(money).replace('\u{a0}', "~"),
                GERMAN.money(money).replace('\u{a0}', "~"),
            )
        };
        let pair = |en: &str, de: &str| (en.to_owned(), de.to_owned());
        assert_eq!(both(123_456, "EUR"), pair("€1,234.56", "1.234,56~€"));
        assert_eq!(both(5, "USD"), pair("$0.05", "0,05~$"));
        assert_eq!(both(1_234_567, "JPY"), pair("¥1,234,567", "1.234.567~¥"));
        assert_eq!(both(12_345, "KWD"), pair("KWD~12.345", "12,345~KWD"));
        assert_eq!(both(99_900, "CHF"), pair("CHF~999.00", "999,00~CHF"));
        assert_eq!(both(-1_000, "GBP"), pair("-£10.00", "-10,00~£"));
        assert_eq!(both(i64::MIN, "JPY").0, "-¥9,223,372,036,854,775,808");
    }

    #[test]
    fn a_date_is_the_day_where_the_customer_lives() {
        let at: Timestamp = "2026-03-15T23:30:00Z".parse().unwrap();
        assert_eq!(ENGLISH.date(at, &TimeZone::UTC), "March 15, 2026");
        assert_eq!(
            GERMAN.date(at, &TimeZone::get("Europe/Berlin").unwrap()),
            "16. März 2026"
        );
    }
}
