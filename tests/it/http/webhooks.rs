//! What comes in from the provider: verified, stored, answered.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{SECRET, Seen, Stage, signature, stage};

pub const BODY: &[u8] = br#"{"id":"evt_1","object":"event","type":"customer.created","created":1772445600,"livemode":false,"data":{"object":{"id":"cus_1","object":"customer"}}}"#;

pub async fn send(stage: &Stage, header: Option<&str>, body: &[u8]) -> Seen {
    let request = stage.client.post(stage.url("/webhooks/stripe")).body(body.to_vec());
    let request = match header {
        Some(header) => request.header("stripe-signature", header),
        None => request,
    };
    stage.send(request).await
}

pub fn signed(secret: &str, signed_at: i64, body: &[u8]) -> String {
    format!("t={signed_at},v1={}", signature(secret, signed_at, body))
}

pub async fn stored(stage: &Stage) -> usize {
    stage.get("/v1/inbox?limit=200").await.json()["data"]
        .as_array()
        .unwrap()
        .len()
}

#[test]
fn a_fresh_event_is_accepted_and_its_copy_is_a_duplicate() {
    stage(async |stage| {
        let now = stage.clock.now().as_second();
        let first = send(stage, Some(&signed(SECRET, now, BODY)), BODY).await;
        assert_eq!((first.status, first.json()), (200, json!({"status": "accepted"})));
        let second = send(stage, Some(&signed(SECRET, now + 1, BODY)), BODY).await;
        assert_eq!((second.status, second.json()), (200, json!({"status": "duplicate"})));
        assert_eq!(stored(stage).await, 1);
    });
}

#[test]
fn any_right_signature_of_any_active_secret_is_enough() {
    stage(async |stage| {
        let now = stage.clock.now().as_second();
        let right = signature("whsec_old", now, BODY);
        let header = format!("t={now},v1={},v1={right}", "0".repeat(64));
        assert_eq!(send(stage, Some(&header), BODY).await.status, 200);
        for edge in [now - 300, now + 300] {
            assert_eq!(send(stage, Some(&signed(SECRET, edge, BODY)), BODY).await.status, 200);
        }
    });
}

#[test]
fn what_is_not_rightly_signed_is_refused_and_not_stored() {
    stage(async |stage| {
        let now = stage.clock.now().as_second();
        let right = signature(SECRET, now, BODY);
        let cases = [
            ("signature_missing", None),
            ("signature_missing", Some(String::new())),
            ("signature_not_hex", Some(format!("t={now},v1={}", &right[..63]))),
            ("signature_no_signature", Some(format!("t={now},v0={right}"))),
            ("signature_no_timestamp", Some(format!("v1={right}"))),
            ("signature_two_timestamps", Some(format!("t={now},t={now},v1={right}"))),
            (
                "signature_bad_timestamp",
                Some(format!("t=99999999999999999999,v1={right}")),
            ),
            ("signature_bad_timestamp", Some(format!("t=-5,v1={right}"))),
            ("signature_no_match", Some(signed("whsec_other", now, BODY))),
            ("signature_no_match", Some(signed(SECRET, now, b"{}"))),
            ("signature_too_old", Some(signed(SECRET, now - 301, BODY))),
            ("signature_in_future", Some(signed(SECRET, now + 301, BODY))),
        ];
        for (code, header) in cases {
            let seen = send(stage, header.as_deref(), BODY).await;
            assert_eq!((seen.status, seen.code().as_str()), (400, code), "{header:?}");
        }
        assert_eq!(stored(stage).await, 0);
    });
}

#[test]
fn a_signed_event_that_cannot_be_read_is_kept_dead() {
    stage(async |stage| {
        let now = stage.clock.now().as_second();
        let odd: [&[u8]; 4] = [
            b"{\"id\":",
            b"",
            b"\xff\xfe",
            br#"{"id":"evt_\u0000","type":"x","data":{"object":{}}}"#,
        ];
        for body in odd {
            for status in ["accepted", "duplicate"] {
                let seen = send(stage, Some(&signed(SECRET, now, body)), body).await;
                assert_eq!((seen.status, seen.json()), (200, json!({ "status": status })));
            }
        }
        let dead = stage.get("/v1/inbox?status=dead").await.json();
        assert_eq!(dead["data"].as_array().unwrap().len(), 4, "{dead}");
        let id = dead["data"][0]["id"].as_str().unwrap();
        let again = stage.post(&format!("/v1/inbox/{id}/rerun"), &json!({})).await;
        assert_eq!(
            (again.status, &again.json()["status"]),
            (200, &json!("pending")),
            "{}",
            again.text
        );
        let twice = stage.post(&format!("/v1/inbox/{id}/rerun"), &json!({})).await;
        assert_eq!((twice.status, twice.code().as_str()), (409, "not_dead"));
        let audit = stage.get("/v1/audit").await.json();
        assert_eq!(audit["data"][0]["action"], "inbox.rerun");
    });
}

#[test]
fn too_much_encoded_or_sent_elsewhere_is_refused() {
    stage(async |stage| {
        let big = vec![b' '; 2 * 1024 * 1024];
        let now = stage.clock.now().as_second();
        let header = signed(SECRET, now, &big);
        assert_eq!(
            raw(stage, &header, &format!("Content-Length: {}", big.len()), b"").await,
            413
        );
        let mut chunked = Vec::new();
        for _ in 0..5 {
            chunked.extend_from_slice(b"10000\r\n");
            chunked.extend_from_slice(&big[..0x10000]);
            chunked.extend_from_slice(b"\r\n");
        }
        assert_eq!(raw(stage, &header, "Transfer-Encoding: chunked", &chunked).await, 413);
        let zipped = stage
            .client
            .post(stage.url("/webhooks/stripe"))
            .header("content-encoding", "gzip")
            .body(BODY);
        let seen = stage
            .send(zipped.header("stripe-signature", signed(SECRET, now, BODY)))
            .await;
        assert_eq!((seen.status, seen.code().as_str()), (415, "unsupported_media_type"));
        let other = stage
            .send(stage.client.post(stage.url("/webhooks/other")).body(BODY))
            .await;
        assert_eq!((other.status, other.code().as_str()), (404, "not_found"));
        assert_eq!(stored(stage).await, 0);
        let longest = [BODY, &vec![b' '; 256 * 1024 - BODY.len()]].concat();
        assert_eq!(
            send(stage, Some(&signed(SECRET, now, &longest)), &longest).await.status,
            200
        );
    });
}

/// Writes a request by hand and gives the status of the answer.
pub async fn raw(stage: &Stage, signature: &str, framing: &str, body: &[u8]) -> u16 {
    let address = stage.base.trim_start_matches("http://");
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /webhooks/stripe HTTP/1.1\r\nHost: {address}\r\nStripe-Signature: {signature}\r\n{framing}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // The server may answer and close before it has read everything.
    let _ = stream.write_all(body).await;
    let mut answer = [0_u8; 12];
    let read = tokio::time::timeout(Duration::from_secs(15), stream.read_exact(&mut answer)).await;
    read.expect("an answer in time").unwrap();
    std::str::from_utf8(&answer[9..]).unwrap().parse().unwrap()
}

#[test]
fn without_the_database_nothing_is_acknowledged() {
    stage(async |stage| {
        stage.store.clone().close().await.unwrap();
        let now = stage.clock.now().as_second();
        let began = tokio::time::Instant::now();
        let seen = send(stage, Some(&signed(SECRET, now, BODY)), BODY).await;
        assert_eq!((seen.status, seen.code().as_str()), (503, "database_unavailable"));
        assert!(began.elapsed() < Duration::from_secs(3));
        assert_eq!(seen.header("retry-after"), "2");
    });
}
