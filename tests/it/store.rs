//! The store on both databases: what the schema refuses, what the queues promise, what comes back as it went in.

mod cases;
mod claims;
mod ledger;
mod outage;
mod queues;
mod samples;
mod schema;
mod service;
