//! The answer map: what each answer to a charge means, and that no ambiguous one counts as declined.

use std::time::Duration;

use recoup::domain::decline::{DeclineKind as K, Disposition as D};
use recoup::domain::money::Money;
use recoup::providers::{ChargeOutcome, ChargeRequest, Provider, Receipt};
use serde_json::{Value, json};

use super::fake::{Fake, Reply};
use super::{API_KEY, stripe_at};

const PAY: &str = "POST /v1/invoices/in_1/pay";

fn eur(minor: i64) -> Money {
    Money::new(minor, "EUR".parse().unwrap())
}

fn request() -> ChargeRequest {
    ChargeRequest {
        invoice_id: "in_1".to_owned(),
        key: "att_1".to_owned(),
        amount: eur(1999),
        payment_method: None,
    }
}

async fn answered_beside(reply: Reply, others: Vec<(&str, Reply)>) -> ChargeOutcome {
    let fake = Fake::start([vec![(PAY, reply)], others].concat()).await;
    let outcome = stripe_at(&fake.base).charge(&request()).await;
    let sent = fake.lines().iter().filter(|line| line.starts_with("POST")).count();
    assert_eq!(sent, 1, "a charge is sent exactly once: {:?}", fake.lines());
    outcome
}

async fn answered(reply: Reply) -> ChargeOutcome {
    answered_beside(reply, vec![]).await
}

fn paid(change: &Value) -> Value {
    let mut invoice = json!({ "id": "in_1", "status": "paid", "currency": "eur", "amount_due": 1999,
        "amount_paid": 1999, "amount_remaining": 0 });
    invoice
        .as_object_mut()
        .unwrap()
        .extend(change.as_object().unwrap().clone());
    invoice
}

#[tokio::test]
async fn the_request_is_as_the_contract_says() {
    let fake = Fake::start([(PAY, Reply::json(200, &paid(&json!({}))))]).await;
    let mut request = request();
    request.payment_method = Some("pm_1&x=1".to_owned());
    stripe_at(&fake.base).charge(&request).await;
    let [sent] = &fake.requests()[..] else {
        panic!("one request")
    };
    let (head, body) = sent.split_once("\r\n\r\n").unwrap();
    for line in [
        "idempotency-key: att_1",
        "stripe-version: 2025-03-31.basil",
        "content-type: application/x-www-form-urlencoded",
        &format!("authorization: Bearer {API_KEY}"),
        &format!("user-agent: recoup/{}", env!("CARGO_PKG_VERSION")),
    ] {
        assert!(head.to_lowercase().contains(&line.to_lowercase()), "{line}");
    }
    assert_eq!(body, "off_session=true&payment_method=pm_1%26x%3D1");
}

#[tokio::test]
async fn a_paid_invoice_is_success_only_if_it_is_the_one_we_asked_for() {
    let receipt = |charge: Option<&str>| {
        ChargeOutcome::Succeeded(Receipt {
            invoice_id: "in_1".to_owned(),
            amount_paid: eur(1999),
            charge_id: charge.map(str::to_owned),
        })
    };
    assert_eq!(answered(Reply::json(200, &paid(&json!({})))).await, receipt(None));
    assert_eq!(
        answered(Reply::json(200, &paid(&json!({ "charge": "ch_1" })))).await,
        receipt(Some("ch_1"))
    );
    let expanded = json!({ "payment_intent": { "id": "pi_1", "latest_charge": "ch_2" } });
    assert_eq!(
        answered(Reply::json(200, &paid(&expanded))).await,
        receipt(Some("ch_2"))
    );
    for change in [
        json!({ "id": "in_2" }),
        json!({ "currency": "usd" }),
        json!({ "amount_paid": 1998 }),
        json!({ "amount_paid": 199_900 }),
        json!({ "amount_remaining": 1 }),
    ] {
        let outcome = answered(Reply::json(200, &paid(&change))).await;
        assert!(
            matches!(outcome, ChargeOutcome::Mismatch { .. }),
            "{change}: {outcome:?}"
        );
    }
    let outcome = answered(Reply::json(200, &paid(&json!({ "paid_out_of_band": true })))).await;
    assert_eq!(outcome, ChargeOutcome::NothingOwed);
}

#[tokio::test]
async fn the_last_part_of_an_invoice_is_success() {
    let part = |amount| json!({ "invoice": "in_1", "status": "paid", "amount_paid": amount });
    let whole = Reply::json(200, &paid(&json!({ "amount_paid": 2999, "amount_due": 2999 })));
    for (parts, succeeded) in [
        (json!([part(1999), part(1000)]), true),
        (json!([part(2000), part(999)]), false),
        (json!([part(2999)]), false),
        (json!([part(1999), part(500)]), false),
    ] {
        let list = Reply::json(200, &json!({ "data": parts }));
        let outcome = answered_beside(whole.clone(), vec![("GET /v1/invoice_payments", list)]).await;
        match outcome {
            ChargeOutcome::Succeeded(receipt) => assert!(succeeded && receipt.amount_paid == eur(2999)),
            outcome => assert!(
                !succeeded && matches!(outcome, ChargeOutcome::Mismatch { .. }),
                "{parts}"
            ),
        }
    }
    let outcome = answered_beside(whole, vec![("GET /v1/invoice_payments", Reply::Reset)]).await;
    assert!(matches!(outcome, ChargeOutcome::Unknown { .. }), "{outcome:?}");
}

#[tokio::test]
async fn an_invoice_that_stays_open_is_read_with_its_payment() {
    let open = |intent: &Value| {
        Reply::json(
            200,
            &json!({ "id": "in_1", "status": "open", "currency": "eur", "payment_intent": intent }),
        )
    };
    let error = json!({ "type": "card_error", "code": "card_declined", "decline_code": "lost_card" });
    let intent = |status: &str| json!({ "id": "pi_1", "status": status, "last_payment_error": error });
    let under_way = ChargeOutcome::Processing { charge_id: None };
    assert_eq!(answered(open(&intent("processing"))).await, under_way);
    let ChargeOutcome::Declined(refusal) = answered(open(&intent("requires_action"))).await else {
        panic!()
    };
    assert_eq!(
        (refusal.decline.kind, refusal.decline.disposition),
        (K::AuthenticationRequired, D::CustomerAction)
    );
    let ChargeOutcome::Declined(refusal) = answered(open(&intent("requires_payment_method"))).await else {
        panic!()
    };
    assert_eq!(refusal.decline.kind, K::LostStolen);
    // An intent that must be fetched may tell of an older decline, so that only its present standing counts.
    for (status, processing) in [
        ("processing", true),
        ("requires_payment_method", false),
        ("succeeded", false),
    ] {
        let route = ("GET /v1/payment_intents/pi_1", Reply::json(200, &intent(status)));
        let outcome = answered_beside(open(&json!("pi_1")), vec![route]).await;
        assert_eq!(outcome == under_way, processing, "{status}");
        assert!(
            processing || matches!(outcome, ChargeOutcome::Unknown { .. }),
            "{status}"
        );
    }
    for status in ["open", "draft", "levitating"] {
        let outcome = answered(Reply::json(200, &json!({ "id": "in_1", "status": status }))).await;
        assert!(matches!(outcome, ChargeOutcome::Unknown { .. }), "{status}");
    }
    for status in ["void", "uncollectible"] {
        let outcome = answered(Reply::json(200, &json!({ "id": "in_1", "status": status }))).await;
        assert_eq!(outcome, ChargeOutcome::NothingOwed, "{status}");
    }
}

#[tokio::test]
async fn declines_carry_their_codes() {
    let card = json!({ "brand": "visa", "last4": "0341", "fingerprint": "fp_1" });
    let error = json!({ "type": "card_error", "code": "card_declined", "decline_code": "do_not_honor",
        "charge": "ch_1", "message": "Your card was declined.", "advice_code": "try_again_later",
        "payment_method": { "id": "pm_1", "type": "card", "card": card } });
    let ChargeOutcome::Declined(refusal) = answered(Reply::error(402, &error)).await else {
        panic!()
    };
    assert_eq!(
        (refusal.decline.kind, refusal.decline.disposition),
        (K::DoNotHonor, D::Retry)
    );
    assert_eq!(refusal.decline.provider_code.as_deref(), Some("do_not_honor"));
    assert_eq!(refusal.decline.advice_code.as_deref(), Some("try_again_later"));
    assert_eq!(
        (refusal.charge_id.as_deref(), refusal.payment_method.as_deref()),
        (Some("ch_1"), Some("pm_1"))
    );
    assert_eq!(
        (refusal.fingerprint.as_deref(), refusal.card.unwrap().last4.as_str()),
        (Some("fp_1"), "0341")
    );
    // The charge knows more: what the network said, or that the provider blocked it.
    for (outcome, expected) in [
        (
            json!({ "type": "issuer_declined", "network_decline_code": "43" }),
            (K::LostStolen, D::Never),
        ),
        (
            json!({ "type": "blocked", "reason": "highest_risk_level" }),
            (K::Fraud, D::Never),
        ),
    ] {
        let charge = Reply::json(200, &json!({ "id": "ch_1", "status": "failed", "outcome": outcome }));
        let outcome = answered_beside(Reply::error(402, &error), vec![("GET /v1/charges/ch_1", charge)]).await;
        let ChargeOutcome::Declined(refusal) = outcome else {
            panic!()
        };
        assert_eq!((refusal.decline.kind, refusal.decline.disposition), expected);
    }
}

#[tokio::test]
async fn what_wants_the_customer_is_a_decline_of_its_own() {
    let asks = [
        (
            402,
            json!({ "type": "card_error", "code": "authentication_required", "decline_code": "authentication_required" }),
        ),
        (
            402,
            json!({ "type": "card_error", "code": "invoice_payment_intent_requires_action" }),
        ),
        (
            400,
            json!({ "type": "invalid_request_error", "code": "invoice_payment_intent_requires_action" }),
        ),
        (
            402,
            json!({ "type": "card_error", "payment_intent": { "id": "pi_1", "status": "requires_action" } }),
        ),
    ];
    for (status, error) in asks {
        let outcome = answered(Reply::error(status, &error)).await;
        let ChargeOutcome::Declined(refusal) = outcome else {
            panic!("{error}: {outcome:?}")
        };
        assert_eq!(
            (refusal.decline.kind, refusal.decline.disposition),
            (K::AuthenticationRequired, D::CustomerAction)
        );
    }
}

#[tokio::test]
async fn a_customer_without_a_payment_method_is_a_decline() {
    let message = "There is no `default_payment_method` set on this Customer or Invoice.";
    for error in [
        json!({ "type": "card_error", "code": "missing" }),
        json!({ "type": "invalid_request_error", "code": "missing", "message": message }),
        json!({ "type": "invalid_request_error", "code": "resource_missing", "param": "default_payment_method" }),
        json!({ "type": "invalid_request_error", "message": message }),
        json!({ "type": "invalid_request_error", "message": "Cannot charge a customer that has no active card" }),
    ] {
        for status in [400, 402] {
            let outcome = answered(Reply::error(status, &error)).await;
            let ChargeOutcome::Declined(refusal) = outcome else {
                panic!("{status} {error}: {outcome:?}")
            };
            let decline = refusal.decline;
            assert_eq!((decline.kind, decline.disposition), (K::InvalidAccount, D::FixData));
            assert_eq!(decline.provider_code.as_deref(), Some("no_payment_method"));
            assert_eq!((refusal.charge_id, refusal.payment_method), (None, None));
        }
    }
    // A payment method that we named and that is gone is another matter.
    let gone = json!({ "type": "invalid_request_error", "code": "resource_missing", "param": "payment_method" });
    let outcome = answered(Reply::error(400, &gone)).await;
    assert!(matches!(outcome, ChargeOutcome::NotSent { needs_person: true, .. }));
}

#[tokio::test]
async fn refusals_before_the_charge_are_not_sent() {
    for (status, error, person) in [
        (401, json!({ "type": "invalid_request_error" }), true),
        (403, json!({ "type": "invalid_request_error" }), true),
        (
            400,
            json!({ "type": "invalid_request_error", "code": "parameter_unknown" }),
            true,
        ),
        (
            404,
            json!({ "type": "invalid_request_error", "code": "resource_missing" }),
            true,
        ),
    ] {
        let outcome = answered(Reply::error(status, &error)).await;
        let ChargeOutcome::NotSent {
            needs_person, reason, ..
        } = outcome
        else {
            panic!("{status}: {outcome:?}")
        };
        assert_eq!(needs_person, person, "{status}");
        assert!(reason.starts_with(&format!("HTTP {status}")), "{reason}");
    }
    let outcome = answered(Reply::with_headers(401, &[], "")).await;
    assert!(matches!(outcome, ChargeOutcome::NotSent { needs_person: true, .. }));
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let stripe = stripe_at(&format!("http://{closed}").parse().unwrap());
    assert_eq!(
        stripe.charge(&request()).await,
        ChargeOutcome::NotSent {
            reason: "could not connect".to_owned(),
            needs_person: false,
            retry_after: None
        }
    );
    for amount in [0, -1] {
        let outcome = stripe
            .charge(&ChargeRequest {
                amount: eur(amount),
                ..request()
            })
            .await;
        assert!(matches!(outcome, ChargeOutcome::NotSent { needs_person: true, .. }));
    }
    for id in ["", ".."] {
        let outcome = stripe
            .charge(&ChargeRequest {
                invoice_id: id.to_owned(),
                ..request()
            })
            .await;
        assert!(matches!(outcome, ChargeOutcome::NotSent { .. }));
    }
}

#[tokio::test]
async fn nothing_owed_is_told_by_code_or_words() {
    for error in [
        json!({ "type": "invalid_request_error", "message": "Invoice is already paid" }),
        json!({ "type": "invalid_request_error", "code": "invoice_already_paid" }),
        json!({ "type": "invalid_request_error", "code": "invoice_not_open" }),
        json!({ "type": "invalid_request_error", "message": "This invoice was already voided." }),
        json!({ "type": "invalid_request_error", "message": "This invoice can no longer be paid" }),
        json!({ "type": "invalid_request_error", "message": "The invoice is marked Uncollectible" }),
    ] {
        assert_eq!(
            answered(Reply::error(400, &error)).await,
            ChargeOutcome::NothingOwed,
            "{error}"
        );
    }
}

#[tokio::test]
async fn key_trouble_is_told_apart() {
    let mismatch = json!({ "type": "idempotency_error", "message": "Keys can only be used with the same parameters" });
    for status in [400, 409] {
        let outcome = answered(Reply::error(status, &mismatch)).await;
        assert!(
            matches!(outcome, ChargeOutcome::Mismatch { .. }),
            "{status}: {outcome:?}"
        );
    }
    for (status, error) in [
        (
            409,
            json!({ "type": "idempotency_error", "code": "idempotency_key_in_use" }),
        ),
        (409, json!({ "type": "invalid_request_error", "code": "lock_timeout" })),
        (409, json!({ "type": "idempotency_error" })),
        (409, json!({})),
    ] {
        let outcome = answered(Reply::error(status, &error)).await;
        let ChargeOutcome::Unknown { retry_after, .. } = outcome else {
            panic!("{error}: {outcome:?}")
        };
        assert_eq!(retry_after, Some(Duration::from_secs(5)), "{error}");
    }
}

#[tokio::test]
async fn too_many_requests_wait_as_told() {
    let error = json!({ "error": { "type": "invalid_request_error", "code": "rate_limit" } }).to_string();
    for (headers, secs) in [
        (vec![], None),
        (vec![("retry-after", "7")], Some(7)),
        (vec![("Retry-After", "1000000000")], Some(3600)),
        (vec![("Retry-After", "soon")], None),
        (
            vec![
                ("Retry-After", "Sun, 01 Mar 2026 00:01:00 GMT"),
                ("Date", "Sun, 01 Mar 2026 00:00:00 GMT"),
            ],
            Some(60),
        ),
        (vec![("Stripe-Should-Retry", "true"), ("Retry-After", "2")], Some(2)),
        (vec![("Stripe-Should-Retry", "false"), ("Retry-After", "2")], Some(600)),
    ] {
        for body in [error.as_str(), "slow down"] {
            let outcome = answered(Reply::with_headers(429, &headers, body)).await;
            let ChargeOutcome::Unknown { retry_after, .. } = outcome else {
                panic!("{headers:?}: {outcome:?}")
            };
            assert_eq!(retry_after, secs.map(Duration::from_secs), "{headers:?}");
        }
    }
}

#[tokio::test]
async fn whatever_is_not_certain_is_unknown() {
    let whole = paid(&json!({})).to_string();
    let declined = json!({ "error": { "type": "card_error", "decline_code": "lost_card" } }).to_string();
    let replies = [
        Reply::Reset,
        Reply::Bytes(String::new()),
        Reply::Bytes("HTTP/1.1 200 OK\r\ncontent-".to_owned()),
        Reply::truncated(&whole, 1),
        Reply::truncated(&whole, whole.len()),
        Reply::with_headers(200, &[], ""),
        Reply::with_headers(200, &[], "<html>Welcome</html>"),
        Reply::with_headers(200, &[], "[]"),
        Reply::with_headers(200, &[], "{}"),
        Reply::json(200, &paid(&json!({ "description": "x".repeat(2_000_000) }))),
        Reply::json(200, &paid(&json!({ "amount_paid": null }))),
        Reply::json(200, &paid(&json!({ "amount_paid": 0.5 }))),
        Reply::with_headers(204, &[], ""),
        Reply::with_headers(307, &[("Location", "/v1/invoices/in_1/pay")], ""),
        Reply::with_headers(302, &[("Location", "/login")], ""),
        Reply::with_headers(400, &[], "<html>Bad Request</html>"),
        Reply::with_headers(
            400,
            &[("Stripe-Should-Retry", "true")],
            "{\"error\":{\"type\":\"invalid_request_error\"}}",
        ),
        Reply::with_headers(402, &[], "<html>Payment Required</html>"),
        Reply::error(402, &json!({ "type": "api_error" })),
        Reply::error(404, &json!({ "type": "api_error" })),
        Reply::error(500, &json!({ "type": "api_error" })),
        Reply::with_headers(500, &[], &declined),
        Reply::with_headers(500, &[("Idempotent-Replayed", "true")], "{}"),
        Reply::with_headers(502, &[], "<html>Bad Gateway</html>"),
        Reply::with_headers(503, &[("Retry-After", "9")], ""),
    ];
    for (at, reply) in replies.into_iter().enumerate() {
        let outcome = answered(reply).await;
        assert!(
            matches!(outcome, ChargeOutcome::Unknown { .. }),
            "reply {at}: {outcome:?}"
        );
    }
    let replayed = answered(Reply::with_headers(500, &[("Idempotent-Replayed", "true")], "{}")).await;
    assert_eq!(
        replayed,
        ChargeOutcome::Unknown {
            reason: "HTTP 500, replayed".to_owned(),
            retry_after: None
        }
    );
}
