//! What several stories need: scripted counterparts on loopback.

pub mod smtp;
