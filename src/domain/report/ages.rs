//! The recovered share of each cohort by age: within how many days or weeks of the first failure the money came.

use jiff::civil::Date;
use serde::Serialize;

use super::{Cohort, Rate, Sum, TooLarge};
use crate::domain::money::Currency;
use crate::domain::outcome::Status;
use crate::domain::words::words;

words! {
    /// How long a column of the report is.
    Age {
        /// Whole days.
        Day = "day",
        /// Whole weeks.
        Week = "week",
    }
}

impl Age {
    /// How many hours one has.
    pub const fn hours(self) -> u64 {
        match self {
            Self::Day => 24,
            Self::Week => 7 * 24,
        }
    }

    /// How many columns there are: about as long as campaigns run.
    pub const fn columns(self) -> u64 {
        match self {
            Self::Day => 30,
            Self::Week => 12,
        }
    }
}

/// What each figure means.
pub const DEFINITIONS: [(&str, &str); 4] = [
    (
        "cohort",
        "The month of the first failure, in the zone that the connection had then; all cases of it are in the denominator, open and \
         cancelled ones included.",
    ),
    (
        "within",
        "Recovered in fewer than so many times 24 hours (or 168, for weeks) after the hour in which the case was opened, divided by all cases (or their \
         money) of the cohort. The shares of a row never fall.",
    ),
    (
        "cells",
        "null where the figure can still change: while the month runs, and while a case of it is open and younger than that. It is not 0, \
         it is not known.",
    ),
    (
        "money",
        "What was paid of the recovered cases by what was owed on all of them, in minor units of one currency.",
    ),
];

/// A share that no longer changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct AgeCell {
    /// Recovered within that age, and what was paid of it.
    pub recovered: Sum,
    /// Of all cases.
    pub cases: Option<Rate>,
    /// Of all money.
    pub amount: Option<Rate>,
}

/// A cohort in one currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct AgeRow {
    /// The month, `2026-03`.
    pub cohort: String,
    /// The currency of the amounts.
    pub currency: String,
    /// All cases, and what was owed.
    pub all: Sum,
    /// A cell for each age from 1 on; null where it can still change.
    pub cells: Vec<Option<AgeCell>>,
}

/// Cases of a month that took as long as each other, or are as old; amounts in minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aged {
    /// The first day of the month in which they were opened.
    pub month: Date,
    /// The currency of the amounts.
    pub currency: Currency,
    /// How they stand.
    pub status: Status,
    /// How many hours there are from that of their opening to that of their end; to the present one, while they are open; none where they
    /// were lost, for that is at no age.
    pub hours: u64,
    /// How many.
    pub cases: i64,
    /// What was owed.
    pub amount_minor: i64,
    /// What was paid while they were chased.
    pub recovered_minor: i64,
}

/// The cohorts of the cases, oldest first. `running` is the first month that is not over everywhere.
pub fn by_age(ages: &[Aged], running: Date, age: Age) -> Result<Vec<AgeRow>, TooLarge> {
    let mut places: Vec<(Date, Currency)> = ages.iter().map(|aged| (aged.month, aged.currency)).collect();
    places.sort_unstable();
    places.dedup();
    let row = |(month, currency): (Date, Currency)| {
        let its: Vec<&Aged> = ages
            .iter()
            .filter(|aged| aged.month == month && aged.currency == currency)
            .collect();
        let all = sum(&its, |_| true, |aged| aged.amount_minor)?;
        let open = its.iter().filter(|aged| aged.status == Status::Open);
        let youngest = open.map(|aged| aged.hours).min();
        let cell = |column: u64| {
            let below = column * age.hours();
            let settled = month < running && youngest.is_none_or(|hours| hours >= below);
            settled.then(|| within(&its, all, below)).transpose()
        };
        Ok(AgeRow {
            cohort: Cohort::Month.label(month),
            currency: currency.code().to_owned(),
            all,
            cells: (1..=age.columns()).map(cell).collect::<Result<_, _>>()?,
        })
    };
    places.into_iter().map(row).collect()
}

fn within(its: &[&Aged], all: Sum, below: u64) -> Result<AgeCell, TooLarge> {
    let in_time = |aged: &Aged| aged.status == Status::Recovered && aged.hours < below;
    let recovered = sum(its, in_time, |aged| aged.recovered_minor)?;
    Ok(AgeCell {
        recovered,
        cases: Rate::of_counts(recovered.cases, all.cases),
        amount: Rate::of_amounts(recovered.amount_minor, all.amount_minor),
    })
}

fn sum(ages: &[&Aged], counts: impl Fn(&Aged) -> bool, minor: impl Fn(&Aged) -> i64) -> Result<Sum, TooLarge> {
    let mut sum = Sum::default();
    for aged in ages.iter().filter(|aged| counts(aged)) {
        sum.add(aged.cases, minor(aged))?;
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn aged(month: Date, hours: u64, status: Status, cases: i64) -> Aged {
        Aged {
            month,
            currency: "EUR".parse().unwrap(),
            status,
            hours,
            cases,
            amount_minor: cases * 100,
            recovered_minor: cases * 90,
        }
    }

    #[test]
    fn what_can_still_change_is_blank_and_what_cannot_never_falls() {
        let (march, april) = (date(2026, 3, 1), date(2026, 4, 1));
        let ages = [
            aged(march, 0, Status::Recovered, 1),
            aged(march, 23, Status::Recovered, 1),
            aged(march, 24, Status::Recovered, 2),
            aged(march, 71, Status::Stopped, 3),
            aged(march, 75, Status::Open, 1),
            aged(april, 5, Status::Recovered, 4),
        ];
        let rows = by_age(&ages, april, Age::Day).unwrap();
        let counts = |row: &AgeRow| -> Vec<Option<u64>> {
            row.cells
                .iter()
                .take(5)
                .map(|cell| cell.as_ref().map(|cell| cell.recovered.cases))
                .collect()
        };
        // The open case is three days and three hours old: what is within three days no longer changes.
        assert_eq!(counts(&rows[0]), [Some(2), Some(4), Some(4), None, None]);
        assert_eq!(
            rows[0].cells[1].as_ref().unwrap().cases.as_ref().unwrap().percent,
            "50.00"
        );
        assert_eq!(
            rows[0].cells[1].as_ref().unwrap().amount.as_ref().unwrap().percent,
            "45.00"
        );
        assert_eq!(counts(&rows[1]), [None; 5], "the month still runs");
        let later = by_age(&ages, date(2026, 5, 1), Age::Week).unwrap();
        assert_eq!(counts(&later[1]), [Some(4); 5]);
        assert_eq!(counts(&later[0]), [None; 5]);
    }
}
