//! Snapshots in both shapes, with parts missing, and with the provider failing half way.

use recoup::domain::decline::{DeclineKind, Disposition};
use recoup::domain::money::Money;
use recoup::domain::snapshot::{CancelReason, InvoiceStatus, PaymentStatus, Snapshot, SubscriptionStatus};
use recoup::providers::{Provider, ReadError};
use serde_json::{Value, json};

use super::fake::{Fake, Reply};
use super::{fixture, stripe_at};

/// The routes of a fixture with some bodies changed: an object is merged into the body, `null` takes the route away.
fn routes(name: &str, changes: &[(&str, Value)]) -> Vec<(String, Reply)> {
    let mut bodies = fixture(name);
    let bodies = bodies.as_object_mut().unwrap();
    for (path, change) in changes {
        let Some(change) = change.as_object() else {
            bodies.remove(*path);
            continue;
        };
        let body = bodies
            .entry(*path)
            .or_insert_with(|| json!({}))
            .as_object_mut()
            .unwrap();
        body.extend(change.clone());
    }
    bodies
        .iter()
        .map(|(path, body)| (path.clone(), Reply::json(200, body)))
        .collect()
}

async fn read(routes: Vec<(String, Reply)>) -> Result<Snapshot, ReadError> {
    let fake = Fake::start(routes).await;
    stripe_at(&fake.base).snapshot("in_1").await
}

async fn changed(name: &str, changes: &[(&str, Value)]) -> Snapshot {
    read(routes(name, changes)).await.unwrap()
}

const INVOICE: &str = "GET /v1/invoices/in_1";
const PAYMENTS: &str = "GET /v1/invoice_payments";
const INTENT: &str = "GET /v1/payment_intents/pi_1";
const CHARGE: &str = "GET /v1/charges/ch_1";
const CUSTOMER: &str = "GET /v1/customers/cus_1";
const SUBSCRIPTION: &str = "GET /v1/subscriptions/sub_1";
const METHOD: &str = "GET /v1/payment_methods/pm_2";

#[tokio::test]
async fn both_shapes_tell_the_same() {
    let new = changed("snapshot_new.json", &[]).await;
    assert_eq!(changed("snapshot_old.json", &[]).await, new);
    assert_eq!((new.invoice_id.as_str(), new.customer_id.as_str()), ("in_1", "cus_1"));
    assert_eq!(new.subscription_id.as_deref(), Some("sub_1"));
    assert_eq!(new.status, InvoiceStatus::Open);
    let eur = |minor| Money::new(minor, "EUR".parse().unwrap());
    assert_eq!((new.amount_remaining, new.amount_paid), (eur(1999), eur(0)));
    assert!(new.automatic && new.attempted && !new.paid_out_of_band);
    assert_eq!(
        new.provider_next_attempt_at,
        Some("2026-03-04T00:00:00Z".parse().unwrap())
    );
    assert_eq!(new.pay_url.as_deref(), Some("https://invoice.example.com/i/1"));
    assert_eq!(new.description.as_deref(), Some("Pro plan (monthly)"));
    let payment = new.payment.unwrap();
    assert_eq!(
        (payment.charge_id.as_deref(), payment.payment_id.as_deref()),
        (Some("ch_1"), Some("pi_1"))
    );
    assert_eq!(payment.status, PaymentStatus::Failed);
    assert_eq!(payment.charged_at, Some("2026-03-01T00:00:00Z".parse().unwrap()));
    let decline = payment.decline.unwrap();
    assert_eq!(
        (decline.kind, decline.disposition),
        (DeclineKind::InsufficientFunds, Disposition::Retry)
    );
    assert_eq!(decline.provider_code.as_deref(), Some("insufficient_funds"));
    assert_eq!(
        (decline.network_code.as_deref(), decline.advice_code.as_deref()),
        (Some("51"), Some("24"))
    );
    assert_eq!(
        (payment.payment_method.as_deref(), payment.fingerprint.as_deref()),
        (Some("pm_1"), Some("fp_one"))
    );
    let card = payment.card.unwrap();
    assert_eq!((card.brand.as_str(), card.last4.as_str()), ("mastercard", "4444"));
    assert!(!payment.disputed && payment.refunded_minor == 0);
    let subscription = new.subscription.unwrap();
    assert_eq!(subscription.status, SubscriptionStatus::PastDue);
    assert!(!subscription.collection_paused && !subscription.cancel_at_period_end);
    let customer = new.customer;
    assert_eq!(
        (customer.email.as_deref(), customer.name.as_deref()),
        (Some("ada@example.com"), Some("Ada"))
    );
    assert_eq!(
        (customer.locale.as_deref(), customer.zone.as_deref()),
        (Some("de-AT"), Some("Europe/Vienna"))
    );
    let default = new.default_method.unwrap();
    assert_eq!((default.id.as_str(), default.fingerprint), ("pm_2", None));
}

#[tokio::test]
async fn what_would_be_charged_is_named_by_the_invoice_then_the_subscription_then_the_customer() {
    let none = json!({ "default_payment_method": null });
    let no_settings = json!({ "invoice_settings": null, "default_source": "card_1" });
    let invoice = |key: &str, id: &str| (INVOICE, json!({ key: id }));
    for (changes, id) in [
        (vec![invoice("default_payment_method", "pm_3")], Some("pm_3")),
        (vec![invoice("default_source", "src_3")], Some("src_3")),
        (vec![], Some("pm_2")),
        (vec![(SUBSCRIPTION, none.clone())], Some("pm_1")),
        (
            vec![(SUBSCRIPTION, none.clone()), (CUSTOMER, no_settings)],
            Some("card_1"),
        ),
        (
            vec![(SUBSCRIPTION, none), (CUSTOMER, json!({ "invoice_settings": {} }))],
            None,
        ),
    ] {
        let found = changed("snapshot_new.json", &changes).await.default_method;
        assert_eq!(found.map(|method| method.id).as_deref(), id);
    }
}

#[tokio::test]
async fn the_card_of_the_default_is_read_where_the_last_charge_does_not_tell() {
    let method = json!({ "id": "pm_2", "type": "card", "card": { "fingerprint": "fp_two" } });
    let read_of = async |changes: &[(&str, Value)]| {
        let fake = Fake::start(routes("snapshot_new.json", changes)).await;
        let found = stripe_at(&fake.base).snapshot("in_1").await.unwrap();
        let asked = fake.lines().iter().any(|line| line == METHOD);
        (found.default_method.unwrap().fingerprint, asked)
    };
    let of_method = (METHOD, method);
    assert_eq!(
        read_of(std::slice::from_ref(&of_method)).await,
        (Some("fp_two".to_owned()), true)
    );
    // The charged one needs no further call, and one that is no longer owed neither.
    let charged = (SUBSCRIPTION, json!({ "default_payment_method": "pm_1" }));
    assert_eq!(
        read_of(&[of_method.clone(), charged]).await,
        (Some("fp_one".to_owned()), false)
    );
    let void = (INVOICE, json!({ "status": "void" }));
    assert_eq!(read_of(&[of_method, void]).await, (None, false));
    // Without the object, without a card, and without the endpoint the card is unknown.
    assert_eq!(read_of(&[]).await, (None, true));
    let debit = (METHOD, json!({ "id": "pm_2", "type": "sepa_debit" }));
    assert_eq!(read_of(&[debit]).await, (None, true));
    let mut bare = routes("snapshot_new.json", &[]);
    bare.push((METHOD.to_owned(), Reply::with_headers(404, &[], "<h1>Not Found</h1>")));
    assert_eq!(read(bare).await.unwrap().default_method.unwrap().fingerprint, None);
}

#[tokio::test]
async fn expanded_objects_need_no_second_call() {
    let bodies = fixture("snapshot_old.json");
    let mut intent = bodies[INTENT].clone();
    intent["latest_charge"] = bodies[CHARGE].clone();
    let payments = json!({ "data": [{ "payment": { "type": "payment_intent", "payment_intent": intent } }] });
    let expanded = json!({ "customer": { "id": "cus_1" }, "subscription": { "id": "sub_1" }, "payments": payments });
    let changes = [
        (INVOICE, expanded),
        (PAYMENTS, Value::Null),
        (INTENT, Value::Null),
        (CHARGE, Value::Null),
    ];
    let fake = Fake::start(routes("snapshot_new.json", &changes)).await;
    let found = stripe_at(&fake.base).snapshot("in_1").await.unwrap();
    assert_eq!(found, changed("snapshot_old.json", &[]).await);
    let mut lines = fake.lines();
    lines.sort();
    assert_eq!(lines, [CUSTOMER, INVOICE, METHOD, SUBSCRIPTION]);
}

#[tokio::test]
async fn a_bare_invoice_is_enough() {
    let bare = json!({ "id": "in_1", "status": "open", "currency": "jpy", "customer": "cus_1", "amount_due": 500,
        "amount_paid": 200, "attempt_count": 2, "customer_email": "fallback@example.com", "customer_name": "Fallback" });
    let found = read(vec![(INVOICE.to_owned(), Reply::json(200, &bare))]).await.unwrap();
    assert_eq!(found.amount_remaining, Money::new(300, "JPY".parse().unwrap()));
    assert!(found.automatic && found.attempted);
    assert_eq!((found.payment, found.subscription), (None, None));
    assert_eq!(found.customer.email.as_deref(), Some("fallback@example.com"));
    assert_eq!(found.customer.name.as_deref(), Some("Fallback"));
}

#[tokio::test]
async fn deleted_customers_and_bad_zones_fall_back() {
    let deleted = [(CUSTOMER, json!({ "deleted": true }))];
    let customer = changed("snapshot_new.json", &deleted).await.customer;
    assert_eq!(
        (customer.email.as_deref(), customer.zone),
        (Some("invoice@example.com"), None)
    );
    for (metadata, zone) in [
        (json!({ "timezone": "Mars/Olympus" }), None),
        (json!({ "timezone": 7, "time_zone": "Asia/Tokyo" }), Some("Asia/Tokyo")),
        (Value::Null, None),
    ] {
        let changes = [(
            CUSTOMER,
            json!({ "metadata": metadata, "email": "", "invoice_settings": null }),
        )];
        let customer = changed("snapshot_new.json", &changes).await.customer;
        assert_eq!(customer.zone.as_deref(), zone);
        assert_eq!(customer.email.as_deref(), Some("invoice@example.com"));
    }
}

#[tokio::test]
async fn the_country_is_that_of_the_address_then_of_the_card_that_was_charged_then_of_the_one_that_would_be() {
    let address = |country: Value| (CUSTOMER, json!({ "address": { "country": country } }));
    let of_card = |country: &str| json!({ "type": "card", "card": { "country": country } });
    let charged = (CHARGE, json!({ "payment_method_details": of_card("AT") }));
    let default = (METHOD, of_card("CH"));
    for (changes, country) in [
        (vec![address(json!("JP")), charged.clone(), default.clone()], Some("JP")),
        (vec![address(json!(" jp ")), charged.clone()], Some("JP")),
        (vec![address(json!("Japan")), charged.clone()], Some("AT")),
        (vec![address(Value::Null), charged.clone(), default.clone()], Some("AT")),
        (vec![(CUSTOMER, json!({ "address": null })), charged], Some("AT")),
        (vec![default.clone()], Some("CH")),
        (vec![(METHOD, of_card("ZZ"))], None),
        (vec![], None),
        // Who was deleted still has a card.
        (vec![(CUSTOMER, json!({ "deleted": true })), default], Some("CH")),
    ] {
        let customer = changed("snapshot_new.json", &changes).await.customer;
        assert_eq!(customer.country.as_deref(), country, "{changes:?}");
    }
}

#[tokio::test]
async fn the_metadata_name_the_zone_before_the_country_does() {
    let address = json!({ "country": "JP" });
    for (metadata, zone) in [
        (json!({ "timezone": "Europe/Vienna" }), Some("Europe/Vienna")),
        (json!({ "timezone": "Mars/Olympus" }), Some("Asia/Tokyo")),
        (json!({}), Some("Asia/Tokyo")),
    ] {
        let changes = [(CUSTOMER, json!({ "metadata": metadata, "address": address }))];
        let customer = changed("snapshot_new.json", &changes).await.customer;
        assert_eq!(customer.local_zone(), zone);
    }
}

#[tokio::test]
async fn subscriptions_tell_how_they_ended() {
    let ended = json!({ "status": "canceled", "canceled_at": 1_772_323_200, "cancel_at_period_end": true,
        "cancellation_details": { "reason": "cancellation_requested" }, "pause_collection": { "behavior": "void" } });
    let found = changed("snapshot_new.json", &[(SUBSCRIPTION, ended)])
        .await
        .subscription
        .unwrap();
    assert_eq!(found.status, SubscriptionStatus::Canceled);
    assert_eq!(found.cancel_reason, Some(CancelReason::Requested));
    assert_eq!(found.canceled_at, Some("2026-03-01T00:00:00Z".parse().unwrap()));
    assert!(found.collection_paused && found.cancel_at_period_end);
    let new_reason = json!({ "cancellation_details": { "reason": "boredom" } });
    let found = changed("snapshot_new.json", &[(SUBSCRIPTION, new_reason)])
        .await
        .subscription
        .unwrap();
    assert_eq!(found.cancel_reason, None);
}

#[tokio::test]
async fn payments_in_each_standing() {
    for (status, expected) in [
        ("requires_action", PaymentStatus::RequiresAction),
        ("processing", PaymentStatus::Processing),
        ("requires_capture", PaymentStatus::Processing),
        ("succeeded", PaymentStatus::Succeeded),
        ("canceled", PaymentStatus::Canceled),
    ] {
        let payment = changed("snapshot_old.json", &[(INTENT, json!({ "status": status }))])
            .await
            .payment
            .unwrap();
        assert_eq!(payment.status, expected);
        let kind = payment.decline.map(|decline| decline.kind);
        match expected {
            PaymentStatus::RequiresAction => assert_eq!(kind, Some(DeclineKind::AuthenticationRequired)),
            PaymentStatus::Canceled => assert_eq!(kind, Some(DeclineKind::InsufficientFunds)),
            _ => assert_eq!(kind, None),
        }
    }
    // Without the charge the error still names the card and the decline; without the intent the charge does.
    let payment = changed("snapshot_new.json", &[(CHARGE, Value::Null)])
        .await
        .payment
        .unwrap();
    assert_eq!(
        (payment.charge_id.as_deref(), payment.fingerprint.as_deref()),
        (Some("ch_1"), Some("fp_one"))
    );
    assert_eq!(payment.decline.unwrap().network_code, None);
    let payment = changed("snapshot_old.json", &[(INTENT, Value::Null)])
        .await
        .payment
        .unwrap();
    assert_eq!(
        (payment.status, payment.payment_id.as_deref()),
        (PaymentStatus::Failed, Some("pi_1"))
    );
    assert_eq!(payment.decline.unwrap().kind, DeclineKind::InsufficientFunds);
    for (back, minor) in [
        (json!({ "disputed": true, "amount": 1999, "amount_refunded": 500 }), 500),
        (json!({ "disputed": true, "amount": 1999, "refunded": true }), 1999),
    ] {
        let payment = changed("snapshot_old.json", &[(CHARGE, back)]).await.payment.unwrap();
        assert!(payment.disputed);
        assert_eq!(payment.refunded_minor, minor);
    }
}

#[tokio::test]
async fn of_several_payments_the_live_one_of_this_invoice_counts() {
    let entry = |invoice: &str, status: &str, is_default: bool, intent: &str| {
        json!({ "invoice": invoice, "status": status, "is_default": is_default, "created": 1,
            "payment": { "type": "payment_intent", "payment_intent": intent } })
    };
    for entries in [
        // The filter is not known to this provider.
        [
            entry("in_9", "open", true, "pi_9"),
            entry("in_1", "open", false, "pi_1"),
        ],
        [
            entry("in_1", "canceled", true, "pi_9"),
            entry("in_1", "open", false, "pi_1"),
        ],
        [
            entry("in_1", "open", false, "pi_9"),
            entry("in_1", "open", true, "pi_1"),
        ],
        // The list comes newest first.
        [
            entry("in_1", "open", false, "pi_1"),
            entry("in_1", "open", false, "pi_9"),
        ],
    ] {
        let list = json!({ "data": entries });
        let found = changed("snapshot_new.json", &[(PAYMENTS, list.clone())]).await;
        assert_eq!(found.payment.unwrap().payment_id.as_deref(), Some("pi_1"), "{list}");
    }
}

#[tokio::test]
async fn money_from_elsewhere_is_seen_in_both_shapes() {
    let paid = json!({ "status": "paid", "amount_paid": 1999, "amount_remaining": 0,
        "status_transitions": { "paid_at": 1_772_323_200 } });
    let record = json!({ "data": [
        { "invoice": "in_1", "status": "paid", "payment": { "type": "payment_record", "payment_record": "pr_1" } },
        { "invoice": "in_1", "status": "canceled", "payment": { "type": "payment_intent", "payment_intent": "pi_1" } }] });
    let found = changed("snapshot_new.json", &[(INVOICE, paid.clone()), (PAYMENTS, record)]).await;
    assert!(found.paid_out_of_band);
    assert_eq!(found.paid_at, Some("2026-03-01T00:00:00Z".parse().unwrap()));
    let own = json!({ "data": [
        { "invoice": "in_1", "status": "paid", "payment": { "type": "payment_intent", "payment_intent": "pi_1" } }] });
    assert!(
        !changed("snapshot_new.json", &[(INVOICE, paid.clone()), (PAYMENTS, own)])
            .await
            .paid_out_of_band
    );
    let mut marked = paid;
    marked["paid_out_of_band"] = json!(true);
    assert!(
        changed("snapshot_old.json", &[(INVOICE, marked)])
            .await
            .paid_out_of_band
    );
}

#[tokio::test]
async fn the_card_behind_a_new_default_is_good_to_know_but_not_needed() {
    for reply in [
        Reply::error(500, &json!({ "type": "api_error" })),
        Reply::error(403, &json!({})),
        Reply::error(404, &json!({})),
        Reply::with_headers(200, &[], "<html>"),
    ] {
        let mut routes = routes("snapshot_new.json", &[(METHOD, json!({ "id": "pm_2" }))]);
        routes.iter_mut().find(|(route, _)| *route == METHOD).unwrap().1 = reply;
        let default = read(routes).await.unwrap().default_method.unwrap();
        assert_eq!(default.fingerprint, None);
    }
}

#[tokio::test]
async fn half_a_snapshot_is_none() {
    let with_method = [(METHOD, json!({ "id": "pm_2" }))];
    for path in [INVOICE, PAYMENTS, INTENT, CHARGE, CUSTOMER, SUBSCRIPTION] {
        for (reply, expected) in [
            (Reply::error(500, &json!({ "type": "api_error" })), "HTTP 500 api_error"),
            (Reply::with_headers(200, &[], "<html>"), "the answer cannot be read"),
            (Reply::truncated("{\"id\": \"in_1\"}", 4), "the answer was cut short"),
            (Reply::Reset, "the connection broke"),
        ] {
            let mut routes = routes("snapshot_new.json", &with_method);
            routes.iter_mut().find(|(route, _)| route == path).unwrap().1 = reply;
            let Err(ReadError::Unavailable { reason, .. }) = read(routes).await else {
                panic!("{path} {expected}")
            };
            assert_eq!(reason, expected, "{path}");
        }
        let mut routes = routes("snapshot_new.json", &with_method);
        routes.iter_mut().find(|(route, _)| route == path).unwrap().1 = Reply::error(403, &json!({}));
        assert_eq!(read(routes).await, Err(ReadError::Refused(403)), "{path}");
    }
}

#[tokio::test]
async fn words_that_are_not_known_are_no_answer() {
    for (path, change) in [
        (INVOICE, json!({ "status": "frozen" })),
        (INVOICE, json!({ "status": null })),
        (INVOICE, json!({ "currency": "euro" })),
        (INVOICE, json!({ "id": "in_2" })),
        (INVOICE, json!({ "amount_remaining": "1999" })),
        (INTENT, json!({ "status": "levitating" })),
        (SUBSCRIPTION, json!({ "status": "hibernating" })),
    ] {
        let found = read(routes("snapshot_new.json", &[(path, change.clone())])).await;
        assert!(matches!(found, Err(ReadError::Unavailable { .. })), "{path} {change}");
    }
}

#[tokio::test]
async fn a_missing_invoice_is_told_from_a_wrong_base() {
    assert_eq!(read(vec![]).await, Err(ReadError::NotFound));
    let wrong = read(vec![(
        INVOICE.to_owned(),
        Reply::with_headers(404, &[], "<h1>Not Found</h1>"),
    )])
    .await;
    assert!(matches!(wrong, Err(ReadError::Unavailable { .. })));
    let fake = Fake::start(Vec::<(String, Reply)>::new()).await;
    for id in ["", ".", ".."] {
        assert_eq!(
            stripe_at(&fake.base).snapshot(id).await,
            Err(ReadError::NotFound),
            "{id:?}"
        );
    }
    assert_eq!(fake.lines(), Vec::<String>::new());
}

#[tokio::test]
async fn payments_find_their_invoice_in_both_shapes() {
    for name in ["snapshot_new.json", "snapshot_old.json"] {
        let fake = Fake::start(routes(name, &[])).await;
        let stripe = stripe_at(&fake.base);
        for (payment, charge) in [(Some("pi_1"), None), (None, Some("ch_1")), (Some("pi_1"), Some("ch_1"))] {
            assert_eq!(
                stripe.invoice_of(payment, charge).await,
                Ok(Some("in_1".to_owned())),
                "{name}"
            );
        }
        assert_eq!(stripe.invoice_of(Some("pi_9"), Some("ch_9")).await, Ok(None));
        assert_eq!(stripe.invoice_of(None, None).await, Ok(None));
    }
    let fake = Fake::start(routes("snapshot_new.json", &[])).await;
    stripe_at(&fake.base).invoice_of(Some("pi_1"), None).await.unwrap();
    let asked = "GET /v1/invoice_payments?payment%5Btype%5D=payment_intent&payment%5Bpayment_intent%5D=pi_1";
    assert_eq!(fake.lines(), [asked]);
}
