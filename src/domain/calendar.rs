//! Local time: days and hours of the customer's zone turned into instants, and what is special about a day.

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

pub use countries::main_zone;
pub use holidays::{RailCalendar, is_business_day, next_business_day};
pub use paydays::{next_paydays, payday_weight};
pub use wall::{Local, WallClock};

pub mod countries;
pub mod holidays;
pub mod paydays;
mod wall;

/// The zone of an IANA name; UTC where the name is unknown (it was checked when it was taken in, but zone data may age).
pub fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap_or(TimeZone::UTC)
}

/// The instant that is `days` calendar days from the local date of `from` (back where negative), at the local time `at`.
///
/// A local time that the clock change skips becomes the next valid instant, one that happens twice the first of the two.
pub fn days_from(from: Timestamp, days: i32, at: Time, zone: &TimeZone) -> Timestamp {
    let date = zone.to_datetime(from).date().saturating_add(Span::new().days(days));
    let local = date.to_datetime(at);
    let ambiguous = zone.to_ambiguous_timestamp(local);
    match ambiguous.offset() {
        jiff::tz::AmbiguousOffset::Gap { before, after } => {
            // The first instant after the gap is where the later offset begins to hold.
            let jump = i64::from(after.seconds() - before.seconds());
            let in_old_offset = before.to_timestamp(local).unwrap_or(from);
            first_valid_after_gap(in_old_offset, jump, zone)
        }
        jiff::tz::AmbiguousOffset::Unambiguous { .. } | jiff::tz::AmbiguousOffset::Fold { .. } => {
            ambiguous.earlier().unwrap_or(from)
        }
    }
}

/// The transition itself: the latest change of offset at or before `inside`, an instant less than `jump_secs` after it.
fn first_valid_after_gap(inside: Timestamp, jump_secs: i64, zone: &TimeZone) -> Timestamp {
    zone.preceding(inside.saturating_add(Span::new().seconds(1)).unwrap_or(inside))
        .next()
        .map(|transition| transition.timestamp())
        .filter(|at| inside.as_second() - at.as_second() <= jump_secs)
        .unwrap_or(inside)
}

/// `from` plus whole hours of elapsed time.
pub fn hours_from(from: Timestamp, hours: u16) -> Timestamp {
    from.saturating_add(Span::new().hours(i64::from(hours))).unwrap_or(from)
}

/// `from` plus `secs` seconds.
pub fn secs_from(from: Timestamp, secs: i64) -> Timestamp {
    from.saturating_add(Span::new().seconds(secs)).unwrap_or(from)
}

/// The instant as texts write it, to the minute that has begun: `2026-03-03 08:00 UTC`.
pub fn written(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// Whether it is a Saturday or a Sunday.
fn is_weekend(date: Date) -> bool {
    matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(from: &str, days: i32, at: (i8, i8), zone_name: &str, expect: &str) {
        let at = jiff::civil::time(at.0, at.1, 0, 0);
        let got = days_from(from.parse().unwrap(), days, at, &zone(zone_name));
        assert_eq!(got, expect.parse().unwrap(), "got {got}");
    }

    #[test]
    fn texts_write_an_instant_in_utc_to_the_minute() {
        for (at, text) in [
            ("2026-03-03T08:00:00Z", "2026-03-03 08:00 UTC"),
            ("2026-03-03T00:59:59.999+01:00", "2026-03-02 23:59 UTC"),
        ] {
            assert_eq!(written(at.parse().unwrap()), text);
        }
    }

    #[test]
    fn nine_in_the_morning_stays_nine_across_the_clock_change() {
        check(
            "2026-03-27T12:00:00Z",
            1,
            (9, 0),
            "Europe/Berlin",
            "2026-03-28T08:00:00Z",
        );
        check(
            "2026-03-27T12:00:00Z",
            2,
            (9, 0),
            "Europe/Berlin",
            "2026-03-29T07:00:00Z",
        );
        check(
            "2026-10-24T12:00:00Z",
            1,
            (9, 0),
            "Europe/Berlin",
            "2026-10-25T08:00:00Z",
        );
    }

    #[test]
    fn a_skipped_time_becomes_the_next_valid_instant_and_a_double_one_the_first() {
        check(
            "2026-03-28T12:00:00Z",
            1,
            (2, 30),
            "Europe/Berlin",
            "2026-03-29T01:00:00Z",
        );
        check(
            "2026-03-28T12:00:00Z",
            1,
            (2, 0),
            "Europe/Berlin",
            "2026-03-29T01:00:00Z",
        );
        check(
            "2026-10-24T12:00:00Z",
            1,
            (2, 30),
            "Europe/Berlin",
            "2026-10-25T00:30:00Z",
        );
        check(
            "2026-03-07T12:00:00Z",
            1,
            (2, 30),
            "America/New_York",
            "2026-03-08T07:00:00Z",
        );
        // Lord Howe moves by half an hour only.
        check(
            "2026-10-03T02:00:00Z",
            1,
            (2, 15),
            "Australia/Lord_Howe",
            "2026-10-03T15:30:00Z",
        );
        // Apia had no 30 December 2011 at all.
        check(
            "2011-12-29T12:00:00Z",
            1,
            (9, 0),
            "Pacific/Apia",
            "2011-12-30T10:00:00Z",
        );
    }

    #[test]
    fn the_local_date_counts_not_the_utc_date() {
        check("2026-01-01T23:30:00Z", 1, (9, 0), "Asia/Tokyo", "2026-01-03T00:00:00Z");
        check(
            "2026-01-02T02:00:00Z",
            1,
            (9, 0),
            "America/Los_Angeles",
            "2026-01-02T17:00:00Z",
        );
        check("2026-01-21T12:00:00Z", -3, (10, 0), "UTC", "2026-01-18T10:00:00Z");
    }
}
