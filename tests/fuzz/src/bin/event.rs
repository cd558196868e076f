//! The body of a webhook: whatever it is, it is read or refused; and what is read is what it says.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use recoup::providers::stripe::{Stripe, StripeSettings};
use recoup::providers::{Hint, Provider};
use serde_json::Value;

static STRIPE: LazyLock<Stripe> = LazyLock::new(|| {
    Stripe::new(StripeSettings {
        api_base: "http://127.0.0.1:1".parse().unwrap(),
        api_key: "sk_test_fuzz".into(),
        webhook_secrets: Vec::new(),
    })
    .unwrap()
});

fuzz_target!(|input: &[u8]| {
    let event = match STRIPE.normalize(input) {
        Ok(event) => event,
        Err(fault) => {
            // It goes into the log and into the inbox, where nothing of the body belongs.
            assert!(fault.0.len() < 100 && fault.0.is_ascii(), "{fault}");
            return;
        }
    };
    for name in names(&event.hint).into_iter().chain([&event.event_id, &event.kind]) {
        assert!((1..=255).contains(&name.len()), "{name:?}");
        assert!(name.bytes().all(|byte| byte.is_ascii_graphic()), "{name:?}");
    }
    // A part that nobody looks at may hold what this reader refuses, such as a number beyond all bounds.
    let Ok(body) = serde_json::from_slice::<Value>(input) else {
        return;
    };
    // A list of an object's values in their order is taken for the object; no provider writes one.
    if !body.is_object() || !(body["data"].is_object() || body["data"].is_null()) {
        return;
    }
    assert_eq!(body["id"], event.event_id.as_str());
    assert_eq!(body["type"], event.kind.as_str());
    assert_eq!(body["livemode"].as_bool(), event.livemode);
    assert!(
        event
            .created_at
            .is_none_or(|at| body["created"].as_i64() == Some(at.as_second()))
    );
    let object = &body["data"]["object"];
    for name in names(&event.hint) {
        assert!(holds(object, name), "{name:?} stands nowhere in {object}");
    }
    if let Hint::Invoice { invoice_id, .. } = &event.hint {
        assert!(event.kind.starts_with("invoice."), "{}", event.kind);
        assert!([&object["id"], object].contains(&&Value::from(invoice_id.as_str())));
    }
    let again = STRIPE.normalize(body.to_string().as_bytes());
    assert_eq!(again.as_ref(), Ok(&event), "written anew it is another event");
});

/// Every name that a hint holds.
fn names(hint: &Hint) -> Vec<&String> {
    let names = match hint {
        Hint::Invoice { invoice_id, failure: _ } => [Some(invoice_id), None, None, None],
        Hint::Payment {
            invoice_id,
            payment_id,
            charge_id,
            what: _,
        } => [invoice_id.as_ref(), payment_id.as_ref(), charge_id.as_ref(), None],
        Hint::Subscription { subscription_id } => [Some(subscription_id), None, None, None],
        Hint::PaymentMethod {
            customer_id,
            payment_method,
            fingerprint,
            instrument,
            renewed: _,
        } => {
            let key = instrument.as_ref().map(|instrument| &instrument.key);
            [Some(customer_id), payment_method.as_ref(), fingerprint.as_ref(), key]
        }
        Hint::Customer { customer_id } => [Some(customer_id), None, None, None],
        Hint::Upcoming(upcoming) => [Some(&upcoming.subscription_id), Some(&upcoming.customer_id), None, None],
        Hint::Unhandled => [None; 4],
    };
    names.into_iter().flatten().collect()
}

fn holds(value: &Value, text: &str) -> bool {
    match value {
        Value::String(have) => have == text,
        Value::Array(items) => items.iter().any(|item| holds(item, text)),
        Value::Object(fields) => fields.values().any(|field| holds(field, text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
