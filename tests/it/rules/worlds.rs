//! Random histories, rules and clocks for the ceiling. The benchmark plays them too, so nothing here is of the tests alone.

use std::time::Duration;

use jiff::Timestamp;
use recoup::clock::Clock;
use recoup::domain::case::Origin;
use recoup::domain::ceiling::{Charge, Rules, Verdict, ceiling};
use recoup::domain::command::AttemptStatus;
use recoup::domain::decline::{Decline, DeclineKind, Disposition};
use recoup::domain::ids::CaseId;
use recoup::domain::instrument::{Instrument, PastAttempt};
use recoup::domain::money::Money;
use recoup::domain::network::Network;
use serde_json::{Value, json};

use super::dice::Dice;
use super::naive::{Made, broken};

/// How often anybody tries in one world.
const TRIES_MAX: i64 = 60;
/// A wait may be followed by the wait for another rule; so many in a row mean that it never ends.
const WAITS_MAX: u32 = 40;

/// The rules as they stand in their file.
pub const FILE: &str = include_str!("../../../src/domain/rules/networks.json");
const NETWORK_CODES: [&str; 22] = [
    "05", "51", "57", "83", "41", "14", "54", "R1", "R01", "R09", "R02", "R08", "AM04", "AC04", "0", "1", "7", "901",
    "908", "903", "6", "4",
];
const ADVICE: [&str; 14] = [
    "01", "02", "03", "21", "24", "25", "26", "27", "28", "29", "30", "40", "41", "42",
];
const PROVIDER: [&str; 4] = [
    "do_not_honor",
    "insufficient_funds",
    "previously_declined_do_not_retry",
    "brand_new",
];

/// The embedded rules with other figures.
fn rules(dice: &mut Dice) -> Value {
    let mut file: Value = serde_json::from_str(FILE).unwrap();
    if dice.happens(500_000) {
        return file;
    }
    for row in file["rules"].as_array_mut().unwrap() {
        for form in row["form"].as_object_mut().unwrap().values_mut() {
            if let Some(attempts) = form.get_mut("attempts") {
                *attempts = dice.between(1, 12).into();
            }
            if let Some(hours) = form.get_mut("hours") {
                *hours = dice.between(1, 1000).into();
            }
            if dice.happens(300_000)
                && let Some(same) = form.get_mut("same_amount")
            {
                *same = json!(same != &json!(true));
            }
        }
    }
    file
}

/// Codes that forbid are rare: else no history would be long.
fn decline(dice: &mut Dice) -> Decline {
    let mild = dice.happens(850_000);
    let network = if mild {
        *dice.pick(&["05", "51", "R01", "AM04", "0", "901", "6"])
    } else {
        *dice.pick(&NETWORK_CODES)
    };
    let advice = if mild {
        *dice.pick(&["24", "25", "02"])
    } else {
        *dice.pick(&ADVICE)
    };
    let terminal = !mild && dice.happens(100_000);
    Decline {
        kind: *dice.pick(DeclineKind::ALL),
        disposition: if terminal {
            Disposition::Never
        } else {
            Disposition::Retry
        },
        provider_code: dice.happens(800_000).then(|| (*dice.pick(&PROVIDER)).to_owned()),
        network_code: dice.happens(700_000).then(|| network.to_owned()),
        advice_code: dice.happens(300_000).then(|| advice.to_owned()),
    }
}

fn eur(minor: i64) -> Money {
    Money::new(minor, "EUR".parse().unwrap())
}

fn case(number: u128) -> CaseId {
    CaseId::new(0, number)
}

/// One instrument in one world.
pub struct World {
    dice: Dice,
    file: Value,
    /// What the ceiling goes by.
    pub rules: Rules,
    /// What is charged.
    pub instrument: Instrument,
    /// Everything that was tried on it.
    pub history: Vec<PastAttempt>,
    now: i64,
    /// How often the ceiling was asked, and how long it took.
    pub asked: u32,
    pub took: Duration,
}

impl World {
    /// The world of a seed with that number.
    pub fn new(seed: u64, nth: u64) -> Self {
        let mut dice = Dice::new(seed, nth);
        let file = rules(&mut dice);
        Self {
            rules: Rules::read(&file.to_string()).unwrap(),
            instrument: Instrument {
                key: "fp_1".to_owned(),
                network: *dice.pick(Network::ALL),
                country: dice
                    .pick(&[None, Some("DE"), Some("BR"), Some("US")])
                    .map(str::to_owned),
                funding: None,
                bank: None,
            },
            file,
            history: Vec::new(),
            // The days on which codes change their meaning lie in between.
            now: dice.between(1_743_000_000_000, 1_800_000_000_000),
            dice,
            asked: 0,
            took: Duration::ZERO,
        }
    }

    fn at(&self) -> Timestamp {
        Timestamp::from_millisecond(self.now).unwrap()
    }

    fn later(&mut self) {
        let hours = *self.dice.pick(&[0, 1, 1, 2, 6, 24, 24, 72, 300]);
        self.now += hours * 3_600_000 + self.dice.between(0, 3_600_000);
    }

    fn ask(&mut self, amount: i64, case: &CaseId) -> Verdict {
        let charge = Charge {
            instrument: &self.instrument,
            amount: eur(amount),
            case_id: case,
            at: self.at(),
        };
        self.asked += 1;
        let began = Clock::System.stopwatch();
        let verdict = ceiling(&self.rules, &charge, &self.history);
        self.took += began.elapsed();
        verdict
    }

    fn make(&mut self, origin: Origin, amount: i64, case_id: CaseId) {
        let status = match self.dice.below(20) {
            0 => AttemptStatus::Succeeded,
            1 => AttemptStatus::Open,
            2 => *self.dice.pick(AttemptStatus::ALL),
            _ => AttemptStatus::Declined,
        };
        let decline = (status == AttemptStatus::Declined).then(|| decline(&mut self.dice));
        self.history.push(PastAttempt {
            id: None,
            at: self.at(),
            case_id,
            origin,
            amount: eur(amount),
            status,
            decline,
        });
    }

    /// Asks until there is an end of waiting, and charges where that is allowed.
    fn charge(&mut self, amount: i64, case_id: &CaseId) {
        for _ in 0..WAITS_MAX {
            match self.ask(amount, case_id) {
                Verdict::Allowed => return self.make(Origin::Us, amount, case_id.clone()),
                Verdict::Never(_) => return,
                Verdict::NotBefore(until, rule) => {
                    assert!(until > self.at(), "{rule} asks to wait for the past");
                    self.now = until.as_millisecond();
                    if let Verdict::NotBefore(again, other) = self.ask(amount, case_id) {
                        assert!(again > until, "{rule} until {until}, and then {other} until {again}");
                    }
                }
            }
        }
        panic!("the waiting does not end");
    }

    /// Lets everybody try, ourselves only where the ceiling allows it.
    pub fn play(&mut self) {
        for _ in 0..self.dice.between(5, TRIES_MAX) {
            self.later();
            let amount = *self.dice.pick(&[1999, 1999, 1999, 500]);
            let case_id = case(*self.dice.pick(&[1, 1, 2]));
            if self.dice.happens(250_000) {
                let origin = *self.dice.pick(&[Origin::Provider, Origin::Customer]);
                self.make(origin, amount, case_id);
            } else {
                self.charge(amount, &case_id);
            }
        }
    }

    /// What our charges broke, by the other way of counting.
    pub fn judge(&self) -> Vec<String> {
        let ours = self
            .history
            .iter()
            .enumerate()
            .filter(|(_, past)| past.origin == Origin::Us);
        ours.flat_map(|(nth, past)| {
            let made = Made {
                at: past.at,
                amount: past.amount,
                case: &past.case_id,
            };
            broken(&self.file, &self.instrument, &made, &self.history[..nth])
        })
        .collect()
    }
}
