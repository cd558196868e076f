//! One simulated world: its time, what is about to happen in it, and everything that lives in it, in one thread.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use jiff::Timestamp;
use recoup::clock::{Clock, Simulated};
use recoup::domain::ids::CaseId;
use recoup::providers::{ActionOutcome, ChargeOutcome};

use super::books::Books;
use super::database::{Database, Mirror};
use super::dice::{Dice, mix};
use super::faults::{Class, Faults};
use super::judge::Judge;
use super::network::Call;
use super::people::Act;
use super::post::Post;

pub const SECOND: i64 = 1000;
pub const MINUTE: i64 = 60 * SECOND;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;

pub type World = Arc<Whole>;

/// The world, shared by the ports of all workers.
#[derive(Debug)]
pub struct Whole {
    pub now: AtomicI64,
    drawn: AtomicU64,
    seed: u64,
    state: Mutex<State>,
}

/// What happens at an instant.
#[derive(Debug)]
pub enum Happening {
    /// A future goes on.
    Wake(Waker),
    /// A request arrives at the provider.
    Arrive(u64, Call),
    /// Somebody does something.
    Act(Act),
    /// A worker's doorbell.
    Ring(usize),
    /// The heartbeat of the rings that nothing is due for.
    Beat,
    /// A dead worker starts again, or a frozen one goes on.
    Rise(usize),
}

#[derive(Debug)]
struct Entry(i64, u64, Happening);

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

/// What the executor is to do once the present poll is over.
#[derive(Clone, Copy, Debug)]
pub enum Order {
    Kill(usize),
    Stop(usize),
    Freeze(usize, i64),
}

/// What the world knows of a worker.
#[derive(Debug)]
pub struct Hand {
    pub skew: Arc<AtomicI64>,
    pub ring_at: i64,
    pub idle_rings: u32,
    /// From when to when it stood still, oldest first.
    pub frozen: Vec<(i64, i64)>,
}

#[derive(Debug)]
pub struct State {
    pub now: i64,
    pub dice: Dice,
    pub faults: Faults,
    heap: BinaryHeap<Reverse<Entry>>,
    count: u64,
    pub calls: u64,
    pub charge_answers: BTreeMap<u64, ChargeOutcome>,
    pub action_answers: BTreeMap<u64, ActionOutcome>,
    pub db: Database,
    pub mirror: Option<Mirror>,
    pub books: Books,
    pub post: Post,
    pub judge: Judge,
    pub hands: Vec<Hand>,
    pub orders: Vec<Order>,
    pub db_down: i64,
    pub provider_down: i64,
    pub key_refused: i64,
    pub notes: Notes,
    pub steps: u64,
}

/// What happened, as a hash of everything and the last lines.
#[derive(Debug, Default)]
pub struct Notes {
    pub hash: u64,
    pub last: VecDeque<String>,
    /// How many lines are kept: none where nobody will read them.
    pub kept: usize,
}

impl Whole {
    pub fn new(seed: u64, state: State) -> World {
        Arc::new(Self {
            now: AtomicI64::new(state.now),
            drawn: AtomicU64::new(0),
            seed,
            state: Mutex::new(state),
        })
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn draw(&self) -> u128 {
        let number = self.drawn.fetch_add(1, Ordering::Relaxed);
        let high = mix(mix(self.seed, 0xe17), number);
        (u128::from(high) << 64) | u128::from(mix(high, 3))
    }
}

impl State {
    pub fn new(seed: u64, start: i64, faults: Faults, kept: usize) -> Self {
        Self {
            now: start,
            dice: Dice::new(seed, 1),
            faults,
            heap: BinaryHeap::new(),
            count: 0,
            calls: 0,
            charge_answers: BTreeMap::new(),
            action_answers: BTreeMap::new(),
            db: Database::default(),
            mirror: None,
            books: Books::new(seed),
            post: Post::default(),
            judge: Judge::default(),
            hands: Vec::new(),
            orders: Vec::new(),
            db_down: 0,
            provider_down: 0,
            key_refused: 0,
            notes: Notes {
                kept,
                ..Notes::default()
            },
            steps: 0,
        }
    }

    pub fn at(&mut self, at: i64, what: Happening) {
        self.count += 1;
        self.heap.push(Reverse(Entry(at.max(self.now), self.count, what)));
    }

    /// The next thing to happen before `end`.
    pub fn next(&mut self, end: i64) -> Option<(i64, Happening)> {
        if self.heap.peek().is_none_or(|Reverse(first)| first.0 > end) {
            return None;
        }
        self.heap.pop().map(|Reverse(Entry(at, _, what))| (at, what))
    }

    pub fn strikes(&mut self, class: Class) -> Option<Dice> {
        let dice = self.faults.strikes(class, self.now)?;
        self.note(class.word(), self.faults.struck.len() as u64, &"");
        Some(dice)
    }

    /// Writes down that something happened.
    pub fn note(&mut self, what: &'static str, on: u64, more: &dyn fmt::Display) {
        let notes = &mut self.notes;
        let word = what.bytes().fold(7, |sum, byte| mix(sum, u64::from(byte)));
        notes.hash = mix(mix(mix(notes.hash, word), on), self.now.unsigned_abs());
        if notes.kept > 0 {
            if notes.last.len() == notes.kept {
                notes.last.pop_front();
            }
            notes
                .last
                .push_back(format!("{} {what} {on} {more}", written(self.now)));
        }
    }

    /// Has each worker rung once `at` comes by its own clock.
    pub fn expect(&mut self, at: i64) {
        for worker in 0..self.hands.len() {
            let hand = &self.hands[worker];
            let rings = (at - hand.skew.load(Ordering::Relaxed)).max(self.now);
            if rings < hand.ring_at - 2 * SECOND {
                let rings = rings + self.dice.between(0, 1500);
                self.hands[worker].ring_at = rings;
                self.at(rings, Happening::Ring(worker));
            }
        }
    }

    /// Has the workers rung for what the database says is due.
    pub fn expect_dues(&mut self) {
        while let Some(at) = self.db.dues.pop() {
            self.expect(at);
        }
    }

    /// What was to be written of these cases is lost, and with it what somebody was told of their attempts.
    pub fn unwritten(&mut self, cases: &[CaseId]) {
        for attempt in &self.db.open_attempts {
            if cases.contains(&self.db.attempts[attempt].case) {
                self.judge.forget(attempt);
            }
        }
    }

    /// How long a worker stood still since `from`.
    pub fn frozen_since(&self, worker: usize, from: i64) -> i64 {
        let frozen = self.hands[worker].frozen.iter();
        frozen
            .map(|(begin, end)| ((*end).min(self.now) - (*begin).max(from)).max(0))
            .sum()
    }

    /// For how long since `from` there may have been nobody who could work: the least that any worker stood still.
    pub fn all_frozen_since(&self, from: i64) -> i64 {
        let workers = 0..self.hands.len();
        workers.map(|worker| self.frozen_since(worker, from)).min().unwrap_or(0)
    }
}

/// An instant as people read it.
pub fn written(at: i64) -> String {
    instant(at).strftime("%m-%d %H:%M:%S%.3f").to_string()
}

pub fn instant(at: i64) -> Timestamp {
    Timestamp::from_millisecond(at).unwrap()
}

/// The clock of one worker.
#[derive(Debug)]
struct Watch {
    world: World,
    skew: Arc<AtomicI64>,
}

impl Simulated for Watch {
    fn now(&self) -> Timestamp {
        instant(self.world.now.load(Ordering::Relaxed) + self.skew.load(Ordering::Relaxed))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.world.now.load(Ordering::Relaxed).unsigned_abs())
    }

    fn entropy(&self) -> u128 {
        self.world.draw()
    }
}

/// The clock that a worker of this skew reads.
pub fn clock(world: &World, skew: &Arc<AtomicI64>) -> Clock {
    Clock::Simulated(Arc::new(Watch {
        world: Arc::clone(world),
        skew: Arc::clone(skew),
    }))
}

/// Waits until an instant of the world.
pub struct Pause {
    world: World,
    at: i64,
    set: bool,
}

impl Pause {
    pub fn until(world: &World, at: i64) -> Self {
        Self {
            world: Arc::clone(world),
            at,
            set: false,
        }
    }
}

impl Future for Pause {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let at = self.at;
        if self.world.now.load(Ordering::Relaxed) >= at {
            return Poll::Ready(());
        }
        if !self.set {
            self.set = true;
            self.world.lock().at(at, Happening::Wake(context.waker().clone()));
        }
        Poll::Pending
    }
}

/// One worker's line to the world.
#[derive(Clone, Debug)]
pub struct Line {
    pub world: World,
    pub worker: usize,
}

impl Line {
    /// Lets time pass at a point where anything may happen to the worker.
    pub async fn pass(&self, ms: i64) {
        let pause = {
            let mut state = self.world.lock();
            state.steps += 1;
            if state.strikes(Class::Crash).is_some() {
                state.orders.push(Order::Kill(self.worker));
            }
            if let Some(mut dice) = state.strikes(Class::Freeze) {
                let longest = *dice.pick(&[MINUTE, MINUTE, 10 * MINUTE, HOUR, 4 * HOUR, 27 * HOUR]);
                let ms = dice.between(SECOND, longest);
                state.orders.push(Order::Freeze(self.worker, ms));
            }
            Pause::until(&self.world, state.now + ms.max(1))
        };
        pause.await;
    }
}
