//! The store on both databases: what the schema refuses, what the queues promise, what comes back as it went in.

mod begun;
mod cases;
mod claims;
mod intake;
mod ledger;
mod months;
mod outage;
mod posteriors;
mod queues;
mod rollups;
pub mod samples;
mod scans;
mod schema;
mod service;
mod touches;
mod tried;
