//! The header of a webhook's signature: it is taken exactly where a second implementation, with another library, takes it.
//!
//! Parts: the signed time, the body, the header. In the header `{t}` becomes the signed time, and `{a}`, `{b}`, `{e}` and
//! `{x}` the signature with the new secret, the old one, an empty one and one that is not ours; `{A}` is `{a}` in capitals.

#![no_main]

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use recoup::providers::signature::{TOLERANCE_SECS, verify};
use recoup_fuzz::parts::{parts, text};
use ring::hmac;

const NOW_SECS: i64 = 1_800_000_000;
const NEW: &str = "whsec_new";
const OLD: &str = "whsec_old";

fuzz_target!(|input: &[u8]| {
    let [time, body, template] = parts(input);
    let time = text(time);
    let signed = |secret: &str| hex(hmac::sign(&key(secret), &message(&time, body)).as_ref());
    let header = text(template)
        .replace("{t}", &time)
        .replace("{a}", &signed(NEW))
        .replace("{A}", &signed(NEW).to_uppercase())
        .replace("{b}", &signed(OLD))
        .replace("{e}", &signed(""))
        .replace("{x}", &signed("whsec_theirs"));
    let secrets = [NEW, OLD, ""].map(Into::into);
    let now = Timestamp::from_second(NOW_SECS).unwrap();
    let answer = verify(Some(&header), body, &secrets, now);
    assert_eq!(answer.is_ok(), accepts(&header, body), "{answer:?} for {header:?}");
    assert!(verify(None, body, &secrets, now).is_err());
    assert!(
        verify(Some(&header), body, &secrets[2..], now).is_err(),
        "an empty secret signs nothing"
    );
});

/// What the second implementation says.
fn accepts(header: &str, body: &[u8]) -> bool {
    let elements: Vec<&str> = header.split(',').collect();
    let times: Vec<&str> = elements
        .iter()
        .filter_map(|element| element.strip_prefix("t="))
        .collect();
    let [time] = times[..] else { return false };
    let near = |secs: i64| (NOW_SECS - TOLERANCE_SECS..=NOW_SECS + TOLERANCE_SECS).contains(&secs);
    let in_time = time.chars().all(|digit| digit.is_ascii_digit()) && time.parse().is_ok_and(near);
    let message = message(time, body);
    let signed = elements
        .iter()
        .filter_map(|element| element.strip_prefix("v1="))
        .any(|signature| {
            let signature = unhex(signature.as_bytes()).unwrap_or_default();
            [NEW, OLD]
                .iter()
                .any(|secret| hmac::verify(&key(secret), &message, &signature).is_ok())
        });
    header.len() <= 4096 && in_time && signed
}

fn key(secret: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())
}

fn message(time: &str, body: &[u8]) -> Vec<u8> {
    [time.as_bytes(), b".", body].concat()
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |digits, byte| digits + &format!("{byte:02x}"))
}

fn unhex(digits: &[u8]) -> Option<Vec<u8>> {
    let value = |digit: u8| {
        char::from(digit)
            .to_digit(16)
            .and_then(|value| u8::try_from(value).ok())
    };
    let (pairs, rest) = digits.as_chunks::<2>();
    let bytes = pairs
        .iter()
        .map(|[high, low]| Some(value(*high)? * 16 + value(*low)?))
        .collect();
    if rest.is_empty() { bytes } else { None }
}
