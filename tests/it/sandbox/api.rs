use recoup::sandbox::{Outcome, Shape};
use serde_json::json;

use super::{Stage, seen};

#[tokio::test]
async fn a_declined_charge_is_a_402_that_tells_why() {
    let stage = Stage::new(Shape::Old).await;
    let invoice = stage.open("insufficient_funds");
    stage.sandbox.fail_next(&invoice, "lost_card");
    let (status, _, body) = stage.pay(&invoice, "k1").await;
    let error = &body["error"];
    assert_eq!(status, 402);
    assert_eq!(error["type"], "card_error");
    assert_eq!(error["code"], "card_declined");
    assert_eq!(error["decline_code"], "lost_card");
    assert_eq!(error["network_decline_code"], "41");
    assert_eq!(error["advice_code"], "do_not_try_again");
    assert!(
        error.get("network_advice_code").is_none(),
        "Stripe leaves out what it does not know"
    );
    assert_eq!(error["payment_intent"]["status"], "requires_payment_method");
    let (status, _, charge) = stage
        .get(&format!("/v1/charges/{}", error["charge"].as_str().unwrap()))
        .await;
    assert_eq!((status, &charge["status"]), (200, &json!("failed")));
    assert_eq!(charge["outcome"]["network_decline_code"], "41");
    assert_eq!(charge["invoice"], json!(invoice));
}

#[tokio::test]
async fn a_key_replays_its_answer_for_a_day_and_charges_once() {
    let stage = Stage::new(Shape::New).await;
    let invoice = stage.open("do_not_honor");
    let first = stage.pay(&invoice, "k1").await;
    assert_eq!((first.0, first.1, &first.2["status"]), (200, false, &json!("paid")));
    stage.pass(23);
    let again = stage.pay(&invoice, "k1").await;
    assert_eq!((again.0, again.1), (200, true));
    assert_eq!(again.2, first.2);
    assert_eq!(stage.sandbox.books().successes(&invoice), 1);
    assert_eq!(stage.sandbox.books().paid_minor[&invoice], 1999);
    stage.pass(2);
    let (status, replayed, body) = stage.pay(&invoice, "k1").await;
    assert_eq!(
        (status, replayed),
        (400, false),
        "the key is forgotten, the invoice is not"
    );
    assert_eq!(body["error"]["message"], "Invoice is already paid");
    assert_eq!(body["error"]["type"], "invalid_request_error");
}

#[tokio::test]
async fn a_decline_is_replayed_too_and_another_request_with_the_key_is_refused() {
    let stage = Stage::new(Shape::New).await;
    let invoice = stage.open("do_not_honor");
    stage
        .sandbox
        .script_outcomes(&invoice, [Outcome::decline("do_not_honor"), Outcome::Success]);
    assert_eq!(stage.pay(&invoice, "k1").await.0, 402);
    let again = stage.pay(&invoice, "k1").await;
    assert_eq!((again.0, again.1), (402, true));
    assert_eq!(
        stage.sandbox.books().charges_of(&invoice).count(),
        2,
        "the first charge and one by us"
    );
    let other = stage
        .request("POST", &format!("/v1/invoices/{invoice}/pay"))
        .header("Idempotency-Key", "k1");
    let (status, _, body) = seen(other).await;
    assert_eq!((status, &body["error"]["type"]), (400, &json!("idempotency_error")));
    assert_eq!(stage.sandbox.faults(|faults| faults.count("replays")), 1);
}

#[tokio::test]
async fn a_voided_invoice_an_unknown_one_and_a_stranger_are_refused() {
    let stage = Stage::new(Shape::New).await;
    let invoice = stage.open("do_not_honor");
    assert!(stage.sandbox.void(&invoice));
    let (status, _, body) = stage.pay(&invoice, "k1").await;
    assert_eq!(
        (status, &body["error"]["message"]),
        (400, &json!("Voided invoices cannot be paid."))
    );
    let (status, _, body) = stage.pay("in_none", "k2").await;
    assert_eq!((status, &body["error"]["code"]), (404, &json!("resource_missing")));
    let stranger = stage
        .client
        .get(format!("{}/v1/invoices/{invoice}", stage.sandbox.url()))
        .bearer_auth("sk_test_x");
    assert_eq!(seen(stranger).await.0, 401);
    assert_eq!(stage.get("/v1/nonsense/at/all").await.0, 404);
}

#[tokio::test]
async fn each_shape_ties_charge_and_invoice_in_its_own_way() {
    let old = Stage::new(Shape::Old).await;
    let invoice = old.open("expired_card");
    let (_, _, body) = old.get(&format!("/v1/invoices/{invoice}")).await;
    assert_eq!(body["subscription"], json!(old.subscription));
    assert_eq!((&body["paid"], &body["status"]), (&json!(false), &json!("open")));
    assert!(body["charge"].as_str().unwrap().starts_with("ch_") && body.get("parent").is_none());
    let intent = body["payment_intent"].as_str().unwrap();
    let (_, _, intent) = old.get(&format!("/v1/payment_intents/{intent}")).await;
    assert_eq!(intent["invoice"], json!(invoice));
    assert_eq!(intent["last_payment_error"]["code"], "expired_card");

    let new = Stage::new(Shape::New).await;
    let invoice = new.open("expired_card");
    let (_, _, body) = new.get(&format!("/v1/invoices/{invoice}")).await;
    assert_eq!(
        body["parent"]["subscription_details"]["subscription"],
        json!(new.subscription)
    );
    for gone in ["subscription", "charge", "payment_intent", "paid", "payments"] {
        assert!(body.get(gone).is_none(), "{gone} is not in the new shape");
    }
    let (_, _, list) = new.get(&format!("/v1/invoice_payments?invoice={invoice}")).await;
    let intent = list["data"][0]["payment"]["payment_intent"].as_str().unwrap();
    let (_, _, body) = new.get(&format!("/v1/payment_intents/{intent}")).await;
    assert!(body.get("invoice").is_none());
    let query = "/v1/invoice_payments?payment[type]=payment_intent&payment[payment_intent]=";
    let (_, _, list) = new.get(&format!("{query}{intent}")).await;
    assert_eq!(list["data"][0]["invoice"], json!(invoice));
    assert_eq!(list["data"][0]["status"], "open");
}

#[tokio::test]
async fn final_actions_and_links_work() {
    let stage = Stage::new(Shape::New).await;
    let (invoice, subscription) = (stage.open("do_not_honor"), stage.subscription.clone());
    let (status, _, body) = seen(
        stage
            .request("POST", "/v1/billing_portal/sessions")
            .form(&[("customer", &stage.customer)]),
    )
    .await;
    assert_eq!((status, &body["object"]), (200, &json!("billing_portal.session")));
    let portal = stage.client.get(body["url"].as_str().unwrap()).send().await.unwrap();
    assert!(portal.text().await.unwrap().contains("Ada Albers"));
    let pause = stage.request("POST", &format!("/v1/subscriptions/{subscription}"));
    let (status, _, body) = seen(pause.form(&[("pause_collection[behavior]", "void")])).await;
    assert_eq!((status, &body["pause_collection"]["behavior"]), (200, &json!("void")));
    let (status, _, body) = seen(stage.request("POST", &format!("/v1/invoices/{invoice}/mark_uncollectible"))).await;
    assert_eq!((status, &body["status"]), (200, &json!("uncollectible")));
    let (status, _, body) = seen(stage.request("DELETE", &format!("/v1/subscriptions/{subscription}"))).await;
    assert_eq!((status, &body["status"]), (200, &json!("canceled")));
    assert_eq!(
        seen(stage.request("DELETE", &format!("/v1/subscriptions/{subscription}")))
            .await
            .0,
        404
    );
    assert_eq!(
        stage.pay(&invoice, "k1").await.0,
        200,
        "what is written off may still be paid"
    );
}

#[tokio::test]
async fn the_hosted_page_shows_the_amount_and_takes_the_money() {
    let stage = Stage::new(Shape::New).await;
    let invoice = stage.open("lost_card");
    let (_, _, body) = stage.get(&format!("/v1/invoices/{invoice}")).await;
    let page = body["hosted_invoice_url"].as_str().unwrap();
    let shown = stage.client.get(page).send().await.unwrap().text().await.unwrap();
    assert!(shown.contains("19.99 EUR") && shown.contains("<button>"), "{shown}");
    let after = stage.client.post(page).send().await.unwrap().text().await.unwrap();
    assert!(after.contains("Thank you") && !after.contains("<button>"), "{after}");
    assert_eq!(stage.sandbox.books().paid_minor[&invoice], 1999);
}

#[tokio::test]
async fn an_invoice_paid_elsewhere_says_so() {
    let stage = Stage::new(Shape::Old).await;
    let invoice = stage.open("lost_card");
    assert!(stage.sandbox.pay_out_of_band(&invoice));
    assert!(!stage.sandbox.pay_out_of_band(&invoice), "it is settled already");
    let (_, _, body) = stage.get(&format!("/v1/invoices/{invoice}")).await;
    assert_eq!(
        (&body["status"], &body["paid_out_of_band"]),
        (&json!("paid"), &json!(true))
    );
    assert_eq!(
        (&body["amount_paid"], &body["amount_remaining"]),
        (&json!(1999), &json!(0))
    );
    assert!(body["status_transitions"]["paid_at"].is_i64());
    let books = stage.sandbox.books();
    assert_eq!(
        (books.successes(&invoice), books.out_of_band_minor[&invoice]),
        (0, 1999)
    );
}
