//! What admins do about people and keys, on the page and by the API.

use recoup::domain::role::Role;
use serde_json::{Value, json};

use super::browser::{Browser, PASSWORD, address, id_of, joined, later, led_to};
use super::{BOOTSTRAP, Stage, stage};

/// The value of the field that shows something once.
fn once(text: &str) -> &str {
    let (_, rest) = text
        .split_once("<input id=\"once\" value=\"")
        .expect("something is shown once");
    rest.split('"').next().unwrap()
}

/// What the audit log says was done, by name: what happens at one instant has no order there.
async fn actions(stage: &Stage) -> Vec<String> {
    let audit = stage.get("/v1/audit?limit=200").await.json();
    let word = |entry: &Value, field: &str| entry[field].as_str().unwrap().to_owned();
    let text = |entry: &Value| format!("{} {}", word(entry, "actor"), word(entry, "action"));
    let mut all: Vec<String> = audit["data"].as_array().unwrap().iter().map(text).collect();
    all.sort();
    all
}

#[test]
fn an_admin_lets_people_in_and_out_on_the_page() {
    stage(async |stage| {
        let ada = joined(stage, "Ada Albers", Role::Admin).await;
        ada.get("/dashboard/people").await;
        let invite = [("name", "Bo <b>"), ("email", "bo@acme.example"), ("role", "marketing")];
        let made = ada.post("/dashboard/people", &invite).await;
        assert_eq!(made.status, 201, "{}", made.text);
        let link = once(&made.text).replace("&#x2f;", "/");
        assert!(made.text.contains("Bo &lt;b&gt;") && !made.text.contains("Bo <b>"));
        let again = ada.post("/dashboard/people", &invite).await;
        assert!(
            again.status == 422 && again.text.contains("has this address already"),
            "{}",
            again.text
        );
        let shown = ada.get("/dashboard/people").await;
        assert!(!shown.text.contains("/dashboard/welcome/") && shown.text.contains("invited"));

        let bo = Browser::new(stage);
        led_to(&bo.join(&link, &[("password", PASSWORD)]).await, "/dashboard");
        assert_eq!(bo.get("/dashboard/people").await.status, 403);
        let mine = bo.get("/dashboard/me").await;
        assert!(mine.text.contains("bo@acme.example") && !mine.text.contains("/dashboard/people"));
        let own = id_of(stage, &address("Ada Albers")).await;
        let other = id_of(stage, "bo@acme.example").await;
        for verb in ["role", "disable"] {
            let done = ada
                .post(&format!("/dashboard/people/{own}/{verb}"), &[("role", "viewer")])
                .await;
            led_to(&done, "/dashboard/people?refused=yourself");
        }
        let reset = ada.post(&format!("/dashboard/people/{other}/reset"), &[]).await;
        assert!(reset.status == 201 && once(&reset.text).contains("welcome"));
        assert!(bo.is_in().await, "the old password is good until then");
        led_to(
            &ada.post(&format!("/dashboard/people/{other}/disable"), &[]).await,
            "/dashboard/people?done=disable",
        );
        let gone = ada.post(&format!("/dashboard/people/{other}/reset"), &[]).await;
        led_to(&gone, "/dashboard/people?refused=not_found");
        let back = ada.post("/dashboard/people", &invite).await;
        assert_eq!(
            back.status, 201,
            "who was let in no more can be invited again: {}",
            back.text
        );
        let expected = [
            "Ada Albers people.disable",
            "Ada Albers people.invite",
            "Ada Albers people.invite",
            "Ada Albers people.join",
            "Ada Albers people.reset",
            "Bo <b> people.join",
            "tests people.invite",
        ];
        assert_eq!(actions(stage).await, expected);
    });
}

#[test]
fn an_admin_makes_and_revokes_keys_on_the_page() {
    stage(async |stage| {
        let ada = joined(stage, "Ada Albers", Role::Admin).await;
        ada.get("/dashboard/people").await;
        let made = ada.post("/dashboard/keys", &[("name", "ci"), ("role", "viewer")]).await;
        assert_eq!(made.status, 201, "{}", made.text);
        let key = once(&made.text).to_owned();
        assert!(!ada.get("/dashboard/people").await.text.contains(&key));
        let get = async || {
            stage
                .send(stage.client.get(stage.url("/v1/cases")).bearer_auth(&key))
                .await
        };
        assert_eq!(get().await.status, 200);
        let keys = stage.get("/v1/keys").await.json();
        let id = keys["data"][0]["id"].as_str().unwrap();
        led_to(
            &ada.post(&format!("/dashboard/keys/{id}/revoke"), &[]).await,
            "/dashboard/people?done=revoke",
        );
        assert_eq!(get().await.status, 401);
        assert!(ada.get("/dashboard/people").await.text.contains("revoked"));
        let nameless = ada.post("/dashboard/keys", &[("name", " "), ("role", "viewer")]).await;
        led_to(&nameless, "/dashboard/people?refused=bad_name");
        let done = actions(stage).await;
        assert_eq!(done[..2], ["Ada Albers keys.create", "Ada Albers keys.revoke"]);
    });
}

#[test]
fn the_api_invites_lists_and_disables() {
    stage(async |stage| {
        let body = json!({"name": "Bo", "email": " Bo@acme.example", "role": "viewer"});
        let invite = async |body: &Value| {
            let request = stage.client.post(stage.url("/v1/people")).bearer_auth(BOOTSTRAP);
            stage.send(request.header("idempotency-key", "one").json(body)).await
        };
        let made = invite(&body).await;
        assert_eq!(made.status, 201, "{}", made.text);
        let bo = made.json();
        assert_eq!(
            (&bo["email"], &bo["joined"]),
            (&json!("bo@acme.example"), &json!(false))
        );
        let link = bo["link"].as_str().unwrap().to_owned();
        assert_eq!(invite(&body).await.json()["link"], json!(null), "it is shown once");
        let twice = stage.post("/v1/people", &body).await;
        assert_eq!((twice.status, twice.code().as_str()), (409, "email_taken"));
        for (field, value) in [("email", "bo"), ("name", "\n"), ("role", "owner")] {
            let mut bad = json!({"name": "Cy", "email": "cy@acme.example", "role": "viewer"});
            bad[field] = json!(value);
            let seen = stage.post("/v1/people", &bad).await;
            assert_eq!((seen.status, seen.code().as_str()), (422, "bad_field"), "{field}");
        }
        let browser = Browser::new(stage);
        led_to(&browser.join(&link, &[("password", PASSWORD)]).await, "/dashboard");
        stage.clock.advance_to(later(stage.clock.now(), 1)).unwrap();
        joined(stage, "Cy", Role::Billing).await;
        let first = stage.get("/v1/people?limit=1").await.json();
        let cursor = first["next_cursor"].as_str().unwrap();
        let second = stage.get(&format!("/v1/people?limit=1&cursor={cursor}")).await.json();
        assert_eq!(
            (&first["data"][0]["joined"], &second["data"][0]["email"]),
            (&json!(true), &json!(address("Cy")))
        );
        assert!(first["data"][0].get("password_hash").is_none());

        let path = format!("/v1/people/{}/disable", bo["id"].as_str().unwrap());
        let once = stage.post(&path, &json!({})).await.json();
        assert!(once["disabled_at"].is_string(), "{once}");
        assert_eq!(stage.post(&path, &json!({})).await.json(), once);
        assert!(!browser.is_in().await);
        assert_eq!(stage.post("/v1/people/none/disable", &json!({})).await.status, 404);
        let done = actions(stage).await;
        let by_key = done.iter().filter(|action| action.starts_with("bootstrap"));
        assert_eq!(
            by_key.collect::<Vec<_>>(),
            ["bootstrap people.disable", "bootstrap people.invite"]
        );
    });
}
