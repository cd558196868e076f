//! The rules against dates that are known.

use jiff::civil::date;

use super::*;

/// The weekdays from 2025 to 2027 on which a scheme does not work, as `MM-DD` after each year.
#[track_caller]
fn check(rail: RailCalendar, years: [&str; 3]) {
    for (year, days) in (2025..).zip(years) {
        let closed: Vec<String> = date(year, 1, 1)
            .series(Span::new().days(1))
            .take_while(|day| day.year() == year)
            .filter(|day| !is_weekend(*day) && !is_business_day(rail, *day))
            .map(|day| day.strftime("%m-%d").to_string())
            .collect();
        assert_eq!(closed.join(" "), days, "{rail} in {year}");
    }
}

#[test]
fn target_is_closed_on_six_days() {
    check(
        RailCalendar::Sepa,
        [
            "01-01 04-18 04-21 05-01 12-25 12-26",
            "01-01 04-03 04-06 05-01 12-25",
            "01-01 03-26 03-29",
        ],
    );
}

#[test]
fn the_reserve_banks_move_a_sunday_and_lose_a_saturday() {
    check(
        RailCalendar::Ach,
        [
            "01-01 01-20 02-17 05-26 06-19 07-04 09-01 10-13 11-11 11-27 12-25",
            "01-01 01-19 02-16 05-25 06-19 09-07 10-12 11-11 11-26 12-25",
            "01-01 01-18 02-15 05-31 07-05 09-06 10-11 11-11 11-25",
        ],
    );
    assert!(is_business_day(RailCalendar::Ach, date(2026, 7, 3)));
    assert!(!is_business_day(RailCalendar::Ach, date(2022, 12, 26)));
    assert!(is_business_day(RailCalendar::Ach, date(2021, 12, 31)));
}

#[test]
fn england_and_wales_have_substitute_days() {
    check(
        RailCalendar::Bacs,
        [
            "01-01 04-18 04-21 05-05 05-26 08-25 12-25 12-26",
            "01-01 04-03 04-06 05-04 05-25 08-31 12-25 12-28",
            "01-01 03-26 03-29 05-03 05-31 08-30 12-27 12-28",
        ],
    );
    // Both days of Christmas on a weekend, the first of them only, and New Year on a Saturday.
    for (year, month, day) in [
        (2021, 12, 27),
        (2021, 12, 28),
        (2022, 12, 26),
        (2022, 12, 27),
        (2028, 1, 3),
    ] {
        assert!(!is_business_day(RailCalendar::Bacs, date(year, month, day)));
    }
    assert!(is_business_day(RailCalendar::Bacs, date(2022, 12, 28)));
    assert!(is_business_day(RailCalendar::Bacs, date(2028, 1, 4)));
}

#[test]
fn canada_has_its_national_days() {
    check(
        RailCalendar::Pad,
        [
            "01-01 04-18 05-19 07-01 09-01 09-30 10-13 11-11 12-25 12-26",
            "01-01 04-03 05-18 07-01 09-07 09-30 10-12 11-11 12-25 12-28",
            "01-01 03-26 05-24 07-01 09-06 09-30 10-11 11-11 12-27 12-28",
        ],
    );
    for (year, month, day) in [(2023, 10, 2), (2023, 11, 13), (2023, 7, 3), (2023, 1, 2)] {
        assert!(!is_business_day(RailCalendar::Pad, date(year, month, day)));
    }
}

#[test]
fn australia_does_not_move_anzac_day() {
    check(
        RailCalendar::Becs,
        [
            "01-01 01-27 04-18 04-21 04-25 06-09 12-25 12-26",
            "01-01 01-26 04-03 04-06 06-08 12-25 12-28",
            "01-01 01-26 03-26 03-29 06-14 12-27 12-28",
        ],
    );
}

#[test]
fn the_next_business_day_is_the_day_itself_or_a_later_one() {
    for (rail, from, next) in [
        (RailCalendar::Sepa, date(2026, 4, 2), date(2026, 4, 2)),
        (RailCalendar::Sepa, date(2026, 4, 3), date(2026, 4, 7)),
        (RailCalendar::Ach, date(2027, 7, 3), date(2027, 7, 6)),
        (RailCalendar::Bacs, date(2027, 12, 24), date(2027, 12, 24)),
        (RailCalendar::Bacs, date(2027, 12, 25), date(2027, 12, 29)),
        (RailCalendar::Becs, date(2026, 12, 31), date(2026, 12, 31)),
        (RailCalendar::Becs, date(2027, 1, 1), date(2027, 1, 4)),
        (RailCalendar::Pad, date(2023, 12, 30), date(2024, 1, 2)),
        (RailCalendar::Sepa, Date::MAX, Date::MAX),
    ] {
        assert_eq!(next_business_day(rail, from), next, "{rail} from {from}");
    }
}

#[test]
fn easter_is_where_the_tables_have_it() {
    for (year, month, day) in [
        (1818, 3, 22),
        (1943, 4, 25),
        (2000, 4, 23),
        (2008, 3, 23),
        (2011, 4, 24),
        (2019, 4, 21),
        (2024, 3, 31),
        (2025, 4, 20),
        (2026, 4, 5),
        (2027, 3, 28),
        (2038, 4, 25),
        (2076, 4, 19),
    ] {
        assert_eq!(easter(year), Some(date(year, month, day)));
    }
}

#[test]
fn every_calendar_says_where_it_comes_from_and_every_rule_has_a_day_each_year() {
    assert_eq!(TABLE.version, 1);
    let mut rails: Vec<RailCalendar> = TABLE.calendars.iter().map(|calendar| calendar.rail).collect();
    rails.sort_unstable();
    assert_eq!(rails, RailCalendar::ALL);
    for calendar in &TABLE.calendars {
        let told = [&calendar.about, &calendar.source, &calendar.edition];
        assert!(told.iter().all(|text| !text.is_empty()), "{}", calendar.rail);
        assert!(["P", "S", "M"].contains(&calendar.grade.as_str()), "{}", calendar.rail);
        for holiday in &calendar.holidays {
            let missing = (2000..2200).find(|year| holiday.on.of(*year).is_none());
            assert_eq!(missing, None, "{} of {}", holiday.name, calendar.rail);
        }
    }
}
