//! Sessions: how they begin and end, what stands in the database of them, and whose forms are taken.

use recoup::domain::role::Role;
use recoup::http::{DASHBOARD_ROUTES, people};
use sea_orm::{ConnectionTrait, Statement};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::browser::{Browser, PASSWORD, address, id_of, joined, later, led_to, path_of};
use super::{BOOTSTRAP, Stage, stage};

const OTHER_WORDS: &str = "quite another four words";

/// Rows of a statement that gives one text each.
async fn texts(stage: &Stage, sql: &str) -> Vec<String> {
    let statement = Statement::from_string(stage.store.conn().get_database_backend(), sql);
    let rows = stage.store.conn().query_all_raw(statement).await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

async fn hashes(stage: &Stage, table: &str) -> Vec<Vec<u8>> {
    let sql = format!("SELECT token_hash FROM {table}");
    let statement = Statement::from_string(stage.store.conn().get_database_backend(), sql);
    let rows = stage.store.conn().query_all_raw(statement).await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

#[test]
fn a_session_ends_by_signing_out_by_rest_and_after_half_a_day() {
    stage(async |stage| {
        let ada = joined(stage, "Ada Albers", Role::Admin).await;
        let start = stage.clock.now();
        for minutes in [29, 58, 87] {
            stage.clock.advance_to(later(start, minutes)).unwrap();
            assert!(ada.is_in().await, "{minutes}");
        }
        stage.clock.advance_to(later(start, 87 + 30)).unwrap();
        assert!(!ada.is_in().await, "half an hour without a request");

        led_to(&ada.try_password(&address("Ada Albers"), PASSWORD).await, "/dashboard");
        let start = stage.clock.now();
        for minutes in (0..720).step_by(20) {
            stage.clock.advance_to(later(start, minutes)).unwrap();
            assert!(ada.is_in().await, "{minutes}");
        }
        stage.clock.advance_to(later(start, 720)).unwrap();
        assert!(!ada.is_in().await, "twelve hours after it began");

        led_to(&ada.try_password(&address("Ada Albers"), PASSWORD).await, "/dashboard");
        assert!(ada.is_in().await);
        let cookie = ada.cookie.borrow().clone();
        led_to(&ada.post("/dashboard/logout", &[]).await, "/dashboard/login");
        assert_eq!(*ada.cookie.borrow(), "recoup=", "the browser forgets it");
        *ada.cookie.borrow_mut() = cookie;
        assert!(!ada.is_in().await, "and so does the database");
    });
}

#[test]
fn a_session_ends_when_its_holder_changes() {
    stage(async |stage| {
        let ada = joined(stage, "Ada Albers", Role::Admin).await;
        let bo = joined(stage, "Bo", Role::Viewer).await;
        let id = id_of(stage, &address("Bo")).await;
        ada.get("/dashboard/people").await;
        let role = ada
            .post(&format!("/dashboard/people/{id}/role"), &[("role", "billing")])
            .await;
        led_to(&role, "/dashboard/people?done=role");
        assert!(!bo.is_in().await, "another role");
        led_to(&bo.try_password(&address("Bo"), PASSWORD).await, "/dashboard");

        let second = Browser::new(stage);
        led_to(&second.try_password(&address("Bo"), PASSWORD).await, "/dashboard");
        let before = second.cookie.borrow().clone();
        second.get("/dashboard/me").await;
        let change = async |current: &str, password: &str| {
            let fields = [("current", current), ("password", password)];
            second.post("/dashboard/me", &fields).await
        };
        let wrong = change("not the four words", OTHER_WORDS).await;
        assert!(wrong.status == 422 && wrong.text.contains("present password is not right"));
        assert_eq!(change(PASSWORD, "short").await.status, 422);
        led_to(&change(PASSWORD, OTHER_WORDS).await, "/dashboard/me?done=password");
        assert!(second.is_in().await && *second.cookie.borrow() != before);
        assert!(!bo.is_in().await, "another password");

        let disabled = ada.post(&format!("/dashboard/people/{id}/disable"), &[]).await;
        led_to(&disabled, "/dashboard/people?done=disable");
        assert!(!second.is_in().await, "let in no more");
        assert_eq!(second.try_password(&address("Bo"), OTHER_WORDS).await.status, 401);

        let key = stage.key(Role::Viewer).await;
        led_to(&second.try_key(&key).await, "/dashboard");
        assert!(second.is_in().await);
        let keys = stage.get("/v1/keys").await.json();
        let id = keys["data"][0]["id"].as_str().unwrap().to_owned();
        assert_eq!(
            stage.post(&format!("/v1/keys/{id}/revoke"), &json!({})).await.status,
            200
        );
        assert!(!second.is_in().await, "the key was revoked");
        assert_eq!(hashes(stage, "sessions").await.len(), 1, "Ada's is left");
    });
}

#[test]
fn signing_in_gives_a_new_cookie_and_the_old_one_stays_nothing() {
    stage(async |stage| {
        let browser = Browser::new(stage);
        browser.get("/dashboard/login").await;
        let before = browser.cookie.borrow().clone();
        browser.get("/dashboard/login").await;
        assert_eq!(*browser.cookie.borrow(), before, "a browser keeps the one it has");
        // A cookie that somebody put there beforehand is taken over by nobody.
        let planted = format!("recoup={}", "5".repeat(64));
        *browser.cookie.borrow_mut() = planted.clone();
        led_to(&browser.try_key(BOOTSTRAP).await, "/dashboard");
        let first = browser.cookie.borrow().clone();
        assert!(first != planted && first != before);
        *browser.cookie.borrow_mut() = planted;
        assert!(!browser.is_in().await);

        // Signing in over a session ends it.
        *browser.cookie.borrow_mut() = first.clone();
        browser.get("/dashboard/me").await;
        led_to(
            &browser.post("/dashboard/login", &[("key", BOOTSTRAP)]).await,
            "/dashboard",
        );
        assert!(browser.is_in().await && *browser.cookie.borrow() != first);
        *browser.cookie.borrow_mut() = first;
        assert!(!browser.is_in().await);
    });
}

#[test]
fn the_database_has_hashes_only() {
    stage(async |stage| {
        let ada = joined(stage, "Ada Albers", Role::Admin).await;
        let key = Browser::new(stage);
        led_to(&key.try_key(BOOTSTRAP).await, "/dashboard");
        let id = id_of(stage, &address("Ada Albers")).await;
        let (_, link) = people::reset(&stage.store, "tests", &id.into(), stage.clock.now())
            .await
            .unwrap();
        let hash = |text: &str| Sha256::digest(text.as_bytes()).to_vec();
        let token = |browser: &Browser<'_>| browser.cookie.borrow().strip_prefix("recoup=").unwrap().to_owned();
        let mut kept = hashes(stage, "sessions").await;
        let mut expected = vec![hash(&token(&ada)), hash(&token(&key))];
        kept.sort();
        expected.sort();
        assert_eq!(kept, expected);
        let path = path_of(&link);
        let (_, secret) = path.rsplit_once('/').unwrap();
        assert_eq!(secret.len(), 64);
        assert_eq!(hashes(stage, "invitations").await, [hash(secret)]);
        let passwords = texts(stage, "SELECT password_hash FROM people").await;
        assert!(
            passwords[0].starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{passwords:?}"
        );
        let holders = texts(stage, "SELECT COALESCE(person_id, key_id) FROM sessions")
            .await
            .join(" ");
        assert!(
            !holders.contains(BOOTSTRAP) && !holders.contains(&token(&key)),
            "{holders}"
        );
        let audit = texts(
            stage,
            "SELECT actor || action || object || COALESCE(comment, '') FROM audit",
        )
        .await;
        let audit = audit.join(" ");
        for secret in [PASSWORD, BOOTSTRAP, secret, &token(&ada), "ada.albers@"] {
            assert!(!audit.contains(secret), "{secret}: {audit}");
        }
    });
}

#[test]
fn no_form_is_taken_without_proof_from_elsewhere_or_of_another_session() {
    stage(async |stage| {
        let admin = Browser::new(stage);
        led_to(&admin.try_key(BOOTSTRAP).await, "/dashboard");
        admin.get("/dashboard/me").await;
        let own = admin.csrf.borrow().clone();
        let other = Browser::new(stage);
        led_to(&other.try_key(BOOTSTRAP).await, "/dashboard");
        other.get("/dashboard/me").await;
        let stranger = other.csrf.borrow().clone();
        assert_ne!(own, stranger);
        let case = stage.open_case("insufficient_funds").await;
        let mut posts = 0;
        for (pattern, _) in DASHBOARD_ROUTES.iter().filter(|(_, methods)| methods.contains(&"POST")) {
            let path = pattern
                .replace("{id}", &case)
                .replace("{verb}", "stop")
                .replace("{token}", "x");
            let base = stage.base.as_str();
            for (origin, proof, code) in [
                (base, "", "stale_form"),
                (base, stranger.as_str(), "stale_form"),
                ("https://evil.example", &own, "foreign_origin"),
                ("null", &own, "foreign_origin"),
                ("", &own, "foreign_origin"),
            ] {
                let seen = admin.forge(&path, origin, proof, &[("key", BOOTSTRAP)]).await;
                assert_eq!(seen.status, 403, "{path} {origin} {code}: {}", seen.text);
                assert!(seen.text.contains(code), "{path} {origin}: {}", seen.text);
            }
            posts += 1;
        }
        assert_eq!(posts, 20);
        let request = stage
            .client
            .post(stage.url("/dashboard/logout"))
            .header("cookie", admin.cookie.borrow().as_str())
            .header("sec-fetch-site", "cross-site")
            .header("origin", &stage.base)
            .form(&[("csrf", &own)]);
        assert_eq!(
            stage.send(request).await.status,
            403,
            "a browser knows better than a header"
        );
        assert!(admin.is_in().await);
        let open = stage.get(&format!("/v1/cases/{case}")).await.json();
        assert_eq!(open["status"], "open");
        led_to(
            &admin.forge("/dashboard/logout", &stage.base, &own, &[]).await,
            "/dashboard/login",
        );
    });
}
