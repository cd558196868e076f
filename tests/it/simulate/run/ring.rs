//! The doorbell. A real one rings each second. Here it rings where something is due, and once in a while for what has turns
//! of its own; the heartbeat, which is all that the rings between would come to, is written for them.

use std::sync::atomic::Ordering;

use recoup::engine::HEARTBEAT;

use super::Runner;
use crate::simulate::state::{HOUR, Happening, MINUTE, SECOND, instant};

/// How often some worker looks after what has turns of its own, while nothing is due.
const UPKEEP: i64 = 2 * HOUR;
/// The same while nothing is chased either.
const IDLE_UPKEEP: i64 = 6 * HOUR;
/// The same while it reconciles before it acts.
const RECONCILING: i64 = MINUTE;
/// How often the heartbeat is written: often enough that nobody takes it for silence.
const BEAT: i64 = 5 * MINUTE;
/// Who differs more from the database's time writes no heartbeat.
const SKEW: i64 = MINUTE;
/// Rings in vain are further apart each time, up to this many doublings of a second.
const DOUBLINGS: u32 = 8;

impl Runner {
    /// Rings where something is due by the worker's clock, and sees to the next ring.
    pub(super) fn ring(&mut self, worker: usize) {
        let mut state = self.world.lock();
        let now = state.now;
        state.hands[worker].ring_at = i64::MAX;
        let Some(engine) = self.engines[worker].as_ref().filter(|_| !self.frozen[worker]) else {
            return;
        };
        let skew = state.hands[worker].skew.load(Ordering::Relaxed);
        let next = state.db.claimable().map(|(at, lease)| (at - skew).max(lease)).min();
        if engine.is_reconciling() {
            self.upkeep_at[worker] = self.upkeep_at[worker].min(now + RECONCILING);
        }
        let upkeep = self.upkeep_at[worker];
        let next = next.unwrap_or(i64::MAX).min(upkeep.max(now));
        let at = if next <= now {
            if upkeep <= now {
                // The workers take turns.
                let turns = i64::try_from(state.hands.len()).unwrap();
                let wait = if state.db.open.is_empty() { IDLE_UPKEEP } else { UPKEEP };
                self.upkeep_at[worker] = now + turns * wait;
            }
            engine.nudge();
            let hand = &mut state.hands[worker];
            hand.idle_rings = (hand.idle_rings + 1).min(DOUBLINGS);
            now + (SECOND << hand.idle_rings) + state.dice.between(0, SECOND)
        } else {
            state.hands[worker].idle_rings = 0;
            next + state.dice.between(0, 1500)
        };
        state.hands[worker].ring_at = at;
        state.at(at, Happening::Ring(worker));
    }

    /// Every worker that rings could reach and that acts writes the heartbeat.
    pub(super) fn beat(&mut self) {
        let mut state = self.world.lock();
        let now = state.now;
        state.at(now + BEAT, Happening::Beat);
        if now < state.db_down {
            return;
        }
        for (worker, engine) in self.engines.iter().enumerate() {
            let acts = engine.as_ref().is_some_and(|engine| !engine.is_reconciling());
            let skew = state.hands[worker].skew.load(Ordering::Relaxed);
            if acts && !self.frozen[worker] && skew.abs() <= SKEW {
                let beat = instant(now + skew).to_string();
                state.db.settings.insert(HEARTBEAT.to_owned(), beat);
            }
        }
    }
}
