//! How a case ended. Final: never reopened.

use serde::{Deserialize, Serialize};

use super::words::words;

words! {
    /// Whose doing a recovery was.
    RecoveredBy {
        /// One of our planned charges.
        Retry = "retry",
        /// A retry of the provider's own.
        ProviderRetry = "provider_retry",
        /// Our charge of a new or renewed payment method.
        CardUpdate = "card_update",
        /// The customer paid on-session.
        Customer = "customer",
        /// Paid without money through the provider.
        OutOfBand = "out_of_band",
    }
}

words! {
    /// Why a campaign ended without money.
    ExhaustedReason {
        /// Every planned charge was made, or none was possible.
        AttemptsSpent = "attempts_spent",
        /// The last decline forbids any further charge.
        TerminalDecline = "terminal_decline",
    }
}

words! {
    /// What became of the subscription or invoice.
    ExhaustedThen {
        /// The subscription was cancelled.
        Cancelled = "cancelled",
        /// The subscription stands unpaid at the provider.
        Unpaid = "unpaid",
        /// Collection was paused.
        Paused = "paused",
        /// The invoice was marked uncollectible.
        Uncollectible = "uncollectible",
        /// Nothing was done.
        LeftOpen = "left_open",
    }
}

words! {
    /// Why a case was stopped before its campaign ended.
    StoppedWhy {
        /// The customer cancelled the subscription.
        CustomerCancelled = "customer_cancelled",
        /// Nothing is owed any more.
        Voided = "voided",
        /// The customer disputes a charge of the invoice.
        Disputed = "disputed",
        /// The merchant gave the invoice up.
        WrittenOff = "written_off",
        /// Staff stopped it.
        Staff = "staff",
        /// The customer's data was erased.
        Erased = "erased",
    }
}

words! {
    /// Where a case stands, in one word.
    Status {
        /// Still chased.
        Open = "open",
        /// Ended with money.
        Recovered = "recovered",
        /// Ended without money.
        Exhausted = "exhausted",
        /// Ended because the chase became pointless.
        Stopped = "stopped",
    }
}

/// How a case ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Outcome {
    /// The invoice was paid.
    Recovered {
        /// Whose doing it was.
        by: RecoveredBy,
    },
    /// The campaign ended without money.
    Exhausted {
        /// Why.
        reason: ExhaustedReason,
        /// What became of the subscription or invoice.
        then: ExhaustedThen,
    },
    /// The chase became pointless or forbidden.
    Stopped {
        /// Why.
        why: StoppedWhy,
    },
}

impl Outcome {
    /// The outcome in one word.
    pub const fn status(self) -> Status {
        match self {
            Self::Recovered { .. } => Status::Recovered,
            Self::Exhausted { .. } => Status::Exhausted,
            Self::Stopped { .. } => Status::Stopped,
        }
    }
}
