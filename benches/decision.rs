//! One planning decision: `cargo bench --bench decision`.
//!
//! From the facts of a case and the posterior to what is stored: the arms with their propensities, the hours of the window, the
//! chance and the worth of the charge, and the line of the timeline as text. The database is not part of it.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use jiff::{SignedDuration, Timestamp};
use recoup::domain::campaign::Planned;
use recoup::domain::case::{CampaignRef, Case, Collector, Contact, Memory, Origin, State, Timers};
use recoup::domain::ceiling::{Grounds, Rules};
use recoup::domain::command::AttemptStatus;
use recoup::domain::decline::{Decline, DeclineKind, Disposition};
use recoup::domain::ids::CaseId;
use recoup::domain::instrument::{History, Instrument, PastAttempt, Tried};
use recoup::domain::learning::Learned;
use recoup::domain::learning::arms::{Arm, USUAL};
use recoup::domain::learning::dice::Dice;
use recoup::domain::learning::hazard::{Features, Past};
use recoup::domain::learning::model::{Evidence, Fact, Model};
use recoup::domain::learning::prior::Prior;
use recoup::domain::learning::slots::Slot;
use recoup::domain::money::Money;
use recoup::domain::network::Network;
use recoup::domain::schedule::planned;
use recoup::providers::stripe::declines::TABLE;
use serde_json::json;

/// What the posterior has seen.
const CASES: u16 = 5000;
const KIND: DeclineKind = DeclineKind::InsufficientFunds;
/// The failure, and what was seen before it.
const FAILED_AT: &str = "2026-11-02T08:30:00Z";
const SEEN_FROM: &str = "2026-05-01T00:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().expect("the instants of this file are valid")
}

/// A posterior from some thousand cases, of each of which one charge and the end was seen.
fn learned() -> Learned {
    let mut learned = Learned {
        version: 7,
        ..Learned::nothing()
    };
    let mut dice = Dice::new(1);
    for number in 0..CASES {
        let seen_at = at(SEEN_FROM) + SignedDuration::from_hours(i64::from(number) * 24 * 180 / i64::from(CASES));
        let small = |of: u16| u8::try_from(number % of).expect("a remainder that is small");
        let slot = Slot {
            after: number % 336,
            hour: small(24),
            weekday: small(7),
            month_day: small(28) + 1,
            before_month_end: 27 - small(28),
            payday: f64::from(small(3)) / 4.0,
        };
        let past = Past {
            last: None,
            made: small(4),
        };
        let features = Features::new(&slot, past);
        let paid = dice.share() < 0.3;
        let arm = USUAL[usize::from(number) % USUAL.len()];
        let reward = if dice.share() < 0.5 { 0.98 } else { 0.0 };
        for fact in [Fact::Charge { features, paid }, Fact::Case { arm, reward }] {
            learned.model.learn(&Evidence {
                at: seen_at,
                kind: KIND,
                fact,
            });
        }
    }
    learned
}

fn case() -> Case {
    let opened_at = at(FAILED_AT);
    let mut memory = Memory::since(opened_at);
    memory.country = Some("DE".to_owned());
    memory.instrument = Some(Instrument {
        key: "fp_1".to_owned(),
        network: Network::Mastercard,
        country: Some("DE".to_owned()),
        funding: None,
        bank: None,
    });
    Case {
        id: CaseId::new(opened_at.as_millisecond(), 1),
        connection: "main".to_owned(),
        invoice_id: "in_1".to_owned(),
        subscription_id: Some("sub_1".to_owned()),
        customer_id: "cus_1".to_owned(),
        amount_due: Money::new(1999, "EUR".parse().expect("three letters")),
        state: State::Active,
        decline: Decline {
            kind: KIND,
            disposition: Disposition::Retry,
            provider_code: Some("insufficient_funds".to_owned()),
            network_code: Some("51".to_owned()),
            advice_code: None,
        },
        campaign: CampaignRef {
            name: "default".to_owned(),
            version: 1,
        },
        collector: Collector::Us,
        opened_at,
        closed_at: None,
        zone: "Europe/Berlin".to_owned(),
        contact: Contact::default(),
        timers: Timers::default(),
        warnings: Vec::new(),
        attempts: 1,
        notifications: 0,
        reversal_of: None,
        birth: recoup::domain::case::Birth::default(),
        memory,
    }
}

/// Ten declines of the same card before, three days apart.
fn history(case: &Case) -> History {
    let mut history = History::default();
    for back in (0..10).rev() {
        let past = PastAttempt {
            id: None,
            at: case.opened_at - SignedDuration::from_hours(back * 72),
            case_id: case.id.clone(),
            origin: Origin::Provider,
            amount: case.amount_due,
            status: AttemptStatus::Declined,
            decline: Some(case.decline.clone()),
        };
        history.push(case.instrument().key, past);
    }
    history
}

/// Decides on the next charge of a case, as text to be stored; the ceiling is asked too.
fn decided(case: &Case, planned: &Planned, grounds: Grounds<'_>) -> String {
    let tried = Tried::on(case.instrument(), grounds.history);
    let (choice, chosen) = planned::arm(case, planned, grounds.learned);
    let next = planned::next(case, planned, choice, case.opened_at, &tried, grounds);
    assert!(next.at.is_some(), "there is a charge to be decided on");
    json!({
        "arm": choice.arm,
        "propensity": choice.propensity,
        "seed": next.inputs.ask.seed,
        "chosen": chosen,
        "inputs": next.inputs,
        "decided": next.decided,
    })
    .to_string()
}

fn decision(criterion: &mut Criterion) {
    let (learned, case) = (learned(), case());
    let (rules, history) = (Rules::embedded(), history(&case));
    let grounds = Grounds {
        codes: &TABLE,
        learned: &learned,
        rules: &rules,
        history: &history,
    };
    let planned = |arms: &[Arm], charges| Planned {
        charges,
        within_days: 14,
        arms: arms.to_vec(),
    };
    let mut bench = |name: &str, case: &Case, planned: &Planned| {
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| decided(black_box(case), black_box(planned), black_box(grounds)));
        });
    };
    // The slowest one: a single charge looks at nearly all hours of the window.
    bench("one charge in 14 days, three arms", &case, &planned(&USUAL, 1));
    bench("eight charges in 14 days, three arms", &case, &planned(&USUAL, 8));
    bench("eight charges in 14 days, all arms", &case, &planned(Arm::ALL, 8));
    let mut again = case.clone();
    again.memory.choice = Some(planned::arm(&again, &planned(&[Arm::Adaptive], 8), &learned).0);
    bench("the next one, by the arm of before", &again, &planned(&USUAL, 8));
    let document = learned.model.document();
    criterion.bench_function("a posterior, read from what is stored", |bencher| {
        bencher.iter(|| Model::read(&Prior::embedded(), black_box(&document)));
    });
}

criterion_group!(benches, decision);
criterion_main!(benches);
