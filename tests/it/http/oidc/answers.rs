//! Which answers belong to a browser: the state, the code, the time; and what is told where the provider does not answer.

use serde_json::json;

use super::{PENDING, Tab, audited, invite, turned_away, with_identity};
use crate::http::browser::{Browser, PASSWORD, joined, led_to};
use crate::http::{Stage, at, stage};
use crate::support::identity::{CLIENT, Identity};

#[test]
fn the_provider_is_asked_for_a_code_with_state_nonce_and_challenge() {
    with_identity(async |stage, identity| {
        let tab = Tab::new(stage);
        let begun = tab.get("/dashboard/oidc/start").await;
        let page = url::Url::parse(begun.header("location")).unwrap();
        assert!(page.as_str().starts_with(&format!("{}/authorize?", identity.issuer)));
        let query: Vec<(String, String)> = page.query_pairs().into_owned().collect();
        let one = |name: &str| {
            let mut values = query
                .iter()
                .filter(|(key, _)| key == name)
                .map(|(_, value)| value.as_str());
            let value = values.next().unwrap_or_else(|| panic!("no {name}"));
            assert!(values.next().is_none(), "{name} twice");
            value
        };
        assert_eq!(one("response_type"), "code");
        assert_eq!(one("response_mode"), "query");
        assert_eq!(one("scope"), "openid email");
        assert_eq!(one("client_id"), CLIENT);
        assert_eq!(
            one("redirect_uri"),
            "https://billing.acme.example/dashboard/oidc/callback"
        );
        assert_eq!(one("code_challenge_method"), "S256");
        let words = [one("state"), one("nonce"), one("code_challenge")];
        assert!(words.iter().all(|word| word.len() >= 43));
        let set = begun.header("set-cookie");
        for mark in [
            "__Host-recoup_oidc=",
            "; Secure",
            "; HttpOnly",
            "; SameSite=Lax",
            "; Path=/",
            "; Max-Age=600",
        ] {
            assert!(set.contains(mark), "{mark}: {set}");
        }
        for word in words {
            assert!(!set.contains(word), "what leaves is not what the browser keeps: {set}");
        }
        let again = tab.get("/dashboard/oidc/start").await;
        let again = url::Url::parse(again.header("location")).unwrap();
        for word in words {
            assert!(!again.as_str().contains(word), "each sign-in has its own");
        }
    });
}

#[test]
fn an_answer_is_worth_something_in_one_browser_once_and_for_ten_minutes() {
    with_identity(async |stage, identity| {
        invite(stage, "Bo", "bo@acme.example").await;
        let (tab, other) = (Tab::new(stage), Tab::new(stage));
        // Somebody else's answer, as a link that one is made to follow.
        let foreign = other.to_provider().await;
        turned_away(&tab.get(&foreign).await, "stale");
        tab.to_provider().await;
        turned_away(&tab.get(&foreign).await, "stale");
        let own = tab.to_provider().await;
        let (before, _) = own.split_once("state=").unwrap();
        for forged in [
            before.to_owned(),
            format!("{before}state="),
            format!("{before}state={}", "0".repeat(64)),
        ] {
            let seen = tab.get(&forged).await;
            turned_away(&seen, "stale");
            tab.to_provider().await;
        }
        assert_eq!(identity.mind().redeemed, 0, "the provider is not asked for these");
        assert!(!tab.is_in().await);

        // The same again, and the same with its cookie put back.
        let back = tab.to_provider().await;
        let held = tab.cookies.borrow()[PENDING].clone();
        led_to(&tab.get(&back).await, "/dashboard");
        let thief = Tab::new(stage);
        turned_away(&thief.get(&back).await, "stale");
        thief.cookies.borrow_mut().insert(PENDING.to_owned(), held);
        turned_away(&thief.get(&back).await, "refused");
        assert!(tab.is_in().await && !thief.is_in().await);

        let late = Tab::new(stage);
        let back = late.to_provider().await;
        stage.clock.advance_to(at("2026-03-02T10:10:00Z")).unwrap();
        let seen = late.get(&back).await;
        turned_away(&seen, "stale");
        let told = late.get(seen.header("location")).await;
        assert!(told.text.contains("too long ago"), "{}", told.text);
    });
}

#[test]
fn an_answer_of_another_issuer_and_a_refusal_let_nobody_in() {
    with_identity(async |stage, identity| {
        invite(stage, "Bo", "bo@acme.example").await;
        let tab = Tab::new(stage);
        let back = tab.to_provider().await;
        let (rest, _) = back.split_once("&iss=").unwrap();
        turned_away(&tab.get(rest).await, "refused");
        tab.to_provider().await;
        let back = tab.to_provider().await;
        let (rest, _) = back.split_once("&iss=").unwrap();
        let other = format!("{rest}&iss=https%3A%2F%2Fevil.example");
        turned_away(&tab.get(&other).await, "refused");
        assert_eq!(identity.mind().redeemed, 0);

        identity.mind().error = Some("access_denied");
        let seen = tab.sign_on().await;
        turned_away(&seen, "declined");
        let told = tab.get(seen.header("location")).await;
        assert!(told.text.contains("127.0.0.1 signed nobody in."), "{}", told.text);
        let nonsense = tab.get("/dashboard/login?sso=%3Cb%3E").await;
        assert!(nonsense.status == 200 && !nonsense.text.contains("<b>") && !nonsense.text.contains("role=\"alert\""));
    });
}

#[test]
fn while_the_provider_is_away_passwords_do() {
    with_identity(async |stage, identity| {
        joined(stage, "Bo", recoup::domain::role::Role::Billing).await;
        identity.mind().down = true;
        let tab = Tab::new(stage);
        let seen = tab.get("/dashboard/oidc/start").await;
        led_to(&seen, "/dashboard/login?sso=provider");
        let told = tab.get(seen.header("location")).await;
        assert!(told.text.contains("sign in with a password"), "{}", told.text);
        led_to(
            &Browser::new(stage).try_password("bo@acme.example", PASSWORD).await,
            "/dashboard",
        );

        // It is left alone for a moment, then asked again.
        identity.mind().down = false;
        led_to(&tab.get("/dashboard/oidc/start").await, "/dashboard/login?sso=provider");
        assert_eq!(identity.mind().reads, 0);
        stage.clock.advance_to(at("2026-03-02T10:00:10Z")).unwrap();
        led_to(&tab.sign_on().await, "/dashboard");

        // What is down when the code is to be redeemed fails nobody: no try is counted, and nothing is audited.
        let back = tab.to_provider().await;
        identity.mind().down = true;
        turned_away(&tab.get(&back).await, "provider");
        assert_eq!(audited(stage, "people.sign_in_failed").await.len(), 0);
    });
}

/// What is said of the sign-in by a provider whose document was changed so.
async fn with_document(stage: &Stage, identity: &Identity, change: impl Fn(&mut serde_json::Value) + Send + 'static) {
    identity.mind().document = Box::new(change);
    let seen = Tab::new(stage).get("/dashboard/oidc/start").await;
    led_to(&seen, "/dashboard/login?sso=provider");
    let now = stage.clock.now();
    stage
        .clock
        .advance_to(now + jiff::SignedDuration::from_secs(10))
        .unwrap();
}

#[test]
fn a_document_that_cannot_be_is_not_believed() {
    with_identity(async |stage, identity| {
        with_document(stage, identity, |document| {
            document["issuer"] = json!("https://evil.example");
        })
        .await;
        with_document(stage, identity, |document| {
            let slash = format!("{}/", document["issuer"].as_str().unwrap());
            document["issuer"] = json!(slash);
        })
        .await;
        for name in ["authorization_endpoint", "token_endpoint", "jwks_uri"] {
            for bad in [
                "http://evil.example/x",
                "javascript:alert(1)",
                "ftp://127.0.0.1/x",
                "/relative",
            ] {
                with_document(stage, identity, move |document| document[name] = json!(bad)).await;
            }
            with_document(stage, identity, move |document| document[name] = json!(null)).await;
        }
        with_document(stage, identity, |document| {
            document["more"] = json!("x".repeat(256 * 1024));
        })
        .await;
    });
}

#[test]
fn the_secret_goes_where_the_provider_takes_it() {
    with_identity(async |stage, identity| {
        invite(stage, "Bo", "bo@acme.example").await;
        identity.mind().document = Box::new(|document| {
            document["token_endpoint_auth_methods_supported"] = json!(["private_key_jwt", "client_secret_post"]);
        });
        led_to(&Tab::new(stage).sign_on().await, "/dashboard");
    });
}

#[test]
fn who_keeps_coming_with_bad_answers_has_to_wait_and_passwords_stay_open() {
    with_identity(async |stage, identity| {
        joined(stage, "Bo", recoup::domain::role::Role::Billing).await;
        identity.mind().account["email_verified"] = json!(false);
        let tab = Tab::new(stage);
        for _ in 0..20 {
            turned_away(&tab.sign_on().await, "nobody");
        }
        identity.mind().account["email_verified"] = json!(true);
        let redeemed = identity.mind().redeemed;
        let seen = tab.sign_on().await;
        turned_away(&seen, "limited");
        assert_eq!(identity.mind().redeemed, redeemed, "the provider is spared, too");
        assert!(tab.get(seen.header("location")).await.text.contains("Too many tries"));
        led_to(
            &Browser::new(stage).try_password("bo@acme.example", PASSWORD).await,
            "/dashboard",
        );
    });
}

#[test]
fn without_a_provider_there_is_no_such_way() {
    stage(async |stage| {
        let tab = Tab::new(stage);
        for path in ["/dashboard/oidc/start", "/dashboard/oidc/callback?code=x&state=x"] {
            assert_eq!(tab.get(path).await.status, 404, "{path}");
        }
        let page = tab.get("/dashboard/login?sso=nobody").await;
        assert!(
            !page.text.contains("oidc") && !page.text.contains("role=\"alert\""),
            "{}",
            page.text
        );
    });
}
