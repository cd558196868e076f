//! The weekly digest: what a week brought, how its month stands beside the one before, and what waits for a person.
//!
//! Everything but what waits is told as it stood when the week ended, so the same week tells the same whenever it is written. Each
//! figure is one of the recovery report over the cases that its definition names; nothing is added up in here.

use std::collections::BTreeSet;

use jiff::civil::{Date, Time, Weekday, time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

use super::{By, Cell, Cohort, Counts, Cut, Rate, Report, Row, Sum, TooLarge, report};
use crate::domain::calendar::days_from;
use crate::domain::money::{Currency, Money};
use crate::domain::outcome::Outcome;

/// When the digest of a week is due: on the Monday after it, at this local time.
const DUE: Time = time(8, 0, 0, 0);
/// How many weeks the pictures show.
pub const WEEKS: i32 = 12;
/// The most currencies that are told of; those with most cases come first.
const CURRENCIES_MAX: usize = 5;

/// A week from Monday to Sunday in a zone.
#[derive(Clone, Debug)]
pub struct Week {
    monday: Date,
    zone: TimeZone,
}

impl Week {
    /// The last week whose digest is due at `now`. Those before it are told no more: who missed several gets one digest.
    pub fn newest_due(now: Timestamp, zone: &TimeZone) -> Self {
        let this_monday = Cohort::Week.first_day(zone.to_datetime(now).date());
        let before = |weeks: i64| Self {
            monday: this_monday.saturating_sub((7 * weeks).days()),
            zone: zone.clone(),
        };
        if before(1).due_at() <= now {
            before(1)
        } else {
            before(2)
        }
    }

    /// Its name, such as `2026-W10`.
    pub fn label(&self) -> String {
        let week = self.monday.iso_week_date();
        format!("{:04}-W{:02}", week.year(), week.week())
    }

    /// The instant at which its digest is due.
    pub fn due_at(&self) -> Timestamp {
        self.instant(7, DUE)
    }

    /// The instant at which the digest of the week after it is due.
    pub fn next_due_at(&self) -> Timestamp {
        self.instant(14, DUE)
    }

    /// Which cases its digest is made of.
    pub fn span(&self) -> Span {
        let (_, before) = self.months();
        Span {
            opened_from: self
                .midnight(before.first)
                .min(self.instant(-7 * (WEEKS - 1), Time::midnight())),
            closed_from: self.instant(0, Time::midnight()),
            until: self.end(),
        }
    }

    /// The month that its last day lies in, up to that day, and as many days of the month before.
    fn months(&self) -> (Days, Days) {
        let last = self.monday.saturating_add(6.days());
        let first = last.first_of_month();
        let before = first.saturating_sub(1.month());
        let same_day = before.saturating_add(i64::from(last.day() - 1).days());
        let days = |first: Date, last: Date| Days { first, last };
        (days(first, last), days(before, same_day.min(before.last_of_month())))
    }

    fn end(&self) -> Timestamp {
        self.instant(7, Time::midnight())
    }

    fn midnight(&self, date: Date) -> Timestamp {
        let days = date.since(self.monday).map_or(0, |span| span.get_days());
        self.instant(days, Time::midnight())
    }

    /// The local time `at` on the day that lies so many days after its Monday.
    fn instant(&self, days: i32, at: Time) -> Timestamp {
        // Noon of a Monday lies in that Monday wherever the clock is changed.
        let noon = self.zone.to_ambiguous_zoned(self.monday.at(12, 0, 0, 0)).compatible();
        let noon = noon.map_or(Timestamp::MIN, |zoned| zoned.timestamp());
        days_from(noon, days, at, &self.zone)
    }
}

/// The cases that were opened before `until`, and since `opened_from` or are open or closed since `closed_from`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Cases opened since are among them, however they ended.
    pub opened_from: Timestamp,
    /// Those that ended since are among them, whenever they were opened.
    pub closed_from: Timestamp,
    /// Nothing that was opened from here on is.
    pub until: Timestamp,
}

/// A case, and when it was opened and ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dated {
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it ended; nothing while it is open.
    pub closed_at: Option<Timestamp>,
    /// What was owed.
    pub amount: Money,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// What the ledger says was paid while it was chased, in minor units.
    pub recovered_minor: i64,
    /// The connection it came by.
    pub connection: String,
}

impl Dated {
    /// The case as it stood just before `at`, on the day of its opening in the zone; nothing where it did not exist.
    pub(super) fn stood(&self, at: Timestamp, zone: &TimeZone) -> Option<Cell> {
        if self.opened_at >= at {
            return None;
        }
        let ended = self.closed_at.is_some_and(|closed| closed < at);
        Some(Cell {
            day: zone.to_datetime(self.opened_at).date(),
            value: String::new(),
            connection: self.connection.clone(),
            currency: self.amount.currency,
            outcome: self.outcome.filter(|_| ended),
            retryable: false,
            counts: Counts {
                cases: 1,
                amount_minor: self.amount.amount_minor,
                recovered_minor: self.recovered_minor,
                ..Counts::default()
            },
        })
    }
}

/// Whole days, the last one included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Days {
    /// The first.
    pub first: Date,
    /// The last.
    pub last: Date,
}

/// What waits for a person at the time of writing, and what did not arrive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attention {
    /// Cases that only a person can bring on.
    pub needs_person: u64,
    /// Events that could not be worked on.
    pub dead_events: u64,
    /// Messages to customers that could not be delivered, of those that ended in the week.
    pub undelivered: u64,
}

/// A digest; it is kept with its row, so that each who gets it reads the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// The week.
    pub week: Days,
    /// The month so far: that of the last day of the week.
    pub month: Days,
    /// The month before, as far.
    pub month_before: Days,
    /// The figures in each currency; they are never added.
    pub currencies: Vec<InCurrency>,
    /// How many currencies with fewer cases are left out.
    pub left_out: u64,
    /// How the cases of the last weeks stood, in all currencies: cases are counted together, money is not.
    pub split: Split,
    /// What waits.
    pub attention: Attention,
}

/// How the cases stood that were opened in the last weeks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// Recovered.
    pub recovered: u64,
    /// Open.
    pub open: u64,
    /// Ended without money.
    pub exhausted: u64,
    /// Stopped.
    pub stopped: u64,
}

/// The figures in one currency, as they stood when the week ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InCurrency {
    /// The currency.
    pub currency: Currency,
    /// The cases opened in the week.
    pub opened: Sum,
    /// Those that ended recovered in the week, whenever they were opened.
    pub recovered: Sum,
    /// Those that ended without money in the week.
    pub exhausted: Sum,
    /// Those whose chase was stopped in the week.
    pub stopped: Sum,
    /// All that were open.
    pub open: Sum,
    /// The cases opened in the month so far.
    pub month: Standing,
    /// Those opened in as many days of the month before, when they were as old.
    pub month_before: Standing,
    /// The cases opened in each of the last weeks, oldest week first.
    pub weeks: Vec<OfWeek>,
}

/// How a cohort stood.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Its cases.
    pub all: Sum,
    /// Recovered money of all its money, open cases included; nothing of nothing.
    pub rate: Option<Rate>,
    /// The share of its cases that were closed.
    pub maturity: Option<Rate>,
}

/// The cases opened in one week.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfWeek {
    /// Its Monday.
    pub monday: Date,
    /// All of them.
    pub all: Sum,
    /// Those recovered so far.
    pub recovered: Sum,
}

impl Digest {
    /// Whether there is nothing to tell: no case in sight, and nothing that waits.
    pub fn is_empty(&self) -> bool {
        self.currencies.is_empty() && self.attention == Attention::default()
    }

    /// Whether no case was opened in the week.
    pub fn is_quiet(&self) -> bool {
        self.currencies.iter().all(|one| one.opened.cases == 0)
    }

    /// The money that is open in the currency with most cases; nought of no currency where there is none.
    pub fn at_risk(&self) -> Money {
        let nothing = || Money::new(0, "XXX".parse().expect("the ISO code for no currency is three letters"));
        let money = |one: &InCurrency| Money::new(one.open.amount_minor, one.currency);
        self.currencies.first().map_or_else(nothing, money)
    }
}

/// Makes the digest of a week of the cases that its span names.
pub fn digest(cases: &[Dated], week: &Week, attention: Attention) -> Result<Digest, TooLarge> {
    let end = week.end();
    let (month, month_before) = week.months();
    let zone = &week.zone;
    let of = |cases: &[&Dated], at: Timestamp, cohort| {
        let cells: Vec<Cell> = cases.iter().filter_map(|case| case.stood(at, zone)).collect();
        report(&cells, Cut { cohort, by: By::None })
    };
    let begin = week.instant(0, Time::midnight());
    let since = |from: Timestamp| -> Vec<&Dated> { cases.iter().filter(|case| case.opened_at >= from).collect() };
    let ended: Vec<&Dated> = cases
        .iter()
        .filter(|case| case.closed_at.is_some_and(|at| at >= begin))
        .collect();
    let open: Vec<&Dated> = cases
        .iter()
        .filter(|case| case.closed_at.is_none_or(|at| at >= end))
        .collect();
    let (before, as_old) = of_month_before(cases, week);
    let made = Reports {
        opened: of(&since(begin), end, Cohort::Week)?,
        ended: of(&ended, end, Cohort::Week)?,
        open: of(&open, end, Cohort::Week)?,
        month: of(&since(week.midnight(month.first)), end, Cohort::Month)?,
        month_before: of(&before, as_old, Cohort::Month)?,
        weeks: of(
            &since(week.instant(-7 * (WEEKS - 1), Time::midnight())),
            end,
            Cohort::Week,
        )?,
    };
    let (currencies, left_out) = made.currencies();
    let split = made.weeks.totals.iter().fold(Split::default(), |split, row| Split {
        recovered: split.recovered + row.recovered.cases,
        open: split.open + row.open.cases,
        exhausted: split.exhausted + row.exhausted.cases,
        stopped: split.stopped + row.stopped.cases,
    });
    Ok(Digest {
        week: Days {
            first: week.monday,
            last: week.monday.saturating_add(6.days()),
        },
        month,
        month_before,
        currencies: currencies
            .into_iter()
            .map(|currency| made.in_currency(currency, week))
            .collect(),
        left_out,
        split,
        attention,
    })
}

/// The cases opened in as many days of the month before, and when they were as old as those of this month are now: a young cohort
/// beside one that had more time would always look worse.
fn of_month_before<'a>(cases: &'a [Dated], week: &Week) -> (Vec<&'a Dated>, Timestamp) {
    let (month, before) = week.months();
    let (from, until) = (week.midnight(before.first), week.midnight(month.first));
    let age_days = i64::from(month.last.day());
    let as_old = week.midnight(before.first.saturating_add(age_days.days()));
    let opened = |case: &&Dated| (from..until).contains(&case.opened_at);
    (cases.iter().filter(opened).collect(), as_old)
}

/// The reports behind a digest.
struct Reports {
    opened: Report,
    ended: Report,
    open: Report,
    month: Report,
    month_before: Report,
    weeks: Report,
}

impl Reports {
    /// The currencies that are told of, those with most cases first, and how many others there are.
    fn currencies(&self) -> (Vec<Currency>, u64) {
        let all = [
            &self.opened,
            &self.ended,
            &self.open,
            &self.month,
            &self.month_before,
            &self.weeks,
        ];
        let rows = all.iter().flat_map(|report| &report.totals);
        let named: BTreeSet<&str> = rows.map(|row| row.currency.as_str()).collect();
        let cases = |code: &str| total(&self.weeks, code).map_or(0, |row| row.all.cases);
        let mut named: Vec<&str> = named.into_iter().collect();
        named.sort_by_key(|code| std::cmp::Reverse(cases(code)));
        let left_out = named.len().saturating_sub(CURRENCIES_MAX) as u64;
        let known = named.into_iter().take(CURRENCIES_MAX);
        (known.filter_map(|code| code.parse().ok()).collect(), left_out)
    }

    fn in_currency(&self, currency: Currency, week: &Week) -> InCurrency {
        let code = currency.code();
        let sum = |report: &Report, of: fn(&Row) -> Sum| total(report, code).map(of).unwrap_or_default();
        InCurrency {
            currency,
            opened: sum(&self.opened, |row| row.all),
            recovered: sum(&self.ended, |row| row.recovered),
            exhausted: sum(&self.ended, |row| row.exhausted),
            stopped: sum(&self.ended, |row| row.stopped),
            open: sum(&self.open, |row| row.open),
            month: total(&self.month, code).map(Standing::of).unwrap_or_default(),
            month_before: total(&self.month_before, code).map(Standing::of).unwrap_or_default(),
            weeks: (1 - WEEKS..=0).map(|nth| self.of_week(code, week, nth)).collect(),
        }
    }

    fn of_week(&self, code: &str, week: &Week, nth: i32) -> OfWeek {
        let monday = week.monday.saturating_add((7 * nth).days());
        debug_assert_eq!(monday.weekday(), Weekday::Monday);
        let label = Week {
            monday,
            zone: week.zone.clone(),
        }
        .label();
        let row = self
            .weeks
            .rows
            .iter()
            .find(|row| row.cohort == label && row.currency == code);
        OfWeek {
            monday,
            all: row.map(|row| row.all).unwrap_or_default(),
            recovered: row.map(|row| row.recovered).unwrap_or_default(),
        }
    }
}

fn total<'a>(report: &'a Report, code: &str) -> Option<&'a Row> {
    report.totals.iter().find(|row| row.currency == code)
}

impl Standing {
    pub(super) fn of(row: &Row) -> Self {
        Self {
            all: row.all,
            rate: row.rates.amount_of_all.clone(),
            maturity: row.maturity.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
