//! What several stories need: fresh databases, scripted counterparts on loopback.

pub mod databases;
pub mod dialogue;
pub mod smtp;
pub mod story;
