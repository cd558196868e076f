//! The languages customers are written to in: how each shows money, dates, numbers and reasons.

use std::fmt::Write as _;
use std::sync::OnceLock;

use icu_locale_core::Locale as Tag;
use icu_plurals::{PluralCategory, PluralRules, PluralRulesOptions, PluralRulesPreferences};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::catalogue::{Catalogue, Forms};
use crate::domain::case::Warning;
use crate::domain::money::Money;
use crate::domain::report::Rate;
use crate::domain::taxonomy::Wording;

/// A language with words of its own. Adding one is a row in `FILES` and its file.
pub struct Locale {
    tag: &'static str,
    numbers: PluralRulesPreferences,
    pub(super) words: Catalogue,
}

impl std::fmt::Debug for Locale {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Locale({})", self.tag)
    }
}

macro_rules! files {
    ($($tag:literal),+) => {
        [$(($tag, include_str!(concat!("../../email-templates/", $tag, ".toml")))),+]
    };
}

/// Every language; the first is the last resort.
const FILES: [(&str, &str); 10] = files!["en", "de", "fr", "es", "it", "nl", "pt", "pl", "sv", "ja"];

/// The languages that were asked for: a service writes in few of them.
static READ: [OnceLock<Locale>; FILES.len()] = [const { OnceLock::new() }; FILES.len()];

impl Locale {
    /// Every supported locale; the first is the last resort.
    pub fn all() -> impl ExactSizeIterator<Item = &'static Self> {
        (0..FILES.len()).map(Self::at)
    }

    fn at(place: usize) -> &'static Self {
        let (tag, text) = FILES[place];
        READ[place].get_or_init(|| Self::read(tag, text).expect("the embedded words are checked by a test"))
    }

    /// The locale for a customer who asked for `requested` at a connection whose default is `default`: the tag itself,
    /// then the tag without its last parts (`de-AT`, `de`), then the same for the default, then English.
    pub fn pick(requested: Option<&str>, default: Option<&str>) -> &'static Self {
        let found = requested.and_then(Self::find).or_else(|| default.and_then(Self::find));
        found.unwrap_or_else(|| Self::at(0))
    }

    /// The locale of exactly this tag.
    pub fn of(tag: &str) -> Option<&'static Self> {
        FILES.iter().position(|(known, _)| *known == tag).map(Self::at)
    }

    /// The tags of all, without reading their words.
    pub fn tags() -> impl ExactSizeIterator<Item = &'static str> {
        FILES.iter().map(|(tag, _)| *tag)
    }

    /// The language tag, such as `de`.
    pub fn tag(&self) -> &'static str {
        self.tag
    }

    /// Where it stands among all.
    pub(super) fn place(&self) -> usize {
        FILES.iter().position(|(tag, _)| *tag == self.tag).unwrap_or(0)
    }

    /// An amount as people write it, such as `€1,234.56` or `1.234,56 €`: the format and the symbols are those of CLDR, the
    /// decimals those of the currency.
    pub fn money(&self, money: Money) -> String {
        let code = money.currency.code();
        let format = &self.words.format;
        let symbol = format.symbols.get(code).map_or(code, String::as_str);
        let is_before = format.money.starts_with("{unit}{");
        // A unit that ends in a letter would run into the number.
        let unit = match symbol.chars().last() {
            Some(last) if is_before && last.is_alphabetic() => format!("{symbol}\u{a0}"),
            _ => symbol.to_owned(),
        };
        let sign = if money.amount_minor < 0 { "-" } else { "" };
        let number = self.number(money.amount_minor.unsigned_abs(), money.currency.decimals());
        let written = format.money.replace("{unit}", &unit).replace("{number}", &number);
        format!("{sign}{written}")
    }

    /// The day of an instant in a zone, such as `March 15, 2026` or `15. März 2026`.
    pub fn date(&self, at: Timestamp, zone: &TimeZone) -> String {
        self.day(at.to_zoned(zone.clone()).date())
    }

    /// A day, written the same way.
    pub fn day(&self, day: jiff::civil::Date) -> String {
        let format = &self.words.format;
        let month = &format.months[usize::try_from(day.month() - 1).expect("a month is one of twelve")];
        format
            .date
            .replace("{day}", &day.day().to_string())
            .replace("{month}", month)
            .replace("{year}", &day.year().to_string())
    }

    /// Why a charge was declined, as one sentence a customer may read. It never speaks of fraud, loss or theft: the
    /// person who reads it may be the one who has the card.
    pub fn reason(&self, wording: Wording) -> &str {
        self.words.reasons.get(&wording).map_or("", String::as_str)
    }

    /// Why a case needs a person, for staff.
    pub fn warning(&self, warning: Warning) -> &str {
        self.words.warnings.get(&warning).map_or("", String::as_str)
    }

    /// So many attempts, in words.
    pub(super) fn attempts(&self, count: u32) -> String {
        self.phrase(&self.words.plurals.attempts, count)
    }

    /// So many cases, in words.
    pub(super) fn cases(&self, count: u64) -> String {
        // No language of ours has a form of its own for one number as large as that.
        let form = u32::try_from(count).unwrap_or(u32::MAX);
        self.form_of(&self.words.plurals.cases, form)
            .replace("{n}", &self.count(count))
    }

    /// A number as people write it.
    pub(super) fn count(&self, count: u64) -> String {
        self.number(count, 0)
    }

    /// A rate in percent, with two decimals.
    pub(super) fn percent(&self, rate: &Rate) -> String {
        let sign = if rate.parts_per_10k < 0 { "-" } else { "" };
        let number = self.number(rate.parts_per_10k.unsigned_abs(), 2);
        format!("{sign}{}", self.words.format.percent.replace("{number}", &number))
    }

    /// So many days that are left, in words.
    pub(super) fn days_left(&self, count: u32) -> String {
        self.phrase(&self.words.plurals.days_left, count)
    }

    fn read(tag: &'static str, text: &str) -> Result<Self, String> {
        let words = toml::from_str(text).map_err(|error| format!("{tag}: {error}"))?;
        let named: Tag = tag.parse().map_err(|error| format!("{tag}: {error}"))?;
        Ok(Self {
            tag,
            numbers: named.into(),
            words,
        })
    }

    fn phrase(&self, forms: &Forms, count: u32) -> String {
        self.form_of(forms, count).replace("{n}", &count.to_string())
    }

    fn form_of<'a>(&self, forms: &'a Forms, count: u32) -> &'a str {
        // The rules are built in, and cheaper to look up than to share between threads.
        let rules = PluralRules::try_new(self.numbers, PluralRulesOptions::default());
        let form = match rules.map(|rules| rules.category_for(count)) {
            Ok(PluralCategory::One) => forms.one.as_ref(),
            Ok(PluralCategory::Few) => forms.few.as_ref(),
            Ok(PluralCategory::Many) => forms.many.as_ref(),
            Ok(PluralCategory::Zero | PluralCategory::Two | PluralCategory::Other) | Err(_) => None,
        };
        form.unwrap_or(&forms.other)
    }

    fn find(tag: &str) -> Option<&'static Self> {
        let tag = tag.trim().replace('_', "-").to_ascii_lowercase();
        let mut rest = tag.as_str();
        loop {
            if let Some(found) = Self::of(rest) {
                return Some(found);
            }
            rest = rest.rsplit_once('-')?.0;
        }
    }

    fn number(&self, amount_minor: u64, decimals: u32) -> String {
        let format = &self.words.format;
        let unit = 10_u64.pow(decimals);
        let digits = (amount_minor / unit).to_string();
        let grouped = digits.len() >= 3 + format.group_from;
        let mut number = String::new();
        for (index, digit) in digits.chars().enumerate() {
            if grouped && index > 0 && (digits.len() - index).is_multiple_of(3) {
                number.push_str(&format.group);
            }
            number.push(digit);
        }
        if decimals > 0 {
            let width = usize::try_from(decimals).expect("a currency has a handful of decimals");
            number.push_str(&format.decimal);
            write!(number, "{:0width$}", amount_minor % unit).expect("a string takes all that is written");
        }
        number
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
        assert_eq!(pick(Some("fr-CA"), Some("de-DE")), "fr");
        assert_eq!(pick(Some("pt-PT"), None), "pt");
        assert_eq!(pick(Some("auto"), Some("tlh")), "en");
        assert_eq!(pick(Some("da-DK"), Some("sv-SE")), "sv");
        assert_eq!(pick(Some(""), None), "en");
        assert_eq!(pick(None, Some("ja-JP")), "ja");
        assert_eq!(pick(None, None), "en");
    }

    #[test]
    fn money_is_written_as_people_write_it() {
        let money = |tag, minor, code: &str| {
            let money = Money::new(minor, code.parse().unwrap());
            Locale::of(tag).unwrap().money(money).replace('\u{a0}', "~")
        };
        assert_eq!(money("en", 123_456, "EUR"), "€1,234.56");
        assert_eq!(money("de", 12_345, "KWD"), "12,345~KWD");
        assert_eq!(money("nl", -1_000, "GBP"), "-£~10,00");
        assert_eq!(money("en", i64::MIN, "JPY"), "-¥9,223,372,036,854,775,808");
    }

    #[test]
    fn a_date_is_the_day_where_the_customer_lives() {
        let at: Timestamp = "2026-03-15T23:30:00Z".parse().unwrap();
        let date = |tag, zone| Locale::of(tag).unwrap().date(at, &TimeZone::get(zone).unwrap());
        assert_eq!(date("en", "UTC"), "March 15, 2026");
        assert_eq!(date("de", "Europe/Berlin"), "16. März 2026");
    }

    #[test]
    fn every_language_has_the_same_texts() {
        let keys = |locale: &Locale| {
            let words = &locale.words;
            let messages: Vec<_> = words
                .message
                .iter()
                .map(|(message, texts)| (*message, texts.subjects.len()))
                .collect();
            (
                words.common.keys().cloned().collect::<Vec<_>>(),
                words
                    .page
                    .keys()
                    .chain(words.digest.keys())
                    .cloned()
                    .collect::<Vec<_>>(),
                messages,
                (words.reasons.len(), words.warnings.len()),
            )
        };
        for locale in Locale::all() {
            assert_eq!(keys(locale), keys(Locale::at(0)), "{}", locale.tag());
            let words = &locale.words;
            for (message, texts) in &words.message {
                assert_eq!(texts.subjects.len(), message.times(), "{message} in {}", locale.tag());
            }
            assert_eq!(
                (words.reasons.len(), words.warnings.len()),
                (Wording::ALL.len(), Warning::ALL.len())
            );
        }
    }
}
