//! Every event type, and the keys of its body against what Stripe's own fixtures hold.

use std::collections::{BTreeMap, BTreeSet};

use recoup::sandbox::events::SENT;
use recoup::sandbox::{NewCard, Shape};
use serde_json::Value;

use super::{Stage, at};

/// The keys of Stripe's published fixtures (the API's OpenAPI repository), by object.
const KEYS: &str = include_str!("../../fixtures/stripe-keys.json");

/// Keys of the new shape, which the old one does not have.
const NEWER: [&str; 5] = [
    "parent",
    "amount_overpaid",
    "total_taxes",
    "total_pretax_credit_amounts",
    "customer_account",
];

/// A story in which everything happens that the sandbox can tell of.
async fn eventful(shape: Shape) -> (Stage, Vec<Value>) {
    let stage = Stage::new(shape).await;
    let sandbox = &stage.sandbox;
    let (lost, secure) = (stage.open("lost_card"), stage.open("authentication_required"));
    sandbox.attach_card(
        &stage.customer,
        NewCard {
            expires: (2026, 2),
            updater: true,
            ..NewCard::default()
        },
    );
    assert_eq!(stage.pay(&lost, "k1").await.0, 200);
    assert!(sandbox.refund(&lost));
    assert!(sandbox.dispute(&lost).is_some());
    assert!(sandbox.world(|world| world.confirm_by_customer(&secure)));
    let (void, bad) = (stage.open("do_not_honor"), stage.open("fraudulent"));
    assert!(sandbox.void(&void) && sandbox.world(|world| world.mark_uncollectible(&bad)));
    stage.clock.advance_to(at("2026-03-09T00:00:00Z")).unwrap();
    assert!(sandbox.world(|world| world.pause_subscription(&stage.subscription)));
    assert!(sandbox.cancel_subscription(&stage.subscription));
    let bodies = sandbox.world(|world| world.events().iter().map(|event| event.body(shape, 1)).collect());
    (stage, bodies)
}

fn keys(value: &Value) -> BTreeSet<String> {
    value
        .as_object()
        .unwrap_or_else(|| panic!("{value} is no object"))
        .keys()
        .cloned()
        .collect()
}

fn assert_has(stripe: &BTreeMap<String, BTreeSet<String>>, name: &str, value: &Value, shape: Shape) {
    let ours = keys(value);
    let newer = |key: &String| shape == Shape::New || !NEWER.contains(&key.as_str());
    let missing: Vec<_> = stripe[name].difference(&ours).filter(|key| newer(key)).collect();
    assert!(missing.is_empty(), "{name} ({shape:?}) lacks {missing:?}");
}

#[tokio::test]
async fn every_event_type_happens_and_has_the_keys_of_stripes_fixture() {
    let stripe: BTreeMap<String, BTreeSet<String>> = serde_json::from_str(KEYS).unwrap();
    for shape in [Shape::Old, Shape::New] {
        let (_stage, bodies) = eventful(shape).await;
        let happened: BTreeSet<&str> = bodies.iter().map(|body| body["type"].as_str().unwrap()).collect();
        let missed: Vec<_> = SENT.iter().filter(|kind| !happened.contains(**kind)).collect();
        assert!(missed.is_empty(), "the story has no {missed:?}");
        for body in &bodies {
            assert_has(&stripe, "event", body, shape);
            let object = &body["data"]["object"];
            assert_has(&stripe, object["object"].as_str().unwrap(), object, shape);
            match object["object"].as_str().unwrap() {
                "invoice" => {
                    assert_has(&stripe, "invoice.lines.data", &object["lines"]["data"][0], shape);
                    assert_has(
                        &stripe,
                        "invoice.status_transitions",
                        &object["status_transitions"],
                        shape,
                    );
                }
                "charge" => {
                    assert_has(&stripe, "charge.outcome", &object["outcome"], shape);
                    let card = &object["payment_method_details"]["card"];
                    assert_has(&stripe, "charge.payment_method_details.card", card, shape);
                }
                "payment_method" => assert_has(&stripe, "payment_method.card", &object["card"], shape),
                "subscription" => {
                    assert_has(&stripe, "subscription.items.data", &object["items"]["data"][0], shape);
                    let details = &object["cancellation_details"];
                    assert_has(&stripe, "subscription.cancellation_details", details, shape);
                }
                _ => {}
            }
        }
    }
}

#[tokio::test]
async fn a_failed_charge_is_told_three_times_and_names_the_key_that_made_it() {
    let stage = Stage::new(Shape::Old).await;
    let invoice = stage.open("insufficient_funds");
    stage.sandbox.fail_next(&invoice, "insufficient_funds");
    let before = stage.sandbox.world(|world| world.events().len());
    assert_eq!(stage.pay(&invoice, "att_1").await.0, 402);
    let told: Vec<(String, Value)> = stage.sandbox.world(|world| {
        let new = world.events()[before..].iter();
        new.map(|event| {
            (
                event.kind.to_owned(),
                event.body(Shape::Old, 1)["request"]["idempotency_key"].clone(),
            )
        })
        .collect()
    });
    let kinds: Vec<&str> = told.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(
        kinds,
        [
            "charge.failed",
            "payment_intent.payment_failed",
            "invoice.payment_failed"
        ]
    );
    assert!(told.iter().all(|(_, key)| key == "att_1"));
}

#[tokio::test]
async fn the_list_of_events_is_newest_first_and_pages() {
    let (stage, bodies) = eventful(Shape::New).await;
    let mut ids = Vec::new();
    let mut path = "/v1/events?limit=7".to_owned();
    loop {
        let (_, _, page) = stage.get(&path).await;
        ids.extend(
            page["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|event| event["id"].as_str().unwrap().to_owned()),
        );
        if page["has_more"] == false {
            break;
        }
        path = format!("/v1/events?limit=7&starting_after={}", ids.last().unwrap());
    }
    ids.reverse();
    let all: Vec<&str> = bodies.iter().map(|body| body["id"].as_str().unwrap()).collect();
    assert_eq!(ids, all);
    let since = at("2026-03-01T00:00:00Z").as_second();
    let (_, _, page) = stage
        .get(&format!(
            "/v1/events?limit=100&created[gte]={since}&type=customer.subscription.deleted"
        ))
        .await;
    assert_eq!(page["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_provider_can_retry_by_itself() {
    let stage = Stage::new(Shape::New).await;
    stage.sandbox.world(|world| world.set_own_retries(&[3, 5]));
    let invoice = stage.open("do_not_honor");
    stage.sandbox.fail_next(&invoice, "do_not_honor");
    let (_, _, body) = stage.get(&format!("/v1/invoices/{invoice}")).await;
    assert_eq!(body["next_payment_attempt"], at("2026-01-13T10:00:00Z").as_second());
    assert_eq!(body["attempt_count"], 1);
    stage.pass(3 * 24);
    let (_, _, body) = stage.get(&format!("/v1/invoices/{invoice}")).await;
    assert_eq!(
        (&body["attempt_count"], &body["status"]),
        (&Value::from(2), &Value::from("open"))
    );
    stage.pass(5 * 24);
    let (_, _, body) = stage.get(&format!("/v1/invoices/{invoice}")).await;
    assert_eq!(
        (&body["status"], &body["next_payment_attempt"]),
        (&Value::from("paid"), &Value::Null)
    );
}
