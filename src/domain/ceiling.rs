//! The ceiling: what no campaign, model or person can override.
//!
//! Here stand the rules that hold on any network; each names its source. `Never` is about the instrument: a new card
//! starts anew.

use jiff::Timestamp;

use super::calendar::secs_from;
use super::case::Case;
use super::decline::Disposition;
use super::learning::Learned;
use super::mutant::alive;
use super::taxonomy::Taxonomy;
use super::words::words;

words! {
    /// The rule behind a refusal.
    Rule {
        /// The last decline forbids any further charge of the instrument.
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

/// What charges are planned and judged by, besides the case and its campaign.
#[derive(Clone, Copy, Debug)]
pub struct Grounds<'a> {
    /// What the codes of declines mean.
    pub codes: &'a Taxonomy,
    /// What was learned.
    pub learned: &'a Learned,
}

/// What the ceiling says of a charge of the case at `at`. A payment method that was not declined yet starts anew.
pub fn ceiling(case: &Case, fresh_method: bool, at: Timestamp, grounds: &Grounds<'_>) -> Verdict {
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
