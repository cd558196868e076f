use std::time::Duration;

use recoup::sandbox::{Fault, Shape};
use serde_json::json;

use super::{Stage, at, seen};

fn order(stage: &Stage, fault: Fault) {
    stage.sandbox.faults(|faults| faults.next("/pay", fault, 1));
}

#[tokio::test]
async fn an_answer_that_is_cut_off_belongs_to_a_charge_that_was_made() {
    let stage = Stage::new(Shape::New).await;
    let invoice = stage.open("do_not_honor");
    order(&stage, Fault::CutAnswer);
    assert!(
        stage.paying(&invoice, "k1").send().await.is_err(),
        "no byte of an answer comes"
    );
    assert_eq!(stage.sandbox.books().successes(&invoice), 1);
    let (status, replayed, body) = stage.pay(&invoice, "k1").await;
    assert_eq!((status, replayed, &body["status"]), (200, true, &json!("paid")));
    assert_eq!(stage.sandbox.books().successes(&invoice), 1);
}

#[tokio::test]
async fn a_refused_connection_did_nothing() {
    let stage = Stage::new(Shape::New).await;
    let invoice = stage.open("do_not_honor");
    order(&stage, Fault::Refuse);
    assert!(stage.paying(&invoice, "k1").send().await.is_err());
    assert_eq!(stage.sandbox.books().successes(&invoice), 0);
    assert_eq!(stage.pay(&invoice, "k1").await.0, 200);
    assert_eq!(stage.sandbox.faults(|faults| faults.count("faults")), 1);
}

#[tokio::test]
async fn a_500_sticks_to_its_key_and_a_429_does_not() {
    let stage = Stage::new(Shape::New).await;
    let invoice = stage.open("do_not_honor");
    order(&stage, Fault::TooMany(7));
    let response = stage.paying(&invoice, "k1").send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["Retry-After"]),
        (429, &"7".parse().unwrap())
    );
    order(&stage, Fault::ErrorAfter);
    assert_eq!(stage.pay(&invoice, "k1").await.0, 500);
    let (status, replayed, _) = stage.pay(&invoice, "k1").await;
    assert_eq!((status, replayed), (500, true));
    assert_eq!(
        stage.sandbox.books().successes(&invoice),
        1,
        "the charge was made all the same"
    );
    let other = stage.open("do_not_honor");
    order(&stage, Fault::Error);
    assert_eq!(stage.pay(&other, "k2").await.0, 500);
    assert_eq!(stage.sandbox.books().successes(&other), 0);
}

#[tokio::test]
async fn an_outage_lasts_as_long_as_it_was_ordered() {
    let stage = Stage::new(Shape::New).await;
    let now = stage.clock.now();
    let end = now + jiff::SignedDuration::from_hours(6);
    stage
        .sandbox
        .faults(|faults| faults.between("", Fault::Unavailable, now, end));
    assert_eq!(stage.get("/v1/events").await.0, 503);
    stage.pass(5);
    assert_eq!(stage.get("/v1/events").await.0, 503);
    stage.pass(1);
    assert_eq!(stage.get("/v1/events").await.0, 200);
}

#[tokio::test]
async fn a_late_charge_is_made_after_the_caller_has_given_up() {
    let stage = Stage::new(Shape::New).await;
    let invoice = stage.open("do_not_honor");
    order(&stage, Fault::Late(jiff::SignedDuration::from_mins(90)));
    assert!(stage.paying(&invoice, "k1").send().await.is_err());
    assert_eq!(stage.sandbox.next_due(), Some(at("2026-01-10T11:30:00Z")));
    stage.pass(1);
    assert_eq!(stage.pay(&invoice, "k1").await.0, 409);
    stage.pass(1);
    let (status, replayed, _) = stage.pay(&invoice, "k1").await;
    assert_eq!((status, replayed), (200, true));
    assert_eq!(
        stage.sandbox.books().charges_of(&invoice).last().unwrap().at,
        at("2026-01-10T11:30:00Z")
    );
}

#[tokio::test]
async fn a_second_request_during_a_slow_one_finds_its_key_in_use() {
    let stage = Stage::new(Shape::New).await;
    let invoice = stage.open("do_not_honor");
    order(&stage, Fault::Slow(Duration::from_millis(300)));
    let slow = tokio::spawn(seen(stage.paying(&invoice, "k1")));
    while stage.sandbox.faults(|faults| faults.count("faults")) == 0 {
        tokio::task::yield_now().await;
    }
    let (status, _, body) = stage.pay(&invoice, "k1").await;
    assert_eq!(
        (status, &body["error"]["code"]),
        (409, &json!("idempotency_key_in_use"))
    );
    assert_eq!(slow.await.unwrap().0, 200);
    assert_eq!(stage.sandbox.books().successes(&invoice), 1);
}
