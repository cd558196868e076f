//! The one integration test binary: stories with dates, on both databases.
#![expect(
    clippy::unwrap_used,
    reason = "clippy spares only the test functions themselves; here helpers too fail at the place that went wrong"
)]

mod binary;
mod config;
mod decide;
mod demo;
mod doorbell;
mod engine;
mod faults;
mod http;
mod mail;
mod readme;
mod reconcile;
mod rules;
mod sandbox;
mod simulate;
mod store;
mod stories;
mod stripe;
mod support;
mod tidy;
