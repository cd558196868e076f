//! Weeks by the calendar, and the digest against a second, naive count of the same cases.

use proptest::prelude::*;

use super::*;
use crate::domain::outcome::{ExhaustedReason, ExhaustedThen, Outcome, RecoveredBy, StoppedWhy};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn berlin() -> TimeZone {
    TimeZone::get("Europe/Berlin").unwrap()
}

#[test]
fn a_week_is_due_on_the_monday_after_it_at_eight_where_the_service_is_at_home() {
    let rows = [
        // Eight o'clock is seven in UTC in winter, and six from the last Sunday of March on.
        ("2026-03-09T06:59:59Z", "2026-W09", "2026-03-02T07:00:00Z"),
        ("2026-03-09T07:00:00Z", "2026-W10", "2026-03-09T07:00:00Z"),
        ("2026-03-15T22:59:59Z", "2026-W10", "2026-03-09T07:00:00Z"),
        ("2026-03-30T05:59:59Z", "2026-W12", "2026-03-23T07:00:00Z"),
        ("2026-03-30T06:00:00Z", "2026-W13", "2026-03-30T06:00:00Z"),
        // The last week of a year that has 53 of them.
        ("2027-01-05T12:00:00Z", "2026-W53", "2027-01-04T07:00:00Z"),
    ];
    for (now, label, due) in rows {
        let week = Week::newest_due(at(now), &berlin());
        assert_eq!((week.label().as_str(), week.due_at()), (label, at(due)), "{now}");
        assert!(week.next_due_at() > at(now), "{now}");
        assert_eq!(
            Week::newest_due(week.next_due_at(), &berlin()).due_at(),
            week.next_due_at()
        );
    }
}

#[test]
fn a_month_stands_beside_as_many_days_of_the_month_before() {
    let months = |now: &str| {
        let (month, before) = Week::newest_due(at(now), &berlin()).months();
        let text = |days: Days| format!("{}..{}", days.first, days.last);
        (text(month), text(before))
    };
    let pair = |one: &str, other: &str| (one.to_owned(), other.to_owned());
    assert_eq!(
        months("2026-03-09T07:00:00Z"),
        pair("2026-03-01..2026-03-08", "2026-02-01..2026-02-08")
    );
    // The week ends on the first of a month: a day beside a day.
    assert_eq!(
        months("2026-03-02T07:00:00Z"),
        pair("2026-03-01..2026-03-01", "2026-02-01..2026-02-01")
    );
    // A whole May beside a whole April, which has no 31st.
    assert_eq!(
        months("2026-06-01T07:00:00Z"),
        pair("2026-05-01..2026-05-31", "2026-04-01..2026-04-30")
    );
}

fn case(opened: &str, closed: Option<(&str, Outcome)>, amount_minor: i64) -> Dated {
    Dated {
        opened_at: at(opened),
        amount: Money::new(amount_minor, "EUR".parse().unwrap()),
        outcome: closed.map(|(_, outcome)| outcome),
        recovered_minor: amount_minor,
        connection: "stripe".to_owned(),
        closed_at: closed.map(|(closed, _)| at(closed)),
    }
}

const RECOVERED: Outcome = Outcome::Recovered { by: RecoveredBy::Retry };

#[test]
fn two_months_are_compared_at_the_same_age() {
    let week = Week::newest_due(at("2026-03-09T07:00:00Z"), &berlin());
    let cases = [
        // February: one was recovered within its first eight days, one later, one was opened later.
        case("2026-02-02T12:00:00Z", Some(("2026-02-05T12:00:00Z", RECOVERED)), 1_000),
        case("2026-02-03T12:00:00Z", Some(("2026-02-20T12:00:00Z", RECOVERED)), 3_000),
        case("2026-02-09T12:00:00Z", Some(("2026-02-09T13:00:00Z", RECOVERED)), 9_000),
        // March: one recovered, one recovered after the week, one open.
        case("2026-03-01T12:00:00Z", Some(("2026-03-08T22:59:59Z", RECOVERED)), 1_000),
        case("2026-03-02T12:00:00Z", Some(("2026-03-08T23:00:00Z", RECOVERED)), 500),
        case("2026-03-08T22:00:00Z", None, 500),
        // Of the next week.
        case("2026-03-08T23:00:00Z", None, 7_000),
    ];
    let made = digest(&cases, &week, Attention::default()).unwrap();
    let one = &made.currencies[0];
    let told = |standing: &Standing| {
        let percent = |rate: &Option<Rate>| rate.as_ref().unwrap().percent.clone();
        (standing.all, percent(&standing.rate), percent(&standing.maturity))
    };
    let sum = |cases, amount_minor| Sum { cases, amount_minor };
    assert_eq!(
        told(&one.month),
        (sum(3, 2_000), "50.00".to_owned(), "33.33".to_owned())
    );
    assert_eq!(
        told(&one.month_before),
        (sum(2, 4_000), "25.00".to_owned(), "50.00".to_owned())
    );
    assert_eq!(one.opened, sum(2, 1_000), "from Monday on");
    assert_eq!(
        one.recovered,
        sum(1, 1_000),
        "what was opened on Sunday ended in the week"
    );
    assert_eq!(one.open, sum(2, 1_000));
}

fn cases() -> impl Strategy<Value = Vec<Dated>> {
    let outcomes = prop_oneof![
        Just(None),
        Just(Some(RECOVERED)),
        Just(Some(Outcome::Exhausted {
            reason: ExhaustedReason::AttemptsSpent,
            then: ExhaustedThen::Cancelled,
        })),
        Just(Some(Outcome::Stopped { why: StoppedWhy::Staff })),
    ];
    let one = (
        0_i64..100 * 86_400,
        1_i64..40 * 86_400,
        outcomes,
        0_i64..100_000,
        prop::sample::select(vec!["EUR", "USD", "JPY"]),
    );
    let one = one.prop_map(|(opened, lived, outcome, amount_minor, currency)| {
        let opened_at = Timestamp::from_second(at("2025-12-20T00:00:00Z").as_second() + opened).unwrap();
        let mut dated = case("2026-01-01T00:00:00Z", None, amount_minor);
        dated.opened_at = opened_at;
        dated.outcome = outcome;
        dated.amount.currency = currency.parse().unwrap();
        dated.recovered_minor = amount_minor / 2;
        dated.closed_at = outcome.map(|_| Timestamp::from_second(opened_at.as_second() + lived).unwrap());
        dated
    });
    prop::collection::vec(one, 0..60)
}

proptest! {
    #[test]
    fn each_figure_is_a_count_of_the_cases_that_it_names(cases in cases()) {
        let week = Week::newest_due(at("2026-03-12T12:00:00Z"), &TimeZone::UTC);
        let made = digest(&cases, &week, Attention::default()).unwrap();
        let (monday, end) = (at("2026-03-02T00:00:00Z"), at("2026-03-09T00:00:00Z"));
        let currency: Vec<_> = made.currencies.iter().map(|one| one.currency.code().to_owned()).collect();
        for one in &made.currencies {
            let count = |counts: &dyn Fn(&Dated) -> bool, paid: bool| {
                let mut sum = Sum::default();
                for case in cases.iter().filter(|case| case.amount.currency == one.currency && counts(case)) {
                    sum.cases += 1;
                    sum.amount_minor += if paid { case.recovered_minor } else { case.amount.amount_minor };
                }
                sum
            };
            let in_week = |at: Timestamp| at >= monday && at < end;
            let ended = |case: &Dated| case.closed_at.is_some_and(in_week);
            let is = |case: &Dated, of: fn(&Outcome) -> bool| case.outcome.as_ref().is_some_and(of);
            prop_assert_eq!(one.opened, count(&|case| in_week(case.opened_at), false));
            let recovered = |case: &Dated| ended(case) && is(case, |outcome| matches!(outcome, Outcome::Recovered { .. }));
            prop_assert_eq!(one.recovered, count(&recovered, true));
            let exhausted = |case: &Dated| ended(case) && is(case, |outcome| matches!(outcome, Outcome::Exhausted { .. }));
            prop_assert_eq!(one.exhausted, count(&exhausted, false));
            let stopped = |case: &Dated| ended(case) && is(case, |outcome| matches!(outcome, Outcome::Stopped { .. }));
            prop_assert_eq!(one.stopped, count(&stopped, false));
            let open = |case: &Dated| case.opened_at < end && case.closed_at.is_none_or(|closed| closed >= end);
            prop_assert_eq!(one.open, count(&open, false));
            prop_assert_eq!(one.weeks.len(), 12);
            let first = at("2025-12-15T00:00:00Z");
            let weeks: u64 = one.weeks.iter().map(|week| week.all.cases).sum();
            prop_assert_eq!(weeks, count(&|case| case.opened_at >= first && case.opened_at < end, false).cases);
        }
        let told = |code: &str| currency.iter().any(|one| one == code);
        for case in cases.iter().filter(|case| case.opened_at < end) {
            prop_assert!(told(case.amount.currency.code()));
        }
    }
}
