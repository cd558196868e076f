//! The recovery report: what became of the cases that were opened in a span of time.
//!
//! A cohort is made of the cases **opened** in it, so a recovery counts where its failure counted, whenever the money
//! came. Open cases stay in the denominator; how much of a cohort is closed is printed beside each rate.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::money::Currency;
use super::outcome::{ExhaustedThen, Outcome, RecoveredBy, Status, StoppedWhy};

pub mod ages;
pub mod attempts;
pub mod attribution;
pub mod by;
pub mod churn;
pub mod cohort;
pub mod compliance;
pub mod converted;
pub mod customers;
pub mod definitions;
pub mod digest;
pub mod funnel;
pub mod pace;
pub mod rate;
pub mod survival;
pub mod uplift;

pub use by::By;
pub use cohort::Cohort;
pub use customers::Customers;
pub use rate::Rate;

/// Cases that are alike in all that a report asks for, and what they come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// A day of the cohort in which they were opened.
    pub day: Date,
    /// What they are split by; nothing where it is not known.
    pub value: String,
    /// The connection they came by.
    pub connection: String,
    /// The currency of the amounts.
    pub currency: Currency,
    /// How they ended; nothing while they are open.
    pub outcome: Option<Outcome>,
    /// Whether the first decline was one that a retry may heal.
    pub retryable: bool,
    /// What they come to.
    pub counts: Counts,
}

/// Ended cases that are alike in when they were opened, when and how they ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedCell {
    /// A day of the cohort in which they were opened.
    pub day: Date,
    /// The day on which they ended.
    pub ended_day: Date,
    /// How.
    pub status: Status,
    /// What they are split by; nothing where it is not known.
    pub value: String,
    /// Their currency.
    pub currency: Currency,
    /// How many they are.
    pub cases: u64,
    /// What was paid of them while they were chased, in minor units.
    pub recovered_minor: i64,
    /// What was taken back of them, in minor units.
    pub reversed_minor: i64,
}

/// What cases come to; amounts in minor units of their currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// How many.
    pub cases: i64,
    /// What was owed.
    pub amount_minor: i64,
    /// What the ledger says was paid while they were chased.
    pub recovered_minor: i64,
    /// Payments after they had ended without.
    pub late_payments: i64,
    /// What those came to.
    pub late_minor: i64,
    /// Refunds and disputes after they had ended.
    pub reversals: i64,
    /// What those came to.
    pub reversed_minor: i64,
    /// What their subscriptions bring in a month.
    pub monthly_minor: i64,
    /// The charges of those that have ended, whoever made them.
    pub attempts: i64,
    /// The messages of those that have ended.
    pub messages: i64,
}

/// How to cut the cases.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// The length of a cohort.
    pub cohort: Cohort,
    /// What to split by.
    pub by: By,
}

/// A sum does not fit in 64 bits of minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a sum of the report does not fit in 64 bits: choose a shorter span")]
pub struct TooLarge;

/// A number of cases and their money in minor units of the row's currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Sum {
    /// How many cases.
    pub cases: u64,
    /// Their money, in minor units.
    pub amount_minor: i64,
}

impl Sum {
    fn add(&mut self, cases: i64, amount_minor: i64) -> Result<(), TooLarge> {
        let cases = u64::try_from(cases).map_err(|_| TooLarge)?;
        self.cases = self.cases.checked_add(cases).ok_or(TooLarge)?;
        self.amount_minor = self.amount_minor.checked_add(amount_minor).ok_or(TooLarge)?;
        Ok(())
    }
}

/// The rates of one row, each with its denominator in its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Rates {
    /// Recovered cases of all cases of the row, open ones included.
    pub cases_of_all: Option<Rate>,
    /// Recovered cases of the closed cases of the row.
    pub cases_of_closed: Option<Rate>,
    /// Recovered money of all money of the row, open cases included.
    pub amount_of_all: Option<Rate>,
    /// Recovered money of the money of the closed cases of the row.
    pub amount_of_closed: Option<Rate>,
    /// Recovered cases of all cases whose first decline a retry may heal.
    pub cases_of_retryable: Option<Rate>,
    /// Recovered money of the money of all cases whose first decline a retry may heal.
    pub amount_of_retryable: Option<Rate>,
    /// Recovered money less what was taken back of it, of all money of the row.
    pub net_amount_of_all: Option<Rate>,
}

/// One line of the report: a cohort, a group and a currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Row {
    /// The cohort: `2026-03`, `2026-W10` or `2026-03-02`; `all` in the totals.
    pub cohort: String,
    /// The group that `by` asked for.
    pub group: Option<String>,
    /// The currency of every amount of the row; rows of different currencies are never added.
    pub currency: String,
    /// All cases opened in the cohort.
    pub all: Sum,
    /// Those recovered, whenever.
    pub recovered: Sum,
    /// Those that ended without money because the campaign ended.
    pub exhausted: Sum,
    /// Those whose chase became pointless or forbidden.
    pub stopped: Sum,
    /// Those still chased.
    pub open: Sum,
    /// Those that ended.
    pub closed: Sum,
    /// Those whose first decline a retry may heal.
    pub retryable: Sum,
    /// Those of them that were recovered.
    pub retryable_recovered: Sum,
    /// Recovered money less what was taken back of it, in minor units.
    pub net_recovered_minor: i64,
    /// The rates.
    pub rates: Rates,
    /// The share of the cohort's cases that are closed; at 100 the rates no longer change.
    pub maturity: Option<Rate>,
    /// Whether every case is closed.
    pub mature: bool,
    /// The recovered cases by whose doing it was.
    #[schema(value_type = std::collections::HashMap<String, Sum>)]
    pub recovered_by: BTreeMap<&'static str, Sum>,
    /// The exhausted cases by what became of the subscription or invoice.
    #[schema(value_type = std::collections::HashMap<String, Sum>)]
    pub exhausted_then: BTreeMap<&'static str, Sum>,
    /// The stopped cases by why.
    #[schema(value_type = std::collections::HashMap<String, Sum>)]
    pub stopped_why: BTreeMap<&'static str, Sum>,
    /// Money that came after a case had ended without; not part of any rate. Counts payments.
    pub late_recoveries: Sum,
    /// Money taken back after a recovery; subtracted from `net_recovered_minor` only. Counts refunds and disputes.
    pub reversals: Sum,
    /// The customers whose cases these are, where they were counted.
    pub customers: Option<Customers>,
}

impl Row {
    /// A row that counts nothing, for whoever needs the columns of a report without cases.
    pub fn blank() -> Self {
        let currency = "XXX".parse().expect("the ISO code for no currency is three letters");
        Tally::row(((String::new(), None, currency), Tally::default())).expect("nothing fits in 64 bits")
    }
}

/// The whole report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Report {
    /// One row per cohort, group and currency, in that order.
    pub rows: Vec<Row>,
    /// The same over all cohorts: one row per group and currency.
    pub totals: Vec<Row>,
}

/// What each figure means, printed with every report.
pub const DEFINITIONS: [(&str, &str); 12] = [
    (
        "case",
        "One invoice, from its first failed automatic charge to exactly one outcome.",
    ),
    (
        "cohort",
        "The cases opened in the span, in the zone of the connection. A recovery counts in the cohort of its failure, whenever the money came.",
    ),
    (
        "recovered",
        "Paid in full by any means while the case was open: our retry, a retry of the provider, a new payment method, the customer, or outside the provider. Its money is the sum of the payments in the ledger.",
    ),
    (
        "rates.*_of_all",
        "Recovered divided by all cases (or their money) of the cohort, cases still open and cases cancelled by the customer included.",
    ),
    (
        "rates.*_of_closed",
        "Recovered divided by the closed cases (or their money) of the cohort. It overstates a young cohort: recoveries close early, losses late.",
    ),
    (
        "rates.*_of_retryable",
        "Recovered divided by all cases (or their money) whose first decline a retry may heal; both count only those.",
    ),
    (
        "net_recovered_minor, rates.net_amount_of_all",
        "Recovered money less refunds and disputes of recovered cases, and its share of all money of the cohort.",
    ),
    (
        "maturity",
        "The share of the cohort's cases that are closed. Below 100 % the rates can still change.",
    ),
    (
        "late_recoveries",
        "Money that came after a case had ended without. Shown apart: outcomes are final, so it is part of no rate.",
    ),
    (
        "reversals",
        "Money refunded or disputed after a recovery. Shown apart: it is subtracted from `net_recovered_minor` and its rate alone. It counts bookings, not cases.",
    ),
    (
        "customers",
        "Customers with at least one case in the row, each counted once. `recovered` are those of whom every case of the row was \
         recovered, `any_recovered` those of whom at least one was; `open` have a case that is still chased. A customer with cases in \
         several cohorts, groups or currencies is counted in each of them, and once in each row of the totals: so rows do not add up.",
    ),
    (
        "percent",
        "Cut to two decimals, halves rounded up, computed from integers. Currencies are never added together.",
    ),
];

/// Cuts the cases into rows.
pub fn report(cells: &[Cell], cut: Cut) -> Result<Report, TooLarge> {
    let mut rows = BTreeMap::new();
    let mut totals = BTreeMap::new();
    for cell in cells {
        let group = group(cell, cut.by);
        let label = cut.cohort.label(cell.day);
        count(&mut rows, (label, group.clone(), cell.currency), cell)?;
        count(&mut totals, ("all".to_owned(), group, cell.currency), cell)?;
    }
    let rows = rows.into_iter().map(Tally::row).collect::<Result<_, _>>()?;
    let totals = totals.into_iter().map(Tally::row).collect::<Result<_, _>>()?;
    Ok(Report { rows, totals })
}

type Place = (String, Option<String>, Currency);

#[derive(Default)]
struct Tally {
    recovered: Sum,
    exhausted: Sum,
    stopped: Sum,
    open: Sum,
    recovered_by: BTreeMap<&'static str, Sum>,
    exhausted_then: BTreeMap<&'static str, Sum>,
    stopped_why: BTreeMap<&'static str, Sum>,
    late_recoveries: Sum,
    reversals: Sum,
    all: Sum,
    closed: Sum,
    retryable: Sum,
    retryable_recovered: Sum,
    taken_back_minor: i64,
}

fn group(cell: &Cell, by: By) -> Option<String> {
    match by {
        By::Connection => by.group(&cell.connection),
        By::Outcome => by.group(cell.outcome.map_or("open", |outcome| outcome.status().as_str())),
        other => other.group(&cell.value),
    }
}

fn count(tallies: &mut BTreeMap<Place, Tally>, place: Place, cell: &Cell) -> Result<(), TooLarge> {
    let tally = tallies.entry(place).or_default();
    let counts = &cell.counts;
    let (cases, amount_minor) = (counts.cases, counts.amount_minor);
    tally.all.add(cases, amount_minor)?;
    if cell.retryable {
        tally.retryable.add(cases, amount_minor)?;
    }
    match cell.outcome {
        None => tally.open.add(cases, amount_minor)?,
        Some(outcome) => {
            tally.closed.add(cases, amount_minor)?;
            tally.end(outcome, cell)?;
        }
    }
    tally.late_recoveries.add(counts.late_payments, counts.late_minor)?;
    tally.reversals.add(counts.reversals, counts.reversed_minor)
}

impl Tally {
    fn end(&mut self, outcome: Outcome, cell: &Cell) -> Result<(), TooLarge> {
        let counts = &cell.counts;
        let (sum, split, minor) = match outcome {
            Outcome::Recovered { by } => {
                if cell.retryable {
                    self.retryable_recovered.add(counts.cases, counts.recovered_minor)?;
                }
                self.taken_back_minor = self
                    .taken_back_minor
                    .checked_add(counts.reversed_minor)
                    .ok_or(TooLarge)?;
                let split = self.recovered_by.entry(by.as_str());
                (&mut self.recovered, split, counts.recovered_minor)
            }
            Outcome::Exhausted { then, .. } => {
                let split = self.exhausted_then.entry(then.as_str());
                (&mut self.exhausted, split, counts.amount_minor)
            }
            Outcome::Stopped { why } => {
                let split = self.stopped_why.entry(why.as_str());
                (&mut self.stopped, split, counts.amount_minor)
            }
        };
        sum.add(counts.cases, minor)?;
        split.or_default().add(counts.cases, minor)
    }

    fn row(((cohort, group, currency), tally): (Place, Self)) -> Result<Row, TooLarge> {
        let net_recovered_minor = tally
            .recovered
            .amount_minor
            .checked_sub(tally.taken_back_minor)
            .ok_or(TooLarge)?;
        Ok(Row {
            cohort,
            group,
            currency: currency.code().to_owned(),
            rates: tally.rates(net_recovered_minor),
            net_recovered_minor,
            maturity: Rate::of_counts(tally.closed.cases, tally.all.cases),
            mature: tally.open.cases == 0,
            all: tally.all,
            recovered: tally.recovered,
            exhausted: tally.exhausted,
            stopped: tally.stopped,
            open: tally.open,
            closed: tally.closed,
            retryable: tally.retryable,
            retryable_recovered: tally.retryable_recovered,
            recovered_by: whole(tally.recovered_by, RecoveredBy::ALL.iter().map(|by| by.as_str())),
            exhausted_then: whole(
                tally.exhausted_then,
                ExhaustedThen::ALL.iter().map(|then| then.as_str()),
            ),
            stopped_why: whole(tally.stopped_why, StoppedWhy::ALL.iter().map(|why| why.as_str())),
            late_recoveries: tally.late_recoveries,
            reversals: tally.reversals,
            customers: None,
        })
    }

    fn rates(&self, net_recovered_minor: i64) -> Rates {
        let cases = |of: Sum| Rate::of_counts(self.recovered.cases, of.cases);
        let amount = |of: Sum| Rate::of_amounts(self.recovered.amount_minor, of.amount_minor);
        let (part, whole) = (self.retryable_recovered, self.retryable);
        Rates {
            cases_of_all: cases(self.all),
            cases_of_closed: cases(self.closed),
            amount_of_all: amount(self.all),
            amount_of_closed: amount(self.closed),
            cases_of_retryable: Rate::of_counts(part.cases, whole.cases),
            amount_of_retryable: Rate::of_amounts(part.amount_minor, whole.amount_minor),
            net_amount_of_all: Rate::of_amounts(net_recovered_minor, self.all.amount_minor),
        }
    }
}

/// Adds the words that did not occur, so that every row has the same columns.
fn whole(
    mut sums: BTreeMap<&'static str, Sum>,
    words: impl Iterator<Item = &'static str>,
) -> BTreeMap<&'static str, Sum> {
    for word in words {
        sums.entry(word).or_default();
    }
    sums
}

#[cfg(test)]
mod tests;
