//! Campaigns and messages as staff write and read them.

use recoup::clock::Clock;
use recoup::domain::campaign::EMBEDDED;
use recoup::domain::message::Message;
use recoup::domain::role::Role;
use recoup::http::Options;
use recoup::mailer::Locale;
use serde_json::{Value, json};

use super::browser::joined;
use super::{BOOTSTRAP, Stage, at, stage};
use crate::support::databases::each_database;

async fn publish(stage: &Stage, text: &str) -> super::Seen {
    stage.post("/v1/campaigns", &json!({ "text": text })).await
}

#[test]
fn a_campaign_is_published_once_and_new_cases_take_it() {
    stage(async |stage| {
        let before = stage.open_case("insufficient_funds").await;
        let text = EMBEDDED.replace("version = 2", "version = 3");
        for _ in 0..2 {
            let seen = publish(stage, &text).await;
            assert_eq!(seen.status, 201, "{}", seen.text);
            assert_eq!(
                (&seen.json()["name"], &seen.json()["version"]),
                (&json!("default"), &json!(3))
            );
        }
        let other = publish(stage, &text.replace("charges = 5", "charges = 3")).await;
        assert_eq!((other.status, other.code().as_str()), (409, "version_taken"));
        let after = stage.open_case("insufficient_funds").await;
        let version =
            async |case: &str| stage.get(&format!("/v1/cases/{case}")).await.json()["campaign"]["version"].clone();
        assert_eq!((version(&before).await, version(&after).await), (json!(1), json!(3)));
        let audit = stage.get("/v1/audit").await.json();
        let entry = audit["data"]
            .as_array()
            .unwrap()
            .iter()
            .find(|entry| entry["action"] == "campaigns.create");
        assert_eq!(entry.expect("an entry")["object"], "default@3");
    });
}

#[test]
fn no_second_person_is_asked_for_what_is_published() {
    each_database(async |store| {
        let options = Options {
            bootstrap_key: Some(BOOTSTRAP.into()),
            approval_to_publish: true,
            ..Options::default()
        };
        let stage = Stage::new(store, Clock::test(at("2026-03-02T10:00:00Z")), options).await;
        let ada = joined(&stage, "Ada", Role::Admin).await;
        let write = "/dashboard/campaigns/write";
        let text = EMBEDDED.replace("version = 2", "version = 3");
        let fields = [("text", text.as_str()), ("act", "publish")];
        ada.get(write).await;
        let asked = ada.post(write, &fields).await;
        let publication = asked.header("location").strip_suffix("?done=asked").unwrap().to_owned();
        let id = publication.rsplit('/').next().unwrap();
        let approved = stage.post(&format!("/v1/publications/{id}/approve"), &json!({})).await;
        assert_eq!(approved.status, 200, "{}", approved.text);

        let again = publish(&stage, &text).await;
        assert_eq!((again.status, again.code().as_str()), (409, "already_published"));
        let seen = ada.post(write, &fields).await;
        assert!(
            seen.status == 409
                && seen
                    .text
                    .contains("default@3 is published already, with the same content"),
            "{}",
            seen.text
        );
        let other = text.replace("charges = 5", "charges = 3");
        let other = publish(&stage, &other).await;
        assert_eq!((other.status, other.code().as_str()), (409, "version_taken"));
        let all = stage.get("/v1/publications").await.json();
        assert_eq!(all["data"].as_array().unwrap().len(), 1, "{all}");
        stage.end().await;
    });
}

#[test]
fn a_bad_campaign_is_refused_with_lines_and_columns() {
    stage(async |stage| {
        let text = EMBEDDED
            .replace("version = 2", "version = 3")
            .replace("kinds = [\"issuer_down\"]", "kinds = [\"issuer_down\", \"fraud\"]");
        let line = text.lines().position(|line| line.contains("\"fraud\"]")).unwrap() + 1;
        let cases: [(&str, usize, usize, &str); 3] = [
            (&text, line, 25, "fraud is never charged again by schedule"),
            ("name = \"x\"\nversion = \"one\"\n", 2, 11, "invalid type"),
            ("name = \"x\"\nversion 1\n", 2, 9, "="),
        ];
        for (text, line, column, what) in cases {
            let seen = publish(stage, text).await;
            assert_eq!(
                (seen.status, seen.code().as_str()),
                (422, "bad_campaign"),
                "{}",
                seen.text
            );
            let problem = seen.json();
            let error = &problem["errors"][0];
            assert_eq!(
                (&error["line"], &error["column"]),
                (&json!(line), &json!(column)),
                "{problem}"
            );
            assert!(error["detail"].as_str().unwrap().contains(what), "{problem}");
        }
        assert_eq!(stage.get("/v1/campaigns/default?version=3").await.status, 404);
    });
}

#[test]
fn every_message_can_be_looked_at_in_every_language() {
    stage(async |stage| {
        let listed = stage.get("/v1/templates").await.json();
        let names: Vec<&str> = listed["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["name"].as_str().unwrap())
            .collect();
        let known: Vec<&str> = Message::ALL.iter().map(|message| message.as_str()).collect();
        assert_eq!(names, known);
        for name in names {
            for locale in Locale::tags() {
                let seen = stage
                    .get(&format!("/v1/templates/{name}/preview?locale={locale}-XX"))
                    .await;
                let shown: Value = seen.json();
                assert_eq!((seen.status, &shown["locale"]), (200, &json!(locale)));
                assert!(
                    shown["text"].as_str().unwrap().contains("Acme") || name.starts_with("staff"),
                    "{shown}"
                );
                assert!(shown["html"].as_str().unwrap().contains("</html>"));
            }
        }
        let nth = async |nth: u8| {
            stage
                .get(&format!("/v1/templates/reminder/preview?nth={nth}"))
                .await
                .json()["subject"]
                .clone()
        };
        assert_ne!(nth(1).await, nth(2).await);
        assert_eq!(stage.get("/v1/templates/ransom/preview").await.status, 404);
        let page = stage.get("/dashboard/messages?locale=ja").await;
        assert_eq!(page.status, 303, "nobody is logged in");
    });
}
