//! The dashboard: who gets in, what browsers are told, and that customers' texts stay texts.

use recoup::clock::Clock;
use recoup::domain::role::Role;
use recoup::http::Options;

use super::{BOOTSTRAP, Seen, Stage, at, stage};
use crate::support::databases::each_database;

async fn log_in(stage: &Stage, key: &str) -> Seen {
    let form = [("key", key)];
    let request = stage
        .client
        .post(stage.url("/dashboard/login"))
        .header("origin", &stage.base)
        .form(&form);
    stage.send(request).await
}

async fn cookie(stage: &Stage, key: &str) -> String {
    let seen = log_in(stage, key).await;
    assert_eq!(
        (seen.status, seen.header("location")),
        (303, "/dashboard"),
        "{}",
        seen.text
    );
    let set = seen.header("set-cookie").to_owned();
    for mark in ["HttpOnly", "SameSite=Strict", "Path=/dashboard", "Max-Age=43200"] {
        assert!(set.contains(mark), "{set}");
    }
    set.split(';').next().unwrap().to_owned()
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
        ] {
            for cookie in ["", "recoup_session=0000"] {
                let seen = page(stage, cookie, path).await;
                assert_eq!(
                    (seen.status, seen.header("location")),
                    (303, "/dashboard/login"),
                    "{path}"
                );
            }
        }
        assert_eq!(log_in(stage, "wrong").await.status, 401);
        let foreign = stage
            .client
            .post(stage.url("/dashboard/login"))
            .header("origin", "https://evil.example");
        assert_eq!(stage.send(foreign.form(&[("key", BOOTSTRAP)])).await.status, 403);
        let without = stage
            .client
            .post(stage.url("/dashboard/login"))
            .form(&[("key", BOOTSTRAP)]);
        assert_eq!(stage.send(without).await.status, 403);
    });
}

#[test]
fn a_login_shows_the_pages_until_it_ends() {
    stage(async |stage| {
        let id = stage.open_case("insufficient_funds").await;
        let cookie = cookie(stage, BOOTSTRAP).await;
        let overview = page(stage, &cookie, "/dashboard").await;
        assert_eq!(overview.status, 200, "{}", overview.text);
        assert!(overview.text.contains("19.99 EUR") && overview.text.contains("<svg class=\"chart\""));
        let list = page(
            stage,
            &cookie,
            "/dashboard/cases?status=open&decline_kind=&customer_id=&invoice_id=",
        )
        .await;
        assert!(list.status == 200 && list.text.contains(&id), "{}", list.text);
        let case = page(stage, &cookie, &format!("/dashboard/cases/{id}")).await;
        assert!(
            case.status == 200 && case.text.contains("What comes next"),
            "{}",
            case.text
        );
        let learning = page(stage, &cookie, "/dashboard/learning").await;
        assert!(
            learning.status == 200 && learning.text.contains("What is known of the arms"),
            "{}",
            learning.text
        );
        let missing = page(stage, &cookie, "/dashboard/cases/none").await;
        assert!(missing.status == 404 && missing.header("content-type").starts_with("text/html"));
        let post = async |verb: &str| {
            let request = stage
                .client
                .post(stage.url(&format!("/dashboard/cases/{id}/{verb}")))
                .header("cookie", &cookie);
            stage
                .send(request.header("origin", &stage.base).form(&[("comment", "ok")]))
                .await
        };
        assert!(post("stop").await.header("location").ends_with("?done=stop"));
        assert!(post("stop").await.header("location").ends_with("?refused=case_closed"));
        for path in [
            "/dashboard".to_owned(),
            "/dashboard/cases".to_owned(),
            format!("/dashboard/cases/{id}?done=stop"),
        ] {
            let closed = page(stage, &cookie, &path).await;
            assert!(
                closed.status == 200 && closed.text.contains("stopped"),
                "{path}: {}",
                closed.text
            );
        }
        let out = stage
            .client
            .post(stage.url("/dashboard/logout"))
            .header("cookie", &cookie);
        assert_eq!(
            stage.send(out.header("origin", &stage.base)).await.header("location"),
            "/dashboard/login"
        );
        assert_eq!(page(stage, &cookie, "/dashboard").await.status, 303);
    });
}

#[test]
fn pages_keep_to_the_role() {
    stage(async |stage| {
        let id = stage.open_case("insufficient_funds").await;
        let marketing = cookie(stage, &stage.key(Role::Marketing).await).await;
        let overview = page(stage, &marketing, "/dashboard").await;
        assert!(overview.status == 200 && !overview.text.contains(&id));
        assert_eq!(page(stage, &marketing, "/dashboard/cases").await.status, 403);
        assert_eq!(
            page(stage, &marketing, &format!("/dashboard/cases/{id}")).await.status,
            403
        );
        let learning = page(stage, &marketing, "/dashboard/learning").await;
        assert!(learning.status == 200 && learning.text.contains("not yet distinguishable"));
        assert!(
            !learning.text.contains("What is known of the arms"),
            "reports, and nothing to act by"
        );
        let viewer = cookie(stage, &stage.key(Role::Viewer).await).await;
        assert_eq!(page(stage, &viewer, "/dashboard/learning").await.status, 403);
        let case = page(stage, &viewer, &format!("/dashboard/cases/{id}")).await;
        assert!(case.status == 200 && !case.text.contains("ada@") && !case.text.contains("/stop\""));
        let act = stage
            .client
            .post(stage.url(&format!("/dashboard/cases/{id}/stop")))
            .header("cookie", &viewer);
        assert_eq!(stage.send(act.header("origin", &stage.base)).await.status, 403);
    });
}

#[test]
fn every_answer_carries_the_guarding_headers() {
    stage(async |stage| {
        let cookie = cookie(stage, BOOTSTRAP).await;
        let pages = [
            "/",
            "/dashboard",
            "/dashboard/login",
            "/dashboard/cases",
            "/dashboard/learning",
            "/dashboard/style.css",
            "/dashboard/cases/x",
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
                assert!(
                    !policy.contains("script-src") && !policy.contains("unsafe-inline"),
                    "{path}"
                );
                assert!(
                    !seen.text.contains("<script") && !seen.text.contains(" style="),
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
        assert_eq!(stage.send(act).await.status, 403);
        stage.end().await;
    });
}
