//! The truth about one invoice as read from the provider at one instant. Webhooks are only hints to read it again.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::calendar::main_zone;
use super::decline::Decline;
use super::instrument::Instrument;
use super::money::Money;
use super::words::words;

words! {
    /// Where the provider says the invoice stands.
    InvoiceStatus {
        /// Not yet finalized.
        Draft = "draft",
        /// Finalized and owed.
        Open = "open",
        /// Settled.
        Paid = "paid",
        /// Cancelled by the merchant; nothing is owed.
        Void = "void",
        /// Given up by the merchant.
        Uncollectible = "uncollectible",
    }
}

words! {
    /// Where the provider says the subscription stands.
    SubscriptionStatus {
        /// In its trial.
        Trialing = "trialing",
        /// Paid up.
        Active = "active",
        /// The first payment is still missing; the customer is on-session.
        Incomplete = "incomplete",
        /// The first payment never came.
        IncompleteExpired = "incomplete_expired",
        /// A renewal is unpaid and still chased.
        PastDue = "past_due",
        /// A renewal is unpaid and no longer chased by the provider.
        Unpaid = "unpaid",
        /// Ended.
        Canceled = "canceled",
        /// Paused after a trial without a payment method.
        Paused = "paused",
    }
}

words! {
    /// Why the provider says a subscription was cancelled.
    CancelReason {
        /// The customer or staff asked for it.
        Requested = "cancellation_requested",
        /// The provider ended it for non-payment.
        PaymentFailed = "payment_failed",
        /// The provider ended it because of a dispute.
        PaymentDisputed = "payment_disputed",
    }
}

words! {
    /// Where the invoice's newest payment stands.
    PaymentStatus {
        /// The last charge failed, or none was made.
        Failed = "failed",
        /// The customer must confirm it.
        RequiresAction = "requires_action",
        /// Sent, and the answer takes days (bank debits).
        Processing = "processing",
        /// It succeeded.
        Succeeded = "succeeded",
        /// It was cancelled.
        Canceled = "canceled",
    }
}

/// The invoice's newest payment at the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentSeen {
    /// The provider's name for the newest charge, where one was made.
    pub charge_id: Option<String>,
    /// The provider's name for the payment that the charges belong to (Stripe: the payment intent).
    pub payment_id: Option<String>,
    /// Where it stands.
    pub status: PaymentStatus,
    /// When the newest charge was made.
    pub charged_at: Option<Timestamp>,
    /// Why the newest charge was declined, where it was.
    pub decline: Option<Decline>,
    /// The payment method that was charged.
    pub payment_method: Option<String>,
    /// The provider's stable name for the card behind the payment method, alike for every copy of it.
    pub fingerprint: Option<String>,
    /// What was charged, where it is known.
    pub instrument: Option<Instrument>,
    /// The card's brand and last four digits, for mails.
    pub card: Option<CardShown>,
    /// Whether the customer disputes the charge.
    pub disputed: bool,
    /// How much of the charge was paid back, in minor units of the invoice's currency.
    pub refunded_minor: i64,
}

/// What a mail may say about a card.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CardShown {
    /// The brand as the provider names it, such as `visa`.
    pub brand: String,
    /// The last four digits.
    pub last4: String,
}

/// The invoice's subscription at the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionSeen {
    /// Where it stands.
    pub status: SubscriptionStatus,
    /// When a cancellation was asked for or took effect.
    pub canceled_at: Option<Timestamp>,
    /// Whether it ends with its running period.
    pub cancel_at_period_end: bool,
    /// Why it was cancelled, where the provider says so.
    pub cancel_reason: Option<CancelReason>,
    /// Whether collection is paused at the provider.
    pub collection_paused: bool,
}

/// What the provider says of the subscription and of those behind it, besides where it stands; campaigns choose by it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traits {
    /// The names of its plans: of the price, of the product, and the price's lookup key.
    pub plans: Vec<String>,
    /// The name of its first plan that people read best.
    pub plan: Option<String>,
    /// Since when it runs.
    pub since: Option<Timestamp>,
    /// What it brings in a month, where all its prices are fixed and of one currency.
    pub monthly: Option<Money>,
    /// The metadata of the invoice, else of the subscription, else of the customer.
    pub metadata: BTreeMap<String, String>,
}

/// A payment method at the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodSeen {
    /// The provider's name for it.
    pub id: String,
    /// The provider's stable name for the card behind it, alike for every copy of it, where it is known.
    pub fingerprint: Option<String>,
    /// What stands behind it, where it is known.
    pub instrument: Option<Instrument>,
}

/// The customer at the provider: whom to write to, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CustomerSeen {
    /// Where mails go.
    pub email: Option<String>,
    /// A second address, where the provider's metadata names one.
    pub alternate: Option<String>,
    /// How mails greet.
    pub name: Option<String>,
    /// The first preferred locale.
    pub locale: Option<String>,
    /// The IANA time zone, where the provider's metadata names one.
    pub zone: Option<String>,
    /// The country, ISO 3166-1 alpha-2 in capitals: that of the address, else that of the card's issuer.
    pub country: Option<String>,
}

impl CustomerSeen {
    /// The IANA zone that the customer lives by, as far as it can be told: what the metadata names, else the country's main one.
    pub fn local_zone(&self) -> Option<&str> {
        let by_country = || main_zone(self.country.as_deref()?);
        self.zone.as_deref().or_else(by_country)
    }
}

/// One invoice with all that a decision needs, read at one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The provider's name for the invoice.
    pub invoice_id: String,
    /// The provider's name for the customer.
    pub customer_id: String,
    /// The provider's name for the subscription, where the invoice belongs to one.
    pub subscription_id: Option<String>,
    /// Where the invoice stands.
    pub status: InvoiceStatus,
    /// What is still owed.
    pub amount_remaining: Money,
    /// What was paid so far.
    pub amount_paid: Money,
    /// When the invoice was paid, where it was.
    pub paid_at: Option<Timestamp>,
    /// Whether it was marked paid without money through the provider.
    pub paid_out_of_band: bool,
    /// Whether the provider charges it by itself (as against invoices that are sent).
    pub automatic: bool,
    /// Whether a charge was attempted at all.
    pub attempted: bool,
    /// When the provider itself will charge next, if its own retries are on.
    pub provider_next_attempt_at: Option<Timestamp>,
    /// The provider's page where the customer can pay or confirm.
    pub pay_url: Option<String>,
    /// What was bought, in a few words, where the invoice says so.
    pub description: Option<String>,
    /// The newest payment, where one exists.
    pub payment: Option<PaymentSeen>,
    /// The subscription, where one exists.
    pub subscription: Option<SubscriptionSeen>,
    /// The customer.
    pub customer: CustomerSeen,
    /// What campaigns choose by.
    pub traits: Traits,
    /// The payment method that the provider would charge off-session, where there is one.
    pub default_method: Option<MethodSeen>,
}

impl PaymentSeen {
    /// A charge that failed at an instant, of which nothing more is known.
    pub const fn failed(at: Timestamp) -> Self {
        Self {
            charge_id: None,
            payment_id: None,
            status: PaymentStatus::Failed,
            charged_at: Some(at),
            decline: None,
            payment_method: None,
            fingerprint: None,
            instrument: None,
            card: None,
            disputed: false,
            refunded_minor: 0,
        }
    }
}

impl Snapshot {
    /// An invoice that is owed because its automatic charge failed, and of which nothing more is known.
    pub fn failed(invoice_id: String, customer_id: String, amount: Money) -> Self {
        Self {
            invoice_id,
            customer_id,
            subscription_id: None,
            status: InvoiceStatus::Open,
            amount_remaining: amount,
            amount_paid: Money::new(0, amount.currency),
            paid_at: None,
            paid_out_of_band: false,
            automatic: true,
            attempted: true,
            provider_next_attempt_at: None,
            pay_url: None,
            description: None,
            payment: None,
            subscription: None,
            customer: CustomerSeen::default(),
            traits: Traits::default(),
            default_method: None,
        }
    }

    /// What the provider would charge, or what was charged last where it does not tell.
    pub fn instrument(&self) -> Option<&Instrument> {
        let default = self.default_method.as_ref();
        let payment = self.payment.as_ref();
        default
            .and_then(|method| method.instrument.as_ref())
            .or_else(|| payment?.instrument.as_ref())
    }

    /// The charge that paid the invoice, where the provider names it.
    pub fn paying_charge(&self) -> Option<String> {
        let payment = self.payment.as_ref()?;
        let paid = payment.status == PaymentStatus::Succeeded && !self.paid_out_of_band;
        payment.charge_id.clone().filter(|_| paid)
    }
}
