//! Final actions and the portal link.

use recoup::domain::campaign::FinalAction;
use recoup::domain::money::Money;
use recoup::domain::snapshot::{CustomerSeen, InvoiceStatus, Snapshot, Traits};
use recoup::providers::{ActionOutcome, Provider, ReadError};
use serde_json::json;

use super::fake::{Fake, Reply};
use super::stripe_at;

const CANCEL: &str = "DELETE /v1/subscriptions/sub_1";
const SUBSCRIPTION: &str = "GET /v1/subscriptions/sub_1";
const PAUSE: &str = "POST /v1/subscriptions/sub_1";
const MARK: &str = "POST /v1/invoices/in_1/mark_uncollectible";

fn snapshot(subscription_id: Option<&str>) -> Snapshot {
    let zero = Money::new(0, "EUR".parse().unwrap());
    Snapshot {
        invoice_id: "in_1".to_owned(),
        customer_id: "cus_1".to_owned(),
        subscription_id: subscription_id.map(str::to_owned),
        status: InvoiceStatus::Open,
        amount_remaining: zero,
        amount_paid: zero,
        paid_at: None,
        paid_out_of_band: false,
        automatic: true,
        attempted: true,
        provider_next_attempt_at: None,
        pay_url: None,
        description: None,
        payment: None,
        subscription: None,
        customer: CustomerSeen::default(),
        default_method: None,
        traits: Traits::default(),
    }
}

async fn finished(action: FinalAction, routes: Vec<(&str, Reply)>) -> (ActionOutcome, Vec<String>) {
    let fake = Fake::start(routes).await;
    let outcome = stripe_at(&fake.base)
        .finish(action, &snapshot(Some("sub_1")), "fin_1")
        .await;
    (outcome, fake.requests())
}

fn status(word: &str) -> Reply {
    Reply::json(200, &json!({ "id": "x", "status": word }))
}

#[tokio::test]
async fn each_action_is_one_call() {
    for (action, route, answer, body) in [
        (FinalAction::Cancel, CANCEL, status("canceled"), ""),
        (
            FinalAction::Pause,
            PAUSE,
            status("past_due"),
            "pause_collection%5Bbehavior%5D=void",
        ),
        (FinalAction::MarkUncollectible, MARK, status("uncollectible"), ""),
    ] {
        let (outcome, requests) = finished(action, vec![(route, answer)]).await;
        assert_eq!(outcome, ActionOutcome::Done, "{action}");
        let [request] = &requests[..] else {
            panic!("{action}: {requests:?}")
        };
        assert!(request.starts_with(&format!("{route} HTTP/1.1")), "{request}");
        assert!(
            request.to_lowercase().contains("\nidempotency-key: fin_1\r"),
            "{request}"
        );
        assert!(request.ends_with(&format!("\r\n\r\n{body}")), "{request}");
    }
    let (outcome, requests) = finished(FinalAction::LeaveOpen, vec![]).await;
    assert_eq!((outcome, requests.len()), (ActionOutcome::Done, 0));
}

#[tokio::test]
async fn what_is_done_already_is_done() {
    let gone = Reply::error(
        404,
        &json!({ "type": "invalid_request_error", "code": "resource_missing" }),
    );
    let (outcome, _) = finished(
        FinalAction::Cancel,
        vec![(CANCEL, gone.clone()), (SUBSCRIPTION, status("canceled"))],
    )
    .await;
    assert_eq!(outcome, ActionOutcome::Done);
    let refused = Reply::error(400, &json!({ "type": "invalid_request_error" }));
    let invoice = ("GET /v1/invoices/in_1", status("uncollectible"));
    let (outcome, _) = finished(FinalAction::MarkUncollectible, vec![(MARK, refused.clone()), invoice]).await;
    assert_eq!(outcome, ActionOutcome::Done);
    // A refusal that the object does not bear out stays one.
    for (action, routes) in [
        (
            FinalAction::Cancel,
            vec![(CANCEL, gone.clone()), (SUBSCRIPTION, status("past_due"))],
        ),
        (FinalAction::Cancel, vec![(CANCEL, gone)]),
        (
            FinalAction::MarkUncollectible,
            vec![(MARK, refused.clone()), ("GET /v1/invoices/in_1", status("paid"))],
        ),
        (FinalAction::Pause, vec![(PAUSE, refused)]),
        (FinalAction::Cancel, vec![(CANCEL, Reply::error(401, &json!({})))]),
    ] {
        let (outcome, _) = finished(action, routes).await;
        assert!(
            matches!(outcome, ActionOutcome::Refused { .. }),
            "{action}: {outcome:?}"
        );
    }
    let fake = Fake::start(Vec::<(&str, Reply)>::new()).await;
    let outcome = stripe_at(&fake.base)
        .finish(FinalAction::Cancel, &snapshot(None), "fin_1")
        .await;
    assert!(matches!(outcome, ActionOutcome::Refused { .. }));
}

#[tokio::test]
async fn no_answer_is_no_refusal() {
    for reply in [
        Reply::Reset,
        Reply::error(429, &json!({ "code": "rate_limit" })),
        Reply::error(409, &json!({ "code": "lock_timeout" })),
        Reply::error(500, &json!({})),
        Reply::with_headers(307, &[("Location", "/v1/subscriptions/sub_1")], ""),
        Reply::with_headers(200, &[], "<html>"),
        status("active"),
    ] {
        let (outcome, _) = finished(FinalAction::Cancel, vec![(CANCEL, reply)]).await;
        assert!(matches!(outcome, ActionOutcome::Unavailable { .. }), "{outcome:?}");
    }
}

#[tokio::test]
async fn the_portal_gives_a_link_where_there_is_one() {
    let link = async |reply: Reply| {
        let fake = Fake::start([("POST /v1/billing_portal/sessions", reply)]).await;
        let link = stripe_at(&fake.base).update_link("cus_1", "lnk_1").await;
        assert!(fake.requests()[0].ends_with("\r\n\r\ncustomer=cus_1"));
        link
    };
    let url = "https://billing.example.com/p/1";
    assert_eq!(
        link(Reply::json(200, &json!({ "url": url }))).await,
        Ok(Some(url.to_owned()))
    );
    assert_eq!(
        link(Reply::json(200, &json!({ "url": "javascript:alert(1)" }))).await,
        Ok(None)
    );
    assert_eq!(
        link(Reply::error(400, &json!({ "message": "No configuration provided" }))).await,
        Ok(None)
    );
    assert_eq!(link(Reply::error(401, &json!({}))).await, Err(ReadError::Refused(401)));
    assert!(matches!(
        link(Reply::error(429, &json!({}))).await,
        Err(ReadError::Unavailable { .. })
    ));
    assert!(matches!(
        link(Reply::error(500, &json!({}))).await,
        Err(ReadError::Unavailable { .. })
    ));
}
