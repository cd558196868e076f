//! Recoup: dunning and payment recovery.

pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
pub mod engine;
pub mod http;
pub mod mailer;
pub mod providers;
pub mod sandbox;
pub mod scheduler;
pub mod store;
pub mod telemetry;
