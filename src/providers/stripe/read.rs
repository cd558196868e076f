//! One invoice with its payment, subscription and customer, read at one instant.

use jiff::Timestamp;
use serde_json::Value;

use super::client::Client;
use super::wire::{Customer, Invoice, Metadata, MethodDetails, Subscription, id_of};
use super::{instrument, payment, traits};
use crate::domain::calendar::main_zone;
use crate::domain::money::{Currency, Money};
use crate::domain::snapshot::{
    CancelReason, CustomerSeen, InvoiceStatus, MethodSeen, PaymentSeen, Snapshot, SubscriptionSeen, SubscriptionStatus,
};
use crate::providers::ReadError;

/// The metadata of a customer that names a second address, for when the first one refuses our mail.
const ALTERNATE: &str = "billing_email_alternate";

/// Reads the invoice, then all that hangs on it at once.
pub(super) async fn snapshot(client: &Client, invoice_id: &str) -> Result<Snapshot, ReadError> {
    let mut invoice: Invoice = client.read(&["invoices", invoice_id], &[]).await?;
    if invoice.id.as_deref() != Some(invoice_id) {
        return Err(unreadable("the answer is about another invoice"));
    }
    let status = invoice_status(&invoice)?;
    let currency: Currency = invoice
        .currency
        .as_deref()
        .and_then(|code| code.parse().ok())
        .ok_or_else(|| unreadable("the invoice's currency is missing or unknown"))?;
    let customer_id = id_of(invoice.customer.as_ref()).ok_or_else(|| unreadable("the invoice names no customer"))?;
    let subscription_id = invoice.subscription_id();
    // What the provider charges off-session: each level names a payment method or, of old, a source.
    let of_invoice = id_of(invoice.default_payment_method.as_ref()).or_else(|| id_of(invoice.default_source.as_ref()));
    let (payments, customer_read, subscription_read) = tokio::try_join!(
        payment::of_invoice(client, invoice_id, &mut invoice),
        customer(client, &customer_id),
        subscription(client, subscription_id.as_deref()),
    )?;
    let (customer, of_customer, customer_metadata) = customer_read;
    let (subscription, of_subscription, plan) = subscription_read;
    let default_id = of_invoice.or(of_subscription).or(of_customer);
    let (default_method, of_default) = default_method(client, default_id, status, payments.newest.as_ref()).await?;
    let of_card = || known_country(payments.card_country).or_else(|| known_country(of_default));
    let paid = invoice.amount_paid.unwrap_or(0);
    let remaining = invoice
        .amount_remaining
        .or_else(|| Some(invoice.amount_due?.saturating_sub(paid)))
        .ok_or_else(|| unreadable("the invoice says no amount"))?;
    let paid_at = invoice
        .status_transitions
        .as_ref()
        .and_then(|transitions| instant(transitions.paid_at));
    Ok(Snapshot {
        invoice_id: invoice_id.to_owned(),
        customer_id,
        subscription_id,
        status,
        amount_remaining: Money::new(remaining, currency),
        amount_paid: Money::new(paid, currency),
        paid_at,
        paid_out_of_band: invoice.paid_out_of_band.unwrap_or(payments.settled_elsewhere),
        automatic: invoice.collection_method.as_deref() != Some("send_invoice"),
        attempted: invoice.attempted.unwrap_or(invoice.attempt_count.unwrap_or(0) > 0),
        provider_next_attempt_at: instant(invoice.next_payment_attempt),
        pay_url: filled(invoice.hosted_invoice_url.take()),
        description: description(&mut invoice),
        payment: payments.newest,
        subscription,
        customer: CustomerSeen {
            email: customer.email.or(filled(invoice.customer_email)),
            name: customer.name.or(filled(invoice.customer_name)),
            country: customer.country.or_else(of_card),
            ..customer
        },
        default_method,
        traits: plan.with_metadata([customer_metadata, invoice.metadata]),
    })
}

/// The payment method of that id with the card behind it, and the country of that card. It is read only where the invoice is
/// still owed and the newest payment does not tell; a provider that does not have it leaves the card unknown.
async fn default_method(
    client: &Client,
    id: Option<String>,
    status: InvoiceStatus,
    newest: Option<&PaymentSeen>,
) -> Result<(Option<MethodSeen>, Option<String>), ReadError> {
    let Some(id) = id else { return Ok((None, None)) };
    let charged = newest.filter(|payment| payment.payment_method.as_deref() == Some(id.as_str()));
    let (fingerprint, instrument, country) = match (charged, status) {
        (Some(payment), _) => (payment.fingerprint.clone(), payment.instrument.clone(), None),
        (None, InvoiceStatus::Open) => {
            // A key may lack the right to read it; then only the id tells the cards apart.
            let found: Option<MethodDetails> = client.read_extra(&["payment_methods", &id]).await?;
            let found = found.unwrap_or_default();
            let instrument = instrument::of_method(Some(&id), &found);
            let card = found.card.unwrap_or_default();
            (card.fingerprint, instrument, card.country)
        }
        (None, InvoiceStatus::Draft | InvoiceStatus::Paid | InvoiceStatus::Void | InvoiceStatus::Uncollectible) => {
            (None, None, None)
        }
    };
    let seen = MethodSeen {
        id,
        fingerprint,
        instrument,
    };
    Ok((Some(seen), country))
}

fn invoice_status(invoice: &Invoice) -> Result<InvoiceStatus, ReadError> {
    match invoice.status.as_deref() {
        Some("draft") => Ok(InvoiceStatus::Draft),
        Some("open") => Ok(InvoiceStatus::Open),
        Some("paid") => Ok(InvoiceStatus::Paid),
        Some("void") => Ok(InvoiceStatus::Void),
        Some("uncollectible") => Ok(InvoiceStatus::Uncollectible),
        _ => Err(unreadable("the invoice's status is missing or unknown")),
    }
}

/// The subscription, the payment method that it names, and its traits.
async fn subscription(
    client: &Client,
    id: Option<&str>,
) -> Result<(Option<SubscriptionSeen>, Option<String>, traits::Plan), ReadError> {
    let Some(id) = id else { return Ok(Default::default()) };
    let Some(mut found) = client
        .read_optional::<Subscription>(&["subscriptions", id], &[])
        .await?
    else {
        return Ok(Default::default());
    };
    let plan = traits::of_subscription(&mut found);
    let status = match found.status.as_deref() {
        Some("trialing") => SubscriptionStatus::Trialing,
        Some("active") => SubscriptionStatus::Active,
        Some("incomplete") => SubscriptionStatus::Incomplete,
        Some("incomplete_expired") => SubscriptionStatus::IncompleteExpired,
        Some("past_due") => SubscriptionStatus::PastDue,
        Some("unpaid") => SubscriptionStatus::Unpaid,
        Some("canceled") => SubscriptionStatus::Canceled,
        Some("paused") => SubscriptionStatus::Paused,
        _ => return Err(unreadable("the subscription's status is missing or unknown")),
    };
    let reason = found.cancellation_details.and_then(|details| details.reason);
    let cancel_reason = cancel_reason(reason.as_deref());
    let method = id_of(found.default_payment_method.as_ref()).or_else(|| id_of(found.default_source.as_ref()));
    let seen = SubscriptionSeen {
        status,
        canceled_at: instant(found.canceled_at),
        cancel_at_period_end: found.cancel_at_period_end.unwrap_or(false),
        cancel_reason,
        collection_paused: found.pause_collection.is_some(),
    };
    Ok((Some(seen), method, plan))
}

/// Who ended a subscription; without a reason, or with one that is new, nothing can be said about that.
pub(super) fn cancel_reason(word: Option<&str>) -> Option<CancelReason> {
    match word {
        Some("cancellation_requested") => Some(CancelReason::Requested),
        Some("payment_failed") => Some(CancelReason::PaymentFailed),
        Some("payment_disputed") => Some(CancelReason::PaymentDisputed),
        _ => None,
    }
}

/// The customer, its default payment method and its metadata; a deleted or missing one is empty.
pub(super) async fn customer(
    client: &Client,
    id: &str,
) -> Result<(CustomerSeen, Option<String>, Option<Metadata>), ReadError> {
    let found: Option<Customer> = client.read_optional(&["customers", id], &[]).await?;
    let Some(found) = found.filter(|customer| customer.deleted != Some(true)) else {
        return Ok(Default::default());
    };
    let zone = ["timezone", "time_zone"].iter().find_map(|key| {
        let name = found.metadata.as_ref()?.get(*key).and_then(Value::as_str)?;
        let zone = jiff::tz::TimeZone::get(name.trim()).ok()?;
        zone.iana_name().map(str::to_owned)
    });
    let alternate = found
        .metadata
        .as_ref()
        .and_then(|metadata| metadata.get(ALTERNATE)?.as_str());
    let alternate = alternate
        .map(str::trim)
        .filter(|text| text.contains('@'))
        .map(str::to_owned);
    let method = found
        .invoice_settings
        .and_then(|settings| id_of(settings.default_payment_method.as_ref()))
        .or_else(|| id_of(found.default_source.as_ref()));
    let seen = CustomerSeen {
        email: filled(found.email),
        alternate,
        name: filled(found.name),
        locale: filled(found.preferred_locales.and_then(|locales| locales.into_iter().next())),
        zone,
        country: known_country(found.address.and_then(|address| address.country)),
    };
    Ok((seen, method, found.metadata))
}

/// The code of a country that we know; an address holds whatever somebody wrote into it.
pub(super) fn known_country(text: Option<String>) -> Option<String> {
    let code = text?.trim().to_ascii_uppercase();
    main_zone(&code).is_some().then_some(code)
}

pub(super) fn description(invoice: &mut Invoice) -> Option<String> {
    let lines = invoice.lines.take().unwrap_or_default().data;
    let first = lines.into_iter().next().and_then(|line| line.description);
    let first = filled(first.as_deref().map(plan_name));
    first.or_else(|| filled(invoice.description.take()))
}

/// What was bought, out of a line such as `1 × Team plan (at €29.00 / month)`: customers read the amount elsewhere, in their language.
fn plan_name(line: &str) -> String {
    let mut name = line.trim();
    while let Some((before, price)) = name.rsplit_once(" (at ")
        && price.contains(" / ")
        && price.ends_with(')')
    {
        name = before.trim_end();
    }
    name.trim_start_matches("1 × ").to_owned()
}

pub(super) fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.trim().is_empty())
}

fn instant(secs: Option<i64>) -> Option<Timestamp> {
    Timestamp::from_second(secs?).ok()
}

fn unreadable(reason: &str) -> ReadError {
    ReadError::Unavailable {
        reason: reason.to_owned(),
        retry_after: None,
    }
}
