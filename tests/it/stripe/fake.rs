//! An HTTP server of fixed answers, down to the wire: it can also cut an answer short or reset the connection.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

/// What the fake does with a request.
#[derive(Clone)]
pub enum Reply {
    /// Answers with these bytes and closes.
    Bytes(String),
    /// Resets the connection once the request is read.
    Reset,
}

impl Reply {
    /// A JSON answer.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::with_headers(status, &[], &body.to_string())
    }

    /// An error in Stripe's shape.
    pub fn error(status: u16, error: &Value) -> Self {
        Self::json(status, &json!({ "error": error }))
    }

    /// An answer with headers of its own.
    pub fn with_headers(status: u16, headers: &[(&str, &str)], body: &str) -> Self {
        Self::announced(status, headers, body, body.len())
    }

    /// An answer that breaks off `missing` bytes before its announced end.
    pub fn truncated(body: &str, missing: usize) -> Self {
        Self::announced(200, &[], &body[..body.len() - missing], body.len())
    }

    fn announced(status: u16, headers: &[(&str, &str)], body: &str, length: usize) -> Self {
        let headers: Vec<String> = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        let headers = headers.concat();
        Self::Bytes(format!(
            "HTTP/1.1 {status} Answer\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}"
        ))
    }
}

/// The running fake.
pub struct Fake {
    /// Where it listens.
    pub base: Url,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    /// Starts a fake with an answer for each `METHOD /path` (a query is no part of it); all else is 404 in Stripe's shape.
    pub async fn start<P: Into<String>>(routes: impl IntoIterator<Item = (P, Reply)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let routes: Vec<(String, Reply)> = routes.into_iter().map(|(path, reply)| (path.into(), reply)).collect();
        tokio::spawn(serve(listener, routes, Arc::clone(&requests)));
        Self { base, requests }
    }

    /// The requests so far, head and body as received.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// The first lines of the requests so far, without the protocol.
    pub fn lines(&self) -> Vec<String> {
        let line = |request: &String| request.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
        self.requests().iter().map(line).collect()
    }
}

async fn serve(listener: TcpListener, routes: Vec<(String, Reply)>, requests: Arc<Mutex<Vec<String>>>) {
    let missing = Reply::error(
        404,
        &json!({ "type": "invalid_request_error", "code": "resource_missing" }),
    );
    while let Ok((mut connection, _)) = listener.accept().await {
        let Some(request) = receive(&mut connection).await else {
            continue;
        };
        let line = request.lines().next().unwrap_or_default();
        let asked = line
            .trim_end_matches(" HTTP/1.1")
            .split('?')
            .next()
            .unwrap_or_default()
            .to_owned();
        requests.lock().unwrap().push(request);
        match routes
            .iter()
            .find(|(path, _)| *path == asked)
            .map_or(&missing, |(_, reply)| reply)
        {
            Reply::Bytes(bytes) => {
                // The client may have gone already; its test will say so.
                drop(connection.write_all(bytes.as_bytes()).await);
                drop(connection.shutdown().await);
            }
            Reply::Reset => connection.set_zero_linger().unwrap(),
        }
    }
}

/// One request, head and body.
async fn receive(connection: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |text| text.parse().unwrap());
            if body.len() >= length {
                return Some(text.into_owned());
            }
        }
        if connection.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}
