//! What is turned away before it is read to its end, and what is not lost when the house closes.

use std::time::Duration;

use recoup::http::error::Problem;
use recoup::http::limiter::{BAD_SIGNATURES_MAX, CLOSED};
use recoup::store::Dialect;
use recoup::store::inbox::intake::NotTaken;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::webhooks::{BODY, raw, send, signed, stored};
use super::{SECRET, Stage, stage};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

async fn connect(stage: &Stage) -> TcpStream {
    TcpStream::connect(stage.base.trim_start_matches("http://"))
        .await
        .unwrap()
}

/// The first line of what comes next.
async fn status_line(stream: &mut TcpStream) -> String {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        let byte = timeout(PATIENCE, stream.read_u8()).await.expect("an answer in time");
        line.push(byte.unwrap());
    }
    String::from_utf8(line).unwrap()
}

#[test]
fn a_request_that_stalls_is_given_up() {
    stage(async |stage| {
        if stage.store.dialect() == Dialect::Postgres {
            // It never comes as far as the database: once is enough for ten seconds of waiting.
            return;
        }
        let mut head = connect(stage).await;
        head.write_all(b"POST /webhooks/stripe HTTP/1.1\r\nHost: x\r\n")
            .await
            .unwrap();
        let chunked = "Transfer-Encoding: chunked";
        let (head, announced, chunk) = tokio::join!(
            status_line(&mut head),
            raw(stage, "t=1,v1=0", "Content-Length: 100", b"{"),
            raw(stage, "t=1,v1=0", chunked, b"5\r\n{\"id\"\r\n")
        );
        assert!(head.starts_with("HTTP/1.1 408 "), "{head}");
        assert_eq!((announced, chunk), (408, 408));
    });
}

#[test]
fn a_length_that_is_not_true_helps_nobody() {
    stage(async |stage| {
        let now = stage.clock.now().as_second();
        let header = signed(SECRET, now, BODY);
        // Shorter than what is signed: the rest is no part of this request.
        assert_eq!(raw(stage, &header, "Content-Length: 10", BODY).await, 400);
        for framing in [
            "Content-Length: -1",
            "Content-Length: 99999999999999999999999999",
            "Content-Length: 5\r\nContent-Length: 6",
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nContent-Length: 5",
        ] {
            assert_eq!(raw(stage, &header, framing, b"0\r\n\r\n").await, 400, "{framing}");
        }
        let endless = format!("Content-Length: {}", 256 * 1024 + 1);
        assert_eq!(raw(stage, &header, &endless, b"").await, 413);
        assert_eq!(stored(stage).await, 0);
    });
}

#[test]
fn any_content_encoding_is_refused_before_the_signature_is_looked_at() {
    stage(async |stage| {
        for encoding in ["gzip", "br", "deflate", "gzip, gzip", "x"] {
            let framing = format!("Content-Length: 9\r\nContent-Encoding: {encoding}");
            assert_eq!(raw(stage, "nonsense", &framing, b"").await, 415, "{encoding}");
        }
    });
}

#[test]
fn many_bad_signatures_close_the_door_before_the_body() {
    stage(async |stage| {
        for _ in 0..BAD_SIGNATURES_MAX {
            assert_eq!(send(stage, Some("t=1,v1=0"), BODY).await.status, 400);
        }
        let now = stage.clock.now().as_second();
        let right = signed(SECRET, now, BODY);
        let seen = send(stage, Some(&right), BODY).await;
        assert_eq!((seen.status, seen.code().as_str()), (429, "too_many_requests"));
        let wait: u64 = seen.header("retry-after").parse().unwrap();
        assert!((1..=CLOSED.as_secs() + 1).contains(&wait), "{wait}");
        // Nothing of the body has come, and nobody waits for it.
        let early = raw(stage, &right, "Content-Length: 100", b"");
        assert_eq!(timeout(Duration::from_secs(5), early).await.expect("no waiting"), 429);
        assert_eq!(stored(stage).await, 0);
        assert_eq!(stage.get("/v1/cases").await.status, 200, "only webhooks are limited");
        let metrics = stage.get("/metrics").await.text;
        for result in ["signature_not_hex", "too_many_requests"] {
            let counted = format!("recoup_events_received_total{{result=\"{result}\"}}");
            assert!(metrics.contains(&counted), "{metrics}");
        }
    });
}

#[test]
fn who_also_sends_good_signatures_is_never_turned_away() {
    stage(async |stage| {
        let now = stage.clock.now().as_second();
        assert_eq!(send(stage, Some(&signed(SECRET, now, BODY)), BODY).await.status, 200);
        for _ in 0..=BAD_SIGNATURES_MAX {
            assert_eq!(send(stage, Some("t=1,v1=0"), BODY).await.status, 400);
        }
        let seen = send(stage, Some(&signed(SECRET, now, BODY)), BODY).await;
        assert_eq!(seen.status, 200);
    });
}

#[test]
fn a_wrong_clock_closes_no_door() {
    stage(async |stage| {
        let long_ago = stage.clock.now().as_second() - 600;
        for _ in 0..=BAD_SIGNATURES_MAX {
            let seen = send(stage, Some(&signed(SECRET, long_ago, BODY)), BODY).await;
            assert_eq!(seen.code(), "signature_too_old");
        }
    });
}

#[test]
fn what_was_begun_is_stored_and_answered_before_the_house_closes() {
    stage(async |stage| {
        let mut stream = connect(stage).await;
        let signature = signed(SECRET, stage.clock.now().as_second(), BODY);
        let length = BODY.len();
        let head = format!(
            "POST /webhooks/stripe HTTP/1.1\r\nHost: x\r\nStripe-Signature: {signature}\r\n\
             Content-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        assert!(status_line(&mut stream).await.starts_with("HTTP/1.1 100 "));
        assert_eq!(status_line(&mut stream).await, "\r\n");
        let answered = async {
            stream.write_all(BODY).await.unwrap();
            status_line(&mut stream).await
        };
        let ((), answer) = tokio::join!(stage.stop_serving(), answered);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let found = recoup::store::inbox::list(stage.store.conn(), None, None, 9).await;
        assert_eq!(found.unwrap().len(), 1);
    });
}

#[test]
fn a_full_inbox_asks_to_send_again() {
    let answer = Problem::from(NotTaken::Full).render("/webhooks/stripe", "req_1");
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers().get("retry-after").unwrap(), "2");
}
