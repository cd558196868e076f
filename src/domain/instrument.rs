//! What is charged, and what was tried on it before: by whomever, for whichever invoice.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::case::Origin;
use super::command::AttemptStatus;
use super::decline::Decline;
use super::ids::CaseId;
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

/// One try to charge an instrument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastAttempt {
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
