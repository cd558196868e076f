//! How long the provider asks us to wait: never longer than an hour, and what it says where it says it in order.
//!
//! Parts: `Retry-After`, `Date`, `Stripe-Should-Retry`; without a second part there is a date of ours.

#![no_main]

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::fmt::rfc2822::{DateTimeParser, DateTimePrinter};
use libfuzzer_sys::fuzz_target;
use recoup::providers::ChargeOutcome;
use recoup_fuzz::parts::parts;
use recoup_fuzz::provider::{Provider, Script};

static PROVIDER: LazyLock<Provider> = LazyLock::new(Provider::start);
const WAIT_MAX: Duration = Duration::from_hours(1);
/// The least wait where the provider says that sending again does not help.
const AGAINST_ADVICE: Duration = Duration::from_mins(10);

fuzz_target!(|input: &[u8]| {
    // The end of a line would begin another header.
    let [wait, mut date, advice] = parts(input).map(|part| without(part, b"\r\n"));
    if date.is_empty() {
        date = b"Sun, 01 Mar 2026 00:00:00 GMT".to_vec();
    }
    let headers = [
        ("Retry-After", &wait),
        ("Date", &date),
        ("Stripe-Should-Retry", &advice),
    ];
    let outcome = PROVIDER.charge(&Script {
        status: 503,
        headers: headers.map(|(name, value)| (name, value.clone())).into(),
        body: b"{}".to_vec(),
        ..Script::default()
    });
    let ChargeOutcome::Unknown { reason, retry_after } = outcome else {
        panic!("{outcome:?}")
    };
    assert!(retry_after.is_none_or(|wait| wait <= WAIT_MAX), "{retry_after:?}");
    if reason != "HTTP 503" {
        assert_eq!(retry_after, None, "{reason}");
        return;
    }
    let [wait, date, advice] = [&wait, &date, &advice].map(|value| bare(value));
    let against = advice == b"false";
    assert!(!against || retry_after >= Some(AGAINST_ADVICE), "{retry_after:?}");
    let Some(asked) = asked(wait, date) else { return };
    let asked = asked.min(WAIT_MAX);
    assert_eq!(
        retry_after,
        Some(if against { asked.max(AGAINST_ADVICE) } else { asked })
    );
});

fn without(part: &[u8], bytes: &[u8]) -> Vec<u8> {
    part.iter().copied().filter(|byte| !bytes.contains(byte)).collect()
}

/// The value without what the parser of HTTP cuts off.
fn bare(value: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let begin = value.iter().position(|byte| !blank(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !blank(byte)).map_or(begin, |at| at + 1);
    &value[begin..end]
}

/// What is asked for in one of the two forms that the standard has; nothing where it is in none.
fn asked(wait: &[u8], date: &[u8]) -> Option<Duration> {
    let text = std::str::from_utf8(wait).ok()?;
    if !text.is_empty() && text.chars().all(|digit| digit.is_ascii_digit()) {
        return Some(text.parse().map_or(Duration::MAX, Duration::from_secs));
    }
    let (until, from) = (instant(text)?, instant(std::str::from_utf8(date).ok()?)?);
    Some(until.duration_since(from).unwrap_or_default())
}

/// A date as the standard wants it written, the right day of the week included. The library is another than the
/// service's; it knows no instant of the last day of the year 9999.
fn instant(text: &str) -> Option<SystemTime> {
    let at = DateTimeParser::new().parse_timestamp(text).ok()?;
    let written = DateTimePrinter::new().timestamp_to_rfc9110_string(&at).ok()?;
    (written == text && at >= Timestamp::UNIX_EPOCH).then(|| at.into())
}
