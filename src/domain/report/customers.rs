//! Customers of a cohort: how many of those whose payments failed were won back.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::Serialize;

use super::{By, Cut, Rate, Report, Row, TooLarge};
use crate::domain::money::Currency;

/// Customers that are alike in all that a report asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomerCell {
    /// A day of the cohort; none where they were counted over all cohorts.
    pub day: Option<Date>,
    /// What their cases are split by; nothing where it is not known.
    pub value: String,
    /// The currency of their cases.
    pub currency: Currency,
    /// How many.
    pub counts: CustomerCounts,
}

/// How many customers, and how they stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CustomerCounts {
    /// With at least one case.
    pub all: u64,
    /// Of whom every case was recovered.
    pub recovered: u64,
    /// Of whom at least one case was recovered.
    pub any_recovered: u64,
    /// Of whom at least one case is still chased.
    pub open: u64,
}

/// The customers of a row, each counted once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Customers {
    /// Customers with at least one case.
    pub all: u64,
    /// Those of whom every case was recovered.
    pub recovered: u64,
    /// Those of whom at least one case was recovered.
    pub any_recovered: u64,
    /// Those of whom at least one case is still chased.
    pub open: u64,
    /// Customers with every case recovered, of all.
    pub recovered_of_all: Option<Rate>,
    /// Customers with any case recovered, of all.
    pub any_recovered_of_all: Option<Rate>,
}

impl Customers {
    fn of(counts: CustomerCounts) -> Self {
        Self {
            all: counts.all,
            recovered: counts.recovered,
            any_recovered: counts.any_recovered,
            open: counts.open,
            recovered_of_all: Rate::of_counts(counts.recovered, counts.all),
            any_recovered_of_all: Rate::of_counts(counts.any_recovered, counts.all),
        }
    }
}

impl Report {
    /// The same report with the customers of each row.
    pub fn with_customers(mut self, cells: &[CustomerCell], cut: Cut) -> Result<Self, TooLarge> {
        let mut sums: BTreeMap<(String, Option<String>, String), CustomerCounts> = BTreeMap::new();
        for cell in cells {
            let sum = sums.entry(place(cell, cut)).or_default();
            add(sum, cell.counts)?;
        }
        let put = |row: &mut Row| {
            let its = sums.get(&(row.cohort.clone(), row.group.clone(), row.currency.clone()));
            row.customers = Some(Customers::of(its.copied().unwrap_or_default()));
        };
        self.rows.iter_mut().chain(&mut self.totals).for_each(put);
        Ok(self)
    }
}

fn place(cell: &CustomerCell, cut: Cut) -> (String, Option<String>, String) {
    let cohort = cell.day.map_or_else(|| "all".to_owned(), |day| cut.cohort.label(day));
    (cohort, By::group(cut.by, &cell.value), cell.currency.code().to_owned())
}

fn add(sum: &mut CustomerCounts, more: CustomerCounts) -> Result<(), TooLarge> {
    for (sum, more) in [
        (&mut sum.all, more.all),
        (&mut sum.recovered, more.recovered),
        (&mut sum.any_recovered, more.any_recovered),
        (&mut sum.open, more.open),
    ] {
        *sum = sum.checked_add(more).ok_or(TooLarge)?;
    }
    Ok(())
}
