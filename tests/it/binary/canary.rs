//! A service whose every secret is a canary, through good and bad days: what it writes shows none of them, and no
//! customer either.

use std::path::Path;

use recoup::clock::Clock;
use recoup::sandbox::{API_KEY, Mailbox, Sandbox, SandboxConfig, Shape};

use super::{Service, json, run, written};
use crate::support::databases::each_url;

const PASSWORD: &str = "canary-password-of-the-database";
const WEBHOOK_SECRETS: [&str; 2] = ["whsec_canary_new", "whsec_canary_old"];
const MAIL_PASSWORD: &str = "canary-password-of-the-relay";
const BOOTSTRAP_KEY: &str = "canary-key-of-the-first-admin";
const ADDRESS: &str = "canary.customer@customers.example";
const NAME: &str = "Canary Customerin";
const START: &str = "2026-03-02T10:00:00Z";

/// The same database, reached with a password; a server that trusts its own machine does not ask for it.
fn with_password(url: &str) -> String {
    url.replacen("postgres@", &format!("postgres:{PASSWORD}@"), 1)
}

/// Fails where a text shows a secret or a customer.
fn silent(told: &str, key: &str) {
    let kept = [PASSWORD, API_KEY, MAIL_PASSWORD, BOOTSTRAP_KEY, key, ADDRESS, NAME];
    for secret in kept.into_iter().chain(WEBHOOK_SECRETS) {
        assert!(!told.contains(secret), "{secret} is shown:\n{told}");
    }
}

/// Two failed payments, from the webhook to the mail, and what a bad caller does.
async fn good_and_bad_days(service: &Service, sandbox: &Sandbox, key: &str) {
    let customer = sandbox.add_customer(NAME, ADDRESS);
    let price = recoup::domain::money::Money::new(1_999, "EUR".parse().unwrap());
    let subscription = sandbox.add_subscription(&customer, price, "2026-04-01T10:00:00Z".parse().unwrap());
    // One is paid by a retry within the hour, and a receipt is due; the other is retried when the provider is gone.
    for code in ["issuer_not_available", "insufficient_funds"] {
        sandbox.open_invoice(&subscription, code);
    }
    sandbox
        .send_webhooks_to(format!("http://{}/webhooks/stripe", service.address))
        .await
        .unwrap();
    assert_eq!(sandbox.deliver_webhooks().await.pending, 0);
    let advance = |to: &str| {
        let body = format!("{{\"to\":\"{to}\"}}");
        let (status, text) = service.send("POST", "/v1/test-clock/advance", Some(BOOTSTRAP_KEY), &body);
        assert_eq!(status, 200, "{text}");
    };
    advance("2026-03-02T12:30:00Z");
    let cases = json(&service.get("/v1/cases", Some(BOOTSTRAP_KEY)).1);
    let case = cases["data"][0]["id"].as_str().unwrap();
    let notes = format!("/v1/cases/{case}/notes");
    let remark = format!("{{\"comment\":\"{ADDRESS}\"}}");
    assert_eq!(service.send("POST", &notes, Some(key), &remark).0, 200);
    let forged = format!("{{\"id\":\"evt_1\",\"object\":\"{ADDRESS}\"}}");
    assert_eq!(service.send("POST", "/webhooks/stripe", None, &forged).0, 400);
    assert_eq!(
        service.get("/v1/cases", Some("canary-key-of-the-first-admin-no")).0,
        401
    );
    let found = service.get(&format!("/v1/cases?customer_id={ADDRESS}"), Some(key));
    assert_eq!(found.0, 200);
    // The provider goes away, too.
    sandbox.stop().await;
    advance("2026-03-03T20:00:00Z");
}

fn story(url: &str, mailbox: &str, sandbox: &Sandbox) -> (Service, String) {
    let folder = tempfile::tempdir().unwrap();
    let secrets = WEBHOOK_SECRETS.join(",");
    let (database, base) = (with_password(url), sandbox.url());
    let relay = format!("smtp://relay:{MAIL_PASSWORD}@{mailbox}");
    let variables = [
        ("RECOUP__DATABASE__URL", database.as_str()),
        ("RECOUP__CLOCK__MODE", "test"),
        ("RECOUP__CLOCK__START", START),
        ("RECOUP__STRIPE__API_BASE", &base),
        ("RECOUP__STRIPE__API_KEY", API_KEY),
        ("RECOUP__STRIPE__WEBHOOK_SECRETS", &secrets),
        ("RECOUP__MAIL__SMTP_URL", &relay),
        ("RECOUP__MAIL__FROM", "Acme <billing@acme.example>"),
        ("RECOUP__ADMIN__BOOTSTRAP_KEY", BOOTSTRAP_KEY),
        ("RUST_LOG", "recoup=trace"),
    ];
    let create = ["keys", "create", "--role", "billing", "--name", "tests"];
    let created = run(folder.path(), &create, &variables);
    let key = String::from_utf8(created.stdout.clone()).unwrap().trim().to_owned();
    assert!(!key.is_empty(), "{}", written(&created));
    assert!(!String::from_utf8_lossy(&created.stderr).contains(&key));
    errors(folder.path(), &variables, &key);
    (Service::start(folder, &variables), key)
}

/// Commands that fail while every secret is set: a port that is taken, a database that is away.
fn errors(folder: &Path, variables: &[(&str, &str)], key: &str) {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    // The listener never speaks PostgreSQL: it is gone before the command asks.
    let away = format!("postgres://postgres:{PASSWORD}@{address}/{PASSWORD}");
    for (command, name, value) in [
        ("serve", "RECOUP__HTTP__LISTEN", address.as_str()),
        ("serve", "RECOUP__CAMPAIGNS__DIR", "no/such/folder"),
        ("check", "RECOUP__MAIL__FROM", "no address"),
    ] {
        let mut variables = variables.to_vec();
        variables.retain(|(other, _)| *other != name);
        variables.push((name, value));
        let told = run(folder, &[command], &variables);
        assert_eq!(told.status.code(), Some(1), "{command} {name}");
        silent(&written(&told), key);
    }
    drop(taken);
    let told = run(folder, &["migrate"], &[("RECOUP__DATABASE__URL", &away)]);
    assert_eq!(told.status.code(), Some(1));
    silent(&written(&told), key);
}

#[test]
fn neither_a_secret_nor_a_customer_is_ever_written() {
    each_url(&async |url: &str| {
        let mailbox = Mailbox::start().await.unwrap();
        let sandbox = Sandbox::start(SandboxConfig {
            seed: 7,
            shape: Shape::New,
            listen: "127.0.0.1:0".parse().unwrap(),
            webhook_url: None,
            webhook_secret: WEBHOOK_SECRETS[0].into(),
            clock: Clock::test(START.parse().unwrap()),
        })
        .await
        .unwrap();
        let (service, key) = story(url, &mailbox.addr.to_string(), &sandbox);
        good_and_bad_days(&service, &sandbox, &key).await;
        let notifications = service.get("/v1/notifications", Some(&key)).1;
        let (code, rest, log) = service.terminate();
        assert_eq!(code, Some(0), "{log}");
        // The log tells of the whole story, or its silence would prove nothing.
        for told in [
            "The charge of 19.99 EUR failed",
            "Recovered: paid by retry",
            "message ended",
            "a webhook was refused",
            "The provider could not be asked",
        ] {
            assert!(log.contains(told), "{told}: {log}");
        }
        assert!(notifications.contains("payment_received"), "{notifications}");
        silent(&format!("{rest}{log}"), &key);
    });
}
