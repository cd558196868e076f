//! Acts above an amount wait for a second person; and what staff did is undone while nothing has followed from it.

use recoup::sandbox::{Outcome, Shape};
use recoup::store::audit::{self, AuditFilter};
use serde_json::{Value, json};

use crate::support::story::{Failed, Story, tell_in};

const LIMIT: &[(&str, &str)] = &[("RECOUP__DESK__APPROVAL_ABOVE", "19.98 EUR, 500 USD")];

/// A case of its first day at noon, and the path of its acts.
async fn chased(story: &Story) -> (Failed, String) {
    let failed = story.failed_invoice("insufficient_funds");
    let never = std::iter::repeat_n(Outcome::decline("insufficient_funds"), 10);
    story.sandbox.script_outcomes(&failed.invoice, never);
    story.advance("2026-03-02T12:00:00Z").await;
    let path = format!("/v1/cases/{}", story.case(&failed.invoice).await.id);
    (failed, path)
}

/// A key of billing staff.
async fn key(story: &Story, name: &str) -> String {
    let (status, made) = story.post("/v1/keys", &json!({"name": name, "role": "billing"})).await;
    assert_eq!(status, 201, "{made}");
    made["key"].as_str().unwrap().to_owned()
}

async fn post(story: &Story, key: &str, path: &str, body: &Value) -> (u16, Value) {
    let request = reqwest::Client::new()
        .post(format!("{}{path}", story.url))
        .bearer_auth(key);
    let response = request.json(body).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

async fn code(story: &Story, key: &str, path: &str) -> String {
    let (status, problem) = post(story, key, path, &json!({})).await;
    assert_eq!(status, 409, "{problem}");
    problem["code"].as_str().unwrap().to_owned()
}

async fn audited(story: &Story) -> Vec<String> {
    let rows = audit::list(story.app.store.conn(), &AuditFilter::default(), None, 50)
        .await
        .unwrap();
    let told = rows.into_iter().filter(|row| row.action != "keys.create");
    let mut told: Vec<String> = told.map(|row| format!("{} {}", row.actor, row.action)).collect();
    // Acts of one instant have no order in the log.
    told.sort();
    told
}

#[test]
fn what_is_above_the_amount_waits_for_another_person() {
    tell_in(Shape::New, "2026-03-02T08:30:00Z", LIMIT, &async |story: &mut Story| {
        let (failed, path) = chased(story).await;
        let (eve, bob) = (key(story, "eve").await, key(story, "bob").await);
        let stop = format!("{path}/stop");
        let (status, asked) = post(story, &eve, &stop, &json!({"comment": "a refund comes"})).await;
        assert_eq!(
            (status, &asked["status"], &asked["act"]),
            (202, &json!("pending"), &json!("stop"))
        );
        assert_eq!(asked["expires_at"], "2026-03-05T12:00:00Z");
        assert_eq!(code(story, &bob, &stop).await, "approval_pending");
        assert_eq!(story.case(&failed.invoice).await.status().as_str(), "open");
        let ruling = format!("/v1/approvals/{}", asked["id"].as_str().unwrap());
        assert_eq!(code(story, &eve, &format!("{ruling}/approve")).await, "own_approval");
        assert_eq!(code(story, &eve, &format!("{ruling}/refuse")).await, "own_approval");
        let excluded = json!({"connection": "stripe", "customer_id": failed.customer});
        let (status, problem) = post(story, &eve, "/v1/exclusions", &excluded).await;
        assert_eq!((status, &problem["code"]), (409, &json!("stop_needs_approval")));
        let (_, waiting) = story.get("/v1/approvals?status=pending").await;
        assert_eq!(waiting["data"].as_array().unwrap().len(), 1);
        let (status, ruled) = post(story, &bob, &format!("{ruling}/approve"), &json!({"comment": "seen"})).await;
        assert_eq!(
            (status, &ruled["status"], &ruled["ruled_by"]),
            (200, &json!("approved"), &json!("bob"))
        );
        assert_eq!(
            code(story, &bob, &format!("{ruling}/approve")).await,
            "approval_decided"
        );
        story.advance("2026-04-10T00:00:00Z").await;
        assert_eq!(
            story.diary(&failed.invoice).await,
            "
03-02 08:30 opened           insufficient_funds
03-02 08:30 planned          charges [03-03 08:00, 03-05 08:00, 03-09 08:00, 03-16 08:00] notice payment_failed 03-03 09:00
03-02 12:00 staff            approvals.ask
03-02 12:00 staff            approvals.approve
03-02 12:00 closed           stopped staff
03-02 08:30 the provider: Renewal insufficient_funds
"
        );
        assert_eq!(
            audited(story).await,
            ["bob approvals.approve", "eve approvals.ask", "eve stop"]
        );
        let (_, lines) = story.get(&format!("{path}/timeline")).await;
        assert_eq!(lines["data"][3]["text"], "bob approved what eve asked for: stop.");
    });
}

#[test]
fn an_approval_is_refused_or_runs_out_and_what_is_not_above_it_needs_none() {
    tell_in(Shape::New, "2026-03-02T08:30:00Z", LIMIT, &async |story: &mut Story| {
        let (failed, path) = chased(story).await;
        let (eve, bob) = (key(story, "eve").await, key(story, "bob").await);
        let paid = format!("{path}/mark-paid");
        let (_, asked) = post(story, &eve, &paid, &json!({})).await;
        let ruling = format!("/v1/approvals/{}", asked["id"].as_str().unwrap());
        let (status, ruled) = post(
            story,
            &bob,
            &format!("{ruling}/refuse"),
            &json!({"comment": "no money here"}),
        )
        .await;
        assert_eq!((status, &ruled["status"]), (200, &json!("refused")));
        assert_eq!(story.case(&failed.invoice).await.status().as_str(), "open");
        // What gives nothing up needs nobody.
        let (status, _) = post(
            story,
            &eve,
            &format!("{path}/pause"),
            &json!({"until": "2026-03-04T12:00:00Z"}),
        )
        .await;
        assert_eq!(status, 200);
        let (status, asked) = post(story, &eve, &format!("{path}/write-off"), &json!({})).await;
        assert_eq!(status, 202, "{asked}");
        let late = format!("/v1/approvals/{}", asked["id"].as_str().unwrap());
        story.advance("2026-03-05T12:00:00Z").await;
        assert_eq!(code(story, &bob, &format!("{late}/approve")).await, "approval_expired");
        let (_, listed) = story.get("/v1/approvals?status=expired").await;
        assert_eq!(listed["data"][0]["status"], "expired");
        // It is asked for anew, and approved by then.
        let (status, asked) = post(story, &eve, &format!("{path}/write-off"), &json!({})).await;
        assert_eq!(status, 202, "{asked}");
        let anew = format!("/v1/approvals/{}/approve", asked["id"].as_str().unwrap());
        let (status, _) = post(story, &bob, &anew, &json!({})).await;
        assert_eq!(status, 200);
        story.advance("2026-03-05T13:00:00Z").await;
        let (_, case) = story.get(&path).await;
        assert_eq!(case["outcome"]["why"], "written_off");
        // A retry that a rule forbids is refused before anybody is asked.
        let stolen = story.failed_invoice("stolen_card");
        story.advance("2026-03-06T12:00:00Z").await;
        let retry = format!("/v1/cases/{}/retry", story.case(&stolen.invoice).await.id);
        assert_eq!(code(story, &eve, &retry).await, "never_on_this_method");
    });
}

#[test]
fn an_end_that_can_be_undone_takes_effect_a_minute_later() {
    tell_in(Shape::New, "2026-03-02T08:30:00Z", &[], &async |story: &mut Story| {
        let (failed, path) = chased(story).await;
        let before = story.case(&failed.invoice).await;
        let (status, case) = story
            .post(&format!("{path}/mark-paid"), &json!({"undoable": true}))
            .await;
        assert_eq!(
            (status, &case["state"], &case["undo"]["act"], &case["undo"]["until"]),
            (
                200,
                &json!("ending"),
                &json!("mark-paid"),
                &json!("2026-03-02T12:01:00Z")
            )
        );
        story.advance("2026-03-02T12:00:59Z").await;
        let (status, case) = story
            .post(&format!("{path}/undo"), &json!({"comment": "the wrong one"}))
            .await;
        assert_eq!(
            (status, &case["state"], &case["undo"]),
            (200, &json!("scheduled"), &Value::Null)
        );
        assert_eq!(story.case(&failed.invoice).await, before, "all is as it was");
        let (_, problem) = story.post(&format!("{path}/undo"), &json!({})).await;
        assert_eq!(problem["code"], "nothing_to_undo");
        story.post(&format!("{path}/stop"), &json!({"undoable": true})).await;
        story.advance("2026-03-02T12:02:00Z").await;
        let (_, problem) = story.post(&format!("{path}/undo"), &json!({})).await;
        assert_eq!(problem["code"], "nothing_to_undo", "an outcome is final");
        story.advance("2026-04-10T00:00:00Z").await;
        assert_eq!(
            story.diary(&failed.invoice).await,
            "
03-02 08:30 opened           insufficient_funds
03-02 08:30 planned          charges [03-03 08:00, 03-05 08:00, 03-09 08:00, 03-16 08:00] notice payment_failed 03-03 09:00
03-02 12:00 staff            mark-paid
03-02 12:00 final_action     leave_open
03-02 12:00 staff            undo
03-02 12:00 staff            stop
03-02 12:00 final_action     leave_open
03-02 12:01 closed           stopped staff
03-02 08:30 the provider: Renewal insufficient_funds
"
        );
        assert!(story.letters().is_empty());
    });
}

#[test]
fn a_plan_is_put_back_until_something_follows_from_the_change() {
    tell_in(Shape::New, "2026-03-02T08:30:00Z", &[], &async |story: &mut Story| {
        let (failed, path) = chased(story).await;
        let before = story.case(&failed.invoice).await;
        for (act, body) in [
            ("pause", json!({"until": "2026-03-20T00:00:00Z"})),
            ("skip", json!({"step": "charge"})),
            ("skip", json!({"step": "message"})),
            ("extend", json!({"days": 9})),
            ("hold", json!({})),
        ] {
            let (status, case) = story.post(&format!("{path}/{act}"), &body).await;
            assert_eq!((status, &case["undo"]["act"]), (200, &json!(act)), "{case}");
            // A remark is nothing that follows from it.
            story.post(&format!("{path}/notes"), &json!({"comment": "hm"})).await;
            let (status, problem) = story.post(&format!("{path}/undo"), &json!({})).await;
            assert_eq!(status, 200, "{act}: {problem}");
            assert_eq!(story.case(&failed.invoice).await, before, "{act}");
        }
        // The charge that a retry asks for has left the house.
        story.post(&format!("{path}/retry"), &json!({})).await;
        story.settle().await;
        let (status, problem) = story.post(&format!("{path}/undo"), &json!({})).await;
        assert_eq!((status, &problem["code"]), (409, &json!("nothing_to_undo")));
        // A minute later it is too late.
        let again = story.failed_invoice("insufficient_funds");
        story.advance("2026-03-02T13:00:00Z").await;
        let path = format!("/v1/cases/{}", story.case(&again.invoice).await.id);
        story.post(&format!("{path}/extend"), &json!({"days": 1})).await;
        story.advance("2026-03-02T13:01:00Z").await;
        let (status, problem) = story.post(&format!("{path}/undo"), &json!({})).await;
        assert_eq!((status, &problem["code"]), (409, &json!("too_late")));
    });
}

const BY_TWO: &[(&str, &str)] = &[("RECOUP__DESK__APPROVAL_TO_PUBLISH", "true")];

/// A key of the administration.
async fn admin_key(story: &Story, name: &str) -> String {
    let (status, made) = story.post("/v1/keys", &json!({"name": name, "role": "admin"})).await;
    assert_eq!(status, 201, "{made}");
    made["key"].as_str().unwrap().to_owned()
}

/// One is refused, one runs out and is asked for anew.
async fn refused_and_expired(story: &Story, (eve, bob): (&str, &str), third: &Value) {
    let (_, waits) = post(story, eve, "/v1/campaigns", third).await;
    let refusal = format!("/v1/publications/{}/refuse", waits["id"].as_str().unwrap());
    assert_eq!(post(story, bob, &refusal, &json!({})).await.1["status"], "refused");
    let (_, waits) = post(story, eve, "/v1/campaigns", third).await;
    let late = format!("/v1/publications/{}/approve", waits["id"].as_str().unwrap());
    story.advance("2026-03-05T08:30:00Z").await;
    assert_eq!(code(story, bob, &late).await, "approval_expired");
    assert_eq!(post(story, eve, "/v1/campaigns", third).await.0, 202);
}

#[test]
fn a_version_is_published_by_two() {
    tell_in(
        Shape::New,
        "2026-03-02T08:30:00Z",
        BY_TWO,
        &async |story: &mut Story| {
            let (eve, bob) = (admin_key(story, "eve").await, admin_key(story, "bob").await);
            let newest = async || story.get("/v1/campaigns/default").await.1["version"].clone();
            let before = newest().await;
            let text = crate::support::campaigns::DAYS.replace("version = 1", "version = 2");
            let text = text.replace("after_days = 21", "after_days = 28");
            let asked = json!({"text": text});
            let (status, problem) = post(story, &eve, "/v1/campaigns", &json!({"text": "name = 1"})).await;
            assert_eq!((status, &problem["code"]), (422, &json!("bad_campaign")));
            let (status, waits) = post(story, &eve, "/v1/campaigns", &asked).await;
            assert_eq!(
                (
                    status,
                    &waits["status"],
                    &waits["campaign"]["version"],
                    &waits["expires_at"]
                ),
                (202, &json!("pending"), &json!(2), &json!("2026-03-05T08:30:00Z")),
                "{waits}"
            );
            assert_eq!(newest().await, before);
            let (status, problem) = post(story, &bob, "/v1/campaigns", &asked).await;
            assert_eq!((status, &problem["code"]), (409, &json!("approval_pending")));
            let ruling = format!("/v1/publications/{}", waits["id"].as_str().unwrap());
            assert_eq!(code(story, &eve, &format!("{ruling}/approve")).await, "own_approval");
            let billing = key(story, "cleo").await;
            let (status, _) = post(story, &billing, &format!("{ruling}/approve"), &json!({})).await;
            assert_eq!(status, 403);
            let (status, ruled) = post(story, &bob, &format!("{ruling}/approve"), &json!({"comment": "read"})).await;
            assert_eq!(
                (status, &ruled["status"], &ruled["ruled_by"]),
                (200, &json!("approved"), &json!("bob"))
            );
            assert_eq!(newest().await, json!(2));
            assert_eq!(code(story, &bob, &format!("{ruling}/refuse")).await, "approval_decided");
            let failed = story.failed_invoice("insufficient_funds");
            story.settle().await;
            assert_eq!(story.case(&failed.invoice).await.campaign.version, 2);

            let third = json!({"text": text.replace("version = 2", "version = 3")});
            refused_and_expired(story, (&eve, &bob), &third).await;
            assert_eq!(newest().await, json!(2));
            let (_, all) = story.get("/v1/publications").await;
            let stand = all["data"].as_array().unwrap().iter();
            let mut stand: Vec<&str> = stand.map(|one| one["status"].as_str().unwrap()).collect();
            // What was asked for in one instant has no order.
            stand.sort_unstable();
            assert_eq!(stand, ["approved", "expired", "pending", "refused"]);
            assert_eq!(
                audited(story).await,
                [
                    "bob publications.approve",
                    "bob publications.refuse",
                    "eve publications.ask",
                    "eve publications.ask",
                    "eve publications.ask",
                    "eve publications.ask"
                ]
            );
        },
    );
}
