//! The API's own promises: the shape of a case, acts, lists, idempotency, the test clock, keys.

use recoup::domain::role::Role;
use serde_json::{Value, json};

use super::{BOOTSTRAP, stage};

#[test]
fn a_case_has_the_shape_of_the_contract() {
    stage(async |stage| {
        let id = stage.open_case("insufficient_funds").await;
        let case = stage.get(&format!("/v1/cases/{id}")).await.json();
        assert_eq!(case["status"], "open");
        assert_eq!(case["state"], "scheduled");
        assert_eq!(case["amount_due"], json!({"amount_minor": 1999, "currency": "EUR"}));
        assert_eq!(case["decline"]["kind"], "insufficient_funds");
        assert_eq!(case["decline"]["disposition"], "retry");
        assert_eq!(case["campaign"], json!({"name": "default", "version": 1}));
        assert_eq!(case["next_action"]["kind"], "charge", "{case}");
        for null in ["closed_at", "outcome", "reversal_of"] {
            assert_eq!(case.get(null), Some(&Value::Null), "{null}");
        }
        for known in [
            "connection",
            "invoice_id",
            "subscription_id",
            "customer_id",
            "opened_at",
        ] {
            assert!(case[known].is_string(), "{known}");
        }
        for text in ["timeline", "explain", "forecast"] {
            let seen = stage.get(&format!("/v1/cases/{id}/{text}")).await;
            assert_eq!(seen.status, 200, "{text}: {}", seen.text);
        }
        let explained = stage.get(&format!("/v1/cases/{id}/explain")).await.json();
        assert!(explained["sentence"].as_str().unwrap().contains("insufficient_funds"));
        let planned = stage.get(&format!("/v1/cases/{id}/forecast")).await.json();
        assert!(
            planned["data"]
                .as_array()
                .unwrap()
                .iter()
                .any(|step| step["kind"] == "charge")
        );
        let told = stage.get(&format!("/v1/cases/{id}/timeline?limit=1")).await.json();
        assert_eq!(told["data"][0]["kind"], "opened");
        let next = told["next_cursor"].as_str().unwrap();
        let rest = stage
            .get(&format!("/v1/cases/{id}/timeline?cursor={next}"))
            .await
            .json();
        assert!(
            rest["data"]
                .as_array()
                .unwrap()
                .iter()
                .all(|line| line["kind"] != "opened")
        );
    });
}

#[test]
fn viewers_see_a_masked_address_and_billing_the_whole() {
    stage(async |stage| {
        let id = stage.open_case("insufficient_funds").await;
        let contact = async |role| {
            let key = stage.key(role).await;
            let request = stage.client.get(stage.url(&format!("/v1/cases/{id}"))).bearer_auth(key);
            stage.send(request).await.json()["contact"].clone()
        };
        let viewer = contact(Role::Viewer).await;
        assert_eq!(
            (&viewer["email"], &viewer["name"]),
            (&json!("a***@customers.example"), &Value::Null)
        );
        let billing = contact(Role::Billing).await;
        assert_eq!(
            (&billing["email"], &billing["name"]),
            (&json!("ada@customers.example"), &json!("Ada Albers"))
        );
    });
}

#[test]
fn staff_acts_and_is_refused_with_a_reason() {
    stage(async |stage| {
        let id = stage.open_case("insufficient_funds").await;
        let path = |verb: &str| format!("/v1/cases/{id}/{verb}");
        let note = stage.post(&path("notes"), &json!({"comment": "called them"})).await;
        assert_eq!(note.status, 200, "{}", note.text);
        let early = stage.post(&path("resume"), &json!({})).await;
        assert_eq!((early.status, early.code().as_str()), (409, "not_paused"));
        let past = stage
            .post(&path("pause"), &json!({"until": "2026-01-01T00:00:00Z"}))
            .await;
        assert_eq!((past.status, past.code().as_str()), (409, "not_in_future"));
        let missing = stage.post(&path("pause"), &json!({})).await;
        assert_eq!((missing.status, missing.code().as_str()), (422, "bad_field"));
        let until = json!({"until": "2026-03-09T00:00:00Z", "comment": "holiday"});
        assert_eq!(stage.post(&path("pause"), &until).await.json()["state"], "paused");
        assert_eq!(stage.post(&path("resume"), &json!({})).await.status, 200);
        let stop = stage
            .send(stage.client.post(stage.url(&path("stop"))).bearer_auth(BOOTSTRAP))
            .await;
        assert_eq!(stop.status, 200, "an empty body is allowed: {}", stop.text);
        let outcome = &stop.json()["outcome"];
        assert_eq!(
            (&outcome["kind"], &outcome["why"]),
            (&json!("stopped"), &json!("staff"))
        );
        assert!(outcome["at"].is_string());
        let late = stage.post(&path("stop"), &json!({})).await;
        assert_eq!((late.status, late.code().as_str()), (409, "case_closed"));
        let audit = stage.get("/v1/audit").await.json();
        let acts: Vec<_> = audit["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|act| act["actor"].clone())
            .collect();
        assert!(
            acts.len() >= 4 && acts.iter().all(|actor| actor == "bootstrap"),
            "{audit}"
        );
    });
}

#[test]
fn lists_go_on_by_cursor_and_filter() {
    stage(async |stage| {
        for code in ["insufficient_funds", "lost_card", "insufficient_funds"] {
            stage.open_case(code).await;
        }
        let all = stage.get("/v1/cases").await.json();
        assert_eq!(
            (all["data"].as_array().unwrap().len(), &all["next_cursor"]),
            (3, &Value::Null)
        );
        let mut seen = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = stage.get(&format!("/v1/cases?limit=1{cursor}")).await.json();
            seen.push(page["data"][0]["id"].clone());
            let Some(next) = page["next_cursor"].as_str() else {
                break;
            };
            cursor = format!("&cursor={next}");
        }
        let ids: Vec<Value> = all["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|case| case["id"].clone())
            .collect();
        assert_eq!(seen, ids);
        let count = async |query: &str| {
            stage.get(&format!("/v1/cases?{query}")).await.json()["data"]
                .as_array()
                .unwrap()
                .len()
        };
        assert_eq!(count("decline_kind=lost_stolen").await, 1);
        assert_eq!(count("status=open&decline_kind=insufficient_funds").await, 2);
        assert_eq!(count("status=recovered").await, 0);
        assert_eq!(count("customer_id=none").await, 0);
    });
}

#[test]
fn a_post_under_a_key_is_carried_out_once() {
    stage(async |stage| {
        let id = stage.open_case("insufficient_funds").await;
        let note = async |key: &str, comment: &str| {
            let request = stage
                .client
                .post(stage.url(&format!("/v1/cases/{id}/notes")))
                .bearer_auth(BOOTSTRAP);
            stage
                .send(
                    request
                        .header("idempotency-key", key)
                        .json(&json!({ "comment": comment })),
                )
                .await
        };
        let first = note("k1", "one").await;
        let again = note("k1", "one").await;
        assert_eq!((first.status, again.status, &again.text), (200, 200, &first.text));
        assert_eq!(
            (first.header("idempotent-replayed"), again.header("idempotent-replayed")),
            ("", "true")
        );
        let other = note("k1", "two").await;
        assert_eq!((other.status, other.code().as_str()), (422, "idempotency_mismatch"));
        let lines = stage.get(&format!("/v1/cases/{id}/timeline")).await.json();
        let notes = lines["data"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|line| line["kind"] == "staff")
            .count();
        assert_eq!(notes, 1);
        assert_eq!(note("k2", "").await.status, 422);
        assert_eq!(
            note("k2", "now right").await.status,
            200,
            "a refused request does not use the key up"
        );
        let many = futures_util::future::join_all((0..10).map(|_| note("k3", "at once"))).await;
        for seen in &many {
            assert!(
                seen.status == 200 || seen.code() == "idempotency_in_flight",
                "{}",
                seen.text
            );
        }
        let lines = stage.get(&format!("/v1/cases/{id}/timeline")).await.json();
        let notes = lines["data"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|line| line["kind"] == "staff")
            .count();
        assert_eq!(notes, 3);
    });
}

#[test]
fn a_new_key_is_shown_once() {
    stage(async |stage| {
        let create = async || {
            let request = stage
                .client
                .post(stage.url("/v1/keys"))
                .bearer_auth(BOOTSTRAP)
                .header("idempotency-key", "k");
            stage.send(request.json(&json!({"name": "ci", "role": "viewer"}))).await
        };
        let (first, again) = (create().await, create().await);
        assert_eq!((first.status, again.status), (201, 201));
        let (made, replayed) = (first.json(), again.json());
        let key = made["key"].as_str().unwrap();
        assert_eq!((&replayed["id"], &replayed["key"]), (&made["id"], &Value::Null));
        let used = stage
            .send(stage.client.get(stage.url("/v1/cases")).bearer_auth(key))
            .await;
        assert_eq!(used.status, 200);
        let odd = stage.post("/v1/keys", &json!({"name": "", "role": "viewer"})).await;
        assert_eq!((odd.status, odd.code().as_str()), (422, "bad_field"));
    });
}

#[test]
fn the_test_clock_moves_forward_only_and_does_the_work() {
    stage(async |stage| {
        let id = stage.open_case("insufficient_funds").await;
        let shown = stage.get("/v1/test-clock").await.json();
        assert_eq!(shown["now"], "2026-03-02T10:00:00Z");
        let advance = async |to: &str| stage.post("/v1/test-clock/advance", &json!({ "to": to })).await;
        let done = advance("2026-04-01T00:00:00Z").await;
        assert_eq!(
            (done.status, &done.json()["now"]),
            (200, &json!("2026-04-01T00:00:00Z")),
            "{}",
            done.text
        );
        let case = stage.get(&format!("/v1/cases/{id}")).await.json();
        assert_ne!(case["status"], "open", "{case}");
        assert_eq!(advance("2026-04-01T00:00:00Z").await.status, 200);
        let back = advance("2026-03-01T00:00:00Z").await;
        assert_eq!((back.status, back.code().as_str()), (422, "clock_backwards"));
        for odd in ["tomorrow", "9999-12-01T00:00:00Z"] {
            assert_eq!(advance(odd).await.code(), "bad_field", "{odd}");
        }
        let mails = stage.get(&format!("/v1/notifications?case_id={id}")).await.json();
        let mails = mails["data"].as_array().unwrap();
        assert!(
            !mails.is_empty() && mails.iter().any(|mail| mail["body_text"].is_string()),
            "{mails:?}"
        );
    });
}
