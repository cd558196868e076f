//! The one integration test binary: stories with dates, on both databases.
#![expect(
    clippy::unwrap_used,
    reason = "clippy spares only the test functions themselves; here helpers too fail at the place that went wrong"
)]

mod mail;
mod support;

#[test]
fn the_package_has_its_name() {
    assert_eq!(env!("CARGO_PKG_NAME"), "recoup");
}
