//! Recoup: dunning and payment recovery.

pub mod clock;
pub mod domain;
pub mod store;
