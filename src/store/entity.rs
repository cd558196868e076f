//! The rows as they stand in the tables; nothing outside the store sees them.

pub mod api_keys;
pub mod attempts;
pub mod audit;
pub mod campaigns;
pub mod cases;
pub mod courtesies;
pub mod digests;
pub mod idempotency;
pub mod inbox;
pub mod late_money;
pub mod notifications;
pub mod settings;
pub mod timeline;
