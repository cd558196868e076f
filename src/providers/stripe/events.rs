//! The provider's own list of events, for what webhooks lost.

use jiff::Timestamp;
use serde_json::Value;

use super::client::Client;
use super::lists::made;
use crate::providers::ListError;

/// The types that `webhook.rs` acts on; others need not travel. The provider takes at most twenty.
pub const TYPES: [&str; 19] = [
    "invoice.payment_failed",
    "invoice.payment_action_required",
    "invoice.paid",
    "invoice.payment_succeeded",
    "invoice.voided",
    "invoice.marked_uncollectible",
    "invoice.updated",
    "invoice.upcoming",
    "payment_intent.payment_failed",
    "charge.failed",
    "charge.refunded",
    "charge.dispute.created",
    "customer.subscription.updated",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "payment_method.attached",
    "payment_method.automatically_updated",
    "customer.updated",
    "customer.source.updated",
];

/// Every event of [`TYPES`] from `from` to `to`, oldest first, as raw bytes. The list itself comes newest first.
pub(super) async fn between(client: &Client, from: Timestamp, to: Timestamp) -> Result<Vec<Vec<u8>>, ListError> {
    let names: Vec<String> = (0..TYPES.len()).map(|index| format!("types[{index}]")).collect();
    let asked: Vec<(&str, &str)> = names.iter().map(String::as_str).zip(TYPES).collect();
    let id = |event: &Value| event["id"].as_str().map(str::to_owned);
    let mut events: Vec<Value> = made(client, "events", (from, to), &asked, id).await?;
    events.reverse();
    Ok(events.iter().map(|event| event.to_string().into_bytes()).collect())
}
