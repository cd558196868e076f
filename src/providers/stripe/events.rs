//! The provider's own list of events, for what webhooks lost.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::client::Client;
use crate::providers::ReadError;

/// Events of one page; a page stays well below the largest answer that is read.
const PAGE: &str = "50";
/// The most pages of one answer.
const PAGES_MAX: usize = 400;
/// The types that `webhook.rs` acts on; others need not travel. The provider takes at most twenty.
pub const TYPES: [&str; 18] = [
    "invoice.payment_failed",
    "invoice.payment_action_required",
    "invoice.paid",
    "invoice.payment_succeeded",
    "invoice.voided",
    "invoice.marked_uncollectible",
    "invoice.updated",
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

#[derive(Default, Deserialize)]
#[serde(default)]
struct Page {
    data: Vec<Value>,
    has_more: bool,
}

/// Every event of [`TYPES`] from `from` to `to`, oldest first, as raw bytes. The list itself comes newest first.
pub(super) async fn between(client: &Client, from: Timestamp, to: Timestamp) -> Result<Vec<Vec<u8>>, ReadError> {
    let (from, to) = (from.as_second().to_string(), to.as_second().to_string());
    let names: Vec<String> = (0..TYPES.len()).map(|index| format!("types[{index}]")).collect();
    let mut events: Vec<Value> = Vec::new();
    for _ in 0..PAGES_MAX {
        let last = events.last().and_then(|event| event["id"].as_str()).map(str::to_owned);
        let mut query = vec![
            ("created[gte]", from.as_str()),
            ("created[lte]", to.as_str()),
            ("limit", PAGE),
        ];
        query.extend(names.iter().map(String::as_str).zip(TYPES));
        if let Some(last) = &last {
            query.push(("starting_after", last));
        }
        let page: Page = client.read(&["events"], &query).await?;
        let more = page.has_more && !page.data.is_empty();
        events.extend(page.data);
        if !more {
            events.reverse();
            return Ok(events.iter().map(|event| event.to_string().into_bytes()).collect());
        }
    }
    Err(ReadError::Unavailable {
        reason: "the list of events does not end".to_owned(),
        retry_after: None,
    })
}
