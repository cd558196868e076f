//! The sandbox provider: what it answers, what it sends, what it keeps in its books.

mod adapter;
mod api;
mod events;
mod faults;
mod mailbox;
mod town;
mod webhooks;

use jiff::{SignedDuration, Timestamp};
use recoup::clock::Clock;
use recoup::domain::money::Money;
use recoup::sandbox::{API_KEY, Sandbox, SandboxConfig, Shape};
use serde_json::Value;

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub fn eur(minor: i64) -> Money {
    Money::new(minor, "EUR".parse().unwrap())
}

/// A sandbox, its clock and a client that holds its key.
pub struct Stage {
    pub sandbox: Sandbox,
    pub clock: Clock,
    pub client: reqwest::Client,
    pub customer: String,
    pub subscription: String,
}

/// An answer: status, whether it was a replay, body.
pub type Seen = (u16, bool, Value);

impl Stage {
    /// One customer with a good card and a subscription of 19.99 EUR that renews in a month.
    pub async fn new(shape: Shape) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let clock = Clock::test(at("2026-01-10T10:00:00Z"));
        let sandbox = Sandbox::start(SandboxConfig {
            seed: 7,
            shape,
            listen: "127.0.0.1:0".parse().unwrap(),
            webhook_url: None,
            webhook_secret: "whsec_stage".into(),
            clock: clock.clone(),
        })
        .await
        .unwrap();
        let customer = sandbox.add_customer("Ada Albers", "ada@customers.example");
        let subscription = sandbox.add_subscription(&customer, eur(1999), at("2026-02-10T10:00:00Z"));
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self {
            sandbox,
            clock,
            client,
            customer,
            subscription,
        }
    }

    pub fn open(&self, code: &str) -> String {
        self.sandbox.open_invoice(&self.subscription, code)
    }

    pub fn pass(&self, hours: i64) {
        self.clock
            .advance_to(self.clock.now() + SignedDuration::from_hours(hours))
            .unwrap();
    }

    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = method.parse().unwrap();
        self.client
            .request(method, format!("{}{path}", self.sandbox.url()))
            .bearer_auth(API_KEY)
    }

    pub async fn get(&self, path: &str) -> Seen {
        seen(self.request("GET", path)).await
    }

    pub fn paying(&self, invoice: &str, key: &str) -> reqwest::RequestBuilder {
        let request = self.request("POST", &format!("/v1/invoices/{invoice}/pay"));
        request.header("Idempotency-Key", key).form(&[("off_session", "true")])
    }

    pub async fn pay(&self, invoice: &str, key: &str) -> Seen {
        seen(self.paying(invoice, key)).await
    }
}

pub async fn seen(request: reqwest::RequestBuilder) -> Seen {
    let response = request.send().await.unwrap();
    let replayed = response.headers().get("Idempotent-Replayed").is_some();
    (response.status().as_u16(), replayed, response.json().await.unwrap())
}
