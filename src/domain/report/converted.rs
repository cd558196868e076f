//! Recovered money of every currency in one, at the rate of the day on which it was recovered.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::civil::Date;
use serde::Serialize;

use super::{Cut, EndedCell, TooLarge};
use crate::domain::exchange::ExchangeRate;
use crate::domain::money::Currency;
use crate::domain::outcome::Status;

/// What each figure means.
pub const DEFINITIONS: [(&str, &str); 2] = [
    (
        "converted",
        "The recovered money of all currencies in one: that of a day of recovery, in the zone that its connection had then, at the \
         uploaded rate of this day, never at a later one. What the cases of one connection, cohort, group and currency brought on a day is \
         converted together and rounded once to whole minor units, half to even; a row is the sum of these, and a total that of its rows. Where a rate \
         is missing there is no sum but the problem `rates_missing`.",
    ),
    (
        "converted.net_recovered_minor",
        "The same less refunds and disputes of recovered cases, these too at the rate of the day of the recovery, so that a change of \
         rates neither makes nor loses money.",
    ),
];

/// Rates into one currency, by currency and day.
pub type Rates = HashMap<(Currency, Date), ExchangeRate>;

/// Recovered money in one currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ConvertedRow {
    /// The cohort; `all` in the totals.
    pub cohort: String,
    /// The group that `by` asked for.
    pub group: Option<String>,
    /// How many cases were recovered.
    pub recovered_cases: u64,
    /// What was paid, in minor units of the one currency.
    pub recovered_minor: i64,
    /// What was paid less what was taken back.
    pub net_recovered_minor: i64,
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Converted {
    /// The one currency.
    pub currency: String,
    /// A row for each cohort and group.
    pub rows: Vec<ConvertedRow>,
    /// A row for each group, over all cohorts.
    pub totals: Vec<ConvertedRow>,
}

/// Why nothing was converted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotConverted {
    /// These rates are missing: day and currency.
    Missing(BTreeSet<(Date, Currency)>),
    /// A sum does not fit.
    TooLarge,
}

impl From<TooLarge> for NotConverted {
    fn from(_: TooLarge) -> Self {
        Self::TooLarge
    }
}

/// Converts what was recovered of the cases into `to`.
pub fn convert(cells: &[EndedCell], rates: &Rates, to: Currency, cut: Cut) -> Result<Converted, NotConverted> {
    let recovered = || cells.iter().filter(|cell| cell.status == Status::Recovered);
    let others = recovered().filter(|cell| cell.currency != to);
    let needed = others.map(|cell| (cell.ended_day, cell.currency));
    let missing: BTreeSet<_> = needed
        .filter(|(day, from)| !rates.contains_key(&(*from, *day)))
        .collect();
    if !missing.is_empty() {
        return Err(NotConverted::Missing(missing));
    }
    let mut rows = BTreeMap::new();
    let mut totals = BTreeMap::new();
    for cell in recovered() {
        let in_one = |minor: i64| match rates.get(&(cell.currency, cell.ended_day)) {
            Some(rate) if cell.currency != to => rate.convert(minor, cell.currency, to).ok_or(TooLarge),
            _ => Ok(minor),
        };
        let money = [in_one(cell.recovered_minor)?, in_one(cell.reversed_minor)?];
        let group = cut.by.group(&cell.value);
        let label = cut.cohort.label(cell.day);
        add(rows.entry((label, group.clone())).or_default(), cell.cases, money)?;
        add(totals.entry(("all".to_owned(), group)).or_default(), cell.cases, money)?;
    }
    Ok(Converted {
        currency: to.code().to_owned(),
        rows: rows.into_iter().map(row).collect(),
        totals: totals.into_iter().map(row).collect(),
    })
}

type Tally = (u64, i64, i64);

fn add((cases, recovered, net): &mut Tally, more: u64, [paid, back]: [i64; 2]) -> Result<(), TooLarge> {
    *cases = cases.checked_add(more).ok_or(TooLarge)?;
    *recovered = recovered.checked_add(paid).ok_or(TooLarge)?;
    let kept = paid.checked_sub(back).ok_or(TooLarge)?;
    *net = net.checked_add(kept).ok_or(TooLarge)?;
    Ok(())
}

fn row(
    ((cohort, group), (recovered_cases, recovered_minor, net_recovered_minor)): ((String, Option<String>), Tally),
) -> ConvertedRow {
    ConvertedRow {
        cohort,
        group,
        recovered_cases,
        recovered_minor,
        net_recovered_minor,
    }
}
