//! The whole service on loopback, on a database of its own, and a client that sends raw bytes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use recoup::clock::Clock;
use recoup::domain::campaign::Campaign;
use recoup::domain::case::Collector;
use recoup::domain::ceiling::Rules;
use recoup::domain::ids::KeyId;
use recoup::domain::learning::Policy;
use recoup::domain::role::Role;
use recoup::engine::{Brand, Connection, Engine, Parts};
use recoup::http::keys::{Entropy, mint};
use recoup::http::{HttpState, Options, serve};
use recoup::links::Links;
use recoup::mailer::{Mailer, Templates};
use recoup::providers::stripe::{Stripe, StripeSettings};
use recoup::store::{Store, campaigns, keys};
use recoup::telemetry::metric;
use secrecy::ExposeSecret;
use tokio::runtime::Runtime;

/// The key that exists from the start.
pub const BOOTSTRAP: &str = "bootstrap-key-of-the-fuzzers";
/// How many connections one request is tried on. Whoever closes a connection while something is on its way to it may take the answer
/// along, now and then; a request that has none at all has none on any of them.
const CONNECTIONS_MAX: usize = 5;
/// How long an answer may take: far longer than any should, and shorter than what libFuzzer calls a hang.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(8);

/// The running service.
pub struct Service {
    /// Its database.
    pub store: Store,
    /// Runs what the harness itself asks of the database.
    pub runtime: Runtime,
    address: SocketAddr,
    connection: Mutex<Option<TcpStream>>,
}

/// An answer of the service.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The head, as it came.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .into_iter()
            .find(|(have, _)| have.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

/// The instant at which the service's clock stands.
pub fn now() -> Timestamp {
    "2026-03-02T10:00:00Z".parse().unwrap()
}

impl Service {
    /// Starts the service in a thread of its own.
    pub fn start() -> Self {
        // Connections go back to their pool by tasks of the runtime, so it has to go on while nobody waits for it.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let store = runtime.block_on(open_store());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = store.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let options = Options {
                    bootstrap_key: Some(BOOTSTRAP.into()),
                    ..Options::default()
                };
                let draining = Arc::new(AtomicBool::new(false));
                let state = HttpState::new(
                    engine(shared.clone()),
                    [shared.clone(), shared],
                    metric::recorder().clone(),
                    draining,
                    &options,
                );
                serve(listener, Arc::new(state), Some(1)).unwrap().await.unwrap();
            });
        });
        Self {
            store,
            runtime,
            address,
            connection: Mutex::new(None),
        }
    }

    /// Stores a key and gives its text. Number and role make it, so that it is the same in every run.
    pub fn key(&self, number: u128, role: Role) -> String {
        let (row, text) = mint("fuzz", role, now(), Entropy([number, number, number]));
        self.runtime.block_on(keys::insert(self.store.conn(), &row)).unwrap();
        text.expose_secret().to_owned()
    }

    /// Revokes a key by its text.
    pub fn revoke(&self, text: &str) {
        let id = KeyId::from(format!("key_{}", &text[4..36]));
        assert!(
            self.runtime
                .block_on(keys::revoke(self.store.conn(), &id, now()))
                .unwrap()
        );
    }

    /// Sends a request and waits for its answer. A connection that the service closed meanwhile is opened anew.
    pub fn exchange(&self, request: &[u8]) -> Answer {
        let mut kept = self.connection.lock().unwrap();
        for _ in 0..CONNECTIONS_MAX {
            let mut connection = kept.take().unwrap_or_else(|| self.connect());
            if let Some(answer) = converse(&mut connection, request) {
                if answer
                    .header("connection")
                    .is_none_or(|word| !word.eq_ignore_ascii_case("close"))
                {
                    *kept = Some(connection);
                }
                return answer;
            }
        }
        panic!("the service gave no answer");
    }

    fn connect(&self) -> TcpStream {
        let connection = TcpStream::connect(self.address).unwrap();
        connection.set_nodelay(true).unwrap();
        connection.set_read_timeout(Some(ANSWER_TIMEOUT)).unwrap();
        connection
    }
}

/// A fresh database below the folder for temporary files, which the runner chooses and clears.
async fn open_store() -> Store {
    let folder = tempfile::tempdir().unwrap().keep();
    let store = Store::connect(&format!("sqlite://{}/recoup.db", folder.display()), 4)
        .await
        .unwrap();
    store.migrate().await.unwrap();
    campaigns::put(store.conn(), &Campaign::embedded(), now())
        .await
        .unwrap();
    store
}

fn engine(store: Store) -> Engine {
    Engine::new(Parts {
        storage: Arc::new(store),
        clock: Clock::test(now()),
        connections: vec![connection()],
        mailer: Arc::new(Mailer::new(None, None).unwrap()),
        templates: Templates::new().unwrap(),
        brand: Brand {
            company: "Larkspur".to_owned(),
            support: None,
            look: recoup::domain::brand::Look::default(),
            links: Some(links()),
        },
        staff: Vec::new(),
        mails_per_domain_per_minute: 0,
        learning: Policy::default(),
        rules: Rules::embedded(),
    })
}

/// Makes and reads the links of customers, as the service does.
pub fn links() -> Links {
    Links::new("https://recoup.example".parse().unwrap(), [1; 32])
}

/// A connection whose provider nobody reaches.
fn connection() -> Connection {
    let stripe = Stripe::new(StripeSettings {
        api_base: "http://127.0.0.1:9".parse().unwrap(),
        api_key: "sk_test_fuzz".into(),
        webhook_secrets: Vec::new(),
    });
    Connection {
        name: "stripe".to_owned(),
        provider: Arc::new(stripe.unwrap()),
        collector: Collector::Us,
        default_zone: "UTC".to_owned(),
        default_locale: "en".to_owned(),
    }
}

/// One request and its answer; nothing where the connection turned out to be closed.
fn converse(connection: &mut TcpStream, request: &[u8]) -> Option<Answer> {
    connection.write_all(request).ok()?;
    let mut received = Vec::new();
    let mut block = [0; 16 * 1024];
    loop {
        let head_length = received.windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(head_length) = head_length {
            let head = String::from_utf8(received[..head_length].to_vec()).expect("a head is ASCII");
            let answer = Answer {
                status: head[9..12].parse().unwrap(),
                head,
                body: received[head_length + 4..].to_vec(),
            };
            let announced = answer.header("content-length").map_or(0, |text| text.parse().unwrap());
            if answer.body.len() >= announced {
                assert_eq!(answer.body.len(), announced, "more than one answer: {answer:?}");
                return Some(answer);
            }
        }
        match connection.read(&mut block) {
            Ok(0) => return None,
            Ok(length) => received.extend_from_slice(&block[..length]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                panic!("the service gave no answer in time")
            }
            Err(_) => return None,
        }
    }
}
