//! Webhooks: events signed and posted to the endpoint, kept until it takes them.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use rand::seq::SliceRandom;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use super::server::Shared;

/// How long the endpoint may take to answer.
const ANSWER_SECS_MAX: u64 = 30;

/// How a delivery treats the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Each event is sent twice.
    pub duplicate: bool,
    /// The order is shuffled, by the world's seed.
    pub shuffle: bool,
}

/// What came of a delivery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Posts that were answered with a 2xx.
    pub taken: usize,
    /// Posts that were answered otherwise, or not at all.
    pub refused: usize,
    /// Events that still wait.
    pub pending: usize,
}

/// Where webhooks go, and how they are signed.
#[derive(Debug)]
pub(super) struct Endpoint {
    url: String,
    secret: SecretString,
    client: reqwest::Client,
}

impl Endpoint {
    pub(super) fn new(url: String, secret: SecretString) -> Result<Self, reqwest::Error> {
        // A provider that somebody else installed before is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(ANSWER_SECS_MAX))
            .build()?;
        Ok(Self { url, secret, client })
    }

    /// Posts everything that waits, once.
    pub(super) async fn deliver(&self, shared: &Shared, how: Delivery) -> Delivered {
        let (batch, now) = batch(shared, how);
        let mut delivered = Delivered::default();
        for (index, body) in batch {
            let sent = self
                .client
                .post(&self.url)
                .header("Content-Type", "application/json; charset=utf-8")
                .header("Stripe-Signature", signature(&self.secret, now, &body))
                .body(body)
                .send()
                .await;
            if sent.is_ok_and(|response| response.status().is_success()) {
                delivered.taken += 1;
                shared.state().world.log.delivered(index);
            } else {
                delivered.refused += 1;
            }
        }
        delivered.pending = shared.state().world.log.waiting().count();
        delivered
    }
}

/// The bodies to post, in their order, with their places in the log.
fn batch(shared: &Shared, how: Delivery) -> (Vec<(usize, String)>, Timestamp) {
    let mut state = shared.state();
    let world = &mut state.world;
    let shape = world.shape();
    let copies = if how.duplicate { 2 } else { 1 };
    let waiting = world
        .log
        .waiting()
        .map(|(index, event)| (index, event.body(shape, 1).to_string()));
    let mut batch: Vec<_> = waiting.flat_map(|item| std::iter::repeat_n(item, copies)).collect();
    if how.shuffle {
        batch.shuffle(&mut world.rng);
    }
    (batch, world.now())
}

/// The `Stripe-Signature` of a body sent at `at`: HMAC-SHA-256 over `t.body`, keyed with the whole secret.
pub fn signature(secret: &SecretString, at: Timestamp, body: &str) -> String {
    let second = at.as_second();
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).expect("HMAC takes keys of any length");
    mac.update(format!("{second}.{body}").as_bytes());
    format!("t={second},v1={}", hex::encode(mac.finalize().into_bytes()))
}
