//! What every topic needs: the service as a process of its own, a database of its own, load, and figures.

pub mod database;
pub mod event;
pub mod load;
pub mod machine;
pub mod report;
pub mod service;
