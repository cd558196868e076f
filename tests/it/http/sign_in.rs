//! Getting in: the first link, invitations, passwords, and what becomes of those who guess.

use recoup::clock::Clock;
use recoup::domain::role::Role;
use recoup::http::Options;
use recoup::http::people::{self, FIRST_LINK_HOURS, LINK_HOURS, NewPerson};

use super::browser::{Browser, PASSWORD, address, id_of, joined, later, led_to, path_of};
use super::{BOOTSTRAP, Stage, at, stage};
use crate::support::databases::each_database;

const ADA: &str = "ada.albers@acme.example";
const FIRST: [(&str, &str); 3] = [
    ("name", "Ada Albers"),
    ("email", "Ada.Albers@ACME.example "),
    ("password", PASSWORD),
];

#[test]
fn the_first_link_makes_one_admin_once() {
    stage(async |stage| {
        let now = stage.clock.now();
        let old = people::first_link(&stage.store, now).await.unwrap().unwrap();
        let new = people::first_link(&stage.store, now).await.unwrap().unwrap();
        let browser = Browser::new(stage);
        assert_eq!(
            browser.get(&path_of(&old)).await.status,
            404,
            "a newer one took its place"
        );
        let path = path_of(&new);
        for (fields, told) in [
            (
                [FIRST[0], FIRST[1], ("password", "elevenchars")],
                "at least 12 characters",
            ),
            (
                [FIRST[0], FIRST[1], ("password", "PasswordPassword")],
                "among the first",
            ),
            ([FIRST[0], ("email", "ada"), FIRST[2]], "address is none"),
            ([("name", " "), FIRST[1], FIRST[2]], "name needs"),
        ] {
            let seen = browser.join(&path, &fields).await;
            assert!(seen.status == 422 && seen.text.contains(told), "{told}: {}", seen.text);
            assert!(!seen.text.contains(fields[2].1), "a password is given back");
        }
        led_to(&browser.join(&path, &FIRST).await, "/dashboard");
        assert!(browser.get("/dashboard/people").await.text.contains(ADA));

        let other = Browser::new(stage);
        assert_eq!(other.get(&path).await.status, 404, "it was used");
        other.get("/dashboard/login").await;
        assert_eq!(other.post(&path, &FIRST).await.status, 404);
        assert!(people::first_link(&stage.store, now).await.unwrap().is_none());
        led_to(
            &other.try_password(" ADA.albers@acme.example", PASSWORD).await,
            "/dashboard",
        );
    });
}

#[test]
fn of_the_first_links_of_replicas_one_is_good_and_for_a_day() {
    stage(async |stage| {
        let now = stage.clock.now();
        let link = async || people::first_link(&stage.store, now).await.unwrap().unwrap();
        let links = tokio::join!(link(), link(), link());
        let browser = Browser::new(stage);
        let mut good = Vec::new();
        for link in [links.0, links.1, links.2] {
            let path = path_of(&link);
            if browser.get(&path).await.status == 200 {
                good.push(path);
            }
        }
        assert_eq!(good.len(), 1);
        stage.clock.advance_to(later(now, FIRST_LINK_HOURS * 60 - 1)).unwrap();
        assert_eq!(browser.get(&good[0]).await.status, 200);
        stage.clock.advance_to(later(now, FIRST_LINK_HOURS * 60)).unwrap();
        assert_eq!(browser.get(&good[0]).await.status, 404);
        assert_eq!(browser.post(&good[0], &FIRST).await.status, 404);
    });
}

#[test]
fn an_invitation_is_good_once_and_a_reset_ends_what_was_before() {
    stage(async |stage| {
        let now = stage.clock.now();
        let ada = joined(stage, "Ada Albers", Role::Admin).await;
        let new = NewPerson {
            name: "Bo".to_owned(),
            email: "bo@acme.example".to_owned(),
            role: Role::Viewer,
        };
        let (bo, link) = people::invite(&stage.store, "tests", new.clone(), now).await.unwrap();
        let twice = people::invite(&stage.store, "tests", new, now).await;
        assert_eq!(twice.err().map(|refused| refused.as_str()), Some("email_taken"));
        stage.clock.advance_to(later(now, LINK_HOURS * 60)).unwrap();
        let browser = Browser::new(stage);
        assert_eq!(browser.get(&path_of(&link)).await.status, 404, "it is too old");
        let refused = browser.try_password("bo@acme.example", "").await;
        assert_eq!(refused.status, 401, "who has no password has no empty one");

        let now = stage.clock.now();
        let (_, first) = people::reset(&stage.store, "tests", &bo.id, now).await.unwrap();
        let (_, second) = people::reset(&stage.store, "tests", &bo.id, now).await.unwrap();
        assert_eq!(browser.get(&path_of(&first)).await.status, 404);
        led_to(
            &browser.join(&path_of(&second), &[("password", PASSWORD)]).await,
            "/dashboard",
        );
        assert!(browser.is_in().await);

        let (_, forgot) = people::reset(&stage.store, "tests", &bo.id, now).await.unwrap();
        let other = Browser::new(stage);
        let words = "quite another four words";
        led_to(
            &other.join(&path_of(&forgot), &[("password", words)]).await,
            "/dashboard",
        );
        assert!(other.is_in().await && !browser.is_in().await);
        assert_eq!(browser.try_password("bo@acme.example", PASSWORD).await.status, 401);
        led_to(&browser.try_password("bo@acme.example", words).await, "/dashboard");
        assert!(!ada.is_in().await, "three days went by");
    });
}

#[test]
fn a_wrong_password_an_unknown_address_and_a_closed_account_look_alike() {
    stage(async |stage| {
        joined(stage, "Ada Albers", Role::Admin).await;
        let bo = joined(stage, "Bo", Role::Viewer).await;
        let id = id_of(stage, &address("Bo")).await;
        let gone = stage
            .post(&format!("/v1/people/{id}/disable"), &serde_json::json!({}))
            .await;
        assert!(gone.json()["disabled_at"].is_string(), "{}", gone.text);
        assert!(!bo.is_in().await);
        let mut pages = Vec::new();
        for (email, password) in [
            (ADA, "not the four words"),
            ("nobody@acme.example", PASSWORD),
            ("no address", PASSWORD),
            (&address("Bo"), PASSWORD),
        ] {
            let seen = Browser::new(stage).try_password(email, password).await;
            assert_eq!(seen.status, 401, "{email}");
            // The address that was typed, and the proof of the form, are each browser's own.
            let (before, rest) = seen.text.split_once("name=\"csrf\"").unwrap();
            assert!(!seen.text.contains(password), "{email}");
            pages.push((before.to_owned(), rest.len() - email.len()));
        }
        assert!(pages.windows(2).all(|two| two[0] == two[1]), "{pages:?}");
        let audit = stage.get("/v1/audit").await;
        let failed: Vec<_> = audit.json()["data"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|entry| entry["action"] == "people.sign_in_failed")
            .map(|entry| entry["object"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(failed.len(), 4);
        assert_eq!(failed.iter().filter(|object| object.starts_with("per_")).count(), 2);
        assert!(!audit.text.contains("nobody@acme.example") && !audit.text.contains(PASSWORD));
    });
}

#[test]
fn who_guesses_is_turned_away_by_account_and_by_address() {
    stage(async |stage| {
        joined(stage, "Ada Albers", Role::Admin).await;
        let browser = Browser::new(stage);
        for _ in 0..5 {
            assert_eq!(browser.try_password(ADA, "not the four words").await.status, 401);
        }
        let closed = browser.try_password(ADA, PASSWORD).await;
        assert!(closed.status == 429 && closed.header("retry-after").parse::<u64>().unwrap() > 200);
        assert!(closed.text.contains("Too many tries"), "{}", closed.text);
        // Others are let in, from the same address.
        for guess in 5..20 {
            let email = format!("guess{guess}@acme.example");
            assert_eq!(browser.try_password(&email, PASSWORD).await.status, 401, "{guess}");
        }
        assert_eq!(
            browser.try_key(BOOTSTRAP).await.status,
            429,
            "twenty tries came from here"
        );
    });
}

#[test]
fn a_browser_that_speaks_tls_gets_a_cookie_that_nobody_else_can_set() {
    each_database(async |store| {
        let options = Options {
            bootstrap_key: Some(BOOTSTRAP.into()),
            public_url: Some("https://billing.acme.example".parse().unwrap()),
            ..Options::default()
        };
        let stage = Stage::new(store, Clock::test(at("2026-03-02T10:00:00Z")), options).await;
        let browser = Browser::new(&stage);
        let page = browser.get("/dashboard/login").await;
        let set = page.header("set-cookie");
        for mark in ["__Host-recoup=", "; Secure", "; HttpOnly", "; SameSite=Lax", "; Path=/"] {
            assert!(set.contains(mark), "{mark}: {set}");
        }
        assert!(!set.contains("Domain"), "{set}");
        let before = browser.cookie.borrow().clone();
        let csrf = browser.csrf.borrow().clone();
        let public = "https://billing.acme.example";
        led_to(
            &browser
                .forge("/dashboard/login", public, &csrf, &[("key", BOOTSTRAP)])
                .await,
            "/dashboard",
        );
        assert!(browser.is_in().await);
        let plain = browser.cookie.borrow().replace("__Host-", "");
        *browser.cookie.borrow_mut() = plain;
        assert!(!browser.is_in().await, "the name without the prefix counts for nothing");
        *browser.cookie.borrow_mut() = before;
        assert!(!browser.is_in().await);
        let link = stage
            .post(
                "/v1/people",
                &serde_json::json!({"name": "Bo", "email": "bo@acme.example", "role": "viewer"}),
            )
            .await
            .json();
        let link = link["link"].as_str().unwrap();
        assert!(
            link.starts_with("https://billing.acme.example/dashboard/welcome/"),
            "{link}"
        );
        stage.end().await;
    });
    stage(async |stage| {
        let by_proxy = stage.client.get(stage.url("/dashboard/login"));
        let seen = stage.send(by_proxy.header("x-forwarded-proto", "https")).await;
        assert!(seen.header("set-cookie").starts_with("__Host-recoup="));
        let plain = Browser::new(stage).get("/dashboard/login").await;
        let set = plain.header("set-cookie");
        assert!(set.starts_with("recoup=") && !set.contains("Secure"), "{set}");
    });
}
