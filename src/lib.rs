//! Recoup: dunning and payment recovery.

pub mod clock;
pub mod config;
pub mod domain;
pub mod mailer;
pub mod providers;
pub mod store;
pub mod telemetry;
