//! What several stories need: fresh databases, scripted counterparts on loopback, clocks that are wrong.

pub mod campaigns;
pub mod clocks;
pub mod databases;
pub mod dialogue;
pub mod identity;
pub mod schema;
pub mod smtp;
pub mod story;
