//! The days of a world, and its hours: whole local hours since the world's first midnight, so that no zone is asked for each of
//! millions of attempts.

use jiff::civil::{Date, date};

use crate::domain::calendar::paydays::payday_weight;

/// The first day of every world.
const FIRST: Date = date(2026, 1, 1);
/// The days of a world: two years, and what the last cases need.
pub const DAYS: i32 = 770;
/// Hours of a day.
pub const DAY: i32 = 24;

/// One day.
#[derive(Clone, Copy, Debug)]
pub struct Day {
    /// Of the month, from 1.
    pub of_month: i8,
    /// How many days its month still has after it.
    pub before_month_end: i8,
    /// Of the week, Monday is 0.
    pub weekday: i8,
    /// Of the world, from 0.
    pub number: i32,
    /// The share of people in the world's country who are said to be paid on it or the day before.
    pub payday: f64,
}

/// All days of a world in a country.
pub fn days(country: &str) -> Vec<Day> {
    let mut at = FIRST;
    let mut days = Vec::new();
    for number in 0..DAYS {
        days.push(Day {
            of_month: at.day(),
            before_month_end: at.days_in_month() - at.day(),
            weekday: at.weekday().to_monday_zero_offset(),
            number,
            payday: payday_weight(Some(country), at),
        });
        at = at.tomorrow().unwrap_or(at);
    }
    days
}

/// The hour at which a day begins.
pub fn midnight(day: i32) -> i32 {
    day * DAY
}

/// The day of an hour.
pub fn day_of(hour: i32) -> i32 {
    hour.div_euclid(DAY)
}

/// The local hour of an hour, 0 to 23.
pub fn local(hour: i32) -> i32 {
    hour.rem_euclid(DAY)
}
