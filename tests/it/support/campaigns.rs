//! The campaign of stories that name their dates: charges on fixed days, as the built-in one once had them.

use recoup::domain::campaign::Campaign;

/// The folder that holds it.
pub const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/campaigns");
/// Its text.
pub const DAYS: &str = include_str!("../../fixtures/campaigns/default.toml");

pub fn days() -> Campaign {
    Campaign::parse(DAYS).unwrap()
}
