//! The report against a second, naive computation that filters the cases anew for each figure.

use proptest::prelude::*;

use super::*;
use crate::domain::outcome::{ExhaustedReason, Status};

fn outcomes() -> impl Strategy<Value = Option<Outcome>> {
    let recovered = prop::sample::select(RecoveredBy::ALL).prop_map(|by| Some(Outcome::Recovered { by }));
    let exhausted = (
        prop::sample::select(ExhaustedReason::ALL),
        prop::sample::select(ExhaustedThen::ALL),
    )
        .prop_map(|(reason, then)| Some(Outcome::Exhausted { reason, then }));
    let stopped = prop::sample::select(StoppedWhy::ALL).prop_map(|why| Some(Outcome::Stopped { why }));
    prop_oneof![Just(None), recovered, exhausted, stopped]
}

fn cells() -> impl Strategy<Value = Cell> {
    let counts = (
        1_i64..4,
        0_i64..100_000,
        0_i64..100_000,
        0_i64..3,
        0_i64..5_000,
        0_i64..3,
        0_i64..5_000,
    );
    let counts = counts.prop_map(
        |(cases, amount, recovered, late_payments, late, reversals, reversed)| Counts {
            cases,
            amount_minor: amount,
            recovered_minor: recovered,
            late_payments,
            late_minor: late,
            reversals,
            reversed_minor: reversed,
            ..Counts::default()
        },
    );
    let value = prop::sample::select(vec!["", "visa", "mastercard"]);
    let currency = prop::sample::select(vec!["EUR", "USD", "JPY"]);
    (0_i32..200, value, currency, outcomes(), any::<bool>(), counts).prop_map(
        |(days, value, currency, outcome, retryable, counts)| Cell {
            day: jiff::civil::date(2025, 12, 20).saturating_add(jiff::Span::new().days(days)),
            value: value.to_owned(),
            connection: "stripe".to_owned(),
            currency: currency.parse().unwrap(),
            outcome,
            retryable,
            counts,
        },
    )
}

/// The name of a cohort by another way than the report's.
fn naive_label(cell: &Cell, cut: Cut) -> String {
    let format = match cut.cohort {
        Cohort::Month => "%Y-%m",
        Cohort::Week => "%G-W%V",
        Cohort::Day => "%Y-%m-%d",
    };
    cell.day.strftime(format).to_string()
}

fn naive_group(cell: &Cell, by: By) -> Option<String> {
    let status = cell.outcome.map_or(Status::Open, Outcome::status);
    let unknown = cell.value.is_empty();
    Some(match by {
        By::None => return None,
        By::Connection => "stripe".to_owned(),
        By::Outcome => status.as_str().to_owned(),
        By::Message | By::Step | By::Attempt | By::Weekday | By::Hour if unknown => "none".to_owned(),
        _ if unknown => "unknown".to_owned(),
        _ => cell.value.clone(),
    })
}

fn sum_where(cells: &[&Cell], keep: impl Fn(&Cell) -> bool) -> Sum {
    sum_of(cells, keep, |counts| counts.amount_minor)
}

fn sum_of(cells: &[&Cell], keep: impl Fn(&Cell) -> bool, minor: impl Fn(&Counts) -> i64) -> Sum {
    let kept: Vec<&Counts> = cells
        .iter()
        .filter(|cell| keep(cell))
        .map(|cell| &cell.counts)
        .collect();
    Sum {
        cases: kept.iter().map(|counts| counts.cases).sum::<i64>().cast_unsigned(),
        amount_minor: kept.iter().map(|counts| minor(counts)).sum(),
    }
}

fn check_row(row: &Row, mine: &[&Cell]) {
    let status = |want: Status| sum_where(mine, |cell| cell.outcome.map_or(Status::Open, Outcome::status) == want);
    assert_eq!(row.all, sum_where(mine, |_| true));
    assert_eq!(row.open, status(Status::Open));
    let is_recovered = |cell: &Cell| cell.outcome.map(Outcome::status) == Some(Status::Recovered);
    let recovered = sum_of(mine, is_recovered, |counts| counts.recovered_minor);
    assert_eq!(row.recovered, recovered);
    assert_eq!(row.exhausted, status(Status::Exhausted));
    assert_eq!(row.stopped, status(Status::Stopped));
    assert_eq!(row.closed, sum_where(mine, |cell| cell.outcome.is_some()));
    assert_eq!(row.mature, mine.iter().all(|cell| cell.outcome.is_some()));
    assert_eq!(row.retryable, sum_where(mine, |cell| cell.retryable));
    let healed = sum_of(
        mine,
        |cell| cell.retryable && is_recovered(cell),
        |counts| counts.recovered_minor,
    );
    assert_eq!(row.retryable_recovered, healed);
    for by in RecoveredBy::ALL {
        let by_it = |cell: &Cell| cell.outcome == Some(Outcome::Recovered { by: *by });
        let want = sum_of(mine, by_it, |counts| counts.recovered_minor);
        assert_eq!(row.recovered_by[by.as_str()], want);
    }
    for why in StoppedWhy::ALL {
        let want = sum_where(mine, |cell| cell.outcome == Some(Outcome::Stopped { why: *why }));
        assert_eq!(row.stopped_why[why.as_str()], want);
    }
    let minor = |of: fn(&Counts) -> i64| mine.iter().map(|cell| of(&cell.counts)).sum::<i64>();
    assert_eq!(row.late_recoveries.amount_minor, minor(|counts| counts.late_minor));
    assert_eq!(row.reversals.amount_minor, minor(|counts| counts.reversed_minor));
    let taken_back = sum_of(mine, is_recovered, |counts| counts.reversed_minor).amount_minor;
    assert_eq!(row.net_recovered_minor, recovered.amount_minor - taken_back);
    if let Some(rate) = &row.rates.cases_of_all {
        let (part, whole) = (u128::from(row.recovered.cases), u128::from(row.all.cases));
        let parts = u128::try_from(rate.parts_per_10k).unwrap();
        // The printed rate is the nearest one: off by at most half of a hundredth of a percent.
        assert!((parts * whole).abs_diff(part * 10_000) * 2 <= whole);
    }
}

proptest! {
    #[test]
    fn every_row_is_what_a_naive_count_gives(
        cells in prop::collection::vec(cells(), 0..60),
        cohort in prop::sample::select(Cohort::ALL),
        by in prop::sample::select(By::ALL),
    ) {
        let cut = Cut { cohort, by };
        let report = report(&cells, cut).unwrap();
        let mut seen = 0;
        for row in &report.rows {
            let mine: Vec<&Cell> = cells.iter().filter(|cell| {
                (naive_label(cell, cut), naive_group(cell, by), cell.currency.code())
                    == (row.cohort.clone(), row.group.clone(), &row.currency)
            }).collect();
            prop_assert!(!mine.is_empty());
            seen += mine.len();
            check_row(row, &mine);
        }
        prop_assert_eq!(seen, cells.len(), "each cell is in exactly one row");
        let totals: u64 = report.totals.iter().map(|row| row.all.cases).sum();
        let cases: i64 = cells.iter().map(|cell| cell.counts.cases).sum();
        prop_assert_eq!(i64::try_from(totals), Ok(cases));
    }
}

#[test]
fn a_week_belongs_to_the_year_of_its_thursday() {
    let new_year = jiff::civil::date(2027, 1, 1);
    assert_eq!(Cohort::Week.label(new_year), "2026-W53");
    assert_eq!(Cohort::Week.first_day(new_year), jiff::civil::date(2026, 12, 28));
    assert_eq!(
        Cohort::Month.first_day(jiff::civil::date(2026, 3, 31)),
        jiff::civil::date(2026, 3, 1)
    );
}

#[test]
fn a_sum_that_does_not_fit_is_an_error() {
    let cell = Cell {
        day: jiff::civil::date(1970, 1, 1),
        value: String::new(),
        connection: "stripe".to_owned(),
        currency: "EUR".parse().unwrap(),
        outcome: None,
        retryable: true,
        counts: Counts {
            cases: 1,
            amount_minor: i64::MAX,
            ..Counts::default()
        },
    };
    let cut = Cut {
        cohort: Cohort::Day,
        by: By::None,
    };
    assert_eq!(report(&[cell.clone(), cell], cut), Err(TooLarge));
}
