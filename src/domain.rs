//! F0, pure: words, state and decisions. No async, no IO, no clock, no entropy, no logging.

pub mod ids;
pub mod money;
