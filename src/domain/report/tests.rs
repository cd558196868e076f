//! The report against a second, naive computation that filters the cases anew for each figure.

use jiff::tz::TimeZone;
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

fn facts() -> impl Strategy<Value = CaseFact> {
    let late = prop::collection::vec((prop::sample::select(LateKind::ALL), 1_i64..5_000), 0..3);
    (
        1_767_139_200_i64..1_777_000_000,
        0_i64..100_000,
        prop::sample::select(vec!["EUR", "USD", "JPY"]),
        outcomes(),
        prop::sample::select(DeclineKind::ALL),
        1_u32..3,
        late,
        0_i64..100_000,
    )
        .prop_map(
            |(second, amount_minor, currency, outcome, decline_kind, version, late, recovered_minor)| CaseFact {
                opened_at: Timestamp::from_second(second).unwrap(),
                amount_minor,
                recovered_minor,
                currency: currency.parse().unwrap(),
                outcome,
                decline_kind,
                campaign: ("default".to_owned(), version),
                connection: "stripe".to_owned(),
                late,
            },
        )
}

/// The name of a cohort by another way than the report's.
fn naive_label(fact: &CaseFact, cut: &Cut) -> String {
    let format = match cut.cohort {
        Cohort::Month => "%Y-%m",
        Cohort::Week => "%G-W%V",
        Cohort::Day => "%Y-%m-%d",
    };
    fact.opened_at.to_zoned(cut.zone.clone()).strftime(format).to_string()
}

fn naive_group(fact: &CaseFact, by: By) -> Option<String> {
    let status = fact.outcome.map_or(Status::Open, Outcome::status);
    Some(match by {
        By::None => return None,
        By::DeclineKind => fact.decline_kind.as_str().to_owned(),
        By::Campaign => format!("default v{}", fact.campaign.1),
        By::Connection => "stripe".to_owned(),
        By::Outcome => status.as_str().to_owned(),
    })
}

fn sum_where(facts: &[&CaseFact], keep: impl Fn(Option<Outcome>) -> bool) -> Sum {
    sum_of(facts, keep, |fact| fact.amount_minor)
}

fn sum_of(facts: &[&CaseFact], keep: impl Fn(Option<Outcome>) -> bool, minor: impl Fn(&CaseFact) -> i64) -> Sum {
    let kept: Vec<i64> = facts
        .iter()
        .filter(|fact| keep(fact.outcome))
        .map(|fact| minor(fact))
        .collect();
    Sum {
        cases: kept.len() as u64,
        amount_minor: kept.iter().sum(),
    }
}

fn check_row(row: &Row, mine: &[&CaseFact]) {
    let status = |want: Status| sum_where(mine, |outcome| outcome.map_or(Status::Open, Outcome::status) == want);
    assert_eq!(row.all, sum_where(mine, |_| true));
    assert_eq!(row.open, status(Status::Open));
    let is_recovered = |outcome: Option<Outcome>| outcome.map(Outcome::status) == Some(Status::Recovered);
    assert_eq!(row.recovered, sum_of(mine, is_recovered, |fact| fact.recovered_minor));
    assert_eq!(row.exhausted, status(Status::Exhausted));
    assert_eq!(row.stopped, status(Status::Stopped));
    assert_eq!(row.closed, sum_where(mine, |outcome| outcome.is_some()));
    assert_eq!(row.mature, mine.iter().all(|fact| fact.outcome.is_some()));
    for by in RecoveredBy::ALL {
        let by_it = |outcome| outcome == Some(Outcome::Recovered { by: *by });
        let want = sum_of(mine, by_it, |fact| fact.recovered_minor);
        assert_eq!(row.recovered_by[by.as_str()], want);
    }
    for why in StoppedWhy::ALL {
        let want = sum_where(mine, |outcome| outcome == Some(Outcome::Stopped { why: *why }));
        assert_eq!(row.stopped_why[why.as_str()], want);
    }
    let late = |kinds: &[LateKind]| -> i64 {
        let all = mine.iter().flat_map(|fact| &fact.late);
        all.filter(|(kind, _)| kinds.contains(kind))
            .map(|(_, minor)| minor)
            .sum()
    };
    assert_eq!(row.late_recoveries.amount_minor, late(&[LateKind::LateRecovery]));
    assert_eq!(row.reversals.amount_minor, late(&[LateKind::Refund, LateKind::Dispute]));
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
        facts in prop::collection::vec(facts(), 0..60),
        cohort in prop::sample::select(Cohort::ALL),
        by in prop::sample::select(By::ALL),
        zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "Pacific/Auckland", "America/St_Johns"]),
    ) {
        let cut = Cut { cohort, by, zone: TimeZone::get(zone).unwrap() };
        let report = report(&facts, &cut).unwrap();
        let mut seen = 0;
        for row in &report.rows {
            let mine: Vec<&CaseFact> = facts.iter().filter(|fact| {
                (naive_label(fact, &cut), naive_group(fact, by), fact.currency.code())
                    == (row.cohort.clone(), row.group.clone(), &row.currency)
            }).collect();
            prop_assert!(!mine.is_empty());
            seen += mine.len();
            check_row(row, &mine);
        }
        prop_assert_eq!(seen, facts.len(), "each case is in exactly one row");
        let totals: u64 = report.totals.iter().map(|row| row.all.cases).sum();
        prop_assert_eq!(totals, facts.len() as u64);
    }
}

#[test]
fn a_cohort_begins_in_the_stated_zone() {
    let at: Timestamp = "2026-02-28T23:30:00Z".parse().unwrap();
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    assert_eq!(Cohort::Month.label(at, &TimeZone::UTC), "2026-02");
    assert_eq!(Cohort::Month.label(at, &berlin), "2026-03");
    assert_eq!(
        Cohort::Week.label("2027-01-01T00:00:00Z".parse().unwrap(), &TimeZone::UTC),
        "2026-W53"
    );
    assert_eq!(
        Cohort::Week.first_day(jiff::civil::date(2027, 1, 1)),
        jiff::civil::date(2026, 12, 28)
    );
    assert_eq!(
        Cohort::Month.first_day(jiff::civil::date(2026, 3, 31)),
        jiff::civil::date(2026, 3, 1)
    );
}

#[test]
fn a_sum_that_does_not_fit_is_an_error() {
    let fact = CaseFact {
        opened_at: Timestamp::UNIX_EPOCH,
        amount_minor: i64::MAX,
        recovered_minor: 0,
        currency: "EUR".parse().unwrap(),
        outcome: None,
        decline_kind: DeclineKind::Fraud,
        campaign: ("default".to_owned(), 1),
        connection: "stripe".to_owned(),
        late: Vec::new(),
    };
    let cut = Cut {
        cohort: Cohort::Day,
        by: By::None,
        zone: TimeZone::UTC,
    };
    assert_eq!(report(&[fact.clone(), fact], &cut), Err(TooLarge));
}
