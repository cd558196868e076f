//! The provider's own list of events, for what webhooks lost.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::client::Client;
use crate::providers::ReadError;

/// Events of one page; a page stays well below the largest answer that is read.
const PAGE: &str = "50";
/// More pages than this are left for the next turn, whose answer starts with the oldest again.
const PAGES_MAX: usize = 200;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Page {
    data: Vec<Value>,
    has_more: bool,
}

/// Every event since then, oldest first, as raw bytes. The list itself comes newest first.
pub(super) async fn since(client: &Client, since: Timestamp) -> Result<Vec<Vec<u8>>, ReadError> {
    let from = since.as_second().to_string();
    let mut events: Vec<Value> = Vec::new();
    for _ in 0..PAGES_MAX {
        let last = events.last().and_then(|event| event["id"].as_str()).map(str::to_owned);
        let mut query = vec![("created[gte]", from.as_str()), ("limit", PAGE)];
        if let Some(last) = &last {
            query.push(("starting_after", last));
        }
        let page: Page = client.read(&["events"], &query).await?;
        let more = page.has_more && !page.data.is_empty();
        events.extend(page.data);
        if !more {
            break;
        }
    }
    events.reverse();
    Ok(events.iter().map(|event| event.to_string().into_bytes()).collect())
}
