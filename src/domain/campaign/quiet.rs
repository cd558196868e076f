//! The hours in which nobody is written to.

use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::schema::LocalTime;
use crate::domain::calendar::days_from;

/// A part of every day, over midnight where it ends earlier than it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Quiet {
    /// When it begins, local time.
    #[schema(value_type = LocalTime)]
    pub from: Time,
    /// When it is over, local time.
    #[schema(value_type = LocalTime)]
    pub to: Time,
}

impl Quiet {
    /// Whether a time of the day lies in it.
    pub fn holds(self, at: Time) -> bool {
        if self.from <= self.to {
            (self.from..self.to).contains(&at)
        } else {
            at >= self.from || at < self.to
        }
    }

    /// The first instant from `at` on that lies outside of it in a zone.
    pub fn over(self, at: Timestamp, zone: &TimeZone) -> Timestamp {
        let local = zone.to_datetime(at);
        if !self.holds(local.time()) {
            return at;
        }
        let ends_tomorrow = i32::from(local.time() >= self.to);
        let end = days_from(at, ends_tomorrow, self.to, zone);
        if end > at {
            return end;
        }
        // The hour comes twice and this is the second time, in which it ends once more.
        let again = zone.to_ambiguous_timestamp(local.date().to_datetime(self.to));
        again.later().unwrap_or(at).max(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(from: &str, to: &str, at: &str, zone: &str) -> String {
        let time = |text: &str| text.parse().unwrap();
        let quiet = Quiet {
            from: time(from),
            to: time(to),
        };
        quiet
            .over(at.parse().unwrap(), &TimeZone::get(zone).unwrap())
            .to_string()
    }

    #[test]
    fn a_night_goes_over_midnight() {
        let berlin = |at: &str| over("21:00", "08:00", at, "Europe/Berlin");
        assert_eq!(berlin("2026-03-02T19:59:59Z"), "2026-03-02T19:59:59Z");
        assert_eq!(berlin("2026-03-02T20:00:00Z"), "2026-03-03T07:00:00Z");
        assert_eq!(berlin("2026-03-02T23:30:00Z"), "2026-03-03T07:00:00Z");
        assert_eq!(berlin("2026-03-03T06:59:59Z"), "2026-03-03T07:00:00Z");
        assert_eq!(berlin("2026-03-03T07:00:00Z"), "2026-03-03T07:00:00Z");
        assert_eq!(
            over("12:00", "14:00", "2026-03-03T13:00:00Z", "UTC"),
            "2026-03-03T14:00:00Z"
        );
    }

    #[test]
    fn a_night_in_which_the_clocks_change_ends_by_the_clock() {
        // In Berlin the clocks go from two to three on 29 March 2026, and back on 25 October.
        assert_eq!(
            over("21:00", "08:00", "2026-03-29T00:30:00Z", "Europe/Berlin"),
            "2026-03-29T06:00:00Z"
        );
        assert_eq!(
            over("21:00", "08:00", "2026-10-25T00:30:00Z", "Europe/Berlin"),
            "2026-10-25T07:00:00Z"
        );
        assert_eq!(
            over("01:00", "02:30", "2026-03-29T00:30:00Z", "Europe/Berlin"),
            "2026-03-29T01:00:00Z",
            "after two it is three at once"
        );
        assert_eq!(
            over("21:00", "02:30", "2026-10-25T01:15:00Z", "Europe/Berlin"),
            "2026-10-25T01:30:00Z",
            "half past two comes twice"
        );
    }
}
