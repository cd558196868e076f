//! The dashboard: who gets in, what browsers are told, and that customers' texts stay texts.

use recoup::clock::Clock;
use recoup::domain::role::Role;
use recoup::http::Options;

use super::browser::{Browser, led_to};
use super::{BOOTSTRAP, Seen, Stage, at, stage};
use crate::support::databases::each_database;

/// A browser that signed in with a key.
async fn signed_in<'a>(stage: &'a Stage, key: &str) -> Browser<'a> {
    let browser = Browser::new(stage);
    let seen = browser.try_key(key).await;
    led_to(&seen, "/dashboard");
    let set = seen.header("set-cookie");
    for mark in ["recoup=", "HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=43200"] {
        assert!(set.contains(mark), "{set}");
    }
    browser
}

async fn page(stage: &Stage, cookie: &str, path: &str) -> Seen {
    stage
        .send(stage.client.get(stage.url(path)).header("cookie", cookie))
        .await
}

#[test]
fn nobody_sees_a_page_without_a_key() {
    stage(async |stage| {
        assert_eq!(page(stage, "", "/").await.header("location"), "/dashboard");
        for path in [
            "/dashboard",
            "/dashboard/cases",
            "/dashboard/cases/x",
            "/dashboard/cases/x/mails/y",
            "/dashboard/learning",
            "/dashboard/people",
            "/dashboard/inbox",
            "/dashboard/audit",
            "/dashboard/health",
            "/dashboard/campaigns",
            "/dashboard/views/x",
            "/dashboard/feed",
            "/dashboard/me",
        ] {
            for cookie in ["", "recoup=0000", &format!("recoup={}", "0".repeat(64))] {
                let seen = page(stage, cookie, path).await;
                assert_eq!(
                    (seen.status, seen.header("location")),
                    (303, "/dashboard/login"),
                    "{path}"
                );
            }
        }
        assert_eq!(Browser::new(stage).try_key("wrong").await.status, 401);
    });
}

#[test]
fn a_login_shows_the_pages_until_it_ends() {
    stage(async |stage| {
        let id = stage.open_case("insufficient_funds").await;
        let browser = signed_in(stage, BOOTSTRAP).await;
        let overview = browser.get("/dashboard").await;
        assert_eq!(overview.status, 200, "{}", overview.text);
        assert!(overview.text.contains("19.99 EUR") && overview.text.contains("<svg class=\"chart\""));
        let list = browser
            .get("/dashboard/cases?status=open&decline_kind=&customer_id=&invoice_id=")
            .await;
        assert!(list.status == 200 && list.text.contains(&id), "{}", list.text);
        let case = browser.get(&format!("/dashboard/cases/{id}")).await;
        assert!(
            case.status == 200 && case.text.contains("What comes next"),
            "{}",
            case.text
        );
        let learning = browser.get("/dashboard/learning").await;
        assert!(
            learning.status == 200 && learning.text.contains("What is known of the arms"),
            "{}",
            learning.text
        );
        let missing = browser.get("/dashboard/cases/none").await;
        assert!(missing.status == 404 && missing.header("content-type").starts_with("text/html"));
        let post = async |verb: &str| {
            let path = format!("/dashboard/cases/{id}/{verb}");
            browser.post(&path, &[("comment", "ok")]).await
        };
        assert!(post("stop").await.header("location").ends_with("?done=stop"));
        assert!(
            post("stop")
                .await
                .header("location")
                .ends_with("?refused=final_action_running")
        );
        // What ends a case from its page takes effect once the minute is over in which it can be undone.
        stage.clock.advance_to(at("2026-03-02T10:01:00Z")).unwrap();
        stage.engine.tick().await.unwrap();
        assert!(post("stop").await.header("location").ends_with("?refused=case_closed"));
        for path in [
            "/dashboard".to_owned(),
            "/dashboard/cases".to_owned(),
            format!("/dashboard/cases/{id}?done=stop"),
        ] {
            let closed = browser.get(&path).await;
            assert!(
                closed.status == 200 && closed.text.contains("stopped"),
                "{path}: {}",
                closed.text
            );
        }
        led_to(&browser.post("/dashboard/logout", &[]).await, "/dashboard/login");
        assert!(!browser.is_in().await);
    });
}

#[test]
fn pages_keep_to_the_role() {
    stage(async |stage| {
        let id = stage.open_case("insufficient_funds").await;
        let marketing = signed_in(stage, &stage.key(Role::Marketing).await).await;
        let overview = marketing.get("/dashboard").await;
        assert!(overview.status == 200 && !overview.text.contains(&id));
        assert_eq!(marketing.get("/dashboard/cases").await.status, 403);
        assert_eq!(marketing.get(&format!("/dashboard/cases/{id}")).await.status, 403);
        let learning = marketing.get("/dashboard/learning").await;
        assert!(learning.status == 200 && learning.text.contains("not yet distinguishable"));
        assert!(
            !learning.text.contains("What is known of the arms"),
            "reports, and nothing to act by"
        );
        let viewer = signed_in(stage, &stage.key(Role::Viewer).await).await;
        assert_eq!(viewer.get("/dashboard/learning").await.status, 403);
        let case = viewer.get(&format!("/dashboard/cases/{id}")).await;
        assert!(case.status == 200 && !case.text.contains("ada@") && !case.text.contains("/stop\""));
        let act = viewer.post(&format!("/dashboard/cases/{id}/stop"), &[]).await;
        assert!(act.status == 403 && act.text.contains("forbidden"), "{}", act.text);
    });
}

#[test]
fn every_answer_carries_the_guarding_headers() {
    stage(async |stage| {
        let browser = signed_in(stage, BOOTSTRAP).await;
        let cookie = browser.cookie.borrow().clone();
        let pages = [
            "/",
            "/dashboard",
            "/dashboard/login",
            "/dashboard/cases",
            "/dashboard/learning",
            "/dashboard/style.css",
            "/dashboard/cases/x",
            "/dashboard/people",
            "/dashboard/inbox",
            "/dashboard/audit",
            "/dashboard/health",
            "/dashboard/campaigns",
            "/dashboard/campaigns/write",
            "/dashboard/me",
            "/dashboard/welcome/x",
        ];
        for path in pages
            .iter()
            .chain(&["/healthz", "/docs/", "/openapi.json", "/v1/cases", "/nowhere"])
        {
            let seen = page(stage, &cookie, path).await;
            assert_eq!(seen.header("x-content-type-options"), "nosniff", "{path}");
            assert_eq!(seen.header("cache-control"), "no-store", "{path}");
            let policy = seen.header("content-security-policy");
            assert!(
                policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
                "{path}"
            );
            if pages.contains(path) {
                // The overview alone has a script, which is a file of ours.
                let scripts = usize::from(*path == "/dashboard");
                assert_eq!(policy.matches("script-src 'self';").count(), scripts, "{path}");
                assert_eq!(policy.matches("script-src").count(), scripts, "{path}");
                assert!(!policy.contains("unsafe-inline"), "{path}");
                let ours = "<script src=\"/dashboard/feed.js\" defer></script>";
                assert_eq!(seen.text.matches(ours).count(), scripts, "{path}");
                assert_eq!(seen.text.matches("<script").count(), scripts, "{path}");
                assert!(
                    !seen.text.contains(" style=") && !seen.text.contains(" onclick"),
                    "{path}"
                );
            }
        }
        let docs = page(stage, "", "/docs/").await;
        assert!(docs.status == 200 && docs.text.contains("swagger-ui"));
        assert!(
            page(stage, "", "/docs/swagger-initializer.js")
                .await
                .text
                .contains("/openapi.json")
        );
        assert_eq!(page(stage, "", "/docs/none.js").await.code(), "not_found");
    });
}

#[test]
fn who_reaches_us_by_tls_is_told_to_stay_with_it() {
    let paths = [
        ("/", true),
        ("/dashboard/login", true),
        ("/dashboard/style.css", true),
        ("/dashboard/cases/x", true),
        ("/p/style.css", true),
        ("/p/none", true),
        ("/healthz", false),
        ("/v1/cases", false),
    ];
    for (url, by_tls) in [
        ("https://billing.acme.example", true),
        ("http://billing.acme.example", false),
    ] {
        each_database(async |store| {
            let options = Options {
                public_url: Some(url.parse().unwrap()),
                ..Options::default()
            };
            let stage = Stage::new(store, Clock::test(at("2026-03-02T10:00:00Z")), options).await;
            for (path, is_page) in paths {
                let seen = page(&stage, "", path).await;
                let told = seen.header("strict-transport-security");
                let expected = if by_tls && is_page {
                    "max-age=31536000; includeSubDomains"
                } else {
                    ""
                };
                assert_eq!(told, expected, "{url} {path}");
            }
            stage.end().await;
        });
    }
}

#[test]
fn the_demo_is_open_to_this_machine_and_read_only() {
    each_database(async |store| {
        let options = Options {
            demo: true,
            ..Options::default()
        };
        let stage = Stage::new(store, Clock::test(at("2026-03-02T10:00:00Z")), options).await;
        assert_eq!(page(&stage, "", "/dashboard").await.status, 200);
        let rebound = stage.client.get(stage.url("/dashboard")).header("host", "evil.example");
        assert_eq!(stage.send(rebound).await.status, 303);
        let act = stage
            .client
            .post(stage.url("/dashboard/cases/x/stop"))
            .header("origin", &stage.base);
        assert_eq!(stage.send(act).await.status, 303);
        assert_eq!(page(&stage, "", "/dashboard/people").await.status, 403);
        assert_eq!(
            page(&stage, "", "/dashboard/me").await.header("location"),
            "/dashboard/login"
        );
        stage.end().await;
    });
}
