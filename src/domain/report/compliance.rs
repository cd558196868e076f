//! The compliance report: what was charged, what the ceiling did not allow, and whether a charge broke a rule, recomputed from
//! the ledger of attempts alone.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use crate::domain::case::Origin;
use crate::domain::ceiling::{Charge, Rule, Rules, Verdict, consult};
use crate::domain::command::AttemptStatus;
use crate::domain::ids::{AttemptId, CaseId};
use crate::domain::instrument::{Instrument, PastAttempt};
use crate::domain::network::Network;

/// What each figure means.
pub const DEFINITIONS: [(&str, &str); 6] = [
    (
        "attempts",
        "Every charge of the span that the ledger knows of, whoever made it, except those that were certainly not sent.",
    ),
    (
        "category",
        "Of a declined charge: Visa's category of its response code (1 to 4), for other networks what the decline allows. Else how \
         the charge stands.",
    ),
    (
        "blocked",
        "Charges that a campaign, an arm or a new payment method asked for and the ceiling refused (`refused`) or moved to later \
         (`put_off`).",
    ),
    (
        "breaches",
        "Our charges that break a rule by what was known when they were sent. Must be 0.",
    ),
    (
        "in_hindsight",
        "Our charges that break a rule only by what became known after they were sent: an answer that took days, or a charge of \
         somebody else that was told of later.",
    ),
    (
        "by_others",
        "Charges of the provider or the customer that break a rule; nothing here could have kept them back.",
    ),
];

/// How many breaches are listed by name.
const LISTED_MAX: usize = 100;
/// How many attempts before a charge are looked at, the newest: as many as the ceiling itself reads.
const BEFORE_MAX: usize = 256;

/// An attempt as the ledger has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerRow {
    /// The connection.
    pub connection: String,
    /// What was charged.
    pub instrument: Instrument,
    /// The attempt.
    pub attempt: PastAttempt,
    /// When its end was written down; none while it is open.
    pub known_at: Option<Timestamp>,
}

/// Charges of a network and a category.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Attempts {
    /// The network.
    pub network: Network,
    /// Who made them.
    pub by: Origin,
    /// The category.
    pub category: String,
    /// How many.
    pub attempts: u64,
}

/// Charges that a rule did not allow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Blocked {
    /// The network.
    pub network: Network,
    /// The rule.
    pub rule: Rule,
    /// How many may not be made at all.
    pub refused: u64,
    /// How many were moved to later.
    pub put_off: u64,
}

/// A charge that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Breach {
    /// The attempt.
    #[schema(value_type = Option<String>)]
    pub attempt_id: Option<AttemptId>,
    /// Its case.
    #[schema(value_type = String)]
    pub case_id: CaseId,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The network.
    pub network: Network,
    /// The rule.
    pub rule: Rule,
}

/// What the audit of a span came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Compliance {
    /// What was charged.
    pub attempts: Vec<Attempts>,
    /// What the ceiling did not allow.
    pub blocked: Vec<Blocked>,
    /// How many of our charges broke a rule.
    pub breaches: u64,
    /// The first hundred of them.
    pub breached: Vec<Breach>,
    /// How many of our charges broke a rule by what became known later.
    pub in_hindsight: u64,
    /// How many charges of others broke a rule.
    pub by_others: u64,
}

/// Goes through the ledger, instrument by instrument.
#[derive(Debug)]
pub struct Audit<'a> {
    rules: &'a Rules,
    from: Timestamp,
    attempts: BTreeMap<(Network, Origin, String), u64>,
    blocked: BTreeMap<(Network, Rule), (u64, u64)>,
    found: Compliance,
}

impl<'a> Audit<'a> {
    /// An audit of what was charged from an instant on.
    pub fn new(rules: &'a Rules, from: Timestamp) -> Self {
        Self {
            rules,
            from,
            attempts: BTreeMap::new(),
            blocked: BTreeMap::new(),
            found: Compliance::default(),
        }
    }

    /// Takes in everything that was tried on one instrument before the end of the span, oldest first.
    pub fn instrument(&mut self, rows: &[LedgerRow]) {
        for (nth, row) in rows.iter().enumerate() {
            if row.attempt.at >= self.from && row.attempt.is_made() {
                self.count(row);
                self.judge(row, &rows[nth.saturating_sub(BEFORE_MAX)..nth]);
            }
        }
    }

    /// Takes in charges that the ceiling did not allow.
    pub fn block(&mut self, network: Network, rule: Rule, put_off: bool, count: u64) {
        let (refused, moved) = self.blocked.entry((network, rule)).or_default();
        *(if put_off { moved } else { refused }) += count;
    }

    /// What it came to.
    pub fn done(self) -> Compliance {
        let attempts = self
            .attempts
            .into_iter()
            .map(|((network, by, category), attempts)| Attempts {
                network,
                by,
                category,
                attempts,
            });
        let blocked = self
            .blocked
            .into_iter()
            .map(|((network, rule), (refused, put_off))| Blocked {
                network,
                rule,
                refused,
                put_off,
            });
        Compliance {
            attempts: attempts.collect(),
            blocked: blocked.collect(),
            ..self.found
        }
    }

    fn count(&mut self, row: &LedgerRow) {
        let network = row.instrument.network;
        let category = match &row.attempt.decline {
            Some(decline) => match self.rules.category(network, decline, row.attempt.at) {
                Some(category) => category.to_string(),
                None => decline.disposition.to_string(),
            },
            None => row.attempt.status.to_string(),
        };
        *self
            .attempts
            .entry((network, row.attempt.origin, category))
            .or_default() += 1;
    }

    fn judge(&mut self, row: &LedgerRow, before: &[LedgerRow]) {
        let at = row.attempt.at;
        let known: Vec<PastAttempt> = before.iter().filter_map(|past| as_known(past, at)).collect();
        let all: Vec<PastAttempt> = before.iter().map(|past| past.attempt.clone()).collect();
        let is_ours = match row.attempt.origin {
            Origin::Us | Origin::Staff => true,
            Origin::Provider | Origin::Customer => false,
        };
        match (is_ours, self.broken(row, &known), self.broken(row, &all)) {
            (true, Some(rule), _) => {
                self.found.breaches += 1;
                if self.found.breached.len() < LISTED_MAX {
                    self.found.breached.push(Breach {
                        attempt_id: row.attempt.id.clone(),
                        case_id: row.attempt.case_id.clone(),
                        at,
                        network: row.instrument.network,
                        rule,
                    });
                }
            }
            (true, None, Some(_)) => self.found.in_hindsight += 1,
            (false, _, Some(_)) => self.found.by_others += 1,
            (true | false, _, None) => {}
        }
    }

    /// The rule that a charge breaks after others, where it breaks one.
    fn broken(&self, row: &LedgerRow, before: &[PastAttempt]) -> Option<Rule> {
        let charge = Charge {
            instrument: &row.instrument,
            amount: row.attempt.amount,
            case_id: &row.attempt.case_id,
            at: row.attempt.at,
        };
        consult(self.rules, &charge, before)
            .find(|said| said.verdict != Verdict::Allowed)
            .map(|said| said.rule)
    }
}

/// What was known of an attempt at an instant; nothing where it was not known at all.
fn as_known(past: &LedgerRow, at: Timestamp) -> Option<PastAttempt> {
    let ended = past.known_at.is_some_and(|known| known <= at);
    match past.attempt.origin {
        _ if ended => Some(past.attempt.clone()),
        Origin::Us | Origin::Staff => Some(PastAttempt {
            status: AttemptStatus::Open,
            decline: None,
            ..past.attempt.clone()
        }),
        Origin::Provider | Origin::Customer => None,
    }
}
