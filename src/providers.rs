//! F2: the port to payment providers, and one folder per provider.
//!
//! A provider only reads, charges and acts; it decides nothing. `Declined` is an answer, `Unknown` is the lack of one,
//! and `NotSent` is the certainty that no charge can come of the call.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::campaign::FinalAction;
use crate::domain::decline::Decline;
use crate::domain::event::Subscribed;
use crate::domain::instrument::Instrument;
use crate::domain::money::Money;
use crate::domain::renewal::{Renewal, Upcoming};
use crate::domain::snapshot::{CardShown, Snapshot};
use crate::domain::taxonomy::Taxonomy;
use crate::domain::words::words;

pub mod profile;
pub mod signature;
pub mod stripe;

/// What a provider can do, and how it treats an idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// How long a key protects from a second charge.
    pub idempotency_ttl: Duration,
    /// The total timeout of one call.
    pub call_timeout: Duration,
    /// Whether the account moves real money, where the credentials tell.
    pub livemode: Option<bool>,
}

/// What a webhook event says, in the provider-neutral form: a hint at what to read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NormalizedEvent {
    /// The provider's name for the event; equal for each delivery of it.
    pub event_id: String,
    /// The provider's type text, for people.
    pub kind: String,
    /// When the provider made it.
    pub created_at: Option<Timestamp>,
    /// Whether it tells of real money.
    pub livemode: Option<bool>,
    /// The idempotency key of the request that brought the money, where it tells of an invoice being paid by one.
    pub paid_by_key: Option<String>,
    /// The new subscription that it tells of, where it tells of the first invoice of one being paid.
    pub subscribed: Option<Subscribed>,
    /// What it hints at.
    pub hint: Hint,
}

/// What to read again because of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// Something happened to an invoice. `failure` says that it tells of a failed charge, so that it may open a case.
    Invoice {
        /// The invoice.
        invoice_id: String,
        /// Whether a failed charge is told of.
        failure: bool,
    },
    /// Something happened to a payment; its invoice may have to be asked for.
    Payment {
        /// The invoice, where the event names it.
        invoice_id: Option<String>,
        /// The payment (Stripe: payment intent).
        payment_id: Option<String>,
        /// The charge.
        charge_id: Option<String>,
        /// What happened to it.
        what: PaymentHint,
    },
    /// Something happened to a subscription.
    Subscription {
        /// The subscription.
        subscription_id: String,
    },
    /// A customer has a new or renewed payment method.
    PaymentMethod {
        /// The customer.
        customer_id: String,
        /// The payment method, where the event names it.
        payment_method: Option<String>,
        /// The stable name of the card behind it, where the event names it.
        fingerprint: Option<String>,
        /// What stands behind it, as far as the event tells.
        instrument: Option<Instrument>,
        /// Whether a known payment method got new data (card updater), as against a new one.
        renewed: bool,
    },
    /// A subscription will be charged for its next period.
    Upcoming(Box<Upcoming>),
    /// Contact data of a customer changed.
    Customer {
        /// The customer.
        customer_id: String,
    },
    /// Nothing that Recoup acts on.
    Unhandled,
}

words! {
    /// What happened to a payment.
    PaymentHint {
        /// A charge failed.
        Failed = "failed",
        /// Money was paid back.
        Refunded = "refunded",
        /// The customer disputes the charge.
        Disputed = "disputed",
    }
}

/// What an event is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventLabel {
    /// The provider's id of it.
    pub event_id: String,
    /// The provider's word for its kind.
    pub kind: String,
}

/// An event that cannot be understood although its signature is right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the event cannot be read: {0}")]
pub struct Malformed(pub String);

/// Why something could not be read from the provider.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The provider has no such thing.
    #[error("the provider has no such object")]
    NotFound,
    /// The provider refused our key or our rights; a person must look.
    #[error("the provider refused our credentials (HTTP {0})")]
    Refused(u16),
    /// The provider did not answer, or not in a way worth trusting; try again later.
    #[error("the provider gave no usable answer: {reason}")]
    Unavailable {
        /// What happened, without secrets.
        reason: String,
        /// How long the provider asks us to wait.
        retry_after: Option<Duration>,
    },
}

/// Why a list could not be read from the provider.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// There is more than one answer can hold; a shorter stretch of time has less.
    #[error("the list does not end")]
    TooLong,
    /// It could not be read at all. A provider without such a list says `NotFound`.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// A payment of the invoice that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The invoice that was paid.
    pub invoice_id: String,
    /// What was paid in all.
    pub amount_paid: Money,
    /// The charge, where the answer names it.
    pub charge_id: Option<String>,
}

/// A charge that was declined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub decline: Decline,
    /// The charge, where the answer names it.
    pub charge_id: Option<String>,
    /// The payment method that was charged, where the answer names it.
    pub payment_method: Option<String>,
    /// The stable name of the card, where the answer names it.
    pub fingerprint: Option<String>,
    /// The card as mails may show it.
    pub card: Option<CardShown>,
    /// What was charged, where the answer tells.
    pub instrument: Option<Instrument>,
}

/// The answer to one charge.
#[expect(
    clippy::large_enum_variant,
    reason = "an answer lives for one decision and is never kept in numbers"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChargeOutcome {
    /// The invoice is paid by this very call (or its first sending under the same key).
    Succeeded(Receipt),
    /// The issuer or the provider said no.
    Declined(Refusal),
    /// The charge is under way; the answer takes days. The invoice must be watched, not charged.
    Processing {
        /// The charge, where the answer names it.
        charge_id: Option<String>,
    },
    /// The provider refused because nothing is owed any more (paid or void meanwhile). Read the invoice.
    NothingOwed,
    /// Certainly nothing was charged: the call never left, or was refused before it was carried out.
    NotSent {
        /// Why, without secrets.
        reason: String,
        /// Whether a person must look (credentials, configuration).
        needs_person: bool,
        /// How long the provider asks us to wait.
        retry_after: Option<Duration>,
    },
    /// It cannot be told whether a charge was made. The same key may be sent again; a new one must not.
    Unknown {
        /// Why, without secrets.
        reason: String,
        /// How long the provider asks us to wait before the same key is sent again.
        retry_after: Option<Duration>,
    },
    /// The answer contradicts what was asked (other amount, other invoice, key mismatch): a person must look.
    Mismatch {
        /// What differs.
        reason: String,
    },
}

/// One charge to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargeRequest {
    /// The invoice to pay.
    pub invoice_id: String,
    /// The idempotency key: the attempt's id.
    pub key: String,
    /// What we expect to be charged.
    pub amount: Money,
    /// The payment method to use instead of the one that the subscription names.
    pub payment_method: Option<String>,
}

/// The answer to a final action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActionOutcome {
    /// It is done, now or before.
    Done,
    /// The provider refuses for good; a person must look.
    Refused {
        /// Why, without secrets.
        reason: String,
    },
    /// No usable answer; the action is idempotent and may be sent again.
    Unavailable {
        /// Why, without secrets.
        reason: String,
        /// How long the provider asks us to wait.
        retry_after: Option<Duration>,
    },
}

/// A charge that took money, as the provider lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargeSeen {
    /// The charge.
    pub charge_id: String,
    /// Whose money it is.
    pub customer_id: String,
    /// The invoice, where the list names it.
    pub invoice_id: Option<String>,
    /// The payment (Stripe: payment intent), where the list names it.
    pub payment_id: Option<String>,
    /// What it took, less what was paid back.
    pub amount: Money,
    /// When it was made.
    pub made_at: Timestamp,
}

/// One payment provider's account.
#[async_trait]
pub trait Provider: Send + Sync {
    /// What the provider can do.
    fn capabilities(&self) -> Capabilities;

    /// What the codes mean that it gives for declines, its own and the networks'.
    fn codes(&self) -> &'static Taxonomy;

    /// Checks the signature of a webhook over its raw bytes.
    fn verify(&self, signature: Option<&str>, body: &[u8], now: Timestamp) -> Result<(), signature::BadSignature>;

    /// Reads an event's raw bytes.
    fn normalize(&self, body: &[u8]) -> Result<NormalizedEvent, Malformed>;

    /// Reads no more of an event than its id and its kind, for whoever only stores it; the rest may still be malformed.
    fn label(&self, body: &[u8]) -> Result<EventLabel, Malformed> {
        self.normalize(body).map(|event| EventLabel {
            event_id: event.event_id,
            kind: event.kind,
        })
    }

    /// Reads one invoice with its payment, subscription and customer, all within one call's timeout.
    async fn snapshot(&self, invoice_id: &str) -> Result<Snapshot, ReadError>;

    /// Finds the invoice that a payment belongs to; nothing where it belongs to none.
    async fn invoice_of(&self, payment_id: Option<&str>, charge_id: Option<&str>) -> Result<Option<String>, ReadError>;

    /// The raw bytes of every event of concern made from `from` to `to`, oldest first: webhooks may have been lost on their
    /// way.
    async fn events(&self, from: Timestamp, to: Timestamp) -> Result<Vec<Vec<u8>>, ListError>;

    /// Every invoice made from `from` to `to` that is owed and whose automatic charge was tried, as the provider lists them
    /// now, newest first.
    async fn failed_invoices(&self, from: Timestamp, to: Timestamp) -> Result<Vec<String>, ListError> {
        let _ = (from, to);
        Err(ReadError::NotFound.into())
    }

    /// Every charge from `from` to `to` that took money and kept it, newest first.
    async fn charges(&self, from: Timestamp, to: Timestamp) -> Result<Vec<ChargeSeen>, ListError> {
        let _ = (from, to);
        Err(ReadError::NotFound.into())
    }

    /// Makes one cheap call that needs the credentials, and gives the time that the provider says it is, where it does.
    async fn greet(&self) -> Result<Option<Timestamp>, ReadError> {
        Err(ReadError::NotFound)
    }

    /// Makes one charge. Called again with an equal request, it never charges twice while the key lives.
    async fn charge(&self, request: &ChargeRequest) -> ChargeOutcome;

    /// Carries out a final action; `key` is its idempotency key.
    async fn finish(&self, action: FinalAction, snapshot: &Snapshot, key: &str) -> ActionOutcome;

    /// Reads how a subscription of a customer would be renewed now, all within one call's timeout.
    async fn renewal(&self, subscription_id: &str, customer_id: &str) -> Result<Renewal, ReadError> {
        let _ = (subscription_id, customer_id);
        Err(ReadError::NotFound)
    }

    /// Whether the customer has a subscription that has not ended.
    async fn is_subscribed(&self, customer_id: &str) -> Result<bool, ReadError> {
        let _ = customer_id;
        Err(ReadError::NotFound)
    }

    /// A link where the customer can change the payment method, where the provider has one.
    async fn update_link(&self, customer_id: &str, key: &str) -> Result<Option<String>, ReadError>;
}
