//! Stripe's adapter against a scripted HTTP fake, and its pure parts against vectors and tables.

use recoup::providers::stripe::{Stripe, StripeSettings};
use url::Url;

mod charge;
mod declines;
mod fake;
mod finish;
mod lists;
mod set_up;
mod signature;
mod snapshot;
mod webhook;

/// The webhook secret of the published test vector.
const WEBHOOK_SECRET: &str = "whsec_test_secret";
/// A key that must show up nowhere but in the `Authorization` header.
const API_KEY: &str = "sk_test_canary";

/// The adapter, pointed at `base`.
fn stripe_at(base: &Url) -> Stripe {
    Stripe::new(StripeSettings {
        api_base: base.clone(),
        api_key: API_KEY.into(),
        webhook_secrets: vec![WEBHOOK_SECRET.into()],
    })
    .unwrap()
}

/// The adapter, for tests that call nobody.
fn stripe() -> Stripe {
    stripe_at(&"http://127.0.0.1:1".parse().unwrap())
}

/// A committed fixture.
fn fixture(name: &str) -> serde_json::Value {
    let path = format!("{}/tests/fixtures/stripe/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}
