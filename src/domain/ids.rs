//! Identifiers: a prefix that says what they name, then 128 bits that sort by time of birth.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Builds the text of a time-ordered identifier: 48 bits of milliseconds, then 80 bits of entropy, in hexadecimal.
fn text(prefix: &str, born_ms: i64, entropy: u128) -> String {
    let millis = u64::try_from(born_ms).unwrap_or(0) & 0xffff_ffff_ffff;
    let tail = entropy & 0xffff_ffff_ffff_ffff_ffff;
    format!("{prefix}_{millis:012x}{tail:020x}")
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Makes the identifier from its time of birth (milliseconds since the epoch) and 80 bits of `entropy`.
            pub fn new(born_ms: i64, entropy: u128) -> Self {
                Self(text($prefix, born_ms, entropy))
            }

            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<String> for $name {
            /// Takes a text read from our own database or from a caller; nothing is checked, a wrong one finds nothing.
            fn from(text: String) -> Self {
                Self(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// Names a case.
    CaseId,
    "case"
);
id!(
    /// Names an attempt; for our own attempts it is the idempotency key at the provider.
    AttemptId,
    "att"
);
id!(
    /// Names a notification; its Message-ID is derived from it.
    NotificationId,
    "ntf"
);
id!(
    /// Names a row of the inbox.
    InboxId,
    "inb"
);
id!(
    /// Names an entry of a case's timeline.
    TimelineId,
    "tl"
);
id!(
    /// Names a view of the list of cases.
    ViewId,
    "view"
);
id!(
    /// Names an API key; it is the public part of the key.
    KeyId,
    "key"
);
id!(
    /// Names an audit entry.
    AuditId,
    "aud"
);
id!(
    /// Names a transfer of the ledger.
    TransferId,
    "trf"
);
id!(
    /// Names a charge that the ceiling did not allow.
    BlockedId,
    "blk"
);
id!(
    /// Names a piece of evidence.
    EvidenceId,
    "evi"
);
id!(
    /// Names an entry of the list of addresses that are not written to.
    SuppressionId,
    "sup"
);
id!(
    /// Names a person who signs in.
    PersonId,
    "per"
);
id!(
    /// Names an entry of the list of customers who are not chased.
    ExclusionId,
    "exc"
);
id!(
    /// Names an act that waits for a second person.
    ApprovalId,
    "apr"
);

id!(
    /// Names a version of a campaign that waits for a second person.
    PublicationId,
    "pub"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_ids_sort_after_earlier_ones() {
        let early = CaseId::new(1_767_225_600_000, u128::MAX);
        let late = CaseId::new(1_767_225_600_001, 0);
        assert!(early < late);
        assert_eq!(late.as_str(), "case_019b76daa80100000000000000000000");
    }
}
