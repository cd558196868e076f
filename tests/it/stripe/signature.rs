//! Signatures: the published vector, rotation, and everything that must be refused.

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use recoup::providers::Provider;
use recoup::providers::signature::{BadSignature, verify};
use recoup::providers::stripe::{Stripe, StripeSettings};
use secrecy::SecretString;

use super::{WEBHOOK_SECRET, stripe};

const BODY: &[u8] = br#"{"id":"evt_1"}"#;
const GOOD: &str = "248a374f50f943a28b0f6ab50faf9a7e7e29b710fa26df9fb1618b9bf8ea9c9a";
const SIGNED_AT: i64 = 1_700_000_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn checked(header: &str) -> Result<(), BadSignature> {
    verify(Some(header), BODY, &[WEBHOOK_SECRET.into()], at(SIGNED_AT))
}

fn signed(secret: &str, time: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(time.as_bytes());
    mac.update(b".");
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

#[test]
fn the_published_vector_passes() {
    assert_eq!(checked(&format!("t=1700000000,v1={GOOD}")), Ok(()));
    let header = format!("t=1700000000,v1={GOOD}");
    assert_eq!(stripe().verify(Some(&header), BODY, at(SIGNED_AT)), Ok(()));
}

#[test]
fn any_v1_of_any_secret_is_enough() {
    let other = "0".repeat(64);
    for header in [
        format!("v1={GOOD},t=1700000000"),
        format!("t=1700000000,v1={other},v1={other},v1={GOOD},v1={other}"),
        format!("t=1700000000,v1=,v1=xyz,v1={GOOD}"),
        format!("t=1700000000,v0={other},v2={other},nonsense,v1={GOOD}"),
    ] {
        assert_eq!(checked(&header), Ok(()), "{header}");
    }
    let secrets: [SecretString; 3] = ["whsec_new".into(), WEBHOOK_SECRET.into(), "whsec_old".into()];
    for secret in ["whsec_new", WEBHOOK_SECRET, "whsec_old"] {
        let header = format!("t=1700000000,v1={}", signed(secret, "1700000000", BODY));
        assert_eq!(verify(Some(&header), BODY, &secrets, at(SIGNED_AT)), Ok(()), "{secret}");
    }
}

#[test]
fn bodies_are_bytes() {
    let body = b"\xff\x00\xfe{";
    let header = format!("t=1700000000,v1={}", signed(WEBHOOK_SECRET, "1700000000", body));
    assert_eq!(
        verify(Some(&header), body, &[WEBHOOK_SECRET.into()], at(SIGNED_AT)),
        Ok(())
    );
}

#[test]
fn everything_else_is_refused_with_its_reason() {
    let long = format!("t=1700000000,v1={GOOD},{}", "x".repeat(4096));
    for (header, reason) in [
        (String::new(), BadSignature::Missing),
        (long, BadSignature::TooLong),
        (format!("v1={GOOD}"), BadSignature::NoTimestamp),
        (
            format!("t=1700000000,t=1700000000,v1={GOOD}"),
            BadSignature::TwoTimestamps,
        ),
        ("t=1700000000".to_owned(), BadSignature::NoSignature),
        (format!("t=1700000000,v0={GOOD}"), BadSignature::NoSignature),
        (format!("t=1700000000,v2={GOOD}"), BadSignature::NoSignature),
        (format!("t=1700000000,V1={GOOD}"), BadSignature::NoSignature),
        (format!("t=1700000000, v1={GOOD}"), BadSignature::NoSignature),
        ("t=1700000000,v1=".to_owned(), BadSignature::NotHex),
        (format!("t=1700000000,v1={}", &GOOD[..63]), BadSignature::NotHex),
        (format!("t=1700000000,v1={}", &GOOD[..62]), BadSignature::NotHex),
        (format!("t=1700000000,v1={GOOD}00"), BadSignature::NotHex),
        (format!("t=1700000000,v1={}", "g".repeat(64)), BadSignature::NotHex),
        (format!("t=1700000000,v1={}", "0".repeat(64)), BadSignature::NoMatch),
        (format!("t=1700000001,v1={GOOD}"), BadSignature::NoMatch),
        (format!("t=01700000000,v1={GOOD}"), BadSignature::NoMatch),
    ] {
        assert_eq!(checked(&header), Err(reason), "{header}");
    }
    assert_eq!(
        verify(None, BODY, &[WEBHOOK_SECRET.into()], at(SIGNED_AT)),
        Err(BadSignature::Missing)
    );
    let header = format!("t=1700000000,v1={GOOD}");
    let refused = |body: &[u8], secrets: &[SecretString]| verify(Some(&header), body, secrets, at(SIGNED_AT));
    assert_eq!(
        refused(b"{\"id\":\"evt_2\"}", &[WEBHOOK_SECRET.into()]),
        Err(BadSignature::NoMatch)
    );
    assert_eq!(refused(BODY, &["whsec_other".into()]), Err(BadSignature::NoMatch));
    assert_eq!(refused(BODY, &[]), Err(BadSignature::NoMatch));
}

#[test]
fn an_empty_secret_lets_nobody_in() {
    let header = format!("t=1700000000,v1={}", signed("", "1700000000", BODY));
    assert_eq!(
        verify(Some(&header), BODY, &["".into()], at(SIGNED_AT)),
        Err(BadSignature::NoMatch)
    );
}

#[test]
fn times_are_plain_digits() {
    for time in [
        "",
        " 1700000000",
        "+1700000000",
        "-1700000000",
        "1e9",
        "1700000000.0",
        "0x65",
        "١٧٠٠٠٠٠٠٠٠",
    ] {
        let header = format!("t={time},v1={}", signed(WEBHOOK_SECRET, time, BODY));
        assert_eq!(checked(&header), Err(BadSignature::BadTimestamp), "{time:?}");
    }
    let header = format!("t=9223372036854775808,v1={GOOD}");
    assert_eq!(checked(&header), Err(BadSignature::BadTimestamp));
}

#[test]
fn the_tolerance_counts_both_ways_and_never_overflows() {
    for (time, expected) in [
        ("1699999700", Ok(())),
        ("1699999699", Err(BadSignature::TooOld)),
        ("1700000300", Ok(())),
        ("1700000301", Err(BadSignature::InFuture)),
        ("0", Err(BadSignature::TooOld)),
        ("9223372036854775807", Err(BadSignature::InFuture)),
    ] {
        let header = format!("t={time},v1={}", signed(WEBHOOK_SECRET, time, BODY));
        assert_eq!(checked(&header), expected, "{time}");
    }
    let header = format!(
        "t=9223372036854775807,v1={}",
        signed(WEBHOOK_SECRET, "9223372036854775807", BODY)
    );
    let early = verify(Some(&header), BODY, &[WEBHOOK_SECRET.into()], Timestamp::MIN);
    assert_eq!(early, Err(BadSignature::InFuture));
}

#[test]
fn an_event_signed_with_the_old_secret_is_taken_and_counted() {
    let rendered = || {
        let text = recoup::telemetry::metric::recorder().render();
        text.contains("\nrecoup_old_secret_total 1\n")
    };
    let account = Stripe::new(StripeSettings {
        api_base: "http://127.0.0.1:1".parse().unwrap(),
        api_key: "sk_test_1".into(),
        webhook_secrets: vec!["whsec_newest".into(), WEBHOOK_SECRET.into()],
    })
    .unwrap();
    let signed_with = |secret: &str| {
        let header = format!("t=1700000000,v1={}", signed(secret, "1700000000", BODY));
        account.verify(Some(&header), BODY, at(SIGNED_AT)).unwrap();
    };
    signed_with("whsec_newest");
    assert!(!rendered(), "the newest one is no news");
    signed_with(WEBHOOK_SECRET);
    assert!(rendered());
}
