//! Each event type in both shapes, and bodies that no provider would send.

use recoup::domain::instrument::Instrument;
use recoup::domain::money::Money;
use recoup::domain::network::Network;
use recoup::domain::renewal::Upcoming;
use recoup::providers::stripe::events::TYPES;
use recoup::providers::{Hint, Malformed, NormalizedEvent, PaymentHint, Provider};
use serde_json::{Value, json};

use super::{fixture, stripe};

fn normalize(event: &Value) -> Result<NormalizedEvent, Malformed> {
    stripe().normalize(event.to_string().as_bytes())
}

fn event(kind: &str, object: &Value, previous: &Value) -> Value {
    json!({ "id": "evt_1", "type": kind, "data": { "object": object, "previous_attributes": previous } })
}

fn hint(kind: &str, object: &Value) -> Hint {
    normalize(&event(kind, object, &json!({}))).unwrap().hint
}

/// The hints of the fixtures' events; only the older shape names the invoice in payments.
fn expected(kind: &str, invoice_id: Option<&str>) -> Hint {
    let invoice_id = invoice_id.map(str::to_owned);
    let payment = |charge: &str, what| Hint::Payment {
        invoice_id: invoice_id.clone(),
        payment_id: Some("pi_1".to_owned()),
        charge_id: Some(charge.to_owned()),
        what,
    };
    let method = |id: &str, fingerprint: &str, renewed| Hint::PaymentMethod {
        customer_id: "cus_1".to_owned(),
        payment_method: Some(id.to_owned()),
        fingerprint: Some(fingerprint.to_owned()),
        instrument: Some(Instrument {
            key: fingerprint.to_owned(),
            network: Network::Visa,
            country: None,
            funding: None,
            bank: None,
        }),
        renewed,
    };
    match kind {
        "payment_intent.payment_failed" | "charge.failed" => payment("ch_1", PaymentHint::Failed),
        "charge.refunded" => payment("ch_1", PaymentHint::Refunded),
        "charge.dispute.created" => Hint::Payment {
            invoice_id: None,
            payment_id: Some("pi_1".to_owned()),
            charge_id: Some("ch_1".to_owned()),
            what: PaymentHint::Disputed,
        },
        "payment_method.attached" => method("pm_9", "fp_nine", false),
        "payment_method.automatically_updated" => method("pm_9", "fp_nine", true),
        "customer.source.updated" => method("card_1", "fp_src", true),
        "customer.updated" => Hint::Customer {
            customer_id: "cus_1".to_owned(),
        },
        _ if kind.starts_with("customer.subscription.") => Hint::Subscription {
            subscription_id: "sub_1".to_owned(),
        },
        _ => Hint::Invoice {
            invoice_id: "in_1".to_owned(),
            failure: ["invoice.payment_failed", "invoice.payment_action_required"].contains(&kind),
        },
    }
}

#[test]
fn each_type_hints_in_both_shapes() {
    for (name, invoice_id) in [("events_new.json", None), ("events_old.json", Some("in_1"))] {
        let events = fixture(name);
        assert_eq!(events.as_array().unwrap().len(), 18);
        for event in events.as_array().unwrap() {
            let kind = event["type"].as_str().unwrap();
            let found = normalize(event).unwrap();
            assert_eq!(found.hint, expected(kind, invoice_id), "{name} {kind}");
            assert_eq!(found.kind, kind);
            assert_eq!(Some(found.event_id.as_str()), event["id"].as_str());
            assert_eq!(found.livemode, Some(false));
            assert_eq!(found.created_at, Some("2026-03-01T00:00:00Z".parse().unwrap()));
        }
    }
}

#[test]
fn a_new_default_payment_method_is_a_new_payment_method() {
    let customer = json!({ "id": "cus_1", "default_source": "card_2",
        "invoice_settings": { "default_payment_method": { "id": "pm_2" } } });
    let changed = |previous: &Value| normalize(&event("customer.updated", &customer, previous)).unwrap().hint;
    let method = |id: &str| Hint::PaymentMethod {
        customer_id: "cus_1".to_owned(),
        payment_method: Some(id.to_owned()),
        fingerprint: None,
        instrument: None,
        renewed: false,
    };
    assert_eq!(
        changed(&json!({ "invoice_settings": { "default_payment_method": null } })),
        method("pm_2")
    );
    assert_eq!(changed(&json!({ "default_source": "card_1" })), method("card_2"));
    let other = Hint::Customer {
        customer_id: "cus_1".to_owned(),
    };
    assert_eq!(changed(&json!({ "invoice_settings": { "footer": "x" } })), other);
    assert_eq!(changed(&Value::Null), other);
    // Taking the default away brings nothing to charge.
    let none = json!({ "id": "cus_1", "invoice_settings": { "default_payment_method": null } });
    let taken = event(
        "customer.updated",
        &none,
        &json!({ "invoice_settings": { "default_payment_method": "pm_1" } }),
    );
    assert_eq!(normalize(&taken).unwrap().hint, other);
}

#[test]
fn what_recoup_does_not_act_on_is_unhandled() {
    assert_eq!(
        hint("payment_method.attached", &json!({ "id": "pm_1", "customer": null })),
        Hint::Unhandled
    );
    // These objects have no id, and a type of the future may have no object.
    assert_eq!(
        hint("invoice.upcoming", &json!({ "customer": "cus_1" })),
        Hint::Unhandled
    );
    assert_eq!(
        hint("invoice_payment.paid", &json!({ "id": "inpay_1" })),
        Hint::Unhandled
    );
    assert_eq!(
        normalize(&json!({ "id": "evt_1", "type": "v9.new" })).unwrap().hint,
        Hint::Unhandled
    );
}

#[test]
fn missing_parts_are_malformed() {
    for (event, what) in [
        (
            json!({ "type": "invoice.paid", "data": { "object": { "id": "in_1" } } }),
            "id",
        ),
        (
            json!({ "id": "", "type": "invoice.paid", "data": { "object": { "id": "in_1" } } }),
            "id",
        ),
        (
            json!({ "id": "evt_\u{0}", "type": "invoice.paid", "data": { "object": { "id": "in_1" } } }),
            "id",
        ),
        (
            json!({ "id": "e".repeat(256), "type": "invoice.paid", "data": { "object": { "id": "in_1" } } }),
            "id",
        ),
        (json!({ "id": "evt_1", "data": { "object": { "id": "in_1" } } }), "type"),
        (json!({ "id": "evt_1", "type": "invoice.paid" }), "data.object.id"),
        (
            json!({ "id": "evt_1", "type": "invoice.paid", "data": { "object": {} } }),
            "data.object.id",
        ),
        (
            json!({ "id": "evt_1", "type": "invoice.paid", "data": { "object": { "id": 7 } } }),
            "data.object.id",
        ),
        (
            json!({ "id": "evt_1", "type": "charge.failed", "data": { "object": null } }),
            "data.object.id",
        ),
    ] {
        assert_eq!(
            normalize(&event),
            Err(Malformed(format!("no usable {what}"))),
            "{event}"
        );
    }
}

#[test]
fn hostile_bodies_are_malformed_or_harmless() {
    let deep = format!(
        "{{\"id\":\"evt_1\",\"type\":\"x\",\"data\":{{\"object\":{}",
        "[".repeat(100_000)
    );
    let bodies: [&[u8]; 9] = [
        b"",
        b"secret-in-the-body",
        b"[]",
        b"null",
        b"\xff\xfe",
        br#"{"id":"evt_1","type":"x","data":{"object":{"a":"\ud800"}}}"#,
        br#"{"id":"evt_1","type":"x","data":{"object":{"a":1e400}}}"#,
        br#"{"id":"evt_1","id":"evt_2","type":"x"}"#,
        deep.as_bytes(),
    ];
    for body in bodies {
        let Err(Malformed(reason)) = stripe().normalize(body) else {
            panic!("{}", String::from_utf8_lossy(body));
        };
        assert!(!reason.contains("secret"), "{reason}");
    }
    let nul = json!({ "id": "in_1", "description": "\u{0}", "customer_name": "\u{202e}" });
    assert_eq!(
        hint("invoice.paid", &nul),
        Hint::Invoice {
            invoice_id: "in_1".to_owned(),
            failure: false
        }
    );
}

#[test]
fn the_key_of_the_request_that_paid_is_kept_and_no_other() {
    let key_of = |kind: &str, request: Value| {
        let event = json!({"id": "evt_1", "type": kind, "request": request, "data": {"object": {"id": "in_1"}}});
        normalize(&event).unwrap().paid_by_key
    };
    let request = json!({"id": "req_1", "idempotency_key": "att_1"});
    for kind in ["invoice.paid", "invoice.payment_succeeded"] {
        assert_eq!(key_of(kind, request.clone()).as_deref(), Some("att_1"));
        // Without a key, without a request, and as versions before 2017-05-25 wrote it.
        for none in [
            json!({"id": "req_1", "idempotency_key": null}),
            Value::Null,
            json!("req_1"),
            json!([7]),
        ] {
            assert_eq!(key_of(kind, none), None);
        }
    }
    for kind in ["invoice.updated", "invoice.payment_failed", "customer.updated"] {
        assert_eq!(key_of(kind, request.clone()), None, "{kind}");
    }
}

#[test]
fn a_renewal_that_is_announced_is_read_in_both_shapes() {
    let old = json!({
        "customer": "cus_1", "subscription": "sub_1", "amount_due": 1999, "currency": "eur", "period_end": 1_775_000_000,
        "next_payment_attempt": 1_775_003_600, "collection_method": "charge_automatically",
        "lines": { "data": [{ "description": "1 × Team plan (at €29.00 / month)" }] },
    });
    let mut new = old.clone();
    new["subscription"].take();
    new["parent"] = json!({ "subscription_details": { "subscription": { "id": "sub_1" } } });
    let upcoming = Upcoming {
        subscription_id: "sub_1".to_owned(),
        customer_id: "cus_1".to_owned(),
        period_ends_at: "2026-03-31T23:33:20Z".parse().unwrap(),
        charge_at: "2026-04-01T00:33:20Z".parse().unwrap(),
        amount: Money::new(1999, "EUR".parse().unwrap()),
        automatic: true,
        description: Some("Team plan".to_owned()),
    };
    for object in [&old, &new] {
        assert_eq!(
            hint("invoice.upcoming", object),
            Hint::Upcoming(Box::new(upcoming.clone()))
        );
    }
    let mut sent = old.clone();
    sent["collection_method"] = json!("send_invoice");
    sent["next_payment_attempt"].take();
    let sent = hint("invoice.upcoming", &sent);
    let manual = Upcoming {
        charge_at: upcoming.period_ends_at,
        automatic: false,
        ..upcoming
    };
    assert_eq!(sent, Hint::Upcoming(Box::new(manual)));
    let mut single = old.clone();
    single["subscription"].take();
    assert_eq!(hint("invoice.upcoming", &single), Hint::Unhandled, "of no subscription");
    for field in ["customer", "amount_due", "currency", "period_end"] {
        let mut lacking = old.clone();
        lacking[field].take();
        lacking["next_payment_attempt"].take();
        let event = event("invoice.upcoming", &lacking, &json!({}));
        assert!(normalize(&event).is_err(), "{field}");
    }
}

#[test]
fn every_type_that_the_sweep_asks_for_is_acted_on() {
    for kind in TYPES {
        let object = json!({"id": "x_1", "customer": "cus_1", "subscription": "sub_1", "amount_due": 1999, "currency": "eur",
            "period_end": 1_775_000_000});
        assert_ne!(hint(kind, &object), Hint::Unhandled, "{kind}");
    }
}
