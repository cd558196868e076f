//! F1: the two impure inputs, time and entropy. Everything below the top floor gets them from here.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rand::RngExt;

/// Where the service's time comes from.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The operating system's time.
    System,
    /// A time that only `advance_to` moves, and only forward.
    Test(Arc<Mutex<Timestamp>>),
    /// All of it in the hands of a simulation.
    Simulated(Arc<dyn Simulated>),
}

/// What a simulation decides for one of its processes.
pub trait Simulated: fmt::Debug + Send + Sync {
    /// What the wall clock shows; it may jump.
    fn now(&self) -> Timestamp;
    /// The time since some start; it never goes back.
    fn monotonic(&self) -> Duration;
    /// 128 bits of the simulation's own randomness.
    fn entropy(&self) -> u128;
}

/// The test clock was asked to go back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the test clock stands at {now} and only moves forward")]
pub struct Backwards {
    /// Where the clock stands.
    pub now: Timestamp,
}

impl Clock {
    /// A test clock that starts at `start`, cut to milliseconds.
    pub fn test(start: Timestamp) -> Self {
        Self::Test(Arc::new(Mutex::new(whole_millis(start))))
    }

    /// The present instant, cut to the milliseconds that the database keeps.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that asks the operating system"
    )]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => whole_millis(Timestamp::now()),
            Self::Test(now) => *now.lock().unwrap_or_else(PoisonError::into_inner),
            Self::Simulated(world) => whole_millis(world.now()),
        }
    }

    /// Starts to measure elapsed time. A test clock does not govern it: deadlines run by real time.
    pub fn stopwatch(&self) -> Stopwatch {
        match self {
            Self::System | Self::Test(_) => Stopwatch::start(),
            Self::Simulated(world) => Stopwatch(Watch::Simulated(Arc::clone(world), world.monotonic())),
        }
    }

    /// 128 random bits: the operating system's, but for a simulation.
    pub fn entropy(&self) -> u128 {
        match self {
            Self::System | Self::Test(_) => entropy(),
            Self::Simulated(world) => world.entropy(),
        }
    }

    /// Whether this is a test clock.
    pub fn is_test(&self) -> bool {
        matches!(self, Self::Test(_))
    }

    /// Whether a simulation governs this clock.
    pub fn is_simulated(&self) -> bool {
        matches!(self, Self::Simulated(_))
    }

    /// Moves a test clock to `to`. A system clock stays as it is.
    pub fn advance_to(&self, to: Timestamp) -> Result<(), Backwards> {
        if let Self::Test(now) = self {
            let mut now = now.lock().unwrap_or_else(PoisonError::into_inner);
            if to < *now {
                return Err(Backwards { now: *now });
            }
            *now = whole_millis(to);
        }
        Ok(())
    }
}

/// Measures elapsed time, for deadlines; never business time.
#[derive(Clone, Debug)]
pub struct Stopwatch(Watch);

#[derive(Clone, Debug)]
enum Watch {
    Real(tokio::time::Instant),
    Simulated(Arc<dyn Simulated>, Duration),
}

impl Stopwatch {
    /// Starts measuring real time.
    pub fn start() -> Self {
        Self(Watch::Real(tokio::time::Instant::now()))
    }

    /// The time since the start.
    pub fn elapsed(&self) -> Duration {
        match &self.0 {
            Watch::Real(start) => start.elapsed(),
            Watch::Simulated(world, start) => world.monotonic().saturating_sub(*start),
        }
    }
}

fn whole_millis(instant: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(instant.as_millisecond()).expect("a timestamp cut to milliseconds stays in range")
}

/// 128 bits that nobody can guess: of a cipher that the operating system's random source seeds, again and again, for each
/// thread. Asking the system itself each time would be a call into it for every id.
///
/// # Panics
/// Where the operating system has no random source: nothing safe can be done without one.
#[expect(clippy::disallowed_methods, reason = "this is the one place that asks for entropy")]
pub fn entropy() -> u128 {
    rand::rng().random()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_clock_only_moves_forward() {
        let start: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
        let clock = Clock::test(start);
        assert_eq!(clock.advance_to(start), Ok(()));
        let later = "2026-03-02T00:00:00Z".parse().unwrap();
        clock.advance_to(later).unwrap();
        assert_eq!(clock.advance_to(start), Err(Backwards { now: later }));
        assert_eq!(clock.now(), later);
    }
}
