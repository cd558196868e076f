//! Stories with dates: the clock is advanced, the queues are drained, the whole timeline is asserted.

mod awkward;
mod crowd;
mod late;
mod local_time;
mod ordinary;
mod staff;
