//! The one integration test binary: stories with dates, on both databases.

mod stripe;

#[test]
fn the_package_has_its_name() {
    assert_eq!(env!("CARGO_PKG_NAME"), "recoup");
}
