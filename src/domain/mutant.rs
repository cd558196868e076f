//! Deliberate faults, for the test of the tests: the simulation must find each of them.
//!
//! Only the feature `mutants` compiles them in, and then only the chosen one is alive, in the thread that chose it.

/// Whether the named fault is alive.
#[cfg(not(feature = "mutants"))]
pub const fn alive(_: &str) -> bool {
    false
}

#[cfg(feature = "mutants")]
pub use chosen::{alive, choose};

#[cfg(feature = "mutants")]
mod chosen {
    use std::cell::Cell;

    thread_local! {
        static CHOSEN: Cell<Option<&'static str>> = const { Cell::new(None) };
    }

    /// Whether the named fault is alive.
    pub fn alive(name: &str) -> bool {
        CHOSEN.get() == Some(name)
    }

    /// Lets one fault live in this thread, or none.
    pub fn choose(name: Option<&'static str>) {
        CHOSEN.set(name);
    }
}
