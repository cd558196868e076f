//! The lists by time: page after page, and no further than there is an end in sight.

use recoup::providers::{ListError, Provider};
use serde_json::json;

use super::fake::{Fake, Reply};
use super::stripe_at;

/// The most pages of one list.
const PAGES_MAX: usize = 400;

#[tokio::test]
async fn a_list_without_an_end_is_given_up_after_so_many_pages() {
    let page = |id: &str| Reply::json(200, &json!({"data": [{"id": id}], "has_more": true}));
    let (from, to) = (
        "2026-03-01T00:00:00Z".parse().unwrap(),
        "2026-03-02T00:00:00Z".parse().unwrap(),
    );
    for list in ["events", "invoices", "charges"] {
        let fake = Fake::start([(format!("GET /v1/{list}"), page("obj_1"))]).await;
        let stripe = stripe_at(&fake.base);
        let ended = match list {
            "events" => stripe.events(from, to).await.map(|_| ()),
            "invoices" => stripe.failed_invoices(from, to).await.map(|_| ()),
            _ => stripe.charges(from, to).await.map(|_| ()),
        };
        assert_eq!(ended, Err(ListError::TooLong), "{list}");
        let lines = fake.lines();
        assert_eq!(lines.len(), PAGES_MAX);
        for line in &lines {
            assert!(
                line.contains("created%5Bgte%5D=1772323200&created%5Blte%5D=1772409600"),
                "{line}"
            );
        }
        assert!(!lines[0].contains("starting_after") && lines[1].contains("starting_after=obj_1"));
    }
}
