//! A sign-in that was begun and has not come back from the identity provider yet.
//!
//! The browser holds 256 random bits in a cookie, and nobody else does. State, nonce and the verifier of PKCE follow from them, each by
//! a MAC of its own, so nothing has to be stored: what comes back fits the browser that began, or it does not. The instant of the
//! beginning stands beside them and goes into each MAC, so that it cannot be put forward. A cookie is taken from the browser by
//! the first answer, whatever that was; and a code is good once at the provider.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

use crate::clock;

/// How many minutes there are to sign in at the provider.
pub(crate) const MINUTES: i64 = 10;
/// How many characters the random part of the cookie has.
const TOKEN_CHARS: usize = 64;

/// A sign-in under way.
pub(crate) struct Pending {
    token: String,
    begun_at: Timestamp,
}

impl Pending {
    /// Begins one.
    pub(crate) fn begin(now: Timestamp) -> Self {
        Self {
            token: format!("{:032x}{:032x}", clock::entropy(), clock::entropy()),
            begun_at: now,
        }
    }

    /// The one that a browser holds, where it is not too old.
    pub(crate) fn read(cookie: &str, now: Timestamp) -> Option<Self> {
        let (begun, token) = cookie.split_once('-')?;
        let begun_at = Timestamp::from_millisecond(begun.parse().ok()?).ok()?;
        let age = now.duration_since(begun_at);
        let ours = token.len() == TOKEN_CHARS && token.bytes().all(|byte| byte.is_ascii_hexdigit());
        let good = ours && age < SignedDuration::from_mins(MINUTES) && age > -SignedDuration::from_mins(1);
        good.then(|| Self {
            token: token.to_owned(),
            begun_at,
        })
    }

    /// What the browser holds.
    pub(crate) fn cookie(&self) -> String {
        format!("{}-{}", self.begun_at.as_millisecond(), self.token)
    }

    /// Whether an answer is to this sign-in.
    pub(crate) fn is_of(&self, state: &str) -> bool {
        self.state().as_bytes().ct_eq(state.as_bytes()).into()
    }

    /// What the provider gives back to the browser as it is.
    pub(super) fn state(&self) -> String {
        self.word("state")
    }

    /// What the provider puts into the token.
    pub(super) fn nonce(&self) -> String {
        self.word("nonce")
    }

    /// What only we show to the provider, when we redeem the code.
    pub(super) fn verifier(&self) -> String {
        self.word("verifier")
    }

    /// What the provider is told of the verifier beforehand.
    pub(super) fn challenge(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(self.verifier()))
    }

    fn word(&self, purpose: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.token.as_bytes()).expect("HMAC takes a key of any length");
        mac.update(format!("oidc {purpose} {}", self.begun_at.as_millisecond()).as_bytes());
        hex::encode(mac.finalize().into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_browser_holds_ends_and_cannot_be_put_forward() {
        let now: Timestamp = "2026-03-02T10:00:00Z".parse().unwrap();
        let begun = Pending::begin(now);
        let state = begun.state();
        let later = |minutes| now + SignedDuration::from_mins(minutes);
        assert!(Pending::read(&begun.cookie(), later(9)).unwrap().is_of(&state));
        assert!(Pending::read(&begun.cookie(), later(MINUTES)).is_none());
        let forward = begun.cookie().replace(
            &now.as_millisecond().to_string(),
            &later(MINUTES).as_millisecond().to_string(),
        );
        assert!(!Pending::read(&forward, later(MINUTES)).unwrap().is_of(&state));
        assert!(Pending::read(&forward, now).is_none(), "begun in the future");
        for text in [
            "",
            "-",
            "1-",
            "x-y",
            &begun.token,
            &format!("{}-{}", i64::MAX, begun.token),
        ] {
            assert!(Pending::read(text, now).is_none(), "{text}");
        }
    }

    #[test]
    fn each_word_is_another_and_the_verifier_is_long_enough() {
        let pending = Pending::begin("2026-03-02T10:00:00Z".parse().unwrap());
        let words = [pending.state(), pending.nonce(), pending.verifier()];
        assert!(words[0] != words[1] && words[1] != words[2] && words[0] != words[2]);
        assert!((43..=128).contains(&pending.verifier().len()), "RFC 7636, section 4.1");
        assert!(!pending.is_of(&words[1]) && !pending.is_of(""));
    }
}
