//! What a customer has subscribed to, and what the next renewal would be charged to.

use super::client::Client;
use super::read::{customer, filled, known_country};
use super::wire::{Card, List, MethodDetails, Subscription, id_of};
use crate::domain::renewal::{CardOnFile, Renewal};
use crate::domain::snapshot::{CardShown, CustomerSeen};
use crate::providers::ReadError;

/// Subscriptions of one customer that are looked at; hardly anybody has more.
const SUBSCRIPTIONS: &str = "100";

/// The subscription, its customer and the card that it would be charged to; see `Provider::renewal`.
pub(super) async fn renewal(client: &Client, subscription_id: &str, customer_id: &str) -> Result<Renewal, ReadError> {
    let path = ["subscriptions", subscription_id];
    let subscription = client.read::<Subscription>(&path, &[]);
    let (subscription, (customer, of_customer, _)) = tokio::try_join!(subscription, customer(client, customer_id))?;
    let method = id_of(subscription.default_payment_method.as_ref())
        .or_else(|| id_of(subscription.default_source.as_ref()))
        .or(of_customer);
    let card = match &method {
        // A key may lack the right to read it; then no card is known.
        Some(id) => client
            .read_extra::<MethodDetails>(&["payment_methods", id])
            .await?
            .and_then(|method| method.card),
        None => None,
    };
    let of_card = || known_country(card.as_ref()?.country.clone());
    Ok(Renewal {
        goes_on: goes_on(&subscription),
        automatic: subscription.collection_method.as_deref() != Some("send_invoice"),
        customer: CustomerSeen {
            country: customer.country.clone().or_else(of_card),
            ..customer
        },
        card: card.and_then(on_file),
    })
}

/// Whether one of the customer's subscriptions has not ended; see `Provider::is_subscribed`.
pub(super) async fn is_subscribed(client: &Client, customer_id: &str) -> Result<bool, ReadError> {
    let asked = [("customer", customer_id), ("limit", SUBSCRIPTIONS)];
    let all: List<Subscription> = client.read(&["subscriptions"], &asked).await?;
    let has_ended = |subscription: &Subscription| {
        matches!(
            subscription.status.as_deref(),
            Some("canceled" | "incomplete" | "incomplete_expired")
        )
    };
    Ok(!all.data.iter().all(has_ended))
}

fn goes_on(subscription: &Subscription) -> bool {
    let runs = matches!(subscription.status.as_deref(), Some("active" | "trialing" | "past_due"));
    runs && subscription.cancel_at_period_end != Some(true) && subscription.pause_collection.is_none()
}

/// A card whose month of expiry is known.
fn on_file(card: Card) -> Option<CardOnFile> {
    Some(CardOnFile {
        year: card.exp_year?.try_into().ok()?,
        month: card.exp_month?.try_into().ok()?,
        shown: CardShown {
            brand: filled(card.brand)?,
            last4: filled(card.last4)?,
        },
    })
}
