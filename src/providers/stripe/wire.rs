//! The shapes on the wire, in the versions before and since 2025-03-31. Every field may be missing, and unknown ones are
//! ignored: what a caller cannot do without, it checks itself. Nothing here is `Debug`, for it holds addresses and names.

use std::collections::HashMap;

use serde::Deserialize;

/// What the merchant wrote beside an object.
pub(super) type Metadata = HashMap<String, serde_json::Value>;

/// A field that holds an object's id, or the object itself where it was expanded.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Ref<T> {
    Id(String),
    Object(Box<T>),
}

/// An object of which only the name matters.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Bare {
    pub id: Option<String>,
}

/// Whatever has a name.
pub(super) trait Named {
    /// The provider's name for the object.
    fn id(&self) -> Option<&str>;
}

macro_rules! named {
    ($($name:ident),+) => { $(impl Named for $name { fn id(&self) -> Option<&str> { self.id.as_deref() } })+ };
}
named!(Bare, PaymentIntent, Charge);

impl<T: Named> Ref<T> {
    /// The name of what is referred to; an empty one is none.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Id(id) => Some(id.as_str()),
            Self::Object(object) => object.id(),
        }
        .filter(|id| !id.is_empty())
    }
}

/// The name behind an optional reference, as an owned text.
pub(super) fn id_of<T: Named>(reference: Option<&Ref<T>>) -> Option<String> {
    reference.and_then(Ref::id).map(str::to_owned)
}

#[derive(Deserialize)]
#[serde(default)]
pub(super) struct List<T> {
    pub data: Vec<T>,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self { data: Vec::new() }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Invoice {
    pub id: Option<String>,
    pub status: Option<String>,
    pub currency: Option<String>,
    pub customer: Option<Ref<Bare>>,
    pub customer_email: Option<String>,
    pub customer_name: Option<String>,
    pub subscription: Option<Ref<Bare>>,
    pub default_payment_method: Option<Ref<Bare>>,
    pub default_source: Option<Ref<Bare>>,
    pub parent: Option<Parent>,
    pub payment_intent: Option<Ref<PaymentIntent>>,
    pub charge: Option<Ref<Charge>>,
    pub payments: Option<List<InvoicePayment>>,
    pub amount_due: Option<i64>,
    pub amount_paid: Option<i64>,
    pub amount_remaining: Option<i64>,
    pub attempted: Option<bool>,
    pub attempt_count: Option<i64>,
    pub collection_method: Option<String>,
    pub billing_reason: Option<String>,
    pub next_payment_attempt: Option<i64>,
    pub period_end: Option<i64>,
    pub hosted_invoice_url: Option<String>,
    pub paid_out_of_band: Option<bool>,
    pub status_transitions: Option<StatusTransitions>,
    pub lines: Option<List<Line>>,
    pub description: Option<String>,
    pub metadata: Option<Metadata>,
}

impl Invoice {
    /// The subscription, from either shape.
    pub fn subscription_id(&self) -> Option<String> {
        id_of(self.subscription.as_ref()).or_else(|| {
            let details = self.parent.as_ref()?.subscription_details.as_ref()?;
            id_of(details.subscription.as_ref())
        })
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Parent {
    pub subscription_details: Option<SubscriptionDetails>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct SubscriptionDetails {
    pub subscription: Option<Ref<Bare>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct StatusTransitions {
    pub paid_at: Option<i64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Line {
    pub description: Option<String>,
}

/// What ties a payment to an invoice since 2025-03-31.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct InvoicePayment {
    pub invoice: Option<Ref<Bare>>,
    pub amount_paid: Option<i64>,
    pub created: Option<i64>,
    pub is_default: Option<bool>,
    pub status: Option<String>,
    pub payment: Option<TiedPayment>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct TiedPayment {
    pub payment_intent: Option<Ref<PaymentIntent>>,
    pub charge: Option<Ref<Charge>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct PaymentIntent {
    pub id: Option<String>,
    pub status: Option<String>,
    pub latest_charge: Option<Ref<Charge>>,
    pub last_payment_error: Option<ApiError>,
    pub payment_method: Option<Ref<Bare>>,
    pub invoice: Option<Ref<Bare>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Charge {
    pub id: Option<String>,
    pub status: Option<String>,
    pub created: Option<i64>,
    pub currency: Option<String>,
    pub customer: Option<Ref<Bare>>,
    pub failure_code: Option<String>,
    pub outcome: Option<Outcome>,
    pub payment_method: Option<Ref<Bare>>,
    pub payment_method_details: Option<MethodDetails>,
    pub disputed: Option<bool>,
    pub amount: Option<i64>,
    pub amount_refunded: Option<i64>,
    pub refunded: Option<bool>,
    pub invoice: Option<Ref<Bare>>,
    pub payment_intent: Option<Ref<Bare>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Outcome {
    pub reason: Option<String>,
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub advice_code: Option<String>,
    pub network_decline_code: Option<String>,
    pub network_advice_code: Option<String>,
}

/// A payment method, or the part of a charge that describes the one it used.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct MethodDetails {
    pub id: Option<String>,
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub card: Option<Card>,
    pub us_bank_account: Option<BankAccount>,
    pub sepa_debit: Option<BankAccount>,
    pub bacs_debit: Option<BankAccount>,
    pub acss_debit: Option<BankAccount>,
    pub au_becs_debit: Option<BankAccount>,
}

/// A bank account that is debited.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct BankAccount {
    pub fingerprint: Option<String>,
    pub country: Option<String>,
    pub routing_number: Option<String>,
    pub bank_code: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Card {
    pub brand: Option<String>,
    pub last4: Option<String>,
    pub fingerprint: Option<String>,
    pub country: Option<String>,
    pub funding: Option<String>,
    /// The issuer's number and name, which Stripe shows to some accounts.
    pub iin: Option<String>,
    pub issuer: Option<String>,
    pub exp_month: Option<i64>,
    pub exp_year: Option<i64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ErrorBody {
    pub error: Option<ApiError>,
}

/// An error as answers and payment intents carry it.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ApiError {
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub code: Option<String>,
    pub decline_code: Option<String>,
    pub advice_code: Option<String>,
    pub network_decline_code: Option<String>,
    pub network_advice_code: Option<String>,
    pub message: Option<String>,
    pub param: Option<String>,
    pub charge: Option<Ref<Bare>>,
    pub payment_intent: Option<Ref<PaymentIntent>>,
    pub payment_method: Option<MethodDetails>,
}

impl ApiError {
    /// The code, or else the type, where it looks like a machine-readable word. The message is for no log: it may name
    /// a person.
    pub fn word(&self) -> Option<String> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let word = self.code.as_ref().or(self.kind.as_ref())?;
        (!word.is_empty() && word.len() <= 64 && word.bytes().all(plain)).then(|| word.clone())
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Customer {
    pub deleted: Option<bool>,
    pub email: Option<String>,
    pub name: Option<String>,
    pub preferred_locales: Option<Vec<String>>,
    pub address: Option<Address>,
    pub metadata: Option<Metadata>,
    pub invoice_settings: Option<InvoiceSettings>,
    pub default_source: Option<Ref<Bare>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Address {
    pub country: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct InvoiceSettings {
    pub default_payment_method: Option<Ref<Bare>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Subscription {
    pub id: Option<String>,
    pub status: Option<String>,
    pub canceled_at: Option<i64>,
    pub cancel_at_period_end: Option<bool>,
    pub cancellation_details: Option<CancellationDetails>,
    pub pause_collection: Option<serde_json::Value>,
    pub collection_method: Option<String>,
    pub default_payment_method: Option<Ref<Bare>>,
    pub default_source: Option<Ref<Bare>>,
    pub start_date: Option<i64>,
    pub created: Option<i64>,
    pub items: Option<List<Item>>,
    pub metadata: Option<Metadata>,
}

/// One price of a subscription, so many times.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Item {
    pub price: Option<Price>,
    pub quantity: Option<i64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Price {
    pub id: Option<String>,
    pub product: Option<Ref<Bare>>,
    pub lookup_key: Option<String>,
    pub nickname: Option<String>,
    pub currency: Option<String>,
    pub unit_amount: Option<i64>,
    pub recurring: Option<Recurring>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Recurring {
    pub interval: Option<String>,
    pub interval_count: Option<i64>,
    pub usage_type: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct CancellationDetails {
    pub reason: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct PortalSession {
    pub url: Option<String>,
}
