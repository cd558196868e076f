//! Every error is a problem document, whoever made it.

use serde_json::json;

use super::{BOOTSTRAP, stage};

/// What reading answers to paths and queries that cannot be served.
const WRONG_READS: &[(u16, &str, &str)] = &[
    (404, "not_found", "/nowhere"),
    (404, "not_found", "/v1/nowhere"),
    (404, "not_found", "/v1/cases/none"),
    (404, "not_found", "/v1/cases/%00"),
    (404, "not_found", "/v1/campaigns/none"),
    (400, "bad_query", "/v1/cases?limit=0"),
    (400, "bad_query", "/v1/cases?limit=x"),
    (400, "bad_query", "/v1/cases?status=odd"),
    (400, "bad_query", "/v1/cases?statsu=open"),
    (400, "bad_query", "/v1/cases?customer_id=%00"),
    (400, "bad_cursor", "/v1/cases?cursor=odd"),
    (400, "bad_query", "/v1/reports/recovery?from=2026-02-30"),
    (400, "bad_query", "/v1/reports/answers?zone=Mars/Base"),
];

#[test]
fn errors_of_routing_and_reading_are_problems_too() {
    stage(async |stage| {
        for (status, code, path) in WRONG_READS {
            let seen = stage.get(path).await;
            assert_eq!(
                (seen.status, seen.code().as_str()),
                (*status, *code),
                "{path}: {}",
                seen.text
            );
        }
        let admin = |request: reqwest::RequestBuilder| request.bearer_auth(BOOTSTRAP);
        let client = &stage.client;
        let case = stage.open_case("insufficient_funds").await;
        let retry = stage.url(&format!("/v1/cases/{case}/retry"));
        let pause = stage.url(&format!("/v1/cases/{case}/pause"));
        let cases = [
            (405, "method_not_allowed", admin(client.delete(stage.url("/v1/cases")))),
            (405, "method_not_allowed", admin(client.get(&pause))),
            (
                400,
                "bad_json",
                admin(client.post(&retry))
                    .header("content-type", "application/json")
                    .body("{"),
            ),
            (415, "unsupported_media_type", admin(client.post(&retry)).body("{}")),
            (
                415,
                "unsupported_media_type",
                admin(client.post(&retry))
                    .header("content-encoding", "br")
                    .json(&json!({})),
            ),
            (
                413,
                "body_too_large",
                admin(client.post(&retry)).body("x".repeat(65 * 1024)),
            ),
            (422, "bad_field", admin(client.post(&retry)).json(&json!({"odd": 1}))),
            (
                422,
                "bad_field",
                admin(client.post(&retry)).json(&json!({"comment": "\u{1}"})),
            ),
            (
                400,
                "bad_idempotency_key",
                admin(client.post(&retry)).header("idempotency-key", "a b"),
            ),
        ];
        for (status, code, request) in cases {
            let seen = stage.send(request).await;
            assert_eq!((seen.status, seen.code().as_str()), (status, code), "{}", seen.text);
        }
    });
}

#[test]
fn a_wrong_method_is_told_the_right_ones_and_head_is_get_without_a_body() {
    stage(async |stage| {
        let wrong = stage
            .send(stage.client.put(stage.url("/v1/keys")).bearer_auth(BOOTSTRAP))
            .await;
        assert_eq!((wrong.status, wrong.header("allow")), (405, "GET, POST, HEAD"));
        let head = stage.send(stage.client.head(stage.url("/healthz"))).await;
        assert_eq!((head.status, head.text.as_str()), (200, ""));
    });
}

#[test]
fn a_request_keeps_its_id_or_gets_one() {
    stage(async |stage| {
        let given = stage.client.get(stage.url("/healthz")).header("x-request-id", "mine-1");
        assert_eq!(stage.send(given).await.header("x-request-id"), "mine-1");
        for odd in ["a b", &"x".repeat(65), "<script>"] {
            let seen = stage
                .send(stage.client.get(stage.url("/healthz")).header("x-request-id", odd))
                .await;
            assert!(seen.header("x-request-id").starts_with("req_"), "{odd}");
        }
    });
}

#[test]
fn readiness_follows_the_database_and_the_end_of_the_process() {
    stage(async |stage| {
        assert_eq!(stage.send(stage.client.get(stage.url("/readyz"))).await.status, 200);
        let metrics = stage.send(stage.client.get(stage.url("/metrics"))).await;
        assert!(metrics.text.contains("recoup_http_request_seconds"), "{}", metrics.text);
        stage.draining.store(true, std::sync::atomic::Ordering::SeqCst);
        let draining = stage.send(stage.client.get(stage.url("/readyz"))).await;
        assert_eq!((draining.status, draining.code().as_str()), (503, "not_ready"));
        assert_eq!(stage.send(stage.client.get(stage.url("/healthz"))).await.status, 200);
        stage.draining.store(false, std::sync::atomic::Ordering::SeqCst);
        stage.store.clone().close().await.unwrap();
        let away = stage.send(stage.client.get(stage.url("/readyz"))).await;
        assert_eq!((away.status, away.code().as_str()), (503, "not_ready"));
        let list = stage.get("/v1/cases").await;
        assert_eq!((list.status, list.code().as_str()), (503, "database_unavailable"));
    });
}
