//! Faults at an exact await: crashes, zombies, poison, refusals; on both databases, against the sandbox over HTTP.

mod alive;
mod crashes;
pub mod crew;
mod desk;
mod mails;
mod poison;
mod reach;
mod refusals;
