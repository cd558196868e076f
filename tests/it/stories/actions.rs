//! What staff can do besides charging and stopping: skip, extend, hold, exclude, put in by hand.

use recoup::sandbox::{Fault, Letter, Outcome, Shape};
use recoup::store::audit::{self, AuditFilter};
use serde_json::{Value, json};

use crate::support::story::{Failed, Story, tell_in};

/// A case whose charges are all declined, at noon of its first day; and the path of its acts.
async fn chased(story: &Story, code: &str) -> (Failed, String) {
    let failed = story.failed_invoice(code);
    let never = std::iter::repeat_n(Outcome::decline(code), 10);
    story.sandbox.script_outcomes(&failed.invoice, never);
    story.advance("2026-03-02T12:00:00Z").await;
    let path = format!("/v1/cases/{}", story.case(&failed.invoice).await.id);
    (failed, path)
}

/// What was refused, by its code.
async fn refused(story: &Story, path: &str, body: &Value) -> String {
    let (status, problem) = story.post(path, body).await;
    assert_eq!(status, 409, "{problem}");
    problem["code"].as_str().unwrap().to_owned()
}

async fn done(story: &Story, path: &str, body: &Value) -> Value {
    let (status, case) = story.post(path, body).await;
    assert_eq!(status, 200, "{case}");
    case
}

/// What the audit log tells, by the alphabet: acts of one instant have no order there.
async fn acts(story: &Story) -> Vec<String> {
    let rows = audit::list(story.app.store.conn(), &AuditFilter::default(), None, 50)
        .await
        .unwrap();
    let mut acts: Vec<String> = rows.into_iter().map(|row| row.action).collect();
    acts.sort();
    acts
}

/// The diary without the blanks at the ends of its lines.
async fn diary(story: &Story, invoice: &str) -> String {
    let whole = story.diary(invoice).await;
    let lines: Vec<&str> = whole.lines().map(str::trim_end).collect();
    lines.join("\n") + "\n"
}

#[test]
fn a_retry_says_before_what_it_counts_and_after_by_which_rule_it_was_refused() {
    tell_in(Shape::New, "2026-03-02T08:30:00Z", &[], &async |story: &mut Story| {
        let (_, path) = chased(story, "insufficient_funds").await;
        let retry = format!("{path}/retry");
        let (status, before) = story.get(&retry).await;
        assert_eq!(
            (status, &before["allowed"], &before["refused"]),
            (200, &json!(true), &Value::Null)
        );
        let eight = |check: &Value| {
            let caps = check["caps"].as_array().unwrap();
            caps.iter().find(|cap| cap["rule"] == "eight_retries").unwrap().clone()
        };
        assert_eq!(
            eight(&before),
            json!({"rule": "eight_retries", "made": 0, "limit": 8, "left": 8})
        );
        assert!(
            before["sentence"]
                .as_str()
                .unwrap()
                .contains("8 of 8 are left by eight_retries")
        );
        done(story, &retry, &json!({})).await;
        story.advance("2026-03-02T12:00:00Z").await;
        let (_, after) = story.get(&retry).await;
        assert_eq!(eight(&after)["left"], 7);

        let stolen = story.failed_invoice("stolen_card");
        story.advance("2026-03-02T12:30:00Z").await;
        let path = format!("/v1/cases/{}/retry", story.case(&stolen.invoice).await.id);
        let (_, before) = story.get(&path).await;
        assert_eq!(
            (
                &before["allowed"],
                &before["refused"],
                &before["rule"],
                &before["not_before"]
            ),
            (
                &json!(false),
                &json!("never_on_this_method"),
                &json!("terminal_decline"),
                &Value::Null
            )
        );
        assert_eq!(
            before["sentence"],
            "It is refused by the rule terminal_decline, for this payment method for good."
        );
        let (status, problem) = story.post(&path, &json!({"comment": "they insist"})).await;
        assert_eq!((status, problem["code"].as_str()), (409, Some("never_on_this_method")));
        assert!(
            problem["detail"].as_str().unwrap().contains("terminal_decline"),
            "{problem}"
        );
        assert_eq!(
            diary(story, &stolen.invoice).await,
            "
03-02 12:00 opened           lost_stolen
03-02 12:00 planned          charges [] notice update_payment_method 03-02 14:00
03-02 12:30 stood_back       retry terminal_decline
03-02 12:00 the provider: Renewal stolen_card
"
        );
        assert_eq!(acts(story).await, ["retry", "retry.refused"]);
    });
}

#[test]
fn a_skipped_charge_and_a_skipped_message_do_not_come() {
    tell_in(Shape::New, "2026-03-02T08:30:00Z", &[], &async |story: &mut Story| {
        let (failed, path) = chased(story, "insufficient_funds").await;
        let skip = format!("{path}/skip");
        done(
            story,
            &skip,
            &json!({"step": "charge", "comment": "paid day is the fifth"}),
        )
        .await;
        done(story, &skip, &json!({"step": "message"})).await;
        story.advance("2026-03-19T12:00:00Z").await;
        // What is left is the notice of the end, which nobody may skip, and no charge.
        assert_eq!(
            refused(story, &skip, &json!({"step": "charge"})).await,
            "nothing_to_skip"
        );
        assert_eq!(refused(story, &skip, &json!({"step": "message"})).await, "final_notice");
        story.advance("2026-04-10T00:00:00Z").await;
        assert_eq!(diary(story, &failed.invoice).await, "
03-02 08:30 opened           insufficient_funds
03-02 08:30 planned          charges [03-03 08:00, 03-05 08:00, 03-09 08:00, 03-16 08:00] notice payment_failed 03-03 09:00
03-02 12:00 staff            skip
03-02 12:00 planned          charges [03-05 08:00, 03-09 08:00, 03-16 08:00] notice payment_failed 03-03 09:00
03-02 12:00 staff            skip
03-02 12:00 notice_skipped   payment_failed
03-05 08:00 attempt_started  schedule
03-05 08:00 attempt_answered declined insufficient_funds
03-05 08:00 planned          charges [03-09 08:00, 03-16 08:00] notice reminder 03-09 09:00
03-09 08:00 attempt_started  schedule
03-09 08:00 attempt_answered declined insufficient_funds
03-09 08:00 planned          charges [03-16 08:00] notice reminder 03-09 09:00
03-09 09:00 notice_queued    reminder
03-09 09:00 notice_ended     sent
03-16 08:00 attempt_started  schedule
03-16 08:00 attempt_answered declined insufficient_funds
03-16 08:00 planned          charges [] notice final_notice 03-20 09:00
03-20 09:00 notice_queued    final_notice
03-20 09:00 notice_ended     sent
03-23 09:00 final_action     cancel
03-23 09:00 closed           exhausted attempts_spent cancelled
03-23 09:00 notice_queued    subscription_ended
03-23 09:00 notice_ended     sent
03-02 08:30 the provider: Renewal insufficient_funds
03-05 08:00 the provider: Api insufficient_funds
03-09 08:00 the provider: Api insufficient_funds
03-16 08:00 the provider: Api insufficient_funds
");
    });
}

#[test]
fn an_extended_end_is_announced_once_more() {
    tell_in(Shape::New, "2026-03-02T08:30:00Z", &[], &async |story: &mut Story| {
        let (failed, path) = chased(story, "insufficient_funds").await;
        let extend = format!("{path}/extend");
        for (body, code) in [
            (json!({"until": "2026-03-20T00:00:00Z"}), "not_later"),
            (json!({"days": 61}), "too_far"),
            (json!({"until": "2026-06-01T00:00:00Z"}), "too_far"),
        ] {
            assert_eq!(refused(story, &extend, &body).await, code, "{body}");
        }
        for body in [json!({}), json!({"days": 3, "until": "2026-03-30T00:00:00Z"})] {
            let (status, problem) = story.post(&extend, &body).await;
            assert_eq!((status, problem["code"].as_str()), (422, Some("bad_field")), "{body}");
        }
        // The day after the final notice the customer calls and asks for a week.
        story.advance("2026-03-21T12:00:00Z").await;
        done(story, &extend, &json!({"days": 7, "comment": "a week more"})).await;
        story.advance("2026-04-10T00:00:00Z").await;
        let diary = diary(story, &failed.invoice).await;
        let tail = diary.split_once("03-20 09:00 notice_ended     sent\n").unwrap().1;
        assert_eq!(
            tail,
            "03-21 12:00 staff            extend
03-21 12:00 planned
03-21 12:00 planned          charges [] notice final_notice 03-27 09:00
03-27 09:00 notice_queued    final_notice:anew1
03-27 09:00 notice_ended     sent
03-30 08:00 final_action     cancel
03-30 08:00 closed           exhausted attempts_spent cancelled
03-30 08:00 notice_queued    subscription_ended
03-30 08:00 notice_ended     sent
03-02 08:30 the provider: Renewal insufficient_funds
03-03 08:00 the provider: Api insufficient_funds
03-05 08:00 the provider: Api insufficient_funds
03-09 08:00 the provider: Api insufficient_funds
03-16 08:00 the provider: Api insufficient_funds
"
        );
        let tells = |letter: &&Letter| letter.text.contains("30. März 2026") || letter.text.contains("30 March 2026");
        let letters = story.letters();
        assert!(
            letters.iter().any(|letter| tells(&letter)),
            "the new notice names the new end"
        );
    });
}

#[test]
fn a_case_on_hold_rests_until_it_is_released_and_its_end_waits_as_long() {
    tell_in(Shape::New, "2026-03-02T08:30:00Z", &[], &async |story: &mut Story| {
        let (failed, path) = chased(story, "insufficient_funds").await;
        let held = done(
            story,
            &format!("{path}/hold"),
            &json!({"comment": "says the amount is wrong"}),
        )
        .await;
        assert_eq!(
            (&held["state"], &held["held_since"], &held["next_action"]["kind"]),
            (&json!("paused"), &json!("2026-03-02T12:00:00Z"), &json!("look"))
        );
        for act in ["hold", "resume", "retry"] {
            assert_eq!(
                refused(story, &format!("{path}/{act}"), &json!({})).await,
                "on_hold",
                "{act}"
            );
        }
        story.advance("2026-03-12T12:00:00Z").await;
        let (_, forecast) = story.get(&format!("{path}/forecast")).await;
        assert_eq!(forecast["data"], json!([]));
        let released = done(story, &format!("{path}/release"), &json!({})).await;
        assert_eq!(
            (&released["state"], &released["held_since"]),
            (&json!("scheduled"), &Value::Null)
        );
        assert_eq!(
            refused(story, &format!("{path}/release"), &json!({})).await,
            "not_on_hold"
        );
        story.advance("2026-04-10T00:00:00Z").await;
        assert_eq!(diary(story, &failed.invoice).await, "
03-02 08:30 opened           insufficient_funds
03-02 08:30 planned          charges [03-03 08:00, 03-05 08:00, 03-09 08:00, 03-16 08:00] notice payment_failed 03-03 09:00
03-02 12:00 staff            hold
03-12 12:00 staff            release
03-12 12:00 notice_skipped   payment_failed reminder
03-12 12:00 planned
03-12 12:00 planned          charges [03-16 08:00] notice final_notice 03-30 08:00
03-16 08:00 attempt_started  schedule
03-16 08:00 attempt_answered declined insufficient_funds
03-16 08:00 planned          charges [] notice final_notice 03-30 08:00
03-30 08:00 notice_queued    final_notice
03-30 08:00 notice_ended     sent
04-02 08:00 final_action     cancel
04-02 08:00 closed           exhausted attempts_spent cancelled
04-02 08:00 notice_queued    subscription_ended
04-02 08:00 notice_ended     sent
03-02 08:30 the provider: Renewal insufficient_funds
03-16 08:00 the provider: Api insufficient_funds
");

        // Money that comes during a hold ends the case as always.
        let (paying, path) = chased_later(story, "2026-04-10T12:00:00Z").await;
        done(story, &format!("{path}/hold"), &json!({})).await;
        assert!(story.sandbox.pay_by_customer(&paying.invoice));
        story.advance("2026-04-11T12:00:00Z").await;
        let (_, case) = story.get(&path).await;
        assert_eq!(
            (&case["status"], &case["outcome"]["by"]),
            (&json!("recovered"), &json!("customer"))
        );
    });
}

async fn chased_later(story: &Story, at: &str) -> (Failed, String) {
    let failed = story.failed_invoice("insufficient_funds");
    story.advance(at).await;
    let path = format!("/v1/cases/{}", story.case(&failed.invoice).await.id);
    (failed, path)
}

#[test]
fn who_is_excluded_is_neither_charged_nor_written_to() {
    tell_in(Shape::New, "2026-03-02T08:30:00Z", &[], &async |story: &mut Story| {
        let (failed, path) = chased(story, "insufficient_funds").await;
        let customer = json!({"connection": "stripe", "customer_id": failed.customer, "comment": "in court"});
        let excluded = done(story, "/v1/exclusions", &customer).await;
        let id = path.rsplit_once('/').unwrap().1;
        assert_eq!((&excluded["stopped"], &excluded["ending"]), (&json!([id]), &json!([])));
        assert_eq!(done(story, "/v1/exclusions", &customer).await["stopped"], json!([]));
        let (_, listed) = story.get("/v1/exclusions").await;
        assert_eq!(listed["data"][0]["customer_id"], json!(failed.customer));
        assert_eq!(listed["data"].as_array().unwrap().len(), 1);
        story.advance("2026-03-10T12:00:00Z").await;
        // The next invoice fails as well: it is recorded, and nothing comes of it.
        let next = story.sandbox.open_invoice(&failed.subscription, "insufficient_funds");
        story.advance("2026-04-10T00:00:00Z").await;
        assert_eq!(
            diary(story, &next).await,
            "
03-10 12:00 opened           insufficient_funds
03-10 12:00 stood_back
03-10 12:00 closed           stopped staff
03-10 12:00 the provider: Renewal insufficient_funds
"
        );
        assert_eq!(story.letters().len(), 0);
        let odd = json!({"connection": "none", "customer_id": "cus_1"});
        let (status, problem) = story.post("/v1/exclusions", &odd).await;
        assert_eq!((status, problem["code"].as_str()), (422, Some("bad_field")));
        // Once it is lifted, what fails from then on is chased.
        done(story, "/v1/exclusions/lift", &customer).await;
        assert_eq!(refused(story, "/v1/exclusions/lift", &customer).await, "not_excluded");
        let later = story.sandbox.open_invoice(&failed.subscription, "insufficient_funds");
        story.advance("2026-04-11T12:00:00Z").await;
        let paid = story.attempts(&story.case(&later).await.id).await;
        assert_eq!(paid, ["provider declined", "us succeeded"], "it is charged again");
        assert_eq!(acts(story).await, ["exclude", "exclusions.add", "exclusions.lift"]);
    });
}

#[test]
fn an_invoice_whose_event_was_lost_is_put_in_by_hand() {
    tell_in(Shape::New, "2026-03-02T08:30:00Z", &[], &async |story: &mut Story| {
        let (from, to) = (
            "2026-03-02T00:00:00Z".parse().unwrap(),
            "2026-03-04T00:00:00Z".parse().unwrap(),
        );
        // Nor does the list of events tell of it.
        story
            .sandbox
            .faults(|faults| faults.between("/v1/events", Fault::Error, from, to));
        let failed = story.failed_invoice("insufficient_funds");
        assert!(story.sandbox.lose_webhooks() > 0);
        story.advance("2026-03-02T08:35:00Z").await;
        assert!(!story.has_case(&failed.invoice).await);
        let body = json!({"connection": "stripe", "invoice_id": failed.invoice, "comment": "they called"});
        let (status, case) = story.post("/v1/cases", &body).await;
        assert_eq!(
            (status, &case["invoice_id"], &case["state"]),
            (201, &json!(failed.invoice), &json!("scheduled"))
        );
        assert_eq!(refused(story, "/v1/cases", &body).await, "already_chased");
        assert_eq!(diary(story, &failed.invoice).await, "
03-02 08:35 opened           insufficient_funds
03-02 08:35 planned          charges [03-03 08:00, 03-05 08:00, 03-09 08:00, 03-16 08:00] notice payment_failed 03-03 09:00
03-02 08:35 staff            open
03-02 08:30 the provider: Renewal insufficient_funds
");
        let (_, lines) = story
            .get(&format!("/v1/cases/{}/timeline", case["id"].as_str().unwrap()))
            .await;
        assert_eq!(lines["data"][2]["actor"], "bootstrap");
        assert_eq!(acts(story).await, ["cases.open"]);

        let paid = story.failed_invoice("insufficient_funds");
        story.sandbox.lose_webhooks();
        assert!(story.sandbox.pay_by_customer(&paid.invoice));
        story.sandbox.lose_webhooks();
        let body = json!({"connection": "stripe", "invoice_id": paid.invoice});
        assert_eq!(refused(story, "/v1/cases", &body).await, "paid");
        let none = json!({"connection": "stripe", "invoice_id": "in_none"});
        assert_eq!(refused(story, "/v1/cases", &none).await, "unknown_to_provider");
        let odd = json!({"connection": "none", "invoice_id": "in_1"});
        let (status, problem) = story.post("/v1/cases", &odd).await;
        assert_eq!((status, problem["code"].as_str()), (422, Some("bad_field")));
        let gone = story.failed_invoice("insufficient_funds");
        story.sandbox.lose_webhooks();
        let customer = json!({"connection": "stripe", "customer_id": gone.customer});
        done(story, "/v1/exclusions", &customer).await;
        let body = json!({"connection": "stripe", "invoice_id": gone.invoice});
        assert_eq!(refused(story, "/v1/cases", &body).await, "excluded");
    });
}

#[test]
fn one_case_goes_over_to_another_campaign() {
    tell_in(Shape::New, "2026-03-02T08:30:00Z", &[], &async |story: &mut Story| {
        let (failed, path) = chased(story, "insufficient_funds").await;
        let text = crate::support::campaigns::DAYS;
        let text = text.replace("version = 1", "version = 3");
        let (status, made) = story.post("/v1/campaigns", &json!({"text": text})).await;
        assert_eq!(status, 201, "{made}");
        let to = json!({"to": "default@3", "how": "restart", "comment": "a good customer"});
        let moved = done(story, &format!("{path}/migrate"), &to).await;
        assert_eq!(moved["campaign"], json!({"name": "default", "version": 3}));
        assert_eq!(refused(story, &format!("{path}/migrate"), &to).await, "nothing_new");
        let missing = json!({"to": "default@9", "how": "keep"});
        let (status, problem) = story.post(&format!("{path}/migrate"), &missing).await;
        assert_eq!((status, problem["code"].as_str()), (404, Some("not_found")));
        assert_eq!(story.case(&failed.invoice).await.opened_with().version, 1);
    });
}
