//! The decider on its own: laws that hold for every series of events, and stories as calendars.

mod desk;
mod doubt;
mod ends;
mod ladders;
mod late;
mod laws;
mod methods;
mod people;
mod random;
mod watch;
