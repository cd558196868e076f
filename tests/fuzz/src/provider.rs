//! A provider on loopback that answers as the input says, and the account that calls it over real HTTP.

use std::sync::{Arc, Mutex};

use recoup::domain::money::Money;
use recoup::providers::stripe::{Stripe, StripeSettings};
use recoup::providers::{ChargeOutcome, ChargeRequest, Provider as _};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

/// The invoice that is charged.
pub const INVOICE: &str = "in_1";
/// What is charged, in cents of the euro.
pub const AMOUNT_MINOR: i64 = 1999;

/// What the provider answers to one charge and to the reads behind it.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// The status of the answer to the charge.
    pub status: u16,
    /// Headers of that answer; a value without bytes leaves its header out.
    pub headers: Vec<(&'static str, Vec<u8>)>,
    /// The body of that answer.
    pub body: Vec<u8>,
    /// Whether that answer breaks off a byte before its end.
    pub cut: bool,
    /// The body of the answer to a read, by what its path begins with below `/v1/`; all other reads find nothing.
    pub reads: Vec<(&'static str, Vec<u8>)>,
}

/// The provider and the account at it.
pub struct Provider {
    runtime: Runtime,
    stripe: Stripe,
    script: Arc<Mutex<Script>>,
}

impl Provider {
    /// Starts listening.
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let script = Arc::new(Mutex::new(Script::default()));
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(listen(listener, Arc::clone(&script)));
        let stripe = Stripe::new(StripeSettings {
            api_base: base.parse().unwrap(),
            api_key: "sk_test_fuzz".into(),
            webhook_secrets: Vec::new(),
        })
        .unwrap();
        Self {
            runtime,
            stripe,
            script,
        }
    }

    /// Makes one charge that is answered by `script`.
    pub fn charge(&self, script: &Script) -> ChargeOutcome {
        self.script.lock().unwrap().clone_from(script);
        let request = ChargeRequest {
            invoice_id: INVOICE.to_owned(),
            key: "att_1".to_owned(),
            amount: Money::new(AMOUNT_MINOR, "EUR".parse().unwrap()),
            payment_method: None,
        };
        self.runtime.block_on(self.stripe.charge(&request))
    }
}

async fn listen(listener: TcpListener, script: Arc<Mutex<Script>>) {
    while let Ok((connection, _)) = listener.accept().await {
        connection.set_nodelay(true).unwrap();
        tokio::spawn(serve(connection, Arc::clone(&script)));
    }
}

/// Answers until the client goes away, or an answer was cut.
async fn serve(mut connection: TcpStream, script: Arc<Mutex<Script>>) -> Option<()> {
    let mut received = Vec::new();
    loop {
        let line = request(&mut connection, &mut received).await?;
        let (answer, last) = answer(&line, &script.lock().unwrap());
        connection.write_all(&answer).await.ok()?;
        if last {
            return connection.shutdown().await.ok();
        }
    }
}

/// Takes one request and gives its first line.
async fn request(connection: &mut TcpStream, received: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(head_length) = received.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&received[..head_length]).into_owned();
            let announced = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length = head_length + 4 + announced.map_or(0, |text| text.parse().unwrap());
            if received.len() >= length {
                received.drain(..length);
                return head.lines().next().map(str::to_owned);
            }
        }
        if connection.read_buf(received).await.ok()? == 0 {
            return None;
        }
    }
}

/// The bytes of an answer, and whether the connection ends with it.
fn answer(line: &str, script: &Script) -> (Vec<u8>, bool) {
    if !line.starts_with("POST ") {
        let path = line.trim_start_matches("GET /v1/");
        let known = script
            .reads
            .iter()
            .find(|(begin, body)| path.starts_with(begin) && !body.is_empty());
        let missing: &[u8] = br#"{"error":{"type":"invalid_request_error","code":"resource_missing"}}"#;
        let (status, body) = known.map_or((404, missing), |(_, body)| (200, body));
        return (message(status, &[], body, body.len()), false);
    }
    let announced = script.body.len() + usize::from(script.cut);
    (
        message(script.status, &script.headers, &script.body, announced),
        script.cut,
    )
}

fn message(status: u16, headers: &[(&str, Vec<u8>)], body: &[u8], announced: usize) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {status} Answer\r\ncontent-length: {announced}\r\n").into_bytes();
    for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend(value.iter().filter(|byte| !b"\r\n".contains(byte)));
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}
