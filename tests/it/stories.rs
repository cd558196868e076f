//! Stories with dates: the clock is advanced, the queues are drained, the whole timeline is asserted.

mod awkward;
mod ceiling;
mod crowd;
mod customer;
pub mod forecasts;
mod late;
mod learning;
mod local_time;
mod manners;
mod ordinary;
mod staff;
mod uplift;
