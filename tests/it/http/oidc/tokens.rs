//! Which tokens are believed.

use serde_json::{Value, json};

use super::{Tab, audited, invite, turned_away, with_identity};
use crate::http::browser::led_to;
use crate::http::{Stage, at};
use crate::support::identity::{CLIENT, Identity, Seal, Signer};

/// What becomes of a header or of claims.
type Lie = fn(&mut Value);

/// Fails unless a sign-in in which the provider lies so lets nobody in.
async fn refused(stage: &Stage, identity: &Identity, what: &str, lie: impl Fn(&mut Value) + Send + 'static) {
    identity.mind().lie = Box::new(lie);
    let tab = Tab::new(stage);
    let seen = tab.sign_on().await;
    assert!(!tab.is_in().await, "{what}");
    turned_away(&seen, "refused");
    let told = tab.get(seen.header("location")).await;
    assert!(
        told.text.contains("The answer of 127.0.0.1 was not taken"),
        "{what}: {}",
        told.text
    );
}

fn moved(claims: &mut Value, name: &str, secs: i64) {
    claims[name] = json!(claims[name].as_i64().unwrap() + secs);
}

#[test]
fn a_claim_that_is_not_as_it_has_to_be_lets_nobody_in() {
    with_identity(async |stage, identity| {
        invite(stage, "Bo", "bo@acme.example").await;
        let check = async |what: &str, lie: Lie| refused(stage, identity, what, lie).await;
        check("another nonce", |claims| claims["nonce"] = json!("0".repeat(64))).await;
        check("no nonce", |claims| claims["nonce"] = json!(null)).await;
        check("expired", |claims| moved(claims, "exp", -300 - 60)).await;
        check("from the future", |claims| moved(claims, "iat", 61)).await;
        check("not yet", |claims| {
            claims["nbf"] = json!(claims["iat"].as_i64().unwrap() + 61);
        })
        .await;
        check("for others", |claims| claims["aud"] = json!("another")).await;
        check("for nobody", |claims| claims["aud"] = json!([])).await;
        check("asked for by nobody", |claims| {
            claims["aud"] = json!([CLIENT, "another"]);
        })
        .await;
        check("asked for by others", |claims| {
            claims["aud"] = json!([CLIENT, "another"]);
            claims["azp"] = json!("another");
        })
        .await;
        check("ours, asked for by others", |claims| claims["azp"] = json!("another")).await;
        check("another issuer", |claims| claims["iss"] = json!("https://evil.example")).await;
        check("no account", |claims| claims["sub"] = json!("")).await;
        check("no name of an account", |claims| claims["sub"] = json!(null)).await;
        check("too long", |claims| claims["sub"] = json!("x".repeat(256))).await;
        check("no end", |claims| claims["exp"] = json!(null)).await;
        let failed = audited(stage, "people.sign_in_failed").await;
        assert!(failed.len() == 15 && failed.iter().all(|entry| entry["object"] == "nobody"));

        // What is as it may be: within a minute of both clocks, and for several of whom we asked.
        identity.mind().lie = Box::new(|claims| {
            moved(claims, "exp", -300 - 59);
            moved(claims, "iat", 60);
            claims["aud"] = json!(["another", CLIENT]);
            claims["azp"] = json!(CLIENT);
        });
        led_to(&Tab::new(stage).sign_on().await, "/dashboard");
    });
}

#[test]
fn a_token_is_taken_by_the_providers_own_signature_alone() {
    with_identity(async |stage, identity| {
        invite(stage, "Bo", "bo@acme.example").await;
        for (what, seal) in [("none", Seal::None), ("hs256", Seal::Hs256), ("strange", Seal::Strange)] {
            identity.mind().seal = seal;
            refused(stage, identity, what, |_| ()).await;
        }
        identity.mind().seal = Seal::Right;
        let heads: [(&str, Lie); 4] = [
            ("None", |head| head["alg"] = json!("None")),
            ("rs256 by an ec key", |head| head["alg"] = json!("RS256")),
            ("es384", |head| head["alg"] = json!("ES384")),
            ("extensions", |head| head["crit"] = json!(["b64"])),
        ];
        for (what, head) in heads {
            identity.mind().head = Box::new(head);
            refused(stage, identity, what, |_| ()).await;
        }
        // A token without the name of its key is checked by the only one, and by none where there are two of its kind.
        identity.mind().head = Box::new(|head| {
            head.as_object_mut().unwrap().remove("kid");
        });
        identity.mind().lie = Box::new(|_| ());
        led_to(&Tab::new(stage).sign_on().await, "/dashboard");
        identity.mind().keys.push(("second".to_owned(), Signer::es256()));
        stage.clock.advance_to(at("2026-03-02T11:00:00Z")).unwrap();
        refused(stage, identity, "one of two", |_| ()).await;
    });
}

#[test]
fn a_key_that_is_not_known_is_asked_for_once_a_minute() {
    with_identity(async |stage, identity| {
        invite(stage, "Bo", "bo@acme.example").await;
        led_to(&Tab::new(stage).sign_on().await, "/dashboard");
        assert_eq!(identity.mind().reads, 1);
        identity.mind().keys.push(("second".to_owned(), Signer::rs256()));
        refused(stage, identity, "within the minute", |_| ()).await;
        assert_eq!(identity.mind().reads, 1, "no token makes us ask again and again");

        stage.clock.advance_to(at("2026-03-02T10:01:00Z")).unwrap();
        led_to(&Tab::new(stage).sign_on().await, "/dashboard");
        led_to(&Tab::new(stage).sign_on().await, "/dashboard");
        assert_eq!(identity.mind().reads, 2);

        // A key that was withdrawn is believed for an hour at most, whoever signs with it.
        identity.mind().keys.clear();
        let stolen = Signer::es256();
        identity.mind().keys.push(("third".to_owned(), stolen));
        stage.clock.advance_to(at("2026-03-02T11:01:00Z")).unwrap();
        led_to(&Tab::new(stage).sign_on().await, "/dashboard");
        assert_eq!(identity.mind().reads, 3);
        let name = |head: &mut Value| head["kid"] = json!("second");
        identity.mind().head = Box::new(name);
        refused(stage, identity, "withdrawn", |_| ()).await;
    });
}
