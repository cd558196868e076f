//! The ceiling: what no campaign, model or person can override.
//!
//! Two kinds of rules: those of the networks, over everything that was tried on an instrument ([`ceiling`]), and those of our
//! own over one case. `Never` is about the instrument: a new card starts anew.

use std::fmt;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::calendar::written;
use super::case::Case;
use super::decline::Disposition;
use super::instrument::{History, Tried};
use super::learning::Learned;
use super::mutant::alive;
use super::taxonomy::Taxonomy;
use super::words::words;

pub use network::{Charge, Said, ceiling, consult};
pub use rules::Rules;

mod network;
pub mod rules;

words! {
    /// The rule behind a refusal.
    Rule {
        /// A decline forbids any further charge of the instrument.
        TerminalDecline = "terminal_decline",
        /// Only the customer can make the payment succeed; a charge off-session cannot.
        CustomerMustAct = "customer_must_act",
        /// The decline is our own fault; charging again repeats it.
        MerchantMustAct = "merchant_must_act",
        /// At most eight retries of a charge: the provider's own advice (docs.stripe.com/declines/card).
        EightRetries = "eight_retries",
        /// At most two charges of a decline whose code nobody knows.
        UnknownCode = "unknown_code",
        /// The provider blocks a card for some days after a hard decline; a charge before would not reach the network.
        ProviderBlock = "provider_block",
        /// Mastercard's advice not to try again, or that the customer stopped the payment.
        MastercardDoNotTryAgain = "mastercard_do_not_try_again",
        /// Mastercard's sanctions score.
        MastercardSanctions = "mastercard_sanctions",
        /// A virtual card for a single use.
        MastercardSingleUse = "mastercard_single_use",
        /// Mastercard's advice to wait.
        MastercardWait = "mastercard_wait",
        /// Mastercard's fee for trying again within 30 days of the advice not to.
        MastercardAdviceFee = "mastercard_advice_fee",
        /// Mastercard's count of declines in 24 hours.
        MastercardDay = "mastercard_day",
        /// Mastercard's count of declines in 30 days.
        MastercardMonth = "mastercard_month",
        /// Mastercard's count in a billing month in Brazil.
        MastercardBrazil = "mastercard_brazil",
        /// Visa's category 1: the issuer will never approve.
        VisaCategory1 = "visa_category_1",
        /// Visa's count of reattempts in 30 days.
        VisaReattempts = "visa_reattempts",
        /// Our cap for American Express.
        AmexAttempts = "amex_attempts",
        /// Our cap for Discover.
        DiscoverAttempts = "discover_attempts",
        /// Our cap for every other card.
        OtherCardAttempts = "other_card_attempts",
        /// Cards of India are not charged again without their holder.
        IndiaCards = "india_cards",
        /// SEPA's reasons that no new collection can heal.
        SepaNever = "sepa_never",
        /// Nacha's returns that forbid another entry.
        AchNever = "ach_never",
        /// Only returns for want of money may be reinitiated.
        AchOnlyFunds = "ach_only_funds",
        /// Nacha's two reinitiations in 180 days.
        AchReinitiations = "ach_reinitiations",
        /// Bacs' reasons that end the instruction.
        BacsNever = "bacs_never",
        /// Only what was referred to the payer is collected again.
        BacsOnlyRefer = "bacs_only_refer",
        /// Bacs' month for collecting again.
        BacsMonth = "bacs_month",
        /// The returns of Canadian debits that forbid another one.
        PadNever = "pad_never",
        /// Only Canadian returns for want of money are presented again.
        PadOnlyFunds = "pad_only_funds",
        /// Canadian debits are presented again once, within 30 days and for the same amount.
        PadOnce = "pad_once",
        /// The returns of Australian debits that forbid another one.
        BecsNever = "becs_never",
        /// Only Australian debits that were referred to the customer are tried again.
        BecsOnlyRefer = "becs_only_refer",
    }
}

/// The most charges of ours on one case.
pub const CHARGES_MAX: u32 = 8;
/// The most charges of ours on a case whose last decline has a code that we do not know.
pub const UNKNOWN_CHARGES_MAX: u32 = 2;
/// The provider code of a block because the card was declined for good before.
pub const BLOCK_CODE: &str = "previously_declined_do_not_retry";

/// What the ceiling says of a charge at some instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not on this instrument.
    Never(Rule),
    /// Not before the instant.
    NotBefore(Timestamp, Rule),
    /// It may be made.
    Allowed,
}

impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allowed => f.write_str("allowed"),
            Self::NotBefore(at, _) => write!(f, "not before {}", written(*at)),
            Self::Never(_) => f.write_str("never"),
        }
    }
}

impl Verdict {
    /// Both together: the first refusal, else the latest instant.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Never(_), _) | (_, Self::Allowed) => self,
            (_, Self::Never(_)) | (Self::Allowed, _) => other,
            (Self::NotBefore(at, _), Self::NotBefore(later, _)) if later > at => other,
            (Self::NotBefore(..), Self::NotBefore(..)) => self,
        }
    }
}

/// What charges are planned and judged by, besides the case and its campaign.
#[derive(Clone, Copy, Debug)]
pub struct Grounds<'a> {
    /// What the codes of declines mean.
    pub codes: &'a Taxonomy,
    /// What was learned.
    pub learned: &'a Learned,
    /// The rules of the networks.
    pub rules: &'a Rules,
    /// What was tried on the instruments of the case's connection.
    pub history: &'a History,
}

/// What every rule together says of a charge of the case on an instrument at `at`. A payment method that was not declined yet
/// starts anew, as far as our own rules are concerned; for the networks it is the instrument that does.
pub fn may_charge(case: &Case, tried: &Tried, fresh_method: bool, at: Timestamp, grounds: Grounds<'_>) -> Verdict {
    if alive("no_ceiling") {
        return Verdict::Allowed;
    }
    let charge = charge_of(case, tried, at);
    own(case, fresh_method, grounds).and(ceiling(grounds.rules, &charge, &tried.attempts))
}

/// What each rule says that binds a charge of the case on an instrument at `at`.
pub fn consulted(case: &Case, tried: &Tried, fresh_method: bool, at: Timestamp, grounds: Grounds<'_>) -> Vec<Said> {
    let own = match own(case, fresh_method, grounds) {
        Verdict::Never(rule) if rule != Rule::EightRetries => Some(Said::plain(rule, Verdict::Never(rule))),
        Verdict::Never(_) | Verdict::NotBefore(..) | Verdict::Allowed => None,
    };
    let spent = case.memory.charges >= CHARGES_MAX;
    let eight = Said {
        rule: Rule::EightRetries,
        verdict: if spent {
            Verdict::Never(Rule::EightRetries)
        } else {
            Verdict::Allowed
        },
        counted: Some(case.memory.charges),
        limit: Some(CHARGES_MAX),
    };
    let charge = charge_of(case, tried, at);
    let networks = consult(grounds.rules, &charge, &tried.attempts);
    std::iter::once(eight).chain(own).chain(networks).collect()
}

fn charge_of<'a>(case: &'a Case, tried: &'a Tried, at: Timestamp) -> Charge<'a> {
    Charge {
        instrument: &tried.instrument,
        amount: case.amount_due,
        case_id: &case.id,
        at,
    }
}

/// What the rules of our own say of a charge of the case.
fn own(case: &Case, fresh_method: bool, grounds: Grounds<'_>) -> Verdict {
    if case.memory.charges >= CHARGES_MAX {
        return Verdict::Never(Rule::EightRetries);
    }
    if fresh_method {
        return Verdict::Allowed;
    }
    match case.decline.disposition {
        Disposition::Never => Verdict::Never(Rule::TerminalDecline),
        Disposition::FixData | Disposition::CustomerAction => Verdict::Never(Rule::CustomerMustAct),
        Disposition::Merchant => Verdict::Never(Rule::MerchantMustAct),
        Disposition::Retry if case.memory.charges >= UNKNOWN_CHARGES_MAX && grounds.codes.is_guess(&case.decline) => {
            Verdict::Never(Rule::UnknownCode)
        }
        Disposition::Retry => Verdict::Allowed,
    }
}
