//! The service over real HTTP: webhooks in, the API by role, errors, idempotency, pages.

mod api;
mod browser;
mod compared;
mod contract;
mod desk;
mod desk_page;
mod doors;
mod exports;
mod figures;
mod further;
mod oidc;
mod pages;
mod people;
mod problems;
mod published;
mod rates;
mod reports;
mod roles;
mod sessions;
mod sign_in;
mod walk;
mod watch;
mod webhooks;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use recoup::clock::{self, Clock};
use recoup::domain::case::Collector;
use recoup::domain::ceiling::Rules;
use recoup::domain::learning::Policy;
use recoup::domain::money::Money;
use recoup::domain::role::Role;
use recoup::engine::{Brand, Connection, Engine, Parts};
use recoup::http::{HttpState, Options, keys, serve};
use recoup::mailer::{Mailer, Templates};
use recoup::providers::stripe::{Stripe, StripeSettings};
use recoup::sandbox::{API_KEY, Sandbox, SandboxConfig, Shape};
use recoup::store::{Store, campaigns, keys as stored_keys};
use recoup::telemetry::metric;
use secrecy::ExposeSecret;
use serde_json::Value;
use sha2::Sha256;

use crate::support::campaigns::days;
use crate::support::databases::each_database;

const SECRET: &str = "whsec_test_secret";
const BOOTSTRAP: &str = "bootstrap-key-of-the-tests";

/// A whole service on loopback, with its provider in the sandbox.
pub struct Stage {
    pub store: Store,
    pub base: String,
    pub client: reqwest::Client,
    pub engine: Engine,
    pub sandbox: Sandbox,
    pub clock: Clock,
    pub draining: Arc<AtomicBool>,
    server: actix_web::dev::ServerHandle,
}

/// An answer: status, content type, body as text.
pub struct Seen {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Seen {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The code of a problem document, which every error must be.
    pub fn code(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{} {}",
            self.status,
            self.text
        );
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        assert_eq!(problem["request_id"], self.header("x-request-id"));
        problem["code"].as_str().unwrap().to_owned()
    }
}

async fn sandbox(clock: Clock) -> Sandbox {
    Sandbox::start(SandboxConfig {
        seed: 7,
        shape: Shape::New,
        listen: "127.0.0.1:0".parse().unwrap(),
        webhook_url: None,
        webhook_secret: SECRET.into(),
        clock,
    })
    .await
    .unwrap()
}

impl Stage {
    pub async fn new(store: Store, clock: Clock, options: Options) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        campaigns::put(store.conn(), &days(), clock.now()).await.unwrap();
        let sandbox = sandbox(clock.clone()).await;
        let provider = Stripe::new(StripeSettings {
            api_base: sandbox.url().parse().unwrap(),
            api_key: API_KEY.into(),
            webhook_secrets: vec![SECRET.into(), "whsec_old".into()],
        })
        .unwrap();
        let engine = Engine::new(Parts {
            storage: Arc::new(store.clone()),
            clock: clock.clone(),
            connections: vec![Connection {
                name: "stripe".to_owned(),
                provider: Arc::new(provider),
                collector: Collector::Us,
                default_zone: "UTC".to_owned(),
                default_locale: "en".to_owned(),
            }],
            mailer: Arc::new(Mailer::new(None, None).unwrap()),
            templates: Templates::new().unwrap(),
            brand: Brand {
                company: "Acme".to_owned(),
                support: None,
                look: recoup::domain::brand::Look::default(),
                links: None,
            },
            staff: Vec::new(),
            mails_per_domain_per_minute: 0,
            learning: Policy::default(),
            rules: Rules::embedded(),
        });
        let draining = Arc::new(AtomicBool::new(false));
        let recorder = metric::recorder().clone();
        let state = HttpState::new(
            engine.clone(),
            [store.clone(), store.clone()],
            recorder,
            Arc::clone(&draining),
            &options,
        );
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let server = serve(listener, Arc::new(state), Some(1)).unwrap();
        let handle = server.handle();
        tokio::spawn(server);
        sandbox
            .send_webhooks_to(format!("{base}/webhooks/stripe"))
            .await
            .unwrap();
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self {
            store,
            base,
            client,
            engine,
            sandbox,
            clock,
            draining,
            server: handle,
        }
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> Seen {
        let answer = request.send().await.unwrap();
        Seen {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            text: answer.text().await.unwrap(),
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// GET as the bootstrap admin.
    pub async fn get(&self, path: &str) -> Seen {
        self.send(self.client.get(self.url(path)).bearer_auth(BOOTSTRAP)).await
    }

    /// POST of JSON as the bootstrap admin.
    pub async fn post(&self, path: &str, body: &Value) -> Seen {
        self.send(self.client.post(self.url(path)).bearer_auth(BOOTSTRAP).json(body))
            .await
    }

    /// The text of a new key with this role.
    pub async fn key(&self, role: Role) -> String {
        let entropy = keys::Entropy([clock::entropy(), clock::entropy(), clock::entropy()]);
        let (row, text) = keys::mint(role.as_str(), role, self.clock.now(), entropy);
        stored_keys::insert(self.store.conn(), &row).await.unwrap();
        text.expose_secret().to_owned()
    }

    /// Lets one renewal of a new customer fail and the engine take it in; gives the id of the case.
    pub async fn open_case(&self, decline_code: &str) -> String {
        let customer = self.sandbox.add_customer("Ada Albers", "ada@customers.example");
        let price = Money::new(1_999, "EUR".parse().unwrap());
        let subscription = self
            .sandbox
            .add_subscription(&customer, price, at("2026-04-01T10:00:00Z"));
        let invoice = self.sandbox.open_invoice(&subscription, decline_code);
        self.sandbox.deliver_webhooks().await;
        self.engine.tick().await.unwrap();
        let found = self.get(&format!("/v1/cases?invoice_id={invoice}")).await.json();
        found["data"][0]["id"]
            .as_str()
            .unwrap_or_else(|| panic!("no case: {found}"))
            .to_owned()
    }

    /// Takes no new request, and returns when those that were begun are answered.
    pub async fn stop_serving(&self) {
        self.server.stop(true).await;
    }

    async fn end(self) {
        self.draining.store(true, Ordering::SeqCst);
        self.sandbox.stop().await;
        self.server.stop(false).await;
    }
}

/// Plays a story on a service of its own, once per kind of database.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a closure written in place reads best without an ampersand"
)]
pub fn stage(story: impl AsyncFn(&Stage)) {
    let options = Options {
        bootstrap_key: Some(BOOTSTRAP.into()),
        ..Options::default()
    };
    each_database(async |store| {
        let clock = Clock::test(at("2026-03-02T10:00:00Z"));
        let stage = Stage::new(store, clock, options.clone()).await;
        story(&stage).await;
        stage.end().await;
    });
}

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Stripe's signature header over a body.
pub fn signature(secret: &str, signed_at: i64, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{signed_at}.").as_bytes());
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}
