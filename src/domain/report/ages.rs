//! The recovered share of each cohort by age: within how many days or weeks of the first failure the money came.

use jiff::civil::Date;
use serde::Serialize;

use super::{Cell, Cohort, Rate, Sum, TooLarge};
use crate::domain::money::Currency;
use crate::domain::outcome::{Outcome, Status};
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
        "Recovered in fewer than so many times 24 hours (or 168, for weeks) after the case was opened, divided by all cases (or their \
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

/// Open cases: the month of their cohort, their age in whole hours, and how many they are.
pub type OpenAges = [(Date, u64, u64)];

/// The cohorts of the cells, oldest first. The value of a cell is the whole hours from opening to end; `running` is the first month
/// that is not over everywhere.
pub fn by_age(cells: &[Cell], open: &OpenAges, running: Date, age: Age) -> Result<Vec<AgeRow>, TooLarge> {
    let mut places: Vec<(Date, Currency)> = cells.iter().map(|cell| (cell.day, cell.currency)).collect();
    places.sort_unstable();
    places.dedup();
    let row = |(month, currency): (Date, Currency)| {
        let its: Vec<&Cell> = cells
            .iter()
            .filter(|cell| cell.day == month && cell.currency == currency)
            .collect();
        let all = sum(&its, |_| true, |cell| cell.counts.amount_minor)?;
        let youngest = open
            .iter()
            .filter(|(of, ..)| *of == month)
            .map(|(_, hours, _)| *hours)
            .min();
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

fn within(its: &[&Cell], all: Sum, below: u64) -> Result<AgeCell, TooLarge> {
    let in_time = |cell: &Cell| {
        let recovered = cell.outcome.map(Outcome::status) == Some(Status::Recovered);
        recovered && cell.value.parse().is_ok_and(|hours: u64| hours < below)
    };
    let recovered = sum(its, in_time, |cell| cell.counts.recovered_minor)?;
    Ok(AgeCell {
        recovered,
        cases: Rate::of_counts(recovered.cases, all.cases),
        amount: Rate::of_amounts(recovered.amount_minor, all.amount_minor),
    })
}

fn sum(cells: &[&Cell], counts: impl Fn(&Cell) -> bool, minor: impl Fn(&Cell) -> i64) -> Result<Sum, TooLarge> {
    let mut sum = Sum::default();
    for cell in cells.iter().filter(|cell| counts(cell)) {
        sum.add(cell.counts.cases, minor(cell))?;
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::domain::outcome::{RecoveredBy, StoppedWhy};
    use crate::domain::report::Counts;

    fn cell(month: Date, hours: &str, outcome: Option<Outcome>, cases: i64) -> Cell {
        Cell {
            day: month,
            value: hours.to_owned(),
            connection: "stripe".to_owned(),
            currency: "EUR".parse().unwrap(),
            outcome,
            retryable: true,
            counts: Counts {
                cases,
                amount_minor: cases * 100,
                recovered_minor: cases * 90,
                ..Counts::default()
            },
        }
    }

    #[test]
    fn what_can_still_change_is_blank_and_what_cannot_never_falls() {
        let (march, april) = (date(2026, 3, 1), date(2026, 4, 1));
        let recovered = Some(Outcome::Recovered { by: RecoveredBy::Retry });
        let why = StoppedWhy::Staff;
        let cells = [
            cell(march, "0", recovered, 1),
            cell(march, "23", recovered, 1),
            cell(march, "24", recovered, 2),
            cell(march, "71", Some(Outcome::Stopped { why }), 3),
            cell(march, "", None, 1),
            cell(april, "5", recovered, 4),
        ];
        let open = [(march, 75, 1)];
        let rows = by_age(&cells, &open, april, Age::Day).unwrap();
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
        let later = by_age(&cells, &open, date(2026, 5, 1), Age::Week).unwrap();
        assert_eq!(counts(&later[1]), [Some(4); 5]);
        assert_eq!(counts(&later[0]), [None; 5]);
    }
}
