//! What reports split their cases by.

use crate::domain::words::words;

words! {
    /// What the cases of a cohort are split by.
    By {
        /// Not at all.
        None = "none",
        /// The connection.
        Connection = "connection",
        /// How the case stands: `open`, or its outcome.
        Outcome = "outcome",
        /// The kind of the first decline.
        DeclineKind = "decline_kind",
        /// The provider's code of the first decline.
        DeclineCode = "decline_code",
        /// The network that carried the first charge.
        Network = "network",
        /// The country of the bank behind it, else that of the customer.
        Country = "country",
        /// How the card is funded.
        Funding = "funding",
        /// The plan.
        Plan = "plan",
        /// What is owed, in bands of minor units.
        Amount = "amount",
        /// How many days the subscription had run, in bands.
        Tenure = "tenure",
        /// The campaign and its version.
        Campaign = "campaign",
        /// The arm that was drawn first to plan its charges.
        Arm = "arm",
        /// Who may charge.
        Collector = "collector",
        /// The last message that had left within the seven days before the end.
        Message = "message",
        /// The step of the campaign that this message was of.
        Step = "step",
        /// How many charges were made by everybody up to the recovery; only recovered cases have it.
        Attempt = "attempt",
        /// The customer's weekday at the recovery, 1 for Monday; only recovered cases have it.
        Weekday = "weekday",
        /// The customer's hour at the recovery; only recovered cases have it.
        Hour = "hour",
    }
}

impl By {
    /// The dimension of the roll-up that holds it: what every dimension holds is read from `all`.
    pub const fn dimension(self) -> &'static str {
        match self {
            Self::None | Self::Connection | Self::Outcome => "all",
            Self::DeclineKind
            | Self::DeclineCode
            | Self::Network
            | Self::Country
            | Self::Funding
            | Self::Plan
            | Self::Amount
            | Self::Tenure
            | Self::Campaign
            | Self::Arm
            | Self::Collector
            | Self::Message
            | Self::Step
            | Self::Attempt
            | Self::Weekday
            | Self::Hour => self.as_str(),
        }
    }

    /// What the group of cases with this value is called; nothing where nothing is split.
    pub fn group(self, value: &str) -> Option<String> {
        let named = |nothing: &str| Some(if value.is_empty() { nothing } else { value }.to_owned());
        match self {
            Self::None => None,
            Self::Connection
            | Self::Outcome
            | Self::DeclineKind
            | Self::DeclineCode
            | Self::Network
            | Self::Country
            | Self::Funding
            | Self::Plan
            | Self::Amount
            | Self::Tenure
            | Self::Campaign
            | Self::Arm
            | Self::Collector => named(UNKNOWN),
            Self::Message | Self::Step | Self::Attempt | Self::Weekday | Self::Hour => named(NOT_ANY),
        }
    }
}

/// What a group is called of which nothing is known.
const UNKNOWN: &str = "unknown";

/// What the group is called of the cases that have none.
const NOT_ANY: &str = "none";
