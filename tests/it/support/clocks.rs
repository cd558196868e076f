//! Clocks that are wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use recoup::clock::{Clock, Simulated};

/// A wall clock that is wrong by so many seconds, from some look at it on. Its stopwatches stand still.
#[derive(Debug)]
pub struct Wrong {
    secs: AtomicI64,
    /// How many looks at it are still right.
    right_for: AtomicU64,
}

impl Wrong {
    /// Wrong from the start.
    pub fn by_secs(secs: i64) -> Arc<Self> {
        Self::after(0, secs)
    }

    /// Right for so many looks, and wrong from then on.
    pub fn after(looks: u64, secs: i64) -> Arc<Self> {
        Arc::new(Self {
            secs: AtomicI64::new(secs),
            right_for: AtomicU64::new(looks),
        })
    }

    /// Makes it wrong by as much.
    pub fn set(&self, secs: i64) {
        self.secs.store(secs, Ordering::Relaxed);
    }

    /// Whether it would still be right at one more look.
    pub fn is_right(&self) -> bool {
        self.right_for.load(Ordering::Relaxed) > 0
    }
}

impl Simulated for Wrong {
    fn now(&self) -> Timestamp {
        let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
        let right = self
            .right_for
            .fetch_update(set, fetch, |left| left.checked_sub(1))
            .is_ok();
        let secs = if right { 0 } else { self.secs.load(Ordering::Relaxed) };
        Clock::System.now() + SignedDuration::from_secs(secs)
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    fn entropy(&self) -> u128 {
        recoup::clock::entropy()
    }
}
