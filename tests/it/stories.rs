//! Stories with dates: the clock is advanced, the queues are drained, the whole timeline is asserted.

mod actions;
mod approvals;
mod awkward;
mod campaigns;
mod ceiling;
mod crowd;
mod customer;
mod digest;
mod endings;
pub mod forecasts;
mod history;
mod late;
mod learning;
mod local_time;
mod manners;
mod messages;
mod ordinary;
mod reach;
mod rehearsal;
mod returns;
mod staff;
mod unsubscribe;
mod uplift;
mod why;
mod win_back;
