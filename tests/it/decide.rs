//! The decider on its own: laws that hold for every series of events, and stories as calendars.

mod books;
pub mod desk;
mod doubt;
mod ends;
mod forecasts;
mod ladders;
mod late;
mod laws;
mod methods;
mod opening;
mod people;
mod random;
mod watch;
