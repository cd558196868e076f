//! An account at a provider that answers in this process: so what is measured is ours. Only a charge may go over the network.

use std::net::SocketAddr;

use async_trait::async_trait;
use jiff::Timestamp;
use recoup::domain::campaign::FinalAction;
use recoup::domain::decline::{Decline, DeclineKind, Disposition};
use recoup::domain::instrument::{Funding, Instrument};
use recoup::domain::money::Money;
use recoup::domain::network::Network;
use recoup::domain::snapshot::{
    CustomerSeen, InvoiceStatus, MethodSeen, PaymentSeen, PaymentStatus, Snapshot, SubscriptionSeen,
    SubscriptionStatus, Traits,
};
use recoup::domain::taxonomy::Taxonomy;
use recoup::providers::signature::BadSignature;
use recoup::providers::stripe::{Stripe, StripeSettings};
use recoup::providers::{
    ActionOutcome, Capabilities, ChargeOutcome, ChargeRequest, EventLabel, ListError, Malformed, NormalizedEvent,
    Provider, ReadError, Refusal,
};
use secrecy::SecretString;
use tokio::sync::Semaphore;

use crate::bare::CHARGE;
use crate::support::event::SECRET;

/// The first digit of an invoice's number that nobody can work on: the account panics.
pub const POISON: char = 'f';
/// How many charges are under way at once, whoever asks for them.
pub const CHARGES_IN_FLIGHT: usize = 32;

/// The way to a server that takes a millisecond for each charge.
pub struct Wire {
    client: reqwest::Client,
    url: String,
    permits: Semaphore,
}

impl Wire {
    pub fn to(address: SocketAddr) -> anyhow::Result<Self> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Self {
            client: reqwest::Client::builder().build()?,
            url: format!("http://{address}{CHARGE}"),
            permits: Semaphore::new(CHARGES_IN_FLIGHT),
        })
    }

    /// Asks for one charge and reads the whole answer.
    pub async fn charge(&self, key: &str) -> anyhow::Result<()> {
        let _permit = self.permits.acquire().await?;
        let request = self.client.post(&self.url).header("Idempotency-Key", key);
        let answer = request.send().await?.error_for_status()?;
        answer.bytes().await?;
        Ok(())
    }
}

/// The account. Every invoice of it is owed, and every charge is declined for the same reason as before.
pub struct Account {
    /// Verifies and reads events as in production; it is never called over the network.
    stripe: Stripe,
    /// Where charges go; without it collection is paused at the provider, so that none is made.
    wire: Option<Wire>,
}

impl Account {
    pub fn new(wire: Option<Wire>) -> anyhow::Result<Self> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let settings = StripeSettings {
            api_base: "http://127.0.0.1:9".parse()?,
            api_key: SecretString::from("sk_test_of_the_benchmarks"),
            webhook_secrets: vec![SecretString::from(SECRET)],
        };
        Ok(Self {
            stripe: Stripe::new(settings)?,
            wire,
        })
    }
}

/// What every charge of the benchmarks was declined for.
pub fn decline() -> Decline {
    Decline {
        kind: DeclineKind::InsufficientFunds,
        disposition: Disposition::Retry,
        provider_code: Some("insufficient_funds".to_owned()),
        network_code: Some("51".to_owned()),
        advice_code: None,
    }
}

pub fn owed(amount_minor: i64) -> Money {
    Money::new(amount_minor, "EUR".parse().expect("a currency"))
}

/// The address of a customer. They are of many domains, so that none of these is what mails wait for.
pub fn address(number: &str) -> String {
    let domain = number.get(number.len().saturating_sub(2)..).unwrap_or_default();
    format!("{number}@{domain}.customers.example")
}

/// The card of a customer.
fn card(number: &str) -> Instrument {
    Instrument {
        key: format!("fp_{number}"),
        network: Network::Visa,
        country: Some("DE".to_owned()),
        funding: Some(Funding::Debit),
        bank: None,
    }
}

#[async_trait]
impl Provider for Account {
    fn capabilities(&self) -> Capabilities {
        self.stripe.capabilities()
    }

    fn codes(&self) -> &'static Taxonomy {
        self.stripe.codes()
    }

    fn verify(&self, signature: Option<&str>, body: &[u8], now: Timestamp) -> Result<(), BadSignature> {
        self.stripe.verify(signature, body, now)
    }

    fn normalize(&self, body: &[u8]) -> Result<NormalizedEvent, Malformed> {
        self.stripe.normalize(body)
    }

    fn label(&self, body: &[u8]) -> Result<EventLabel, Malformed> {
        self.stripe.label(body)
    }

    async fn snapshot(&self, invoice_id: &str) -> Result<Snapshot, ReadError> {
        let number = invoice_id.trim_start_matches("in_");
        assert!(!number.starts_with(POISON), "poison, as ordered");
        Ok(Snapshot {
            invoice_id: invoice_id.to_owned(),
            customer_id: format!("cus_{number}"),
            subscription_id: Some(format!("sub_{number}")),
            status: InvoiceStatus::Open,
            amount_remaining: owed(1999),
            amount_paid: owed(0),
            paid_at: None,
            paid_out_of_band: false,
            automatic: true,
            attempted: true,
            provider_next_attempt_at: None,
            pay_url: Some(format!("https://invoice.example/{number}")),
            description: Some("Plan M".to_owned()),
            payment: Some(PaymentSeen {
                charge_id: Some(format!("ch_{number}")),
                payment_id: Some(format!("pi_{number}")),
                status: PaymentStatus::Failed,
                charged_at: None,
                decline: Some(decline()),
                payment_method: Some(format!("pm_{number}")),
                fingerprint: Some(format!("fp_{number}")),
                instrument: Some(card(number)),
                card: None,
                disputed: false,
                refunded_minor: 0,
            }),
            subscription: Some(SubscriptionSeen {
                status: SubscriptionStatus::PastDue,
                canceled_at: None,
                cancel_at_period_end: false,
                cancel_reason: None,
                collection_paused: self.wire.is_none(),
            }),
            customer: CustomerSeen {
                email: Some(address(number)),
                name: Some("Ada Albers".to_owned()),
                alternate: None,
                locale: Some("en".to_owned()),
                zone: None,
                country: None,
            },
            traits: Traits::default(),
            default_method: Some(MethodSeen {
                id: format!("pm_{number}"),
                fingerprint: Some(format!("fp_{number}")),
                instrument: Some(card(number)),
            }),
        })
    }

    async fn invoice_of(&self, _: Option<&str>, _: Option<&str>) -> Result<Option<String>, ReadError> {
        Err(ReadError::NotFound)
    }

    async fn events(&self, _: Timestamp, _: Timestamp) -> Result<Vec<Vec<u8>>, ListError> {
        Err(ReadError::NotFound.into())
    }

    async fn charge(&self, request: &ChargeRequest) -> ChargeOutcome {
        let Some(wire) = &self.wire else {
            return ChargeOutcome::Mismatch {
                reason: "no charge was to be made".to_owned(),
            };
        };
        if let Err(error) = wire.charge(&request.key).await {
            return ChargeOutcome::Unknown {
                reason: error.to_string(),
                retry_after: None,
            };
        }
        let number = request.invoice_id.trim_start_matches("in_");
        ChargeOutcome::Declined(Refusal {
            decline: decline(),
            charge_id: Some(format!("ch_again_{number}")),
            payment_method: Some(format!("pm_{number}")),
            fingerprint: Some(format!("fp_{number}")),
            card: None,
            instrument: Some(card(number)),
        })
    }

    async fn finish(&self, _: FinalAction, _: &Snapshot, _: &str) -> ActionOutcome {
        ActionOutcome::Refused {
            reason: "no case was to end".to_owned(),
        }
    }

    async fn update_link(&self, _: &str, _: &str) -> Result<Option<String>, ReadError> {
        Ok(None)
    }
}
