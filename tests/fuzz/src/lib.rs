//! What several fuzz targets need: the parts of an input, and counterparts on loopback.
//!
//! A target takes the way that production takes, so most of them go through a public door of the service. The
//! counterparts live as long as the process: they are started by the first input and keep their connections.

pub mod cases;
pub mod parts;
pub mod provider;
pub mod relay;
pub mod service;
