//! Stripe, in the shapes before and since API version 2025-03-31.

use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;
use metrics::counter;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::profile::IdempotencyProfile;
use super::signature::{self, BadSignature};
use super::{
    ActionOutcome, Capabilities, ChargeOutcome, ChargeRequest, ChargeSeen, EventLabel, ListError, Malformed,
    NormalizedEvent, Provider, ReadError,
};
use crate::domain::campaign::FinalAction;
use crate::domain::renewal::Renewal;
use crate::domain::snapshot::Snapshot;
use crate::domain::taxonomy::Taxonomy;
use crate::telemetry::metric;

mod charge;
mod client;
pub mod declines;
pub mod events;
mod finish;
pub mod history;
mod instrument;
mod lists;
mod payment;
mod pruned;
mod read;
mod renewal;
mod traits;
mod webhook;
mod wire;

pub use client::Misconfigured;

/// What opens an account at Stripe.
#[derive(Clone, Debug)]
pub struct StripeSettings {
    /// The base address, `https://api.stripe.com` in production.
    pub api_base: Url,
    /// The secret or restricted API key.
    pub api_key: SecretString,
    /// The secrets of the webhook endpoint, newest first; more than one while they are rotated.
    pub webhook_secrets: Vec<SecretString>,
}

/// One account at Stripe.
pub struct Stripe {
    client: client::Client,
    keys: &'static IdempotencyProfile,
    webhook_secrets: Vec<SecretString>,
}

impl Stripe {
    /// Opens the account; nothing is called yet. Fails on an unusable base, key or secret, and where HTTPS cannot be set
    /// up.
    pub fn new(settings: StripeSettings) -> Result<Self, Misconfigured> {
        if settings
            .webhook_secrets
            .iter()
            .any(|secret| secret.expose_secret().is_empty())
        {
            return Err(Misconfigured::Secret);
        }
        Ok(Self {
            keys: IdempotencyProfile::of("stripe").expect("the profiles name Stripe, as a test shows"),
            client: client::Client::new(settings.api_base, settings.api_key, client::CALL_TIMEOUT)?,
            webhook_secrets: settings.webhook_secrets,
        })
    }
}

impl fmt::Debug for Stripe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stripe")
            .field("api_base", &self.client.base().as_str())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Provider for Stripe {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            idempotency_ttl: self.keys.ttl(),
            call_timeout: client::CALL_TIMEOUT,
            livemode: self.client.livemode(),
        }
    }

    fn codes(&self) -> &'static Taxonomy {
        &declines::TABLE
    }

    fn verify(&self, signature: Option<&str>, body: &[u8], now: Timestamp) -> Result<(), BadSignature> {
        signature::verify(signature, body, &self.webhook_secrets, now)?;
        if let [newest, _, ..] = &self.webhook_secrets[..]
            && signature::verify(signature, body, std::slice::from_ref(newest), now).is_err()
        {
            counter!(metric::OLD_SECRET).increment(1);
        }
        Ok(())
    }

    fn normalize(&self, body: &[u8]) -> Result<NormalizedEvent, Malformed> {
        webhook::normalize(body)
    }

    fn label(&self, body: &[u8]) -> Result<EventLabel, Malformed> {
        webhook::label(body)
    }

    async fn snapshot(&self, invoice_id: &str) -> Result<Snapshot, ReadError> {
        in_one_call(read::snapshot(&self.client, invoice_id)).await
    }

    async fn invoice_of(&self, payment_id: Option<&str>, charge_id: Option<&str>) -> Result<Option<String>, ReadError> {
        payment::invoice_of(&self.client, payment_id, charge_id).await
    }

    async fn events(&self, from: Timestamp, to: Timestamp) -> Result<Vec<Vec<u8>>, ListError> {
        events::between(&self.client, from, to).await
    }

    async fn failed_invoices(&self, from: Timestamp, to: Timestamp) -> Result<Vec<String>, ListError> {
        lists::failed_invoices(&self.client, from, to).await
    }

    async fn charges(&self, from: Timestamp, to: Timestamp) -> Result<Vec<ChargeSeen>, ListError> {
        lists::charges(&self.client, from, to).await
    }

    async fn greet(&self) -> Result<Option<Timestamp>, ReadError> {
        self.client.greet().await
    }

    async fn charge(&self, request: &ChargeRequest) -> ChargeOutcome {
        charge::charge(&self.client, request).await
    }

    async fn finish(&self, action: FinalAction, snapshot: &Snapshot, key: &str) -> ActionOutcome {
        finish::finish(&self.client, action, snapshot, key).await
    }

    async fn renewal(&self, subscription_id: &str, customer_id: &str) -> Result<Renewal, ReadError> {
        in_one_call(renewal::renewal(&self.client, subscription_id, customer_id)).await
    }

    async fn is_subscribed(&self, customer_id: &str) -> Result<bool, ReadError> {
        renewal::is_subscribed(&self.client, customer_id).await
    }

    async fn update_link(&self, customer_id: &str, key: &str) -> Result<Option<String>, ReadError> {
        finish::update_link(&self.client, customer_id, key).await
    }
}

/// Several calls in a row get the time of one, for they all fall into one lease.
async fn in_one_call<T>(read: impl Future<Output = Result<T, ReadError>>) -> Result<T, ReadError> {
    let read = tokio::time::timeout(client::CALL_TIMEOUT, read).await;
    read.unwrap_or_else(|_| {
        Err(ReadError::Unavailable {
            reason: "timed out".to_owned(),
            retry_after: None,
        })
    })
}
