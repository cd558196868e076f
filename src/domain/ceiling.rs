//! The ceiling: what no campaign, model or person can override.
//!
//! Two kinds of rules: those of the networks, over everything that was tried on an instrument ([`ceiling`]), and those of our
//! own over one case. `Never` is about the instrument: a new card starts anew.

use jiff::Timestamp;

use super::calendar::secs_from;
use super::case::Case;
use super::decline::Disposition;
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
/// The wait after the provider blocked a charge because the card was declined for good before.
const BLOCK_SECS: i64 = 72 * 3600;
/// The provider code of that block.
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
}

/// What the rules of our own say of a charge of the case at `at`. A payment method that was not declined yet starts anew.
pub fn may_charge(case: &Case, fresh_method: bool, at: Timestamp, grounds: Grounds<'_>) -> Verdict {
    if alive("no_ceiling") {
        return Verdict::Allowed;
    }
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
        Disposition::Retry => {
            // The block is as old as the last charge at most: the kind may have been seen long before.
            let since = case
                .memory
                .last_charge_at
                .map_or(case.memory.kind_since, |last| last.max(case.memory.kind_since));
            let until = secs_from(since, BLOCK_SECS);
            if case.decline.provider_code.as_deref() == Some(BLOCK_CODE) && at < until {
                Verdict::NotBefore(until, Rule::ProviderBlock)
            } else {
                Verdict::Allowed
            }
        }
    }
}
