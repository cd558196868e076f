//! What reports say of ways and customers is what an independent look at each case finds, for random cases.

mod town;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::{Date, date};
use recoup::domain::exchange::ExchangeRate;
use recoup::domain::money::Currency;
use recoup::domain::report::ages::{Age, by_age};
use recoup::domain::report::converted::{self, NotConverted, Rates};
use recoup::domain::report::customers::CustomerCounts;
use recoup::domain::report::{By, Cohort, Cut, Sum};
use recoup::store::{Store, rollups};

use crate::support::databases::each_database;
use town::{Known, Town, town};

const DAYS: [Date; 2] = [date(2026, 2, 1), date(2026, 5, 1)];
const BYS: [By; 5] = [By::None, By::Connection, By::Outcome, By::DeclineKind, By::Network];
/// Spans of whole months and of whole weeks, others, and one behind which there is nothing.
const SPANS: [[Date; 2]; 4] = [
    DAYS,
    [date(2026, 2, 2), date(2026, 4, 27)],
    [date(2026, 2, 10), date(2026, 3, 20)],
    [date(2026, 1, 1), date(2026, 6, 11)],
];

async fn customers_agree(store: &Store, town: &Town, days: [Date; 2], cut: Cut) {
    type Standing = (bool, bool, bool);
    let mut each: BTreeMap<String, BTreeMap<String, Standing>> = BTreeMap::new();
    for known in town.within(days) {
        let case = &known.case;
        let first = cut.cohort.first_day(known.day());
        for cohort in [Some(first), None] {
            let place = format!("{cohort:?} {} {}", known.value(cut.by), case.amount_due.currency);
            let customers = each.entry(place).or_default();
            let whose = format!("{} {}", case.connection, case.customer_id);
            let (wholly, partly, open) = customers.entry(whose).or_insert((true, false, false));
            *wholly &= known.is_recovered();
            *partly |= known.is_recovered();
            *open |= known.is_open();
        }
    }
    let count = |customers: &BTreeMap<String, Standing>, keep: fn(&Standing) -> bool| {
        customers.values().filter(|standing| keep(standing)).count() as u64
    };
    let expected: BTreeMap<String, CustomerCounts> = each
        .iter()
        .map(|(place, customers)| {
            let counts = CustomerCounts {
                all: customers.len() as u64,
                recovered: count(customers, |standing| standing.0),
                any_recovered: count(customers, |standing| standing.1),
                open: count(customers, |standing| standing.2),
            };
            (place.clone(), counts)
        })
        .collect();
    let found = rollups::customers(store.conn(), days, cut).await.unwrap();
    let found: BTreeMap<String, CustomerCounts> = found
        .into_iter()
        .map(|cell| (format!("{:?} {} {}", cell.day, cell.value, cell.currency), cell.counts))
        .collect();
    assert_eq!(found, expected, "{cut:?} {days:?}");
}

async fn paths_agree(store: &Store, town: &Town, by: By) {
    let mut expected: BTreeMap<String, (u64, i64, i64)> = BTreeMap::new();
    for known in town.in_span() {
        let due = known.case.amount_due;
        let open = if known.is_open() { "open" } else { "" };
        let place = format!("{} {} {:?} {open}", known.value(by), due.currency, known.stages());
        let sum = expected.entry(place).or_default();
        *sum = (sum.0 + 1, sum.1 + due.amount_minor, sum.2 + known.paid);
    }
    let mut found: BTreeMap<String, (u64, i64, i64)> = BTreeMap::new();
    for path in rollups::paths(store.conn(), DAYS, by).await.unwrap() {
        let open = if path.open > 0 { "open" } else { "" };
        let place = format!("{} {} {:?} {open}", path.value, path.currency, path.stages);
        let sum = found.entry(place).or_default();
        let Sum { cases, amount_minor } = path.all;
        *sum = (sum.0 + cases, sum.1 + amount_minor, sum.2 + path.recovered_minor);
    }
    assert_eq!(found, expected, "{by}");
}

async fn charges_agree(store: &Store, town: &Town, by: By) {
    let mut expected: BTreeMap<String, [i64; 4]> = BTreeMap::new();
    let mut cases: BTreeMap<String, [u64; 4]> = BTreeMap::new();
    for known in town.in_span() {
        let place = format!("{} {}", known.value(by), known.case.amount_due.currency);
        let sum = cases.entry(place.clone()).or_default();
        let one = [true, known.is_recovered(), known.is_open()].map(u64::from);
        *sum = [
            sum[0] + one[0],
            sum[1] + one[1],
            sum[2] + one[2],
            sum[3] + u64::from(known.case.attempts),
        ];
        let mut made: Vec<_> = known.attempts.iter().collect();
        made.retain(|(_, _, status, _)| !["not_sent", "not_needed"].contains(status));
        made.sort_by_key(|(at, id, ..)| (*at, id.clone()));
        for (number, (_, _, status, minor)) in (1..).zip(made) {
            let sum = expected.entry(format!("{place} {number}")).or_default();
            let succeeded = i64::from(*status == "succeeded");
            let declined = i64::from(*status == "declined");
            *sum = [
                sum[0] + 1,
                sum[1] + succeeded,
                sum[2] + succeeded * minor,
                sum[3] + declined,
            ];
        }
    }
    let (all, numbers) = rollups::charges(store.conn(), DAYS, by).await.unwrap();
    let found: BTreeMap<String, [i64; 4]> = numbers
        .into_iter()
        .map(|cell| {
            let [all, succeeded, declined] = [cell.attempts, cell.succeeded, cell.declined].map(u64::cast_signed);
            let place = format!("{} {} {}", cell.value, cell.currency, cell.number);
            (place, [all, succeeded, cell.succeeded_minor, declined])
        })
        .collect();
    assert_eq!(found, expected, "{by}");
    let mut found: BTreeMap<String, [u64; 4]> = BTreeMap::new();
    for cell in all {
        let sum = found.entry(format!("{} {}", cell.value, cell.currency)).or_default();
        let more = [cell.cases, cell.recovered, cell.open, cell.attempts];
        *sum = std::array::from_fn(|nth| sum[nth] + more[nth]);
    }
    assert_eq!(found, cases, "{by}");
}

async fn all_agree(store: &Store, town: &Town) {
    for by in BYS {
        for cohort in Cohort::ALL {
            for days in SPANS {
                customers_agree(store, town, days, Cut { cohort: *cohort, by }).await;
            }
        }
        paths_agree(store, town, by).await;
        charges_agree(store, town, by).await;
    }
}

#[test]
fn ways_and_customers_are_those_of_a_look_at_every_case_merged_or_not() {
    each_database(async |store| {
        let mut town = town(&store, 20_261_130, 70).await;
        all_agree(&store, &town).await;
        assert!(rollups::merge(&store).await.unwrap() > 70);
        all_agree(&store, &town).await;
        // Some of the customers are known by now, and some of their cases go on.
        town.grow(&store, 40).await;
        all_agree(&store, &town).await;
        assert!(rollups::merge(&store).await.unwrap() > 40);
        town.grow(&store, 30).await;
        assert_eq!(rollups::verify(&store).await.unwrap(), Vec::<String>::new());
        all_agree(&store, &town).await;
    });
}

#[test]
fn shares_by_age_are_blank_until_they_are_final() {
    each_database(async |store| {
        let town = town(&store, 7, 120).await;
        let now: Timestamp = "2026-04-20T00:00:00Z".parse().unwrap();
        let ages = rollups::ages(store.conn(), DAYS, now).await.unwrap();
        let rows = by_age(&ages, date(2026, 4, 1), Age::Day).unwrap();
        assert!(rows.len() > 6, "{rows:?}");
        let mut filled = 0;
        for row in &rows {
            let of_month = |known: &&Known| known.day().strftime("%Y-%m").to_string() == row.cohort;
            let month: Vec<&Known> = town.cases.iter().filter(of_month).collect();
            let in_currency = |known: &&&Known| known.case.amount_due.currency.code() == row.currency;
            let its: Vec<&Known> = month.iter().filter(in_currency).copied().collect();
            assert_eq!(row.all.cases, its.len() as u64);
            for (days, cell) in (1..).zip(&row.cells) {
                // From the hour of the opening on.
                let within = |known: &Known, end: Timestamp| {
                    end.as_second() / 3600 - known.case.opened_at.as_second() / 3600 < 24 * days
                };
                let young = |known: &&Known| known.is_open() && within(known, now);
                let runs = row.cohort.as_str() >= "2026-04";
                assert_eq!(cell.is_none(), runs || its.iter().any(young), "{row:?} {days}");
                let Some(cell) = cell else { continue };
                let came = its.iter().filter(|known| {
                    let end = known.case.closed_at.filter(|_| known.is_recovered());
                    end.is_some_and(|end| within(known, end))
                });
                let sum = came.fold((0, 0), |sum, known| (sum.0 + 1, sum.1 + known.paid));
                assert_eq!(
                    (cell.recovered.cases, cell.recovered.amount_minor),
                    sum,
                    "{row:?} {days}"
                );
                filled += 1;
            }
        }
        assert!(filled > 60, "{filled} cells are filled");
    });
}

/// The nearest whole number, of two the even one, by trying those around the quotient.
fn nearest(product: i128, by: i128) -> i64 {
    let about = product / by;
    let off = |whole: i128| (product - whole * by).abs();
    let best = (about - 1..=about + 1).min_by_key(|whole| (off(*whole), whole % 2 != 0));
    i64::try_from(best.unwrap()).unwrap()
}

/// A rate for each day and currency, in parts of ten thousand.
fn made_up(missing: &BTreeSet<(Date, Currency)>, rates: &mut Rates) -> BTreeMap<(Date, Currency), i128> {
    let mut digits = BTreeMap::new();
    for (nth, (day, from)) in (0..).zip(missing) {
        // 0.5000 and its like make halves.
        let parts = if from.code() == "JPY" {
            50 + nth % 9
        } else {
            5_000 + 125 * (nth % 11)
        };
        let rate: ExchangeRate = format!("{}.{:04}", parts / 10_000, parts % 10_000).parse().unwrap();
        rates.insert((*from, *day), rate);
        digits.insert((*day, *from), parts);
    }
    digits
}

#[test]
fn recovered_money_is_converted_at_the_rate_of_its_own_day() {
    each_database(async |store| {
        let town = town(&store, 11, 120).await;
        let to: Currency = "EUR".parse().unwrap();
        let cut = Cut {
            cohort: Cohort::Month,
            by: By::Network,
        };
        let cells = rollups::recovered(store.conn(), DAYS, cut).await.unwrap();
        let mut rates = Rates::new();
        let missing = match converted::convert(&cells, &rates, to, cut) {
            Err(NotConverted::Missing(missing)) => missing,
            other => panic!("{other:?}"),
        };
        let digits = made_up(&missing, &mut rates);
        let mut sums: BTreeMap<_, (u64, i64, i64)> = BTreeMap::new();
        let mut days: BTreeSet<(Date, Currency)> = BTreeSet::new();
        for known in town.in_span().filter(|known| known.is_recovered()) {
            let from = known.case.amount_due.currency;
            let zone = jiff::tz::TimeZone::get(known.case.birth.zone.as_deref().unwrap()).unwrap();
            let day = zone.to_datetime(known.case.closed_at.unwrap()).date();
            if from != to {
                days.insert((day, from));
            }
            let group = By::Network.group(&known.value(By::Network));
            let month = known.day().strftime("%Y-%m").to_string();
            let place = (month, group, known.case.connection.clone(), day, from);
            let sum = sums.entry(place).or_default();
            *sum = (sum.0 + 1, sum.1 + known.paid, sum.2 + known.back);
        }
        let mut expected: BTreeMap<String, (u64, i64, i64)> = BTreeMap::new();
        for ((month, group, _, day, from), (cases, paid, back)) in sums {
            let in_euros = |minor: i64| {
                if from == to {
                    return minor;
                }
                let scale = if from.code() == "JPY" { 100 } else { 1 };
                nearest(i128::from(minor) * digits[&(day, from)] * scale, 10_000)
            };
            let (paid, back) = (in_euros(paid), in_euros(back));
            for cohort in [&month, "all"] {
                let sum = expected.entry(format!("{cohort} {group:?}")).or_default();
                *sum = (sum.0 + cases, sum.1 + paid, sum.2 + paid - back);
            }
        }
        assert_eq!(missing, days, "each day is named, and no other");
        let converted = converted::convert(&cells, &rates, to, cut).unwrap();
        let rows = converted.rows.iter().chain(&converted.totals);
        let found: BTreeMap<String, (u64, i64, i64)> = rows
            .map(|row| {
                let place = format!("{} {:?}", row.cohort, row.group);
                (
                    place,
                    (row.recovered_cases, row.recovered_minor, row.net_recovered_minor),
                )
            })
            .collect();
        assert_eq!(found, expected);
        let (day, from) = missing.first().unwrap();
        rates.remove(&(*from, *day));
        let refused = converted::convert(&cells, &rates, to, cut);
        assert_eq!(refused, Err(NotConverted::Missing([(*day, *from)].into())));
    });
}
