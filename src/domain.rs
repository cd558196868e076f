//! F0, pure: words, state and decisions. No async, no IO, no clock, no entropy, no logging.

pub mod campaign;
pub mod decline;
pub mod ids;
pub mod message;
pub mod money;
pub mod snapshot;
pub(crate) mod words;
