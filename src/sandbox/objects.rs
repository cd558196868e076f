//! The things that exist in the sandbox's world, as plain data.

use jiff::{Timestamp, tz::TimeZone};

use super::issuer::Refusal;
use crate::domain::money::Money;

/// A payer: who they are, where they live and how they treat their mail.
#[derive(Clone, Debug)]
pub struct Customer {
    /// Stripe's id, `cus_...`.
    pub id: String,
    /// The full name.
    pub name: String,
    /// The address our mails go to.
    pub email: String,
    /// A second address, given as the metadata key `billing_email_alternate` where there is one.
    pub alternate: Option<String>,
    /// The preferred language, such as `de`.
    pub locale: String,
    /// The country, ISO 3166, such as `DE`.
    pub country: String,
    /// The IANA name of the time zone, given as the metadata key `timezone` where there is one.
    pub zone_name: Option<String>,
    /// The same zone, resolved.
    pub zone: TimeZone,
    /// When the customer was created.
    pub created: Timestamp,
    /// The id of the payment method that invoices are charged to.
    pub default_payment_method: Option<String>,
    /// Whether the latest charge of an invoice failed.
    pub delinquent: bool,
    /// How the customer treats mail.
    pub habits: Habits,
}

/// How a customer treats our mails: probabilities between 0 and 1, and a delay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Habits {
    /// Reads a mail and means to act on it.
    pub reads: f64,
    /// Hours between the arrival of a mail and the deed, on average.
    pub delay_hours: f64,
    /// Having read, mends what is broken (new card, confirmation, payment).
    pub mends: f64,
    /// Having read and not mended, cancels the subscription.
    pub cancels: f64,
}

impl Habits {
    /// A customer who never reads mail, for stories in which only the machine acts.
    pub const DEAF: Self = Self {
        reads: 0.0,
        delay_hours: 1.0,
        mends: 0.0,
        cancels: 0.0,
    };
}

/// What the issuer holds against a card, apart from its expiry and the money behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Nothing.
    Good,
    /// Reported lost.
    Lost,
    /// Reported stolen.
    Stolen,
    /// Blocked for suspected fraud.
    Blocked,
    /// Each off-session charge needs a confirmation by the holder (3-D Secure).
    NeedsAuthentication,
}

/// A card, as the issuer knows it.
#[derive(Clone, Debug)]
pub struct Card {
    /// Stripe's id of the payment method, `pm_...`.
    pub id: String,
    /// The customer it is attached to.
    pub customer: String,
    /// The index of the account it draws on.
    pub account: usize,
    /// The index of the bank that issued it.
    pub issuer: usize,
    /// `visa`, `mastercard` or `amex`.
    pub brand: &'static str,
    /// The last four digits.
    pub last4: String,
    /// The same for the same card number.
    pub fingerprint: String,
    /// `credit`, `debit` or `prepaid`.
    pub funding: &'static str,
    /// The issuer's country.
    pub country: String,
    /// The year of expiry.
    pub exp_year: i16,
    /// The month of expiry; the card works to its end.
    pub exp_month: i8,
    /// What the issuer holds against it.
    pub standing: Standing,
    /// The probability that a charge meets a spell of bad temper (do not honor).
    pub moody: f64,
    /// The end of the present spell, and the code given while it lasts.
    pub spell: Option<(Timestamp, &'static str)>,
    /// Whether the network's updater renews it after its expiry.
    pub updater: bool,
    /// When it was attached.
    pub created: Timestamp,
}

/// The state of a subscription, in Stripe's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscriptionStatus {
    /// Paid.
    Active,
    /// The latest invoice is not paid.
    PastDue,
    /// Paused after a trial without a payment method.
    Paused,
    /// Over.
    Canceled,
}

impl SubscriptionStatus {
    /// Stripe's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::PastDue => "past_due",
            Self::Paused => "paused",
            Self::Canceled => "canceled",
        }
    }
}

/// A monthly subscription of one item.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// Stripe's id, `sub_...`.
    pub id: String,
    /// The subscriber.
    pub customer: String,
    /// What is sold, as it stands on the invoice line.
    pub product: String,
    /// The price of a month.
    pub price: Money,
    /// The instant from which months are counted.
    pub anchor: Timestamp,
    /// How many months have been billed.
    pub months: i32,
    /// The present period's start.
    pub period_start: Timestamp,
    /// The present period's end, when the next invoice is made.
    pub period_end: Timestamp,
    /// The state.
    pub status: SubscriptionStatus,
    /// The newest invoice.
    pub latest_invoice: Option<String>,
    /// What happens to invoices while collection is paused: `void`, `keep_as_draft` or `mark_uncollectible`.
    pub pause_behavior: Option<String>,
    /// When it was made.
    pub created: Timestamp,
    /// When it was cancelled.
    pub canceled_at: Option<Timestamp>,
    /// Why: `cancellation_requested`, with the feedback given.
    pub cancellation: Option<(&'static str, Option<&'static str>)>,
}

/// The state of an invoice, in Stripe's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvoiceStatus {
    /// To be paid.
    Open,
    /// Paid.
    Paid,
    /// Voided.
    Void,
    /// Written off; may still be paid.
    Uncollectible,
}

impl InvoiceStatus {
    /// Stripe's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Paid => "paid",
            Self::Void => "void",
            Self::Uncollectible => "uncollectible",
        }
    }
}

/// An invoice with one line, its payment intent included.
#[derive(Clone, Debug)]
pub struct Invoice {
    /// Stripe's id, `in_...`.
    pub id: String,
    /// The number printed on it.
    pub number: String,
    /// The payer.
    pub customer: String,
    /// The payer's address when the invoice was made.
    pub customer_email: String,
    /// The payer's name when the invoice was made.
    pub customer_name: String,
    /// The payer's country when the invoice was made.
    pub customer_country: String,
    /// The subscription it bills.
    pub subscription: String,
    /// Whether it is the first of its subscription.
    pub first: bool,
    /// What the line says.
    pub description: String,
    /// What is to be paid.
    pub amount: Money,
    /// What was paid, minor units.
    pub paid_minor: i64,
    /// When it was made.
    pub created: Timestamp,
    /// The start of the period it bills.
    pub period_start: Timestamp,
    /// The end of the period it bills.
    pub period_end: Timestamp,
    /// The state.
    pub status: InvoiceStatus,
    /// How many attempts Stripe counts: the first, and then only its own retries.
    pub attempt_count: u32,
    /// When Stripe itself tries next, where its own retries are on.
    pub next_payment_attempt: Option<Timestamp>,
    /// When it was paid, voided or written off.
    pub closed_at: Option<Timestamp>,
    /// Whether it was settled outside of Stripe.
    pub paid_out_of_band: bool,
    /// Whether Stripe goes on collecting.
    pub auto_advance: bool,
    /// The page on which the customer can pay.
    pub hosted_invoice_url: String,
    /// Its payment intent.
    pub intent: Intent,
}

impl Invoice {
    /// What is still to be paid, minor units.
    pub const fn remaining_minor(&self) -> i64 {
        match self.status {
            InvoiceStatus::Void => 0,
            _ => self.amount.amount_minor - self.paid_minor,
        }
    }

    /// Whether Stripe would still take money for it.
    pub const fn is_payable(&self) -> bool {
        matches!(self.status, InvoiceStatus::Open | InvoiceStatus::Uncollectible)
    }
}

/// The payment intent of an invoice.
#[derive(Clone, Debug)]
pub struct Intent {
    /// Stripe's id, `pi_...`.
    pub id: String,
    /// `requires_payment_method`, `requires_action`, `succeeded` or `canceled`.
    pub status: &'static str,
    /// The newest charge.
    pub latest_charge: Option<String>,
    /// The card last charged, and why it was refused.
    pub last_error: Option<(Box<Card>, Refusal)>,
    /// The payment method last used.
    pub payment_method: Option<String>,
}

/// One try to take money from a card.
#[derive(Clone, Debug)]
pub struct Charge {
    /// Stripe's id, `ch_...`.
    pub id: String,
    /// The invoice it was for.
    pub invoice: String,
    /// The payment intent it was for.
    pub intent: String,
    /// The payer.
    pub customer: String,
    /// The payer's address.
    pub email: String,
    /// The payer's name.
    pub name: String,
    /// The card as it was when charged.
    pub card: Card,
    /// What was asked.
    pub amount: Money,
    /// When.
    pub created: Timestamp,
    /// Why it was refused; nothing where it succeeded.
    pub refusal: Option<Refusal>,
    /// What was given back, minor units.
    pub refunded_minor: i64,
    /// Whether the holder disputes it.
    pub disputed: bool,
}

/// A dispute about a charge.
#[derive(Clone, Debug)]
pub struct Dispute {
    /// Stripe's id, `dp_...`.
    pub id: String,
    /// The charge in dispute.
    pub charge: String,
    /// Its payment intent.
    pub intent: String,
    /// What is in dispute.
    pub amount: Money,
    /// When it was opened.
    pub created: Timestamp,
}
