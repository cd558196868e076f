//! What is charged, and what was tried on it before: by whomever, for whichever invoice.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::case::{Case, Origin};
use super::command::{AttemptStatus, Command};
use super::decline::Decline;
use super::ids::{AttemptId, CaseId};
use super::money::Money;
use super::network::Network;
use super::words::words;

words! {
    /// How a card is funded.
    Funding {
        /// On credit.
        Credit = "credit",
        /// From an account.
        Debit = "debit",
        /// Paid for before.
        Prepaid = "prepaid",
    }
}

/// A card or a bank account, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instrument {
    /// Its stable name: the fingerprint of the card or account, else the payment method's name.
    pub key: String,
    /// The network that carries its charges.
    pub network: Network,
    /// The country of its bank, in two capital letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// How it is funded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub funding: Option<Funding>,
}

impl Instrument {
    /// What stands for the instrument of a case where the provider names none.
    pub fn of_case(id: &CaseId) -> Self {
        Self {
            key: format!("case:{id}"),
            network: Network::Unknown,
            country: None,
            funding: None,
        }
    }
}

/// One try to charge an instrument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastAttempt {
    /// Its id; none where it is not stored yet and somebody else made it.
    pub id: Option<AttemptId>,
    /// When it was made.
    pub at: Timestamp,
    /// The case it was made for.
    pub case_id: CaseId,
    /// Who made it.
    pub origin: Origin,
    /// The amount.
    pub amount: Money,
    /// How it stands.
    pub status: AttemptStatus,
    /// Why it was declined, where it was.
    pub decline: Option<Decline>,
}

impl PastAttempt {
    /// Whether the network may have seen it: one whose end is unknown counts as made.
    pub const fn is_made(&self) -> bool {
        match self.status {
            AttemptStatus::NotSent | AttemptStatus::NotNeeded => false,
            AttemptStatus::Open
            | AttemptStatus::Succeeded
            | AttemptStatus::Declined
            | AttemptStatus::NotCharged
            | AttemptStatus::Mismatch
            | AttemptStatus::Unresolved => true,
        }
    }

    /// Whether it brought money.
    pub const fn is_approved(&self) -> bool {
        match self.status {
            AttemptStatus::Succeeded => true,
            AttemptStatus::Open
            | AttemptStatus::Declined
            | AttemptStatus::NotSent
            | AttemptStatus::NotNeeded
            | AttemptStatus::NotCharged
            | AttemptStatus::Mismatch
            | AttemptStatus::Unresolved => false,
        }
    }
}

/// What was tried on the instruments of one connection: on each everything that can matter, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History(HashMap<String, Vec<PastAttempt>>);

impl History {
    /// What was tried on the instrument of that key.
    pub fn of(&self, key: &str) -> &[PastAttempt] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }

    /// Knows the instrument of that key from now on, on which nothing may have been tried.
    pub fn know(&mut self, key: String) {
        self.0.entry(key).or_default();
    }

    /// Adds an attempt that was made later than all others of its instrument.
    pub fn push(&mut self, key: String, attempt: PastAttempt) {
        self.0.entry(key).or_default().push(attempt);
    }

    /// Takes in what a change of a case does to the instruments that are known here.
    pub fn take(&mut self, case: &Case, commands: &[Command], now: Timestamp) {
        for (key, attempts) in &mut self.0 {
            for command in commands {
                note(attempts, key, case, command, now);
            }
        }
    }
}

/// An instrument that may be charged, and what was tried on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// The instrument.
    pub instrument: Instrument,
    /// Every attempt, oldest first.
    pub attempts: Vec<PastAttempt>,
}

impl Tried {
    /// What the history knows of an instrument.
    pub fn on(instrument: Instrument, history: &History) -> Self {
        let attempts = history.of(&instrument.key).to_vec();
        Self { instrument, attempts }
    }

    /// Takes in what a command of the case does to the instrument.
    pub fn note(&mut self, case: &Case, command: &Command, now: Timestamp) {
        note(&mut self.attempts, &self.instrument.key, case, command, now);
    }

    /// Takes in that a charge of the case is made at `at` and declined like the last one.
    pub fn suppose_declined(&mut self, case: &Case, at: Timestamp) {
        self.attempts.push(PastAttempt {
            id: None,
            at,
            case_id: case.id.clone(),
            origin: Origin::Us,
            amount: case.amount_due,
            status: AttemptStatus::Declined,
            decline: Some(case.decline.clone()),
        });
    }
}

fn note(attempts: &mut Vec<PastAttempt>, key: &str, case: &Case, command: &Command, now: Timestamp) {
    let is_this = |instrument: Option<&Instrument>| match instrument {
        Some(instrument) => instrument.key == key,
        None => Instrument::of_case(&case.id).key == key,
    };
    match command {
        Command::OpenAttempt { attempt, origin } if is_this(attempt.instrument.as_ref()) => {
            attempts.push(PastAttempt {
                id: Some(attempt.id.clone()),
                at: attempt.started_at,
                case_id: case.id.clone(),
                origin: *origin,
                amount: attempt.amount,
                status: AttemptStatus::Open,
                decline: None,
            })
        }
        Command::RecordAttempt { seen, origin } if is_this(seen.instrument.as_ref()) => {
            let place = attempts.partition_point(|past| past.at <= seen.at);
            let past = PastAttempt {
                id: None,
                at: seen.at,
                case_id: case.id.clone(),
                origin: *origin,
                amount: seen.amount,
                status: AttemptStatus::Declined,
                decline: Some(seen.decline.clone()),
            };
            attempts.insert(place, past);
        }
        Command::CloseAttempt {
            id,
            status,
            decline,
            instrument,
            ..
        } => {
            let known = attempts.iter().position(|past| past.id.as_ref() == Some(id));
            if instrument.as_ref().is_some_and(|named| named.key != key) {
                known.map(|at| attempts.remove(at));
            } else if let Some(known) = known.and_then(|at| attempts.get_mut(at)) {
                known.status = *status;
                known.decline.clone_from(decline);
            } else if instrument.is_some() {
                // What was charged became known by the answer alone.
                attempts.push(PastAttempt {
                    id: Some(id.clone()),
                    at: now,
                    case_id: case.id.clone(),
                    origin: Origin::Us,
                    amount: case.amount_due,
                    status: *status,
                    decline: decline.clone(),
                });
            }
        }
        Command::OpenAttempt { .. }
        | Command::RecordAttempt { .. }
        | Command::Resend { .. }
        | Command::Finish
        | Command::Notify { .. }
        | Command::SupersedeNotices { .. }
        | Command::BookLate { .. }
        | Command::NamePayment { .. }
        | Command::BookOverpayment { .. }
        | Command::Learn(_)
        | Command::Block { .. }
        | Command::OpenReversal => {}
    }
}
