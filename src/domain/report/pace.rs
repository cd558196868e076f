//! How this month goes beside the last one, when that was as old.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use serde::Serialize;

use super::digest::{Dated, Standing};
use super::{By, Cohort, Cut, Report, TooLarge, report};

/// One currency: the cases opened in this month so far, and those opened in as much of the last one as they stood then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pace {
    /// The currency.
    pub currency: String,
    /// This month.
    pub month: Standing,
    /// The last one, at the same age.
    pub month_before: Standing,
}

/// Two months, and how far they are told.
#[derive(Clone, Debug)]
pub struct Months {
    /// When the last month began.
    pub before: Timestamp,
    /// When it was as old as this month is now.
    pub as_old: Timestamp,
    /// When this month began.
    pub month: Timestamp,
    /// The present instant.
    pub now: Timestamp,
    zone: TimeZone,
}

impl Months {
    /// This month of a zone and the one before it.
    pub fn at(now: Timestamp, zone: &TimeZone) -> Self {
        let first = zone.to_datetime(now).date().first_of_month();
        let midnight = |day: Date| {
            let midnight = zone.to_ambiguous_zoned(day.at(0, 0, 0, 0)).compatible();
            midnight.map_or(Timestamp::MIN, |zoned| zoned.timestamp())
        };
        let (before, month) = (midnight(first.saturating_sub(1.month())), midnight(first));
        let age: SignedDuration = now.duration_since(month);
        // A month may be longer than the one before it: then that one is told whole, and in its whole age.
        let as_old = before.saturating_add(age).unwrap_or(Timestamp::MAX);
        Self {
            before,
            as_old,
            month,
            now,
            zone: zone.clone(),
        }
    }
}

/// How both months stand in each currency, by its code. `cases` are those opened since the last month began.
pub fn pace(cases: &[Dated], months: &Months) -> Result<Vec<Pace>, TooLarge> {
    let stood = |from: Timestamp, until: Timestamp, at: Timestamp| -> Result<Report, TooLarge> {
        let opened = cases.iter().filter(|case| (from..until).contains(&case.opened_at));
        let cells: Vec<_> = opened.filter_map(|case| case.stood(at, &months.zone)).collect();
        let cohort = Cohort::Month;
        report(&cells, Cut { cohort, by: By::None })
    };
    let month = stood(months.month, months.now, months.now)?;
    let before = stood(months.before, months.as_old.min(months.month), months.as_old)?;
    let mut codes: Vec<&str> = [&month, &before]
        .iter()
        .flat_map(|report| &report.totals)
        .map(|row| row.currency.as_str())
        .collect();
    codes.sort_unstable();
    codes.dedup();
    let of = |report: &Report, code: &str| {
        let row = report.totals.iter().find(|row| row.currency == code);
        row.map(Standing::of).unwrap_or_default()
    };
    let paces = codes.into_iter().map(|code| Pace {
        currency: code.to_owned(),
        month: of(&month, code),
        month_before: of(&before, code),
    });
    Ok(paces.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::money::Money;
    use crate::domain::outcome::{Outcome, RecoveredBy};

    fn case(opened: &str, closed: Option<&str>) -> Dated {
        let by = RecoveredBy::Retry;
        Dated {
            opened_at: opened.parse().unwrap(),
            closed_at: closed.map(|at| at.parse().unwrap()),
            amount: Money::new(1_000, "EUR".parse().unwrap()),
            outcome: closed.map(|_| Outcome::Recovered { by }),
            recovered_minor: if closed.is_some() { 1_000 } else { 0 },
            connection: "stripe".to_owned(),
        }
    }

    #[test]
    fn the_last_month_is_told_as_it_stood_when_it_was_as_old() {
        let now = "2026-03-11T12:00:00Z".parse().unwrap();
        let months = Months::at(now, &TimeZone::UTC);
        assert_eq!(months.as_old.to_string(), "2026-02-11T12:00:00Z");
        let cases = [
            case("2026-02-02T00:00:00Z", Some("2026-02-05T00:00:00Z")),
            // It came back, but not yet at that age; and one that failed later in its month.
            case("2026-02-03T00:00:00Z", Some("2026-02-20T00:00:00Z")),
            case("2026-02-12T00:00:00Z", Some("2026-02-13T00:00:00Z")),
            case("2026-03-01T00:00:00Z", Some("2026-03-02T00:00:00Z")),
            case("2026-03-10T00:00:00Z", None),
            case("2026-03-11T00:00:00Z", None),
        ];
        let [euros] = pace(&cases, &months).unwrap().try_into().unwrap();
        let told = |standing: &Standing| {
            (
                standing.all.cases,
                standing.rate.as_ref().map(|rate| rate.parts_per_10k),
            )
        };
        assert_eq!(told(&euros.month), (3, Some(3_333)));
        assert_eq!(told(&euros.month_before), (2, Some(5_000)));
        assert_eq!(pace(&[], &months).unwrap(), []);
    }

    #[test]
    fn a_longer_month_meets_the_whole_of_a_shorter_one() {
        let now = "2026-03-31T12:00:00Z".parse().unwrap();
        let months = Months::at(now, &TimeZone::UTC);
        let late = case("2026-02-28T00:00:00Z", Some("2026-03-01T00:00:00Z"));
        let [euros] = pace(&[late], &months).unwrap().try_into().unwrap();
        assert_eq!((euros.month.all.cases, euros.month_before.all.cases), (0, 1));
        assert_eq!(euros.month_before.rate.unwrap().parts_per_10k, 10_000);
    }
}
