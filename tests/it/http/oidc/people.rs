//! Whom a good answer lets in: who was invited, by a verified address at first, and by their account ever after.

use serde_json::json;

use super::{PENDING, Tab, audited, invite, turned_away, with_identity};
use crate::http::browser::{Browser, led_to, path_of};
use crate::support::identity::Signer;

#[test]
fn who_was_invited_signs_in_and_the_account_is_theirs_from_then_on() {
    with_identity(async |stage, identity| {
        let (bo, link) = invite(stage, "Bo", "bo@acme.example").await;
        identity.mind().account["email"] = json!("Bo@ACME.example");
        let tab = Tab::new(stage);
        let page = tab.get("/dashboard/login").await;
        assert!(page.text.contains("href=\"/dashboard/oidc/start\""), "{}", page.text);
        assert!(page.text.contains("Sign in with 127.0.0.1"));
        assert!(page.header("content-security-policy").contains("form-action 'self'"));

        led_to(&tab.sign_on().await, "/dashboard");
        assert!(tab.is_in().await);
        assert!(!tab.cookies.borrow().contains_key(PENDING), "it was for once");
        let mine = tab.get("/dashboard/me").await;
        assert!(mine.text.contains("bo@acme.example") && mine.text.contains("You have none here"));
        assert_eq!(tab.get("/dashboard/people").await.status, 403, "the role is Recoup's");
        let entries = audited(stage, "people.sign_in").await;
        assert_eq!(entries.len(), 1);
        assert_eq!(
            (&entries[0]["actor"], &entries[0]["object"], &entries[0]["comment"]),
            (&json!("Bo"), &json!(bo.id.as_str()), &json!("by single sign-on"))
        );
        assert_eq!(audited(stage, "people.bind").await.len(), 1);
        let people = stage.get("/v1/people").await.json();
        assert_eq!(people["data"][0]["joined"], true);
        let old = Browser::new(stage).get(&path_of(&link)).await;
        assert_eq!(old.status, 404, "the link of the invitation is worth nothing any more");

        // The provider changes address and key; the account stays the same.
        identity.mind().account = json!({"sub": "account-1", "email": "b.o@other.example", "email_verified": false});
        identity.mind().keys = vec![("rsa".to_owned(), Signer::rs256())];
        stage.clock.advance_to(super::at("2026-03-02T11:00:00Z")).unwrap();
        let other = Tab::new(stage);
        led_to(&other.sign_on().await, "/dashboard");
        assert!(other.get("/dashboard/me").await.text.contains("bo@acme.example"));
        assert_eq!(audited(stage, "people.bind").await.len(), 1);
    });
}

#[test]
fn an_address_that_passes_to_somebody_else_opens_nobodys_account() {
    with_identity(async |stage, identity| {
        let (bo, _) = invite(stage, "Bo", "bo@acme.example").await;
        let (cy, _) = invite(stage, "Cy", "cy@acme.example").await;
        led_to(&Tab::new(stage).sign_on().await, "/dashboard");

        // Another account comes to have Bo's address.
        identity.mind().account["sub"] = json!("account-2");
        let thief = Tab::new(stage);
        turned_away(&thief.sign_on().await, "nobody");
        assert!(!thief.is_in().await);
        let failed = audited(stage, "people.sign_in_failed").await;
        assert_eq!(failed[0]["object"], json!(bo.id.as_str()));

        // Bo's account comes to have Cy's: it is Bo who signs in.
        identity.mind().account = json!({"sub": "account-1", "email": "cy@acme.example", "email_verified": true});
        let tab = Tab::new(stage);
        led_to(&tab.sign_on().await, "/dashboard");
        assert!(tab.get("/dashboard/me").await.text.contains("bo@acme.example"));
        // And Cy's own account is still free to be Cy's.
        identity.mind().account["sub"] = json!("account-3");
        led_to(&Tab::new(stage).sign_on().await, "/dashboard");
        let bound = audited(stage, "people.bind").await;
        assert!(
            bound.iter().any(|entry| entry["object"] == json!(cy.id.as_str())),
            "{bound:?}"
        );
    });
}

#[test]
fn nobody_comes_to_be_by_signing_in() {
    with_identity(async |stage, identity| {
        invite(stage, "Bo", "bo@acme.example").await;
        invite(stage, "Kim", "kim@acme.example").await;
        let mut accounts = vec![
            json!({"sub": "a", "email": "eve@acme.example", "email_verified": true}),
            json!({"sub": "a", "email": "bo@acme.example"}),
            json!({"sub": "a", "email": "bo@acme.example", "email_verified": null}),
            json!({"sub": "a", "email_verified": true}),
            json!({"sub": "a", "email": "", "email_verified": true}),
            json!({"sub": "bo@acme.example"}),
            // The sign of the unit Kelvin is another letter than k, though its small letter is not.
            json!({"sub": "a", "email": "\u{212a}im@acme.example", "email_verified": true}),
        ];
        for verified in [json!(false), json!("true"), json!(1)] {
            accounts.push(json!({"sub": "a", "email": "bo@acme.example", "email_verified": verified}));
        }
        for account in accounts {
            identity.mind().account = account.clone();
            let tab = Tab::new(stage);
            let seen = tab.sign_on().await;
            turned_away(&seen, "nobody");
            assert!(!tab.is_in().await, "{account}");
            let told = tab.get(seen.header("location")).await;
            assert!(
                told.text.contains("Nobody is let in with this account of 127.0.0.1"),
                "{}",
                told.text
            );
        }
        assert_eq!(audited(stage, "people.sign_in_failed").await.len(), 10);
        assert_eq!(audited(stage, "people.bind").await.len(), 0);
        let people = stage.get("/v1/people").await;
        assert_eq!(people.json()["data"].as_array().unwrap().len(), 2, "{}", people.text);
    });
}

#[test]
fn who_is_let_in_no_more_is_not_let_in_this_way_and_begins_anew_when_invited_again() {
    with_identity(async |stage, identity| {
        let (bo, _) = invite(stage, "Bo", "bo@acme.example").await;
        let tab = Tab::new(stage);
        led_to(&tab.sign_on().await, "/dashboard");
        let path = format!("/v1/people/{}/disable", bo.id);
        assert_eq!(stage.post(&path, &json!({})).await.status, 200);
        assert!(!tab.is_in().await);
        turned_away(&tab.sign_on().await, "nobody");

        // Whoever has the address by now is who was invited.
        invite(stage, "Another Bo", "bo@acme.example").await;
        identity.mind().account["sub"] = json!("account-9");
        let other = Tab::new(stage);
        led_to(&other.sign_on().await, "/dashboard");
        identity.mind().account["sub"] = json!("account-1");
        turned_away(&tab.sign_on().await, "nobody");
        assert!(other.is_in().await && !tab.is_in().await);
    });
}

#[test]
fn passwords_stay_and_a_session_is_a_session() {
    with_identity(async |stage, _| {
        let bo = crate::http::browser::joined(stage, "Bo", recoup::domain::role::Role::Billing).await;
        let tab = Tab::new(stage);
        led_to(&tab.sign_on().await, "/dashboard");
        assert!(bo.is_in().await, "one way does not end what began by the other");
        let again = Browser::new(stage);
        let by_password = again
            .try_password("bo@acme.example", crate::http::browser::PASSWORD)
            .await;
        led_to(&by_password, "/dashboard");
        let comments: Vec<_> = audited(stage, "people.sign_in").await;
        let comments: Vec<_> = comments
            .iter()
            .map(|entry| entry["comment"].as_str().unwrap())
            .collect();
        assert!(comments.contains(&"by single sign-on") && comments.contains(&"with a password"));
        stage.clock.advance_to(super::at("2026-03-02T10:31:00Z")).unwrap();
        assert!(!tab.is_in().await, "half an hour without a request");
    });
}
