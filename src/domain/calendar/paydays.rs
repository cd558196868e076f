//! When people are paid. The shares are data, in `paydays.json`, with source, edition and grade; most are assumptions.

use std::sync::LazyLock;

use jiff::civil::{Date, Weekday};
use jiff::{Span, ToSpan};
use serde::Deserialize;

use super::is_weekend;

/// The least share of people for whom a date is a payday.
const SHARE_MIN: f64 = 0.05;

/// The table as it stands in the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// The version of the file's form.
    pub version: u32,
    /// What the shares are, and what the grades mean.
    pub note: String,
    /// The countries of which something is known.
    pub entries: Vec<Entry>,
    /// What holds for every other one.
    pub otherwise: Entry,
}

/// When the people of some countries are paid.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The countries, by their ISO 3166-1 alpha-2 codes.
    pub countries: Vec<String>,
    /// Where it comes from.
    pub source: String,
    /// Which edition was read, and what it says.
    pub edition: String,
    /// How well it is known: `A` a statistic with its sample, `B` one without method, `C` a vendor's, `M` unverified.
    pub grade: String,
    /// What of it is assumed.
    pub note: String,
    /// The people by when they are paid.
    pub groups: Vec<Group>,
}

/// Some of the people, and when they are paid.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Their share of all people.
    pub share: f64,
    /// Their paydays.
    pub when: When,
}

/// Paydays. One of a month that falls on a weekend is the Friday before.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum When {
    /// Each week on that day, Monday is 0.
    Weekly(i8),
    /// Every other week on that day, Monday is 0; half of the people in each week, for nobody knows which.
    EveryOtherWeek(i8),
    /// On these days of the month; one that it does not have is its last.
    Days(Vec<i8>),
    /// So many days before the month's last.
    BeforeMonthEnd(i8),
}

/// The embedded table.
pub static TABLE: LazyLock<Table> =
    LazyLock::new(|| serde_json::from_str(include_str!("paydays.json")).expect("the embedded paydays are valid"));

/// The share of a country's people who were paid on a date or the day before, from 0 to 1.
pub fn payday_weight(country: Option<&str>, date: Date) -> f64 {
    let before = date.yesterday().unwrap_or(date);
    share(groups(country), |when| when.pays_on(date) || when.pays_on(before))
}

/// The dates on which at least one in twenty of a country's people is paid, among the `days` dates that begin with `from`.
pub fn next_paydays(country: Option<&str>, from: Date, days: u16) -> impl Iterator<Item = Date> + use<> {
    let groups = groups(country);
    from.series(1.day())
        .take(usize::from(days))
        .filter(move |date| share(groups, |when| when.pays_on(*date)) >= SHARE_MIN)
}

fn groups(country: Option<&str>) -> &'static [Group] {
    let known = country.and_then(|country| {
        let of_country = |entry: &&Entry| entry.countries.iter().any(|code| code == country);
        TABLE.entries.iter().find(of_country)
    });
    &known.unwrap_or(&TABLE.otherwise).groups
}

/// The share of the people whose paydays are as asked for.
fn share(groups: &[Group], wanted: impl Fn(&When) -> bool) -> f64 {
    let paid = groups.iter().filter(|group| wanted(&group.when));
    paid.map(|group| match group.when {
        When::EveryOtherWeek(_) => group.share / 2.0,
        When::Weekly(_) | When::Days(_) | When::BeforeMonthEnd(_) => group.share,
    })
    .sum()
}

impl When {
    /// Whether money comes on a date, to some of the people at least.
    fn pays_on(&self, date: Date) -> bool {
        match self {
            Self::Weekly(weekday) | Self::EveryOtherWeek(weekday) => date.weekday().to_monday_zero_offset() == *weekday,
            Self::Days(_) | Self::BeforeMonthEnd(_) => {
                let weekend = if date.weekday() == Weekday::Friday { 2 } else { 0 };
                !is_weekend(date) && (0..=weekend).any(|days| self.names(date.saturating_add(Span::new().days(days))))
            }
        }
    }

    /// Whether it names the date as a day of its month.
    fn names(&self, date: Date) -> bool {
        let last = date.days_in_month();
        match self {
            Self::Weekly(_) | Self::EveryOtherWeek(_) => false,
            Self::Days(days) => days.iter().any(|day| date.day() == (*day).min(last)),
            Self::BeforeMonthEnd(days) => date.day() == last - days,
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::domain::calendar::main_zone;

    #[track_caller]
    fn check(country: Option<&str>, from: (i16, i8, i8), days: u16, expect: &str) {
        let found: Vec<String> = next_paydays(country, date(from.0, from.1, from.2), days)
            .map(|day| day.strftime("%m-%d").to_string())
            .collect();
        assert_eq!(found.join(" "), expect, "{country:?}");
    }

    #[track_caller]
    fn weighs(country: Option<&str>, on: (i16, i8, i8), expect: f64) {
        let found = payday_weight(country, date(on.0, on.1, on.2));
        assert!((found - expect).abs() < 1e-9, "{country:?} on {on:?}: {found}");
    }

    #[test]
    fn paydays_of_a_month_are_moved_before_the_weekend() {
        // 25 January 2026 is a Sunday, 25 April a Saturday.
        check(Some("JP"), (2026, 1, 1), 120, "01-23 02-25 03-25 04-24");
        // The month ends on Saturday 31 January, Saturday 28 February, and Sunday 31 May.
        check(Some("BR"), (2026, 1, 1), 151, "01-30 02-27 03-31 04-30 05-29");
        check(None, (2028, 2, 1), 29, "02-29");
        // 1 February and 1 March 2026 are Sundays, whose pay comes in the month before.
        check(Some("DE"), (2026, 1, 1), 90, "01-01 01-30 02-27 03-31");
        check(Some("NL"), (2026, 3, 20), 14, "03-23 03-24 03-25 03-26 03-27 03-31");
    }

    #[test]
    fn americans_are_paid_on_fridays_and_twice_a_month() {
        check(
            Some("US"),
            (2026, 4, 1),
            30,
            "04-01 04-03 04-10 04-15 04-17 04-24 04-30",
        );
        weighs(Some("US"), (2026, 4, 3), 0.324 + 0.365 / 2.0);
        weighs(Some("US"), (2026, 4, 4), 0.324 + 0.365 / 2.0);
        weighs(Some("US"), (2026, 4, 5), 0.0);
        weighs(Some("US"), (2026, 4, 16), 0.198);
        // The month's end and the 1st are one night apart, and Friday with them.
        weighs(Some("US"), (2026, 5, 1), 0.324 + 0.365 / 2.0 + 0.099 + 0.099 + 0.113);
    }

    #[test]
    fn the_day_after_a_payday_still_counts() {
        weighs(Some("JP"), (2026, 3, 24), 0.0);
        weighs(Some("JP"), (2026, 3, 25), 0.6);
        weighs(Some("JP"), (2026, 3, 26), 0.6);
        weighs(Some("JP"), (2026, 3, 27), 0.0);
        weighs(Some("ES"), (2026, 3, 25), 0.3);
        weighs(None, (2026, 3, 31), 0.25);
        weighs(Some("ZZ"), (2026, 4, 1), 0.25);
    }

    #[test]
    fn every_entry_says_where_it_comes_from_and_shares_out_no_more_than_all_people() {
        assert_eq!(TABLE.version, 1);
        let mut countries = Vec::new();
        for entry in TABLE.entries.iter().chain([&TABLE.otherwise]) {
            let told = [&entry.source, &entry.edition, &entry.note];
            assert!(told.iter().all(|text| !text.is_empty()), "{entry:?}");
            assert!(["A", "B", "C", "M"].contains(&entry.grade.as_str()), "{entry:?}");
            let all: f64 = entry.groups.iter().map(|group| group.share).sum();
            assert!(
                all <= 1.0 + 1e-9 && entry.groups.iter().all(|group| group.share > 0.0),
                "{all}"
            );
            for group in &entry.groups {
                let fits = match &group.when {
                    When::Weekly(day) | When::EveryOtherWeek(day) => (0..7).contains(day),
                    When::Days(days) => !days.is_empty() && days.iter().all(|day| (1..=31).contains(day)),
                    When::BeforeMonthEnd(days) => (0..28).contains(days),
                };
                assert!(fits, "{group:?}");
            }
            countries.extend(&entry.countries);
        }
        assert!(countries.iter().all(|country| main_zone(country).is_some()));
        let known = countries.len();
        countries.sort_unstable();
        countries.dedup();
        assert_eq!(countries.len(), known, "a country has two entries");
    }

    #[test]
    fn no_weight_leaves_its_bounds() {
        for country in TABLE.entries.iter().flat_map(|entry| &entry.countries) {
            for day in date(2026, 1, 1).series(1.day()).take(800) {
                let weight = payday_weight(Some(country), day);
                assert!((0.0..=1.0 + 1e-9).contains(&weight), "{country} on {day}: {weight}");
            }
        }
    }
}
