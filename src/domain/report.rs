//! The recovery report: what became of the cases that were opened in a span of time.
//!
//! A cohort is made of the cases **opened** in it, so a recovery counts where its failure counted, whenever the money
//! came. Open cases stay in the denominator; how much of a cohort is closed is printed beside each rate.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::command::LateKind;
use super::decline::DeclineKind;
use super::money::Currency;
use super::outcome::{ExhaustedThen, Outcome, RecoveredBy, StoppedWhy};
use super::words::words;

pub mod cohort;
pub mod compliance;
pub mod digest;
pub mod rate;
pub mod uplift;

pub use cohort::Cohort;
pub use rate::Rate;

words! {
    /// What the cases of a cohort are split by.
    By {
        /// Not at all.
        None = "none",
        /// The kind of the last decline.
        DeclineKind = "decline_kind",
        /// The campaign and its version.
        Campaign = "campaign",
        /// The connection.
        Connection = "connection",
        /// How the case stands: `open`, or its outcome.
        Outcome = "outcome",
    }
}

/// What the report needs to know of one case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseFact {
    /// When it was opened.
    pub opened_at: Timestamp,
    /// What was owed, in minor units.
    pub amount_minor: i64,
    /// The currency of the amount.
    pub currency: Currency,
    /// How it ended; nothing while it is open.
    pub outcome: Option<Outcome>,
    /// What the ledger says was paid while it was chased, in minor units.
    pub recovered_minor: i64,
    /// The kind of its last decline.
    pub decline_kind: DeclineKind,
    /// The name and the version of its campaign.
    pub campaign: (String, u32),
    /// The connection it came by.
    pub connection: String,
    /// Money that moved after it had ended: what kind, and how many minor units.
    pub late: Vec<(LateKind, i64)>,
}

/// How to cut the cases.
#[derive(Clone, Debug)]
pub struct Cut {
    /// The length of a cohort.
    pub cohort: Cohort,
    /// What to split by.
    pub by: By,
    /// The zone in which a day begins.
    pub zone: TimeZone,
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
    fn add(&mut self, amount_minor: i64) -> Result<(), TooLarge> {
        self.cases += 1;
        self.amount_minor = self.amount_minor.checked_add(amount_minor).ok_or(TooLarge)?;
        Ok(())
    }
}

/// The four rates of one row, each with its denominator in its name.
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
    /// Money taken back after a recovery; not subtracted from any rate. Counts refunds and disputes.
    pub reversals: Sum,
}

impl Row {
    /// A row that counts nothing, for whoever needs the columns of a report without cases.
    pub fn blank() -> Self {
        let currency = "XXX".parse().expect("the ISO code for no currency is three letters");
        Tally::row(((String::new(), None, currency), Tally::default()))
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
pub const DEFINITIONS: [(&str, &str); 9] = [
    (
        "case",
        "One invoice, from its first failed automatic charge to exactly one outcome.",
    ),
    (
        "cohort",
        "The cases opened in the span, in the stated time zone. A recovery counts in the cohort of its failure, whenever the money came.",
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
        "maturity",
        "The share of the cohort's cases that are closed. Below 100 % the rates can still change.",
    ),
    (
        "late_recoveries",
        "Money that came after a case had ended without. Shown apart: outcomes are final, so it is part of no rate.",
    ),
    (
        "reversals",
        "Money refunded or disputed after a recovery. Shown apart: it is subtracted from no rate. It counts bookings, not cases.",
    ),
    (
        "percent",
        "Cut to two decimals, halves rounded up, computed from integers. Currencies are never added together.",
    ),
];

/// Cuts the cases into rows.
pub fn report(facts: &[CaseFact], cut: &Cut) -> Result<Report, TooLarge> {
    let mut rows = BTreeMap::new();
    let mut totals = BTreeMap::new();
    for fact in facts {
        let group = group(fact, cut.by);
        let label = cut.cohort.label(fact.opened_at, &cut.zone);
        count(&mut rows, (label, group.clone(), fact.currency), fact)?;
        count(&mut totals, ("all".to_owned(), group, fact.currency), fact)?;
    }
    Ok(Report {
        rows: rows.into_iter().map(Tally::row).collect(),
        totals: totals.into_iter().map(Tally::row).collect(),
    })
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
}

fn group(fact: &CaseFact, by: By) -> Option<String> {
    match by {
        By::None => None,
        By::DeclineKind => Some(fact.decline_kind.to_string()),
        By::Campaign => Some(format!("{} v{}", fact.campaign.0, fact.campaign.1)),
        By::Connection => Some(fact.connection.clone()),
        By::Outcome => Some(
            fact.outcome
                .map_or("open", |outcome| outcome.status().as_str())
                .to_owned(),
        ),
    }
}

fn count(tallies: &mut BTreeMap<Place, Tally>, place: Place, fact: &CaseFact) -> Result<(), TooLarge> {
    let tally = tallies.entry(place).or_default();
    let amount = fact.amount_minor;
    tally.all.add(amount)?;
    match fact.outcome {
        None => tally.open.add(amount)?,
        Some(outcome) => {
            tally.closed.add(amount)?;
            tally.end(outcome, amount, fact.recovered_minor)?;
        }
    }
    for (kind, late_minor) in &fact.late {
        match kind {
            LateKind::LateRecovery => tally.late_recoveries.add(*late_minor)?,
            LateKind::Refund | LateKind::Dispute => tally.reversals.add(*late_minor)?,
        }
    }
    Ok(())
}

impl Tally {
    fn end(&mut self, outcome: Outcome, amount_minor: i64, recovered_minor: i64) -> Result<(), TooLarge> {
        let (sum, split, minor) = match outcome {
            Outcome::Recovered { by } => {
                let split = self.recovered_by.entry(by.as_str());
                (&mut self.recovered, split, recovered_minor)
            }
            Outcome::Exhausted { then, .. } => {
                let split = self.exhausted_then.entry(then.as_str());
                (&mut self.exhausted, split, amount_minor)
            }
            Outcome::Stopped { why } => {
                let split = self.stopped_why.entry(why.as_str());
                (&mut self.stopped, split, amount_minor)
            }
        };
        sum.add(minor)?;
        split.or_default().add(minor)
    }

    fn row(((cohort, group, currency), tally): (Place, Self)) -> Row {
        let cases = |of: Sum| Rate::of_counts(tally.recovered.cases, of.cases);
        let amount = |of: Sum| Rate::of_amounts(tally.recovered.amount_minor, of.amount_minor);
        Row {
            cohort,
            group,
            currency: currency.code().to_owned(),
            rates: Rates {
                cases_of_all: cases(tally.all),
                cases_of_closed: cases(tally.closed),
                amount_of_all: amount(tally.all),
                amount_of_closed: amount(tally.closed),
            },
            maturity: Rate::of_counts(tally.closed.cases, tally.all.cases),
            mature: tally.open.cases == 0,
            all: tally.all,
            recovered: tally.recovered,
            exhausted: tally.exhausted,
            stopped: tally.stopped,
            open: tally.open,
            closed: tally.closed,
            recovered_by: whole(tally.recovered_by, RecoveredBy::ALL.iter().map(|by| by.as_str())),
            exhausted_then: whole(
                tally.exhausted_then,
                ExhaustedThen::ALL.iter().map(|then| then.as_str()),
            ),
            stopped_why: whole(tally.stopped_why, StoppedWhy::ALL.iter().map(|why| why.as_str())),
            late_recoveries: tally.late_recoveries,
            reversals: tally.reversals,
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
