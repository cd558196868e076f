//! Why a charge was declined, and what that allows.

use serde::{Deserialize, Serialize};

use super::words::words;

words! {
    /// The twelve kinds every provider's codes are translated to.
    DeclineKind {
        /// Not enough money on the account today.
        InsufficientFunds = "insufficient_funds",
        /// A velocity or amount limit of the card was reached.
        Limit = "limit",
        /// The issuer said no and gave no reason.
        DoNotHonor = "do_not_honor",
        /// The issuer or the processor did not answer.
        IssuerDown = "issuer_down",
        /// The card expired or its data changed.
        Expired = "expired",
        /// The number or the account does not exist, or data given with it is wrong.
        InvalidAccount = "invalid_account",
        /// The card is reported lost or stolen.
        LostStolen = "lost_stolen",
        /// The issuer or the provider suspects fraud.
        Fraud = "fraud",
        /// This card may not be used for this purchase.
        NotPermitted = "not_permitted",
        /// The customer must confirm the payment (3-D Secure, PIN).
        AuthenticationRequired = "authentication_required",
        /// The customer withdrew the permission to charge.
        Revoked = "revoked",
        /// The fault is ours: amount, duplicate, configuration.
        MerchantConfig = "merchant_config",
    }
}

words! {
    /// What a decline allows.
    Disposition {
        /// Time heals it: retry by schedule.
        Retry = "retry",
        /// The data must change first, by the card updater or the customer.
        FixData = "fix_data",
        /// The customer must act on-session.
        CustomerAction = "customer_action",
        /// Never again on this instrument.
        Never = "never",
        /// Our own fault: a person must look.
        Merchant = "merchant",
    }
}

/// One decline as the provider and the network gave it, with our reading of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Decline {
    /// Our kind.
    pub kind: DeclineKind,
    /// What the kind, or an overruling network or advice code, allows.
    pub disposition: Disposition,
    /// The provider's own code, such as Stripe's `decline_code`.
    pub provider_code: Option<String>,
    /// The network's response code (DE 39), where known.
    pub network_code: Option<String>,
    /// The network's or the provider's advice code, where known.
    pub advice_code: Option<String>,
}
