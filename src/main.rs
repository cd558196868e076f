//! Recoup.
fn main() {}
