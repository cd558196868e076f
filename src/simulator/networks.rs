//! What the networks see of the charges of an invoice, and what their rules say of the next one.

use jiff::Timestamp;

use super::dice::{Dice, mixed};
use super::invoice::Invoice;
use super::world::Place;
use crate::domain::case::Origin;
use crate::domain::ceiling::{Charge, Rule, Verdict, ceiling, consult};
use crate::domain::command::AttemptStatus;
use crate::domain::decline::{Decline, Disposition};
use crate::domain::ids::CaseId;
use crate::domain::instrument::{Instrument, PastAttempt};
use crate::domain::money::Money;
use crate::domain::network::Network;

/// The first midnight of every world, 1 January 2026.
const FIRST_SECS: i64 = 1_767_225_600;
const HOUR_SECS: i64 = 3600;
/// The advice to wait, with its days; the first is an hour.
const WAITS: [(&str, f64); 7] = [
    ("24", 0.04),
    ("25", 1.0),
    ("26", 2.0),
    ("27", 4.0),
    ("28", 6.0),
    ("29", 8.0),
    ("30", 10.0),
];
/// How far off the advice is: the deviation of the logarithm of its days.
const WAIT_NOISE: f64 = 0.5;

/// The days that advice names where no pay is foreseen.
const NOBODY_KNOWS_DAYS: f64 = 3.0;

/// The instant of an hour of a world.
pub fn instant(hour: i32) -> Timestamp {
    Timestamp::from_second(FIRST_SECS + i64::from(hour) * HOUR_SECS).unwrap_or_default()
}

/// The first hour of a world that is not before an instant.
fn hour_from(at: Timestamp) -> i32 {
    let secs = at.as_second().saturating_sub(FIRST_SECS).saturating_add(HOUR_SECS - 1);
    i32::try_from(secs.div_euclid(HOUR_SECS)).unwrap_or(i32::MAX)
}

/// Everything that was tried on the instrument of an invoice. Each invoice has an instrument of its own.
#[derive(Clone, Debug)]
pub struct Record {
    instrument: Instrument,
    case_id: CaseId,
    amount: Money,
    history: Vec<PastAttempt>,
}

impl Record {
    /// That of an invoice which has just failed.
    pub fn new(place: &Place, invoice: &Invoice) -> Self {
        let mut record = Self {
            instrument: Instrument {
                key: String::new(),
                network: invoice.network,
                country: Some(place.world.country.clone()),
                funding: None,
                bank: None,
            },
            case_id: CaseId::from(String::new()),
            amount: Money::new(invoice.amount_minor, "EUR".parse().expect("three letters")),
            history: Vec::new(),
        };
        record.add(place, invoice, invoice.failed_at, Origin::Provider, false);
        record
    }

    /// Adds a charge of ours.
    pub fn charged(&mut self, place: &Place, invoice: &Invoice, hour: i32, paid: bool) {
        self.add(place, invoice, hour, Origin::Us, paid);
    }

    fn add(&mut self, place: &Place, invoice: &Invoice, hour: i32, origin: Origin, paid: bool) {
        self.history.push(PastAttempt {
            id: None,
            at: instant(hour),
            case_id: self.case_id.clone(),
            origin,
            amount: self.amount,
            status: if paid {
                AttemptStatus::Succeeded
            } else {
                AttemptStatus::Declined
            },
            decline: (!paid).then(|| decline(place, invoice, hour)),
        });
    }

    fn charge(&self, hour: i32) -> Charge<'_> {
        Charge {
            instrument: &self.instrument,
            amount: self.amount,
            case_id: &self.case_id,
            at: instant(hour),
        }
    }

    /// The first hour from `hour` on in which the rules allow a charge; none where they never do, or not up to `end`.
    pub fn allowed_from(&self, place: &Place, hour: i32, end: i32) -> Option<i32> {
        let mut hour = hour;
        // Each wait ends later than the one before, so the window bounds them.
        while hour <= end {
            match ceiling(place.rules(self.instrument.network), &self.charge(hour), &self.history) {
                Verdict::Allowed => return Some(hour),
                Verdict::NotBefore(until, _) => hour = hour_from(until).max(hour + 1),
                Verdict::Never(_) => return None,
            }
        }
        None
    }

    /// The rules that a charge in an hour breaks.
    pub fn broken(&self, place: &Place, hour: i32) -> Vec<Rule> {
        let charge = self.charge(hour);
        let said = consult(place.rules(self.instrument.network), &charge, &self.history);
        said.filter(|said| said.verdict != Verdict::Allowed)
            .map(|said| said.rule)
            .collect()
    }
}

/// How the network declines a charge of an invoice in an hour.
fn decline(place: &Place, invoice: &Invoice, hour: i32) -> Decline {
    let code = place.codes.get(&invoice.kind).and_then(|of| of.get(&invoice.network));
    Decline {
        kind: invoice.kind,
        disposition: Disposition::Retry,
        provider_code: None,
        network_code: code.cloned(),
        advice_code: advice(place, invoice, hour).map(str::to_owned),
    }
}

/// The advice of Mastercard. Whether and of which sort it comes belongs to the invoice, so that trying again does not throw the
/// dice anew.
fn advice(place: &Place, invoice: &Invoice, hour: i32) -> Option<&'static str> {
    if invoice.network != Network::Mastercard {
        return None;
    }
    let shares = place.advice.get(&invoice.kind)?;
    let never = if invoice.is_for_good() {
        shares.never_rightly
    } else {
        shares.never_wrongly
    };
    let mut dice = Dice::new(mixed(mixed(place.seed, 7), invoice.id));
    let drawn = dice.share();
    if drawn < never {
        Some("03")
    } else if drawn < never + shares.timed {
        let days = invoice.days_to_pay(place, hour).map_or(NOBODY_KNOWS_DAYS, f64::from);
        Some(wait(days * (WAIT_NOISE * dice.normal()).exp()))
    } else if drawn < never + shares.timed + shares.later {
        Some("02")
    } else {
        None
    }
}

/// The advice that comes nearest to so many days.
fn wait(days: f64) -> &'static str {
    let off = |known: f64| (known.ln() - days.max(0.01).ln()).abs();
    let nearest = WAITS.iter().min_by(|a, b| off(a.1).total_cmp(&off(b.1)));
    nearest.map_or("24", |(code, _)| code)
}
