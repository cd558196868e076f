//! The days on which bank debits move. The holidays are rules, in `holidays.json`, with source and edition, so that they
//! hold for any year.

use std::sync::LazyLock;

use jiff::Span;
use jiff::civil::{Date, Weekday};
use serde::Deserialize;

use super::is_weekend;
use crate::domain::words::words;

words! {
    /// A bank-debit scheme, by whose calendar money moves.
    RailCalendar {
        /// Direct debits in euros.
        Sepa = "sepa",
        /// Debits of accounts in the United States.
        Ach = "ach",
        /// Direct debits in the United Kingdom.
        Bacs = "bacs",
        /// Pre-authorised debits in Canada.
        Pad = "pad",
        /// Direct debits in Australia.
        Becs = "becs",
    }
}

/// All calendars as they stand in the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// The version of the file's form.
    pub version: u32,
    /// What the rules say, and what the grades mean.
    pub note: String,
    /// One for each scheme.
    pub calendars: Vec<Calendar>,
}

/// The calendar of one scheme.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calendar {
    /// The scheme.
    pub rail: RailCalendar,
    /// What days they are.
    pub about: String,
    /// Where they are published.
    pub source: String,
    /// Which edition was read, and what it says.
    pub edition: String,
    /// How well it is known: `P` the source's own text, `S` someone's statement of it, `M` unverified.
    pub grade: String,
    /// The days, besides Saturdays and Sundays.
    pub holidays: Vec<Holiday>,
}

/// A day of each year on which nothing moves.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holiday {
    /// Its name.
    pub name: String,
    /// When it is.
    pub on: On,
    /// What becomes of it on a weekend; without it the day is lost.
    pub moves: Option<Moves>,
}

/// When a holiday is. Weekdays count from Monday as 0.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum On {
    /// On that date.
    Date {
        /// From 1.
        month: i8,
        /// From 1.
        day: i8,
    },
    /// On the nth such weekday of a month; below 0 it counts from the month's end.
    Weekday {
        /// From 1.
        month: i8,
        /// From Monday as 0.
        weekday: i8,
        /// Which one.
        nth: i8,
    },
    /// On the last such weekday before a date.
    WeekdayBefore {
        /// From 1.
        month: i8,
        /// From 1.
        day: i8,
        /// From Monday as 0.
        weekday: i8,
    },
    /// So many days after Easter Sunday; below 0 before it.
    Easter(i32),
}

/// What becomes of a holiday on a weekend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moves {
    /// From Sunday to Monday; on a Saturday it is lost.
    SundayToMonday,
    /// To the next day that is neither a holiday nor a weekend.
    ToNextFreeDay,
}

/// The embedded calendars.
pub static TABLE: LazyLock<Table> =
    LazyLock::new(|| serde_json::from_str(include_str!("holidays.json")).expect("the embedded holidays are valid"));

/// Whether the scheme moves money on a date.
pub fn is_business_day(rail: RailCalendar, date: Date) -> bool {
    !is_weekend(date) && !holidays(rail, date.year()).contains(&date)
}

/// The first day on which the scheme moves money: `date` itself, or the next that is one.
pub fn next_business_day(rail: RailCalendar, date: Date) -> Date {
    let mut day = date;
    while !is_business_day(rail, day) {
        match day.tomorrow() {
            Ok(next) => day = next,
            // The calendar itself ends here.
            Err(_) => return date,
        }
    }
    day
}

impl On {
    /// The date in a year; nothing where the year does not have it.
    fn of(self, year: i16) -> Option<Date> {
        match self {
            Self::Date { month, day } => Date::new(year, month, day).ok(),
            Self::Weekday { month, weekday, nth } => {
                let weekday = Weekday::from_monday_zero_offset(weekday).ok()?;
                Date::new(year, month, 1).ok()?.nth_weekday_of_month(nth, weekday).ok()
            }
            Self::WeekdayBefore { month, day, weekday } => {
                let weekday = Weekday::from_monday_zero_offset(weekday).ok()?;
                Date::new(year, month, day).ok()?.nth_weekday(-1, weekday).ok()
            }
            Self::Easter(days) => Some(easter(year)?.saturating_add(Span::new().days(days))),
        }
    }
}

/// The holidays of a year with those that were moved, in no order; a moved one stands for itself and its new day.
fn holidays(rail: RailCalendar, year: i16) -> Vec<Date> {
    let Some(calendar) = TABLE.calendars.iter().find(|calendar| calendar.rail == rail) else {
        return Vec::new();
    };
    let on = |holiday: &Holiday| Some((holiday.on.of(year)?, holiday.moves));
    let of_year: Vec<(Date, Option<Moves>)> = calendar.holidays.iter().filter_map(on).collect();
    let mut closed: Vec<Date> = of_year.iter().map(|(date, _)| *date).collect();
    for (date, moves) in of_year {
        let moved = match (moves, date.weekday()) {
            (Some(Moves::SundayToMonday), Weekday::Sunday) => date.tomorrow().ok(),
            (Some(Moves::ToNextFreeDay), Weekday::Saturday | Weekday::Sunday) => {
                let free = |day: &Date| !is_weekend(*day) && !closed.contains(day);
                date.series(Span::new().days(1)).find(free)
            }
            (Some(_) | None, _) => None,
        };
        closed.extend(moved);
    }
    closed
}

/// Easter Sunday of a year in the Gregorian calendar, by the anonymous computus of 1876.
fn easter(year: i16) -> Option<Date> {
    let year_number = i32::from(year);
    let golden = year_number % 19;
    let (century, of_century) = (year_number / 100, year_number % 100);
    let drift = (century - (century + 8) / 25 + 1) / 3;
    let moon = (19 * golden + century - century / 4 - drift + 15) % 30;
    let sunday = (32 + 2 * (century % 4) + 2 * (of_century / 4) - moon - of_century % 4) % 7;
    let late = (golden + 11 * moon + 22 * sunday) / 451;
    let from_march = moon + sunday - 7 * late + 114;
    let (month, day) = (
        i8::try_from(from_march / 31).ok()?,
        i8::try_from(from_march % 31 + 1).ok()?,
    );
    Date::new(year, month, day).ok()
}

#[cfg(test)]
mod tests;
