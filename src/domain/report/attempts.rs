//! Charges by their number within the case: which of them succeed, how many a recovery takes, and what it costs.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{By, Rate, TooLarge};
use crate::domain::money::Currency;

/// What each figure means.
pub const DEFINITIONS: [(&str, &str); 8] = [
    (
        "cohort",
        "The cases opened on the days of the span, in the zone of the connection, with all their charges, whenever those were made.",
    ),
    (
        "number",
        "The place of a charge among those of its case, by time, whoever made them. 1 is the charge whose failure opened the case, so it never \
         succeeds.",
    ),
    (
        "attempts",
        "Charges by anybody that stand in the books of the case, except those that were certainly not sent or came when nothing was owed. \
         What customers pay on the provider's pages is no charge of these.",
    ),
    (
        "success",
        "Succeeded by succeeded and declined. Charges without an answer (`other`) are in neither.",
    ),
    (
        "attempts_per_recovery_parts_per_100",
        "All charges of all cases of the row, open and lost ones included, by recovered cases, in hundredths, halves rounded up.",
    ),
    (
        "cost_minor, cost_per_recovery_minor",
        "All charges of the row times the fee, and that by recovered cases, halves rounded up. The fee is an input, in minor units of \
         each currency; the one of the configuration (`learning.fee_minor`) unless another is given.",
    ),
    (
        "let_go",
        "Charges that the cases counted and of which nothing else is known any more: the histories of old cases were let go of before \
         their charges were kept by number. Where it is not 0, the numbers by charge lack them; `attempts` and its cost do not.",
    ),
    ("recovered", "Cases paid by any means, as in the recovery report."),
];

/// Charges that are alike in all that the report asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptCell {
    /// What their cases are split by; nothing where it is not known.
    pub value: String,
    /// The currency of their cases.
    pub currency: Currency,
    /// Its place among the charges of its case, from 1.
    pub number: u32,
    /// How many.
    pub attempts: u64,
    /// Those that brought money.
    pub succeeded: u64,
    /// What those brought, in minor units.
    pub succeeded_minor: i64,
    /// Those that were declined.
    pub declined: u64,
}

impl AttemptCell {
    /// A cell that counts nothing.
    pub const fn none(value: String, currency: Currency, number: u32) -> Self {
        Self {
            value,
            currency,
            number,
            attempts: 0,
            succeeded: 0,
            succeeded_minor: 0,
            declined: 0,
        }
    }
}

/// Cases that are alike in all that the report asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargedCell {
    /// What they are split by; nothing where it is not known.
    pub value: String,
    /// Their currency.
    pub currency: Currency,
    /// How many.
    pub cases: u64,
    /// Those recovered.
    pub recovered: u64,
    /// Those still open.
    pub open: u64,
    /// The charges that they counted.
    pub attempts: u64,
}

/// The charges of one number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct NumberRow {
    /// Its place among the charges of its case, from 1.
    pub number: u32,
    /// How many.
    pub attempts: u64,
    /// Those that brought money.
    pub succeeded: u64,
    /// What those brought, in minor units.
    pub succeeded_minor: i64,
    /// Those that were declined.
    pub declined: u64,
    /// Those that are open or never got a clear answer.
    pub other: u64,
    /// Succeeded of succeeded and declined.
    pub success: Option<Rate>,
}

/// The charges of a group and a currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Charged {
    /// The group that `by` asked for.
    pub group: Option<String>,
    /// The currency of the amounts.
    pub currency: String,
    /// The cases.
    pub cases: u64,
    /// Those recovered.
    pub recovered: u64,
    /// The share of the cases that are closed.
    pub maturity: Option<Rate>,
    /// All charges of all of them.
    pub attempts: u64,
    /// Those of them that brought money.
    pub succeeded: u64,
    /// Succeeded of succeeded and declined.
    pub success: Option<Rate>,
    /// Charges of which nothing but their count is known any more.
    pub let_go: u64,
    /// Charges by recovered cases, in hundredths; none where nothing was recovered.
    pub attempts_per_recovery_parts_per_100: Option<u64>,
    /// What the charges cost, in minor units.
    pub cost_minor: i64,
    /// What a recovery cost in charges, in minor units; none where nothing was recovered.
    pub cost_per_recovery_minor: Option<i64>,
    /// The charges by their number.
    pub numbers: Vec<NumberRow>,
}

/// The charges of each group and currency, in that order, at a fee in minor units.
pub fn charged(
    cases: &[ChargedCell],
    attempts: &[AttemptCell],
    by: By,
    fee_minor: i64,
) -> Result<Vec<Charged>, TooLarge> {
    let mut numbers: BTreeMap<(Option<String>, Currency), BTreeMap<u32, NumberRow>> = BTreeMap::new();
    for cell in attempts {
        let its = numbers.entry((by.group(&cell.value), cell.currency)).or_default();
        let row = its.entry(cell.number).or_insert_with(|| NumberRow::none(cell.number));
        row.add(cell)?;
    }
    let mut groups: BTreeMap<(Option<String>, Currency), ChargedCell> = BTreeMap::new();
    for cell in cases {
        let place = (by.group(&cell.value), cell.currency);
        match groups.get_mut(&place) {
            Some(sum) => sum.add(cell)?,
            None => {
                groups.insert(place, cell.clone());
            }
        }
    }
    let row = |(place, its): (_, ChargedCell)| {
        let numbers = numbers.remove(&place).unwrap_or_default();
        its.row(place, numbers.into_values().collect(), fee_minor)
    };
    groups.into_iter().map(row).collect()
}

impl NumberRow {
    const fn none(number: u32) -> Self {
        Self {
            number,
            attempts: 0,
            succeeded: 0,
            succeeded_minor: 0,
            declined: 0,
            other: 0,
            success: None,
        }
    }

    fn add(&mut self, cell: &AttemptCell) -> Result<(), TooLarge> {
        self.attempts = self.attempts.checked_add(cell.attempts).ok_or(TooLarge)?;
        self.succeeded += cell.succeeded;
        self.declined += cell.declined;
        self.succeeded_minor = self.succeeded_minor.checked_add(cell.succeeded_minor).ok_or(TooLarge)?;
        self.other = self.attempts.saturating_sub(self.succeeded + self.declined);
        self.success = Rate::of_counts(self.succeeded, self.succeeded + self.declined);
        Ok(())
    }
}

impl ChargedCell {
    fn add(&mut self, more: &Self) -> Result<(), TooLarge> {
        for (sum, more) in [
            (&mut self.cases, more.cases),
            (&mut self.recovered, more.recovered),
            (&mut self.open, more.open),
            (&mut self.attempts, more.attempts),
        ] {
            *sum = sum.checked_add(more).ok_or(TooLarge)?;
        }
        Ok(())
    }

    fn row(
        self,
        (group, currency): (Option<String>, Currency),
        numbers: Vec<NumberRow>,
        fee_minor: i64,
    ) -> Result<Charged, TooLarge> {
        let there: u64 = numbers.iter().map(|row| row.attempts).sum();
        let [succeeded, declined]: [u64; 2] = [
            numbers.iter().map(|row| row.succeeded).sum(),
            numbers.iter().map(|row| row.declined).sum(),
        ];
        let cost = i128::from(self.attempts) * i128::from(fee_minor);
        let each = |whole: i128| (self.recovered > 0).then(|| halves_up(whole, self.recovered.into()));
        let fits = |number: i128| i64::try_from(number).map_err(|_| TooLarge);
        let per_recovery = each(i128::from(self.attempts) * 100);
        Ok(Charged {
            group,
            currency: currency.code().to_owned(),
            cases: self.cases,
            recovered: self.recovered,
            maturity: Rate::of_counts(self.cases.saturating_sub(self.open), self.cases),
            attempts: self.attempts,
            succeeded,
            success: Rate::of_counts(succeeded, succeeded + declined),
            let_go: self.attempts.saturating_sub(there),
            attempts_per_recovery_parts_per_100: per_recovery
                .map(|parts| u64::try_from(parts).map_err(|_| TooLarge))
                .transpose()?,
            cost_minor: fits(cost)?,
            cost_per_recovery_minor: each(cost).map(fits).transpose()?,
            numbers,
        })
    }
}

/// A quotient of what is not below nought.
const fn halves_up(whole: i128, by: i128) -> i128 {
    (whole * 2 + by) / (by * 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recovery_costs_the_charges_of_those_that_were_lost_too() {
        let currency: Currency = "EUR".parse().unwrap();
        let cases = ChargedCell {
            value: "visa".to_owned(),
            currency,
            cases: 10,
            recovered: 3,
            open: 2,
            attempts: 40,
        };
        let cell = |number, attempts, succeeded, declined| AttemptCell {
            value: "visa".to_owned(),
            currency,
            number,
            attempts,
            succeeded,
            succeeded_minor: 5,
            declined,
        };
        let attempts = [cell(1, 10, 0, 10), cell(2, 9, 3, 5), cell(2, 1, 0, 1)];
        let [row] = &charged(&[cases], &attempts, By::Network, 14).unwrap()[..] else {
            panic!("one group")
        };
        assert_eq!(
            (row.group.as_deref(), row.let_go, row.cost_minor),
            (Some("visa"), 20, 560)
        );
        // 40 by 3 is 13.33, 560 by 3 is 186.67.
        assert_eq!(row.attempts_per_recovery_parts_per_100, Some(1_333));
        assert_eq!(row.cost_per_recovery_minor, Some(187));
        assert_eq!(row.maturity.as_ref().unwrap().percent, "80.00");
        let second = &row.numbers[1];
        assert_eq!((second.attempts, second.other, second.succeeded_minor), (10, 1, 10));
        assert_eq!(second.success.as_ref().unwrap().percent, "33.33");
    }
}
