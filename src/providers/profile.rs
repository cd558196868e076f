//! How each provider treats an idempotency key: data with its source, for a wrong figure here is a second charge.

use std::sync::LazyLock;
use std::time::Duration;

use serde::Deserialize;

/// How a provider treats an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdempotencyProfile {
    /// The provider.
    pub provider: String,
    /// How long a key protects from a second charge, in seconds.
    ttl_secs: u64,
    /// Whether a failed answer is repeated like any other.
    pub replays_errors: bool,
    /// Within what a key is unique: `account` or `endpoint`.
    pub scope: String,
    /// The longest key, in characters.
    pub max_len: usize,
    /// The HTTP status of a key that was used for another request.
    pub mismatch_status: u16,
    /// Where this is documented.
    pub source: String,
    /// Which edition of it was read, and what it says.
    pub edition: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Profiles {
    #[cfg_attr(not(test), expect(dead_code, reason = "it tells a person which shape the file has"))]
    version: u32,
    profiles: Vec<IdempotencyProfile>,
}

static PROFILES: LazyLock<Profiles> = LazyLock::new(|| {
    serde_json::from_str(include_str!("profiles.json")).expect("profiles.json is valid, as a test shows")
});

impl IdempotencyProfile {
    /// The profile of a provider; nothing where it is unknown.
    pub fn of(provider: &str) -> Option<&'static Self> {
        PROFILES.profiles.iter().find(|profile| profile.provider == provider)
    }

    /// How long a key protects from a second charge.
    pub fn ttl(&self) -> Duration {
        Duration::from_secs(self.ttl_secs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{AttemptId, CaseId};

    #[test]
    fn every_profile_has_a_source_and_our_keys_fit() {
        assert_eq!(PROFILES.version, 1);
        // Charges go by the attempt's id, final actions by case and action, links by the message.
        let attempt = AttemptId::new(i64::MAX, u128::MAX).to_string();
        let action = format!("{}-mark_uncollectible", CaseId::new(i64::MAX, u128::MAX));
        for profile in &PROFILES.profiles {
            assert!(profile.source.starts_with("https://"), "{profile:?}");
            assert!(!profile.edition.is_empty(), "{profile:?}");
            assert!(
                attempt.len() <= profile.max_len && action.len() <= profile.max_len,
                "{profile:?}"
            );
            assert!((400..500).contains(&profile.mismatch_status), "{profile:?}");
            assert!(profile.ttl() > Duration::ZERO, "{profile:?}");
        }
    }
}
