//! How this month goes beside the last one, when that was as old.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::Serialize;

use super::digest::{Days, Standing};
use super::{Cell, EndedCell, Rate, Sum, TooLarge};
use crate::domain::money::Currency;
use crate::domain::outcome::Status;

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

/// The whole days of this month so far, and as many of the month before. Today is not over, so it has no day to stand beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Months {
    /// The month of yesterday, up to yesterday.
    pub month: Days,
    /// The month before that one, as far: whole where it is shorter.
    pub before: Days,
}

impl Months {
    /// The months at an instant in a zone.
    pub fn at(now: Timestamp, zone: &TimeZone) -> Self {
        let last = zone.to_datetime(now).date().saturating_sub(1.day());
        let first = last.first_of_month();
        let before = first.saturating_sub(1.month());
        let same_day = before.saturating_add(i64::from(last.day() - 1).days());
        Self {
            month: Days { first, last },
            before: Days {
                first: before,
                last: same_day.min(before.last_of_month()),
            },
        }
    }
}

#[derive(Default)]
struct Tally {
    all: Sum,
    closed: u64,
    recovered_minor: i64,
}

impl Tally {
    fn standing(self) -> Standing {
        Standing {
            all: self.all,
            rate: Rate::of_amounts(self.recovered_minor, self.all.amount_minor),
            maturity: Rate::of_counts(self.closed, self.all.cases),
        }
    }
}

/// How both months stand in each currency, by its code: `opened` are the cases by the day of their opening, `ended` those of them that
/// have ended.
pub fn pace(opened: &[Cell], ended: &[EndedCell], months: Months) -> Result<Vec<Pace>, TooLarge> {
    let mut month = stood(opened, ended, months.month)?;
    let mut before = stood(opened, ended, months.before)?;
    let mut currencies: Vec<Currency> = month.keys().chain(before.keys()).copied().collect();
    currencies.sort_unstable_by_key(|currency| currency.code().to_owned());
    currencies.dedup();
    let paces = currencies.into_iter().map(|currency| Pace {
        currency: currency.code().to_owned(),
        month: month.remove(&currency).unwrap_or_default().standing(),
        month_before: before.remove(&currency).unwrap_or_default().standing(),
    });
    Ok(paces.collect())
}

/// The cases that were opened on the days, as they stood when the last of these was over.
fn stood(opened: &[Cell], ended: &[EndedCell], days: Days) -> Result<BTreeMap<Currency, Tally>, TooLarge> {
    let within = |day: Date| (days.first..=days.last).contains(&day);
    let mut tallies: BTreeMap<Currency, Tally> = BTreeMap::new();
    for cell in opened.iter().filter(|cell| within(cell.day)) {
        let tally = tallies.entry(cell.currency).or_default();
        tally.all.add(cell.counts.cases, cell.counts.amount_minor)?;
    }
    let in_time = |cell: &&EndedCell| within(cell.day) && cell.ended_day <= days.last;
    for cell in ended.iter().filter(in_time) {
        let tally = tallies.entry(cell.currency).or_default();
        tally.closed += cell.cases;
        if cell.status == Status::Recovered {
            tally.recovered_minor = tally
                .recovered_minor
                .checked_add(cell.recovered_minor)
                .ok_or(TooLarge)?;
        }
    }
    Ok(tallies)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::report::Counts;

    /// A case of 10.00 EUR, and the day and the way in which it ended.
    fn case(opened: &str, end: Option<(&str, Status)>) -> (Cell, Option<EndedCell>) {
        let (day, currency) = (opened.parse().unwrap(), "EUR".parse().unwrap());
        let cell = Cell {
            day,
            value: String::new(),
            connection: "stripe".to_owned(),
            currency,
            outcome: None,
            retryable: true,
            counts: Counts {
                cases: 1,
                amount_minor: 1_000,
                ..Counts::default()
            },
        };
        let ended = end.map(|(ended_day, status)| EndedCell {
            day,
            ended_day: ended_day.parse().unwrap(),
            status,
            value: String::new(),
            currency,
            cases: 1,
            recovered_minor: if status == Status::Recovered { 1_000 } else { 0 },
            reversed_minor: 0,
        });
        (cell, ended)
    }

    /// The cases of a month, and the parts of them that were recovered and closed.
    type Told = (u64, Option<i64>, Option<i64>);

    fn told(cases: &[(Cell, Option<EndedCell>)], now: &str) -> Vec<[Told; 2]> {
        let months = Months::at(now.parse().unwrap(), &TimeZone::UTC);
        let opened: Vec<Cell> = cases.iter().map(|(cell, _)| cell.clone()).collect();
        let ended: Vec<EndedCell> = cases.iter().filter_map(|(_, ended)| ended.clone()).collect();
        let part = |rate: &Option<Rate>| rate.as_ref().map(|rate| rate.parts_per_10k);
        let one = |standing: &Standing| (standing.all.cases, part(&standing.rate), part(&standing.maturity));
        let paces = pace(&opened, &ended, months).unwrap();
        paces
            .iter()
            .map(|pace| [one(&pace.month), one(&pace.month_before)])
            .collect()
    }

    #[test]
    fn the_last_month_is_told_as_it_stood_when_it_was_as_old() {
        let cases = [
            case("2026-02-02", Some(("2026-02-05", Status::Recovered))),
            // It came back, but not yet at that age; one was lost by then; and one failed later in its month.
            case("2026-02-03", Some(("2026-02-20", Status::Recovered))),
            case("2026-02-03", Some(("2026-02-10", Status::Exhausted))),
            case("2026-02-12", Some(("2026-02-13", Status::Recovered))),
            case("2026-03-01", Some(("2026-03-02", Status::Recovered))),
            case("2026-03-10", None),
            // Today is not over.
            case("2026-03-11", None),
            case("2026-03-09", Some(("2026-03-11", Status::Recovered))),
        ];
        let month = (3, Some(3_333), Some(3_333));
        let before = (3, Some(3_333), Some(6_667));
        assert_eq!(told(&cases, "2026-03-11T12:00:00Z"), [[month, before]]);
        assert!(told(&[], "2026-03-11T12:00:00Z").is_empty());
    }

    #[test]
    fn a_longer_month_meets_the_whole_of_a_shorter_one_and_the_first_day_tells_the_month_that_is_over() {
        let late = [case("2026-02-28", Some(("2026-02-28", Status::Recovered)))];
        let none = (0, None, None);
        let whole = (1, Some(10_000), Some(10_000));
        assert_eq!(told(&late, "2026-03-31T12:00:00Z"), [[none, whole]]);
        assert_eq!(told(&late, "2026-04-01T12:00:00Z"), [[none, whole]]);
        assert_eq!(told(&late, "2026-03-01T00:00:00Z"), [[whole, none]]);
    }
}
