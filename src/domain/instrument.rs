//! What is charged, and what was tried on it before: by whomever, for whichever invoice.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::calendar::secs_from;
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
    /// The bank behind it, as the provider names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bank: Option<String>,
}

impl Instrument {
    /// What stands for the instrument of a case where the provider names none.
    pub fn of_case(id: &CaseId) -> Self {
        Self {
            key: format!("case:{id}"),
            network: Network::Unknown,
            country: None,
            funding: None,
            bank: None,
        }
    }

    /// The bank whose systems answer for it, else those with which it has most in common. An instrument of which nothing is known
    /// has nothing in common with another one.
    pub fn group(&self) -> String {
        if let Some(bank) = &self.bank {
            return bank.clone();
        }
        if self.network == Network::Unknown {
            return self.key.clone();
        }
        let country = self.country.as_deref().unwrap_or("-");
        let funding = self.funding.map_or("-", Funding::as_str);
        format!("{} {country} {funding}", self.network)
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

/// What a bank answered lately.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BankAnswer {
    /// The instrument.
    pub instrument: String,
    /// When the charge was made.
    pub at: Timestamp,
    /// Whether its systems were down; else the bank gave an answer of its own, a yes or a no.
    pub is_down: bool,
}

/// What was tried on the instruments of one connection: on each everything that can matter, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    tried: HashMap<String, Vec<PastAttempt>>,
    answers: HashMap<String, Vec<BankAnswer>>,
}

impl History {
    /// What was tried on the instrument of that key.
    pub fn of(&self, key: &str) -> &[PastAttempt] {
        self.tried.get(key).map_or(&[], Vec::as_slice)
    }

    /// Knows the instrument of that key from now on, on which nothing may have been tried.
    pub fn know(&mut self, key: String) {
        self.tried.entry(key).or_default();
    }

    /// Adds an attempt that was made later than all others of its instrument.
    pub fn push(&mut self, key: String, attempt: PastAttempt) {
        self.tried.entry(key).or_default().push(attempt);
    }

    /// Knows from now on what the bank of a group answered lately, oldest first.
    pub fn know_bank(&mut self, group: String, answers: Vec<BankAnswer>) {
        self.answers.insert(group, answers);
    }

    /// Until when the bank of a group is left alone at `now`, because its systems are down; nothing where they are not known to be.
    pub fn outage(&self, group: &str, now: Timestamp) -> Option<Timestamp> {
        outage(self.answers.get(group)?, now)
    }

    /// Takes in what a change of a case does to the instruments that are known here.
    pub fn take(&mut self, case: &Case, commands: &[Command], now: Timestamp) {
        for command in commands {
            let named = match command {
                Command::OpenAttempt { attempt, .. } => attempt.instrument.as_ref(),
                Command::RecordAttempt { seen, .. } => seen.instrument.as_ref(),
                Command::CloseAttempt { instrument, .. } => instrument.as_ref(),
                Command::Resend { .. }
                | Command::Finish
                | Command::Notify { .. }
                | Command::TellStaff { .. }
                | Command::SupersedeNotices { .. }
                | Command::BookLate { .. }
                | Command::WinBack { .. }
                | Command::NamePayment { .. }
                | Command::BookOverpayment { .. }
                | Command::Learn(_)
                | Command::Shadow(_)
                | Command::Block { .. }
                | Command::OpenReversal => continue,
            };
            // Only what the command names is touched: a transaction knows the instruments of many cases.
            let key = named.map_or_else(|| Instrument::of_case(&case.id).key, |named| named.key.clone());
            if let Some(attempts) = self.tried.get_mut(&key) {
                note(attempts, &key, case, command, now);
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

/// Whether what was charged in a case has that key.
fn is_keyed(key: &str, case: &Case, instrument: Option<&Instrument>) -> bool {
    instrument.map_or_else(|| Instrument::of_case(&case.id).key == key, |named| named.key == key)
}

fn note(attempts: &mut Vec<PastAttempt>, key: &str, case: &Case, command: &Command, now: Timestamp) {
    let is_this = |instrument: Option<&Instrument>| is_keyed(key, case, instrument);
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
            });
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
        | Command::TellStaff { .. }
        | Command::SupersedeNotices { .. }
        | Command::BookLate { .. }
        | Command::WinBack { .. }
        | Command::NamePayment { .. }
        | Command::BookOverpayment { .. }
        | Command::Learn(_)
        | Command::Shadow(_)
        | Command::Block { .. }
        | Command::OpenReversal => {}
    }
}

/// So many instruments of one bank must meet its silence, without an answer of it since, to tell an outage from a single failure.
/// An assumption of ours: nobody publishes one.
const OUTAGE_INSTRUMENTS: usize = 3;
/// How far back its silence is looked for, in seconds: longer than most outages.
pub const OUTAGE_SPAN_SECS: i64 = 6 * 3600;
/// How many of a bank's newest answers are looked at.
pub const BANK_ANSWERS_MAX: usize = 64;
/// How long after the last silence the bank is asked again, in seconds. That charge tells for all others.
const OUTAGE_WAIT_SECS: i64 = 3600;

fn outage(answers: &[BankAnswer], now: Timestamp) -> Option<Timestamp> {
    let recent = answers
        .iter()
        .rev()
        .take_while(|answer| answer.at >= secs_from(now, -OUTAGE_SPAN_SECS));
    let silent: Vec<&BankAnswer> = recent.take_while(|answer| answer.is_down).collect();
    let mut instruments: Vec<&str> = silent.iter().map(|answer| answer.instrument.as_str()).collect();
    instruments.sort_unstable();
    instruments.dedup();
    let last = silent.first().filter(|_| instruments.len() >= OUTAGE_INSTRUMENTS)?;
    Some(secs_from(last.at, OUTAGE_WAIT_SECS)).filter(|until| *until > now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        secs_from(Timestamp::UNIX_EPOCH, minute * 60)
    }

    /// What cards were answered, each with its minute: `-` is silence.
    fn until(answers: &str, now: i64) -> Option<Timestamp> {
        let read = |word: &str| {
            let (what, minute) = word.split_at(2);
            BankAnswer {
                instrument: what[1..].to_owned(),
                at: at(minute.parse().unwrap()),
                is_down: what.starts_with('-'),
            }
        };
        outage(&answers.split_whitespace().map(read).collect::<Vec<_>>(), at(now))
    }

    #[test]
    fn three_silent_cards_are_an_outage_until_the_bank_answers_one() {
        assert_eq!(until("-a0 -b5 -c9", 10), Some(at(69)), "an hour after the last");
        assert_eq!(until("-a0 -b5 -c9", 69), None, "then one charge asks");
        assert_eq!(until("-a0 -b5 -c9 -d70", 71), Some(at(130)), "and tells for the others");
        assert_eq!(until("-a0 -b5 -c9 +d70", 71), None);
        assert_eq!(until("-a0 +b5 -c9 -d10", 11), None, "only two since an answer");
        assert_eq!(until("-a0 -a5 -a9 -b10", 11), None, "two cards are two cards");
        assert_eq!(
            until("-a0 -b300 -c370", 371),
            None,
            "the first is more than six hours ago"
        );
        assert_eq!(until("", 1), None);
    }

    #[test]
    fn cards_of_which_nothing_is_known_share_no_bank() {
        let [one, other] = [1, 2].map(|number| Instrument::of_case(&CaseId::new(0, number)));
        assert_ne!(one.group(), other.group());
        let visa = |key: &str| Instrument {
            network: Network::Visa,
            key: key.to_owned(),
            ..one.clone()
        };
        assert_eq!(visa("a").group(), visa("b").group());
        let bank = Some("Acme Bank".to_owned());
        assert_eq!(Instrument { bank, ..other }.group(), "Acme Bank");
    }
}
