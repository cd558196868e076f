//! What can go wrong. Each strike has an address, its class and number, so that it can be left out when a run is repeated.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::dice::{Dice, mix};

macro_rules! classes {
    ($($name:ident = $word:literal, $rate:literal;)+) => {
        /// A class of faults.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Class { $($name),+ }

        /// Every class with how often it strikes in a million chances, where it is on.
        const CLASSES: &[(Class, &str, u32)] = &[$((Class::$name, $word, $rate)),+];
    };
}

classes! {
    Crash = "crash", 3_000;
    Freeze = "freeze", 1_500;
    Deploy = "deploy", 100_000;
    Skew = "skew", 200_000;
    DbDown = "db_down", 100_000;
    DbError = "db_error", 6_000;
    DbUncertain = "db_uncertain", 12_000;
    DbSlow = "db_slow", 10_000;
    ProviderDown = "provider_down", 120_000;
    KeyRefused = "key_refused", 60_000;
    CallLost = "call_lost", 60_000;
    ReplyLost = "reply_lost", 80_000;
    CallLate = "call_late", 60_000;
    ServerError = "server_error", 60_000;
    TooMany = "too_many", 60_000;
    NotSent = "not_sent", 60_000;
    ReadError = "read_error", 20_000;
    StaleRead = "stale_read", 150_000;
    HookLost = "hook_lost", 120_000;
    HookTwice = "hook_twice", 120_000;
    HookLate = "hook_late", 120_000;
    NeverListed = "never_listed", 15_000;
    Malformed = "malformed", 20_000;
    Storm = "storm", 60_000;
    MailPutOff = "mail_put_off", 120_000;
    MailUnknown = "mail_unknown", 50_000;
    MailRefused = "mail_refused", 20_000;
    MailStall = "mail_stall", 60_000;
    PaysElsewhere = "pays_elsewhere", 250_000;
    WorstMoment = "worst_moment", 60_000;
    NewCard = "new_card", 250_000;
    Leaves = "leaves", 100_000;
    Disputes = "disputes", 80_000;
    Refund = "refund", 60_000;
    Void = "void", 40_000;
    Credit = "credit", 60_000;
    Moves = "moves", 80_000;
    ProviderRetries = "provider_retries", 60_000;
    SlowPayment = "slow_payment", 100_000;
    Staff = "staff", 350_000;
    Policy = "policy", 60_000;
    Unconditional = "unconditional", 500_000;
}

/// One strike.
pub type Strike = (Class, u32);

/// Which faults strike in a run.
#[derive(Debug)]
pub struct Faults {
    seed: u64,
    rates: Vec<u32>,
    chances: Vec<u32>,
    /// What struck, in order.
    pub struck: Vec<Strike>,
    only: Option<BTreeSet<Strike>>,
    until: i64,
}

impl Class {
    pub fn word(self) -> &'static str {
        CLASSES[self as usize].1
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Class {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = CLASSES.iter().find(|(_, word, _)| *word == text);
        found.map(|(class, ..)| *class).ok_or(format!("{text:?} is no fault"))
    }
}

/// The strikes of a list such as `crash:3 db_down:1`.
pub fn strikes_of(text: &str) -> Result<BTreeSet<Strike>, String> {
    text.split_whitespace()
        .map(|one| {
            let (class, number) = one.split_once(':').ok_or(format!("{one:?} is no strike"))?;
            let number = number.parse().map_err(|_| format!("{one:?} has no number"))?;
            Ok((class.parse()?, number))
        })
        .collect()
}

impl Faults {
    /// The swarm of a seed: each class is on in seven of ten seeds, with a rate of its own.
    pub fn swarm(seed: u64, until: i64) -> Self {
        let rates = CLASSES.iter().map(|(class, _, rate)| {
            let mut dice = Dice::new(seed, 1000 + *class as u64);
            if !dice.happens(700_000) {
                return 0;
            }
            let tenths = *dice.pick(&[2_u32, 5, 10, 10, 20, 40]);
            (rate / 10 * tenths).min(900_000)
        });
        Self {
            seed,
            rates: rates.collect(),
            chances: vec![0; CLASSES.len()],
            struck: Vec::new(),
            only: None,
            until,
        }
    }

    /// No fault at all.
    pub fn none() -> Self {
        Self {
            only: Some(BTreeSet::new()),
            ..Self::swarm(0, 0)
        }
    }

    /// The faults of a seed, but only these strikes.
    pub fn only(mut self, strikes: BTreeSet<Strike>) -> Self {
        self.only = Some(strikes);
        self
    }

    /// Whether a class struck at all.
    pub fn struck_any(&self, class: Class) -> bool {
        self.struck.iter().any(|(of, _)| *of == class)
    }

    /// Whether a fault strikes now; if so, the chance that its details come from.
    pub fn strikes(&mut self, class: Class, now: i64) -> Option<Dice> {
        let at = class as usize;
        let number = self.chances[at];
        self.chances[at] += 1;
        if now >= self.until {
            return None;
        }
        let address = mix(mix(self.seed, 77 + at as u64), u64::from(number));
        let mut dice = Dice::new(address, 0);
        if !dice.happens(self.rates[at]) || self.only.as_ref().is_some_and(|only| !only.contains(&(class, number))) {
            return None;
        }
        self.struck.push((class, number));
        Some(dice)
    }
}
