//! The answer to a charge: nothing ambiguous counts as declined, as not sent or as paid.
//!
//! Parts: the status with `!` behind it where the answer breaks off, `Retry-After`, `Stripe-Should-Retry`, the body, and
//! the bodies of the reads behind it: the invoice's payments, the payment intent, the charge.

#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use recoup::providers::{ChargeOutcome, Receipt};
use recoup_fuzz::parts::parts;
use recoup_fuzz::provider::{AMOUNT_MINOR, INVOICE, Provider, Script};
use serde::de::IgnoredAny;
use serde_json::Value;

static PROVIDER: LazyLock<Provider> = LazyLock::new(Provider::start);

fuzz_target!(|input: &[u8]| {
    let script = script(input);
    let outcome = PROVIDER.charge(&script);
    let told = match &outcome {
        ChargeOutcome::NotSent {
            reason, retry_after, ..
        }
        | ChargeOutcome::Unknown { reason, retry_after } => {
            assert!(
                retry_after.is_none_or(|wait| wait <= Duration::from_hours(1)),
                "{outcome:?}"
            );
            reason
        }
        ChargeOutcome::Mismatch { reason } => reason,
        ChargeOutcome::Succeeded(_)
        | ChargeOutcome::Declined(_)
        | ChargeOutcome::Processing { .. }
        | ChargeOutcome::NothingOwed => "",
    };
    assert!(told.len() < 200 && !told.contains(char::is_control), "{told:?}");
    let readable = !script.cut && serde_json::from_slice::<IgnoredAny>(&script.body).is_ok();
    let clear = matches!(script.status, 200..300) || matches!(script.status, 400..500);
    if !readable || !clear {
        let refused = !script.cut && matches!(script.status, 401 | 403);
        let unknown = matches!(outcome, ChargeOutcome::Unknown { .. });
        assert!(
            unknown || refused && matches!(outcome, ChargeOutcome::NotSent { .. }),
            "{outcome:?} for {script:?}"
        );
        return;
    }
    let Some(body) = ordinary(&script.body) else { return };
    let fits = match &outcome {
        ChargeOutcome::Declined(_) => is_declined(&script, &body),
        ChargeOutcome::NotSent { .. } => matches!(script.status, 400..500) && !matches!(script.status, 402 | 409 | 429),
        ChargeOutcome::Succeeded(receipt) => is_paid(&script, &body, receipt),
        ChargeOutcome::Processing { .. } => script.status < 300 && body["status"] == "open",
        ChargeOutcome::NothingOwed => script.status < 300 || body["error"].is_object(),
        ChargeOutcome::Unknown { .. } | ChargeOutcome::Mismatch { .. } => true,
    };
    assert!(fits, "{outcome:?} for {script:?}");
});

fn script(input: &[u8]) -> Script {
    let [status, wait, advice, body, payments, intent, charge] = parts(input);
    let digits: String = status
        .iter()
        .map(|byte| char::from(*byte))
        .take_while(char::is_ascii_digit)
        .collect();
    let status_code = digits.parse().unwrap_or(200_u16).clamp(200, 599);
    // These two have no body by the rules of HTTP.
    let body = if matches!(status_code, 204 | 304) { b"" } else { body };
    let reads = [
        ("invoice_payments", payments),
        ("payment_intents/", intent),
        ("charges/", charge),
    ];
    Script {
        status: status_code,
        headers: vec![("Retry-After", wait.to_vec()), ("Stripe-Should-Retry", advice.to_vec())],
        body: body.to_vec(),
        cut: status.ends_with(b"!") && !matches!(status_code, 204 | 304),
        reads: reads.map(|(begin, body)| (begin, body.to_vec())).into(),
    }
}

/// The value, where it is one that both readers take for the same. A part that nobody looks at may hold what this one refuses,
/// such as a number beyond all bounds; and the other takes a list of an object's values for the object, which no
/// provider writes.
fn ordinary(body: &[u8]) -> Option<Value> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let odd = |value: &Value| {
        let lists = value
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(_, field)| field.is_array());
        lists.into_iter().any(|(name, _)| name != "data")
            || value.as_array().is_some_and(|items| items.iter().any(Value::is_array))
    };
    (value.is_object() && !holds(&value, &odd)).then_some(value)
}

/// Whether the answer proves that somebody said no to this very charge.
fn is_declined(script: &Script, body: &Value) -> bool {
    match script.status {
        401 | 403 | 429 => false,
        400..500 => is_refusal(script.status, &body["error"]),
        _ => {
            let is_open = body["id"] == INVOICE && body["status"] == "open";
            let asks = |value: &Value| holds(value, &|inner| inner["status"] == "requires_action");
            let mut reads = script.reads.iter().filter(|(_, body)| !body.is_empty());
            let embedded = holds(body, &|inner| inner["payment_intent"].is_object());
            is_open && (embedded || reads.any(|(_, body)| ordinary(body).is_none_or(|read| asks(&read))))
        }
    }
}

fn is_refusal(status: u16, error: &Value) -> bool {
    let asks_customer = [
        "authentication_required",
        "invoice_payment_intent_requires_action",
        "subscription_payment_intent_requires_action",
        "payment_intent_authentication_failure",
    ];
    let message = error["message"].as_str().unwrap_or_default().to_lowercase();
    let lacks_method = error["code"] == "missing"
        || error["code"] == "resource_missing" && error["param"] == "default_payment_method"
        || message.contains("no `default_payment_method` set")
        || message.contains("no active card");
    error["type"] == "card_error"
        || error["decline_code"].is_string()
        || asks_customer.iter().any(|code| error["code"] == *code)
        || error["type"].is_null() && status == 402 && error["code"].is_string()
        || lacks_method
}

/// Whether the answer proves that the invoice was paid with what we asked for.
fn is_paid(script: &Script, body: &Value, receipt: &Receipt) -> bool {
    let paid = body["amount_paid"].as_i64();
    let in_parts = || {
        let read = script.reads.iter().find(|(begin, _)| *begin == "invoice_payments");
        let Some(list) = read.and_then(|(_, body)| ordinary(body)) else {
            return true;
        };
        holds(&list, &|part| {
            part["status"] == "paid" && part["amount_paid"].as_i64() == Some(AMOUNT_MINOR)
        })
    };
    script.status < 300
        && body["id"] == INVOICE
        && body["status"] == "paid"
        && body["currency"]
            .as_str()
            .is_some_and(|code| code.eq_ignore_ascii_case("eur"))
        && body["amount_remaining"].as_i64().unwrap_or(0) == 0
        && body["paid_out_of_band"] != true
        && paid == Some(receipt.amount_paid.amount_minor)
        && receipt.amount_paid.currency.code() == "EUR"
        && (paid == Some(AMOUNT_MINOR) || paid > Some(AMOUNT_MINOR) && in_parts())
}

/// Whether `wanted` is true of the value, or of one inside of it.
fn holds(value: &Value, wanted: &dyn Fn(&Value) -> bool) -> bool {
    wanted(value)
        || match value {
            Value::Array(items) => items.iter().any(|item| holds(item, wanted)),
            Value::Object(fields) => fields.values().any(|field| holds(field, wanted)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        }
}
