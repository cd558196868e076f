//! Recoup: dunning and payment recovery.

pub mod clock;
pub mod config;
pub mod domain;
pub mod engine;
pub mod mailer;
pub mod providers;
pub mod sandbox;
pub mod scheduler;
pub mod store;
pub mod telemetry;
