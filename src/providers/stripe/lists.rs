//! The provider's lists by the time at which things were made, for what no event told of.

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::client::Client;
use super::wire::{Bare, Ref, id_of};
use crate::domain::money::Money;
use crate::providers::{ChargeSeen, ListError};

/// Objects of one page; a page stays well below the largest answer that is read.
const PAGE: &str = "50";
/// The most pages of one list, that is 20,000 objects and 400 calls.
const PAGES_MAX: usize = 400;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Page<T> {
    data: Vec<T>,
    has_more: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Owed {
    id: Option<String>,
    attempted: Option<bool>,
    attempt_count: Option<i64>,
    amount_remaining: Option<i64>,
    collection_method: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Listed {
    id: Option<String>,
    status: Option<String>,
    created: Option<i64>,
    amount: Option<i64>,
    amount_refunded: Option<i64>,
    currency: Option<String>,
    customer: Option<Ref<Bare>>,
    invoice: Option<Ref<Bare>>,
    payment_intent: Option<Ref<Bare>>,
}

/// The open invoices whose automatic charge was tried; see `Provider::failed_invoices`.
pub(super) async fn failed_invoices(client: &Client, from: Timestamp, to: Timestamp) -> Result<Vec<String>, ListError> {
    let asked = [("status", "open"), ("collection_method", "charge_automatically")];
    let owed: Vec<Owed> = made(client, "invoices", (from, to), &asked, |invoice: &Owed| {
        invoice.id.clone()
    })
    .await?;
    let tried = owed.into_iter().filter(|invoice| {
        // A provider that does not know a filter must not make us chase what is not ours.
        invoice.attempted.unwrap_or(invoice.attempt_count.unwrap_or(0) > 0)
            && invoice.amount_remaining.unwrap_or(1) > 0
            && invoice.collection_method.as_deref() != Some("send_invoice")
    });
    Ok(tried.filter_map(|invoice| invoice.id).collect())
}

/// The charges that took money; see `Provider::charges`.
pub(super) async fn charges(client: &Client, from: Timestamp, to: Timestamp) -> Result<Vec<ChargeSeen>, ListError> {
    let listed: Vec<Listed> = made(client, "charges", (from, to), &[], |charge: &Listed| charge.id.clone()).await?;
    Ok(listed.into_iter().filter_map(seen).collect())
}

/// A charge that took money from a known customer and kept it.
fn seen(charge: Listed) -> Option<ChargeSeen> {
    let kept = charge.amount?.saturating_sub(charge.amount_refunded.unwrap_or(0));
    if charge.status.as_deref() != Some("succeeded") || kept <= 0 {
        return None;
    }
    Some(ChargeSeen {
        customer_id: id_of(charge.customer.as_ref())?,
        invoice_id: id_of(charge.invoice.as_ref()),
        payment_id: id_of(charge.payment_intent.as_ref()),
        amount: Money::new(kept, charge.currency?.parse().ok()?),
        made_at: Timestamp::from_second(charge.created?).ok()?,
        charge_id: charge.id?,
    })
}

/// Every object of a list that was made in a stretch of time. It comes newest first, and each page begins after the last
/// object of the one before.
pub(super) async fn made<T: Default + DeserializeOwned>(
    client: &Client,
    list: &str,
    (from, to): (Timestamp, Timestamp),
    asked: &[(&str, &str)],
    id: impl Fn(&T) -> Option<String>,
) -> Result<Vec<T>, ListError> {
    let (from, to) = (from.as_second().to_string(), to.as_second().to_string());
    let mut found: Vec<T> = Vec::new();
    for _ in 0..PAGES_MAX {
        let before = found.last().and_then(&id);
        let mut query = vec![
            ("created[gte]", from.as_str()),
            ("created[lte]", to.as_str()),
            ("limit", PAGE),
        ];
        query.extend(asked);
        if let Some(before) = &before {
            query.push(("starting_after", before));
        }
        let page: Page<T> = client.read(&[list], &query).await?;
        let more = page.has_more && !page.data.is_empty();
        found.extend(page.data);
        if !more {
            return Ok(found);
        }
    }
    Err(ListError::TooLong)
}
