//! The hours in which nobody is written to.

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// A part of every day, over midnight where it ends earlier than it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quiet {
    /// When it begins, local time.
    pub from: Time,
    /// When it is over, local time.
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
        let ends_tomorrow = local.time() >= self.to;
        let day = local.date().saturating_add(Span::new().days(i64::from(ends_tomorrow)));
        // A time that the clocks leave out becomes the one after the gap, and one that comes twice is the first.
        let end = zone.to_ambiguous_timestamp(day.to_datetime(self.to)).compatible();
        end.map_or(at, |end| end.max(at))
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
            "2026-03-29T01:30:00Z"
        );
    }
}
