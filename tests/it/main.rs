//! The one integration test binary: stories with dates, on both databases.
    clippy::unwrap_used,
    reason = "a test that cannot go on should panic where it stands"
)]

#[test]
fn skeleton() {
    assert_eq!("1".parse::<i32>().unwrap(), 1);
}
