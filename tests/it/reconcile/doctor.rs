//! `recoup doctor`, on a service that is well and on one that is not.

use std::process::{Command, Output};

use recoup::clock::Clock;
use recoup::sandbox::Shape;
use serde_json::{Value, json};

use super::run;
use crate::support::identity::{CLIENT, CLIENT_SECRET, Identity};
use crate::support::story::{Story, tell_in};

async fn doctor(story: &Story, other: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_recoup"));
    command.arg("doctor").args(arguments).env_clear();
    command.envs(story.variables()).envs(other.iter().copied());
    let folder = tempfile::tempdir().unwrap();
    command.current_dir(folder.path());
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

fn verdicts(output: &Output) -> Vec<(String, String)> {
    let findings: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let findings = findings.as_array().unwrap().iter();
    findings
        .map(|one| {
            // Whatever is wrong says what to do.
            assert!(one["verdict"] != "bad" || one["mend"] != "", "{one}");
            (text(&one["check"]), text(&one["verdict"]))
        })
        .collect()
}

#[test]
fn a_service_that_is_well_gets_a_good_word() {
    tell_in(Shape::New, "2026-03-02T08:30:00Z", &[], &async |story: &mut Story| {
        let _ = story.failed_invoice("insufficient_funds");
        story.advance("2026-03-04T00:00:00Z").await;
        let told = doctor(story, &[], &[]).await;
        let text = String::from_utf8_lossy(&told.stdout).into_owned();
        assert_eq!(
            told.status.code(),
            Some(0),
            "{text}{}",
            String::from_utf8_lossy(&told.stderr)
        );
        for check in [
            "database",
            "schema",
            "provider",
            "mail",
            "ledger",
            "audit log",
            "stuck rows",
        ] {
            let good = text
                .lines()
                .any(|line| line.starts_with("good") && line.contains(check));
            assert!(good, "{check}: {text}");
        }
    });
}

#[test]
fn whatever_is_wrong_is_named_with_what_to_do() {
    tell_in(Shape::New, "2026-03-02T08:30:00Z", &[], &async |story: &mut Story| {
        let failed = story.failed_invoice("insufficient_funds");
        story.advance("2026-03-04T00:00:00Z").await;
        story
            .sandbox
            .world(|world| world.charge_again(&failed.invoice))
            .unwrap();
        story.advance("2026-03-06T00:00:00Z").await;
        let _ = story.failed_invoice("expired_card");
        story.settle().await;
        run(
            story,
            "UPDATE cases SET amount_minor = amount_minor + 1 WHERE status = 'open'",
        )
        .await;
        run(
            story,
            "UPDATE inbox SET status = 'dead' WHERE id = (SELECT MAX(id) FROM inbox)",
        )
        .await;
        let other = [
            ("RECOUP__STRIPE__API_KEY", "sk_test_wrong"),
            ("RECOUP__MAIL__SMTP_URL", "smtp://127.0.0.1:1"),
        ];
        let told = doctor(story, &other, &["--json"]).await;
        assert_eq!(told.status.code(), Some(1));
        let bad: Vec<String> = verdicts(&told)
            .into_iter()
            .filter(|(_, verdict)| verdict == "bad")
            .map(|(check, _)| check)
            .collect();
        assert_eq!(bad, ["dead events", "ledger", "overpaid", "provider", "mail"]);
        let text = String::from_utf8(told.stdout).unwrap();
        assert!(!text.contains("sk_test_wrong"), "a key is shown");
        run(
            story,
            "UPDATE cases SET amount_minor = amount_minor - 1 WHERE status = 'open'",
        )
        .await;
    });
}

#[test]
fn a_door_at_which_nothing_arrives_is_told_although_the_sweep_brings_it_all() {
    tell_in(Shape::New, "2026-03-02T08:30:00Z", &[], &async |story: &mut Story| {
        let webhooks = async |story: &Story| {
            let told = doctor(story, &[], &["--json"]).await;
            let verdicts = verdicts(&told);
            verdicts.into_iter().find(|(check, _)| check == "webhooks").unwrap().1
        };
        let _ = story.failed_invoice("insufficient_funds");
        story.advance("2026-03-02T10:00:00Z").await;
        assert_eq!(webhooks(story).await, "good");
        for hour in 11..14 {
            let failed = story.failed_invoice("insufficient_funds");
            assert!(story.sandbox.lose_webhooks() > 0);
            story.advance(&format!("2026-03-02T{hour}:45:00Z")).await;
            assert!(story.has_case(&failed.invoice).await, "the sweep brings it");
        }
        assert_eq!(webhooks(story).await, "bad");
        let _ = story.failed_invoice("insufficient_funds");
        story.advance("2026-03-02T14:45:00Z").await;
        assert_eq!(webhooks(story).await, "good", "the door is open again");
    });
}

#[test]
fn a_database_that_is_away_is_said_first() {
    tell_in(Shape::New, "2026-03-02T08:30:00Z", &[], &async |story: &mut Story| {
        let away = [("RECOUP__DATABASE__URL", "postgres://nobody@127.0.0.1:1/none")];
        let told = doctor(story, &away, &["--json"]).await;
        assert_eq!(told.status.code(), Some(1));
        let bad = verdicts(&told).into_iter().find(|(_, verdict)| verdict == "bad");
        assert_eq!(bad.map(|(check, _)| check).as_deref(), Some("database"));
    });
}

#[test]
fn an_identity_provider_that_answers_and_is_who_we_think_gets_a_good_word() {
    tell_in(Shape::New, "2026-03-02T08:30:00Z", &[], &async |story: &mut Story| {
        let identity = Identity::start(Clock::System);
        let found = async |issuer: &str| {
            let other = [
                ("RECOUP__HTTP__PUBLIC_URL", "https://pay.example.com"),
                ("RECOUP__OIDC__ISSUER", issuer),
                ("RECOUP__OIDC__CLIENT_ID", CLIENT),
                ("RECOUP__OIDC__CLIENT_SECRET", CLIENT_SECRET),
            ];
            let told = doctor(story, &other, &["--json"]).await;
            let text = String::from_utf8(told.stdout.clone()).unwrap();
            assert!(!text.contains(CLIENT_SECRET), "{text}");
            let verdicts = verdicts(&told);
            let verdict = verdicts.into_iter().find(|(check, _)| check == "single sign-on");
            (verdict.unwrap().1, text)
        };
        assert_eq!(found(&identity.issuer).await.0, "good");
        let (verdict, text) = found(&format!("{}/", identity.issuer)).await;
        assert!(verdict == "bad" && text.contains("its issuer is not the one"), "{text}");
        identity.mind().document = Box::new(|document| document["jwks_uri"] = json!("x"));
        assert_eq!(found(&identity.issuer).await.0, "bad");
        identity.stop().await;
        assert_eq!(found(&identity.issuer).await.0, "bad");
        let none = doctor(story, &[], &["--json"]).await;
        assert!(verdicts(&none).iter().all(|(check, _)| check != "single sign-on"));
    });
}
