//! Roll-ups say at any moment what a look at every case says.

mod town;

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::{Date, date};
use rand::RngExt;
use rand::seq::IndexedRandom;
use recoup::domain::ids::CaseId;
use recoup::domain::outcome::{Outcome, Status};
use recoup::domain::report::{By, Cohort, Counts};
use recoup::store::changes::Written;
use recoup::store::{Store, rollups};
use sea_orm::ConnectionTrait;

use super::samples::{bare, write};
use crate::support::databases::each_database;
use town::{Known, Town, add};

const DAYS: [Date; 2] = [date(2026, 1, 1), date(2026, 7, 1)];

/// Spans with and without the rest of a month at either end, and one without a whole month.
const SPANS: [[Date; 2]; 4] = [
    DAYS,
    [date(2026, 1, 20), date(2026, 5, 11)],
    [date(2026, 2, 1), date(2026, 4, 9)],
    [date(2026, 3, 3), date(2026, 4, 30)],
];

async fn found(store: &Store, days: [Date; 2], by: By, cohort: Cohort) -> BTreeMap<String, Counts> {
    let mut sums = BTreeMap::new();
    for cell in rollups::recovery(store.conn(), days, by, cohort).await.unwrap() {
        let place = format!("{} {} {} {:?}", cell.day, cell.value, cell.currency, cell.outcome);
        add(sums.entry(place).or_default(), &cell.counts);
    }
    sums
}

#[test]
fn sums_are_those_of_a_look_at_every_case_merged_or_not() {
    each_database(async |store| {
        let mut town = Town::new(20_261_130);
        for round in 0..12 {
            for _ in 0..8 {
                town.open(&store).await;
                town.live(&store).await;
                town.live(&store).await;
            }
            if town.dice.random_bool(0.5) {
                rollups::merge(&store).await.unwrap();
            }
            for by in By::ALL {
                let cohort = *Cohort::ALL.choose(&mut town.dice).unwrap();
                let days = *SPANS.choose(&mut town.dice).unwrap();
                let expected = town.expect(days, *by, cohort);
                assert_eq!(
                    found(&store, days, *by, cohort).await,
                    expected,
                    "round {round}, by {by}, {cohort}, {days:?}"
                );
            }
            assert_eq!(rollups::verify(&store).await.unwrap(), no_one(), "round {round}");
        }
        let mut closed: BTreeMap<String, i64> = BTreeMap::new();
        for Known { case, counts, .. } in town.cases.iter().filter(|known| known.case.closed_at.is_some()) {
            let zone = jiff::tz::TimeZone::get(case.birth.zone.as_deref().unwrap()).unwrap();
            let day = zone.to_datetime(case.closed_at.unwrap()).date();
            if (DAYS[0]..DAYS[1]).contains(&day) {
                *closed.entry(day.first_of_month().to_string()).or_default() += counts.cases;
            }
        }
        let mut by_end: BTreeMap<String, i64> = BTreeMap::new();
        for cell in rollups::closed(store.conn(), DAYS).await.unwrap() {
            *by_end.entry(cell.day.to_string()).or_default() += cell.counts.cases;
        }
        assert_eq!(by_end, closed);
        let now: Timestamp = "2026-09-01T12:34:56Z".parse().unwrap();
        let aged = rollups::ages(store.conn(), DAYS, now).await.unwrap();
        let found = aged.into_iter().map(|aged| {
            let sums = [aged.cases, aged.amount_minor, aged.recovered_minor];
            (
                format!("{} {} {} {}", aged.month, aged.currency, aged.status, aged.hours),
                sums,
            )
        });
        let mut expected: BTreeMap<String, [i64; 3]> = BTreeMap::new();
        for Known { case, counts, .. } in &town.cases {
            let hour = |at: Timestamp| at.as_second() / 3600;
            let month = case.birth.day.unwrap().first_of_month();
            let status = case.outcome().map_or(Status::Open, Outcome::status);
            let hours = match status {
                Status::Open | Status::Recovered => hour(case.closed_at.unwrap_or(now)) - hour(case.opened_at),
                Status::Exhausted | Status::Stopped => 0,
            };
            let sums = expected
                .entry(format!("{month} {} {status} {hours}", case.amount_due.currency))
                .or_default();
            for (sum, more) in sums
                .iter_mut()
                .zip([counts.cases, counts.amount_minor, counts.recovered_minor])
            {
                *sum += more;
            }
        }
        assert_eq!(found.collect::<BTreeMap<_, _>>(), expected);
    });
}

#[test]
fn they_are_right_at_every_moment_while_others_write_and_merge() {
    each_database(async |store| {
        let writers = (0..3_u64).map(|seed| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut town = Town::new(seed);
                for _ in 0..30 {
                    let mut case = town.new_case();
                    let number = seed * 1_000 + town.cases.len() as u64;
                    case.id = CaseId::new(case.opened_at.as_millisecond(), number.into());
                    case.invoice_id = format!("in_{number}");
                    let change = bare(&case, case.opened_at);
                    write(&store, Written::Opened(Box::new(change))).await.unwrap();
                    town.cases.push(Known {
                        case,
                        counts: Counts::default(),
                        message: None,
                    });
                    town.live(&store).await;
                }
            })
        });
        let writers: Vec<_> = writers.collect();
        let merger = store.clone();
        let merging = tokio::spawn(async move {
            for _ in 0..40 {
                rollups::merge(&merger).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
        while writers.iter().any(|writer| !writer.is_finished()) {
            assert_eq!(rollups::verify(&store).await.unwrap(), no_one());
        }
        for writer in writers {
            writer.await.unwrap();
        }
        merging.await.unwrap();
        assert_eq!(rollups::verify(&store).await.unwrap(), no_one());
        let cells = rollups::recovery(store.conn(), DAYS, By::None, Cohort::Month)
            .await
            .unwrap();
        assert_eq!(cells.iter().map(|cell| cell.counts.cases).sum::<i64>(), 90);
    });
}

/// What is wrong where nothing is.
const fn no_one() -> [String; 0] {
    []
}

#[test]
fn what_is_wrong_is_found_and_made_anew() {
    each_database(async |store| {
        let mut town = Town::new(7);
        for _ in 0..20 {
            town.open(&store).await;
            town.live(&store).await;
        }
        assert!(rollups::merge(&store).await.unwrap() >= 20);
        assert_eq!(rollups::merge(&store).await.unwrap(), 0);
        for (spoil, wrong) in [
            (
                "UPDATE report_rollup SET amount_minor = amount_minor + 1 WHERE dimension = 'plan'",
                "report_rollup plan",
            ),
            (
                "UPDATE report_rollup SET messages = messages + 1 WHERE dimension = 'country.month'",
                "report_rollup country",
            ),
            (
                "UPDATE report_paths SET cases = cases + 1 WHERE dimension = 'network'",
                "report_paths network",
            ),
            (
                "UPDATE report_tries SET attempts = attempts + 1 WHERE dimension = 'all.month'",
                "report_tries all",
            ),
            ("DELETE FROM report_ended WHERE dimension = 'all'", "report_ended all"),
            ("DELETE FROM report_ages WHERE status = 'open'", "report_ages"),
            (
                "UPDATE report_customers SET customers = customers + 1 WHERE length = 'week'",
                "report_customers",
            ),
        ] {
            store.conn().execute_unprepared(spoil).await.unwrap();
            town.live(&store).await;
            assert_eq!(rollups::verify(&store).await.unwrap(), [wrong]);
            assert_eq!(rollups::verify(&store).await.unwrap(), no_one());
        }
        for (by, cohort) in [
            (By::Plan, Cohort::Day),
            (By::Plan, Cohort::Month),
            (By::Country, Cohort::Month),
        ] {
            let expected = town.expect(DAYS, by, cohort);
            assert_eq!(found(&store, DAYS, by, cohort).await, expected, "{by}, {cohort}");
        }
    });
}

/// Rows that change nothing, until so many wait that all are made anew.
const IDLE: &str = "INSERT INTO report_changes (connection, day, closed_day, hours, currency, status, outcome_detail, outcome_then,
    collector, decline_kind, decline_code, network, country, funding, plan, amount, tenure, campaign, arm, message, step, weekday, hour,
    attempt, retryable, cases, amount_minor, recovered_minor, late_payments, late_minor, reversals, reversed_minor, monthly_minor,
    attempts, messages, customer, path, tries, charged_minor)
    WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 200000)
    SELECT 'stripe', '2026-02-01', '', '0', 'EUR', 'open', '', '', 'recoup', 'limit', '', '', '', '', '', '0-999', '', 'default v1', '', '',
    '', '', '', '', 'yes', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 'nobody', '00000', '', 0 FROM numbers";

#[test]
fn where_very_much_has_changed_all_are_made_anew() {
    each_database(async |store| {
        let mut town = Town::new(11);
        for round in 0..2 {
            for _ in 0..20 {
                town.open(&store).await;
                town.live(&store).await;
            }
            if round == 0 {
                rollups::merge(&store).await.unwrap();
            }
        }
        store.conn().execute_unprepared(IDLE).await.unwrap();
        assert!(rollups::merge(&store).await.unwrap() > 200_000);
        assert_eq!(rollups::merge(&store).await.unwrap(), 0);
        for by in By::ALL {
            let expected = town.expect(DAYS, *by, Cohort::Month);
            assert_eq!(found(&store, DAYS, *by, Cohort::Month).await, expected, "{by}");
        }
        assert_eq!(rollups::verify(&store).await.unwrap(), no_one());
    });
}
