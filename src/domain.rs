//! F0, pure: words, state and decisions. No async, no IO, no clock, no entropy, no logging.

pub mod calendar;
pub mod campaign;
pub mod case;
pub mod ceiling;
pub mod command;
pub mod decide;
pub mod decline;
pub mod event;
pub mod explain;
pub mod forecast;
pub mod ids;
pub mod instrument;
pub mod learning;
pub mod ledger;
pub mod message;
pub mod money;
pub mod mutant;
pub mod network;
pub mod outcome;
pub mod report;
pub mod retention;
pub mod role;
pub mod schedule;
pub mod snapshot;
pub mod taxonomy;
pub(crate) mod words;
