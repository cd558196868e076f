//! Webhook signatures in Stripe's form: `t=<unix seconds>,v1=<hex HMAC-SHA256 of "t.body">`.

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use crate::domain::words::words;

/// How far the signed time may lie from ours, in seconds, both ways.
pub const TOLERANCE_SECS: i64 = 300;

/// The longest header that is looked at, in bytes: room for some fifty signatures.
const HEADER_BYTES_MAX: usize = 4096;

words! {
    /// Why a webhook's signature is refused; the word labels the metric.
    BadSignature {
        /// There is no signature header, or it is no text.
        Missing = "missing",
        /// The header is longer than any honest one.
        TooLong = "too_long",
        /// The header has no `t` element.
        NoTimestamp = "no_timestamp",
        /// The header has more than one `t` element, so that it is open which one was signed.
        TwoTimestamps = "two_timestamps",
        /// The `t` element is not plain digits, or too large.
        BadTimestamp = "bad_timestamp",
        /// The header has no signature of the only scheme that is accepted, `v1`.
        NoSignature = "no_signature",
        /// No `v1` element is made of 64 hexadecimal digits.
        NotHex = "not_hex",
        /// No `v1` element was made with one of our secrets over these bytes.
        NoMatch = "no_match",
        /// Rightly signed, but longer ago than the tolerance.
        TooOld = "too_old",
        /// Rightly signed, but ahead of our clock by more than the tolerance.
        InFuture = "in_future",
    }
}

impl std::error::Error for BadSignature {}

/// Checks a signature header over the raw `body`. Any `v1` element that any of `secrets` made is enough, so that secrets
/// can be rotated; other schemes are ignored. The time is judged last: `TooOld` and `InFuture` tell of honest senders
/// and point at a clock.
pub fn verify(header: Option<&str>, body: &[u8], secrets: &[SecretString], now: Timestamp) -> Result<(), BadSignature> {
    let header = header.filter(|text| !text.is_empty()).ok_or(BadSignature::Missing)?;
    if header.len() > HEADER_BYTES_MAX {
        return Err(BadSignature::TooLong);
    }
    let (signed_at_text, signatures) = split(header)?;
    let signed_at = seconds(signed_at_text)?;
    if signatures.is_empty() {
        return Err(BadSignature::NoSignature);
    }
    let signatures: Vec<[u8; 32]> = signatures.into_iter().filter_map(decoded).collect();
    if signatures.is_empty() {
        return Err(BadSignature::NotHex);
    }
    if !any_matches(signed_at_text, body, secrets, &signatures) {
        return Err(BadSignature::NoMatch);
    }
    let age_secs = now.as_second().saturating_sub(signed_at);
    if age_secs > TOLERANCE_SECS {
        Err(BadSignature::TooOld)
    } else if age_secs < -TOLERANCE_SECS {
        Err(BadSignature::InFuture)
    } else {
        Ok(())
    }
}

/// The text of the one `t` element and the texts of all `v1` elements.
fn split(header: &str) -> Result<(&str, Vec<&str>), BadSignature> {
    let of_scheme = |scheme: &'static str| {
        let elements = header.split(',').filter_map(|element| element.split_once('='));
        elements.filter_map(move |(name, text)| (name == scheme).then_some(text))
    };
    let mut times = of_scheme("t");
    let signed_at = times.next().ok_or(BadSignature::NoTimestamp)?;
    if times.next().is_some() {
        return Err(BadSignature::TwoTimestamps);
    }
    Ok((signed_at, of_scheme("v1").collect()))
}

/// Unix seconds from plain ASCII digits; Rust's own parser would also take a sign.
fn seconds(text: &str) -> Result<i64, BadSignature> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(BadSignature::BadTimestamp);
    }
    text.parse().map_err(|_| BadSignature::BadTimestamp)
}

fn decoded(signature: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(signature, &mut bytes).ok()?;
    Some(bytes)
}

/// Compares every signature with every secret, without stopping early. The key is the secret's whole text.
fn any_matches(signed_at: &str, body: &[u8], secrets: &[SecretString], signatures: &[[u8; 32]]) -> bool {
    let mut matched = false;
    // An empty secret would let anyone sign.
    for secret in secrets.iter().filter(|secret| !secret.expose_secret().is_empty()) {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).expect("HMAC takes a key of any length");
        mac.update(signed_at.as_bytes());
        mac.update(b".");
        mac.update(body);
        for signature in signatures {
            matched |= mac.clone().verify_slice(signature).is_ok();
        }
    }
    matched
}
