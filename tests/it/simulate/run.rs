//! The executor: one thread, one queue of what happens, and workers that can die, freeze and start again at any await.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};

use recoup::domain::case::Collector;
use recoup::domain::ceiling::Rules;
use recoup::domain::learning::Policy;
use recoup::engine::{Brand, Connection, Engine, Parts};
use recoup::mailer::Templates;

use super::dice::Dice;
use super::faults::{Class, Faults, Strike};
use super::judge::{self, Breach};
use super::people::{self, Act};
use super::state::{DAY, HOUR, Hand, Happening, Line, MINUTE, Order, SECOND, State, Whole, World, clock};
use super::{database, network, post};

use crate::support::campaigns::days;

mod ring;
mod visits;

/// The connection of all that happens here.
pub const CONNECTION: &str = "books";
/// How long a world may go wrong, and how long it lives.
pub const CHAOS: i64 = 20 * DAY;
const LIFE: i64 = 38 * DAY;
const STARTS: [&str; 5] = [
    "2026-03-02T00:00:00Z",
    "2026-03-22T12:00:00Z",
    "2026-10-18T00:00:00Z",
    "2026-02-16T23:30:00Z",
    "2027-12-14T06:00:00Z",
];

/// What to play.
#[derive(Debug)]
pub struct Play {
    pub seed: u64,
    pub cases: usize,
    pub faults: Faults,
    pub calm: bool,
    /// How many of the last lines are kept as text.
    pub kept: usize,
}

/// What came of it.
#[derive(Debug)]
pub struct Ended {
    pub breach: Option<Breach>,
    pub hash: u64,
    pub cases: usize,
    pub steps: u64,
    pub struck: Vec<Strike>,
    pub last: Vec<String>,
    pub state: World,
}

/// The first instant of a seed's world.
pub fn start_of(seed: u64) -> i64 {
    let start: jiff::Timestamp = Dice::new(seed, 3).pick(&STARTS).parse().unwrap();
    start.as_millisecond()
}

impl Play {
    /// The swarm of a seed.
    pub fn of(seed: u64, cases: usize) -> Self {
        Self {
            seed,
            cases,
            faults: Faults::swarm(seed, start_of(seed) + CHAOS),
            calm: false,
            kept: 0,
        }
    }

    /// Plays it to the end, or to the first breach.
    pub fn run(self, templates: &Templates) -> Ended {
        Runner::new(self, templates.clone()).played()
    }
}

type Ready = Arc<Mutex<Vec<usize>>>;

/// Puts its task on the list of those that can go on.
struct Flag {
    task: usize,
    listed: AtomicBool,
    ready: Ready,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        if !self.listed.swap(true, Ordering::Relaxed) {
            self.ready.lock().unwrap().push(self.task);
        }
    }
}

struct Task {
    worker: usize,
    /// Whether the worker ends with it.
    main: bool,
    flag: Arc<Flag>,
    waker: Waker,
    future: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// What plays a world.
pub struct Runner {
    pub world: World,
    templates: Templates,
    engines: Vec<Option<Engine>>,
    frozen: Vec<bool>,
    upkeep_at: Vec<i64>,
    tasks: BTreeMap<usize, Task>,
    ready: Ready,
    count: usize,
    dice: Dice,
    end: i64,
}

impl Runner {
    pub fn new(play: Play, templates: Templates) -> Self {
        let start = start_of(play.seed);
        let mut dice = Dice::new(play.seed, 4);
        let workers = 1 + dice.below(3);
        let mut state = State::new(play.seed, start, play.faults, play.kept);
        state.db.campaigns.push(days());
        state.books.conditional = state.strikes(Class::Unconditional).is_none();
        state.hands = (0..workers).map(|_| hand()).collect();
        people::plan(&mut state, start, play.cases, play.calm);
        state.at(start, Happening::Act(Act::Day));
        state.at(start, Happening::Beat);
        for worker in 0..workers {
            state.at(start, Happening::Rise(worker));
        }
        let world = Whole::new(play.seed, state);
        Self {
            world,
            templates,
            engines: vec![None; workers],
            frozen: vec![false; workers],
            // Each at another part of the hour.
            upkeep_at: (0..).map(|worker| start + worker * HOUR).take(workers).collect(),
            tasks: BTreeMap::new(),
            ready: Ready::default(),
            count: 0,
            dice,
            end: start + LIFE,
        }
    }

    /// Plays to the end, or to the first breach.
    pub fn played(mut self) -> Ended {
        self.run();
        self.ended()
    }

    fn run(&mut self) {
        loop {
            self.settle();
            let next = {
                let mut state = self.world.lock();
                if state.judge.breach.is_some() {
                    return;
                }
                let Some((at, what)) = state.next(self.end) else {
                    judge::at_end(&mut state);
                    return;
                };
                state.now = at;
                self.world.now.store(at, Ordering::Relaxed);
                what
            };
            self.happens(next);
            self.obey();
        }
    }

    fn happens(&mut self, what: Happening) {
        match what {
            Happening::Wake(waker) => waker.wake(),
            Happening::Arrive(number, call) => network::arrive(&mut self.world.lock(), number, call),
            Happening::Ring(worker) => {
                // One that was set for later than the next one rings no more.
                if self.world.lock().hands[worker].ring_at <= self.world.now.load(Ordering::Relaxed) {
                    self.ring(worker);
                }
            }
            Happening::Beat => self.beat(),
            Happening::Rise(worker) => self.rise(worker),
            Happening::Act(Act::Deliver(event, again)) => self.deliver(event, again),
            Happening::Act(Act::Staff(invoice, action, times)) => self.staff(invoice, &action, times),
            Happening::Act(Act::SkewEnds(worker)) => {
                self.world.lock().hands[worker].skew.store(0, Ordering::Relaxed);
                self.ring(worker);
            }
            Happening::Act(act) => {
                let mut state = self.world.lock();
                if matches!(act, Act::Day) {
                    judge::daily(&mut state);
                }
                people::act(&mut state, &act);
            }
        }
    }

    /// Lets everybody go on who can, in an order that chance decides.
    fn settle(&mut self) {
        loop {
            let task = {
                let mut ready = self.ready.lock().unwrap();
                ready.retain(|task| self.tasks.contains_key(task));
                let can: Vec<usize> = (0..ready.len())
                    .filter(|at| !self.frozen[self.tasks[&ready[*at]].worker])
                    .collect();
                if can.is_empty() {
                    return;
                }
                ready.swap_remove(*self.dice.pick(&can))
            };
            self.poll(task);
            self.obey();
        }
    }

    fn poll(&mut self, number: usize) {
        let Some(mut task) = self.tasks.remove(&number) else {
            return;
        };
        task.flag.listed.store(false, Ordering::Relaxed);
        let done = task
            .future
            .as_mut()
            .poll(&mut Context::from_waker(&task.waker))
            .is_ready();
        if !done {
            self.tasks.insert(number, task);
        } else if task.main {
            let mut state = self.world.lock();
            let at = state.now + SECOND;
            state.at(at, Happening::Rise(task.worker));
            self.engines[task.worker] = None;
        }
    }

    fn obey(&mut self) {
        let orders = std::mem::take(&mut self.world.lock().orders);
        for order in orders {
            match order {
                Order::Kill(worker) => {
                    self.tasks.retain(|_, task| task.worker != worker);
                    self.engines[worker] = None;
                    let mut state = self.world.lock();
                    state.note("dies", worker as u64, &"");
                    let State { judge, db, .. } = &mut *state;
                    judge.dies(worker, &db.open_attempts);
                    let longest = *self.dice.pick(&[SECOND, MINUTE, 10 * MINUTE]);
                    let at = state.now + self.dice.between(0, longest);
                    state.at(at, Happening::Rise(worker));
                }
                Order::Stop(worker) => {
                    if let Some(engine) = &self.engines[worker] {
                        engine.stop();
                    }
                }
                Order::Freeze(worker, ms) => {
                    let mut state = self.world.lock();
                    state.note("freezes", worker as u64, &ms);
                    let now = state.now;
                    let frozen = &mut state.hands[worker].frozen;
                    let end = match frozen.last_mut() {
                        Some((_, end)) if *end + HOUR > now => {
                            *end = (*end).max(now + ms);
                            *end
                        }
                        _ => {
                            frozen.push((now, now + ms));
                            now + ms
                        }
                    };
                    state.at(end, Happening::Rise(worker));
                    self.frozen[worker] = true;
                }
            }
        }
    }

    fn rise(&mut self, worker: usize) {
        let now = self.world.lock().now;
        if self.frozen[worker] {
            let until = self.world.lock().hands[worker].frozen.last().map(|(_, end)| *end);
            if until.is_some_and(|until| until > now) {
                return;
            }
            self.frozen[worker] = false;
        }
        if self.engines[worker].is_none() {
            let engine = self.engine(worker);
            self.engines[worker] = Some(engine.clone());
            self.spawn(worker, true, async move {
                engine.work().await.unwrap();
            });
        }
        self.ring(worker);
    }

    fn line(&self, worker: usize) -> Line {
        Line {
            world: Arc::clone(&self.world),
            worker,
        }
    }

    fn engine(&self, worker: usize) -> Engine {
        let skew = Arc::clone(&self.world.lock().hands[worker].skew);
        Engine::new(Parts {
            staff: vec!["ops@acme.example".to_owned()],
            mails_per_domain_per_minute: 0,
            learning: Policy::default(),
            rules: Rules::embedded(),
            storage: Arc::new(database::Port(self.line(worker))),
            clock: clock(&self.world, &skew),
            connections: vec![Connection {
                name: CONNECTION.to_owned(),
                provider: Arc::new(network::Port(self.line(worker))),
                collector: Collector::Us,
                default_zone: "UTC".to_owned(),
                default_locale: "en".to_owned(),
            }],
            mailer: Arc::new(post::Port(self.line(worker))),
            templates: self.templates.clone(),
            brand: Brand {
                company: "Acme".to_owned(),
                support: None,
                look: recoup::domain::brand::Look::default(),
                links: None,
            },
        })
    }

    fn spawn(&mut self, worker: usize, main: bool, future: impl Future<Output = ()> + Send + 'static) {
        self.count += 1;
        let flag = Arc::new(Flag {
            task: self.count,
            listed: AtomicBool::new(true),
            ready: Arc::clone(&self.ready),
        });
        self.ready.lock().unwrap().push(self.count);
        let task = Task {
            worker,
            main,
            waker: Waker::from(Arc::clone(&flag)),
            flag,
            future: Box::pin(future),
        };
        self.tasks.insert(self.count, task);
    }

    fn ended(self) -> Ended {
        let mut state = self.world.lock();
        let ended = Ended {
            breach: state.judge.breach.clone(),
            hash: state.notes.hash,
            cases: state.db.cases.len(),
            steps: state.steps,
            struck: std::mem::take(&mut state.faults.struck),
            last: state.notes.last.drain(..).collect(),
            state: Arc::clone(&self.world),
        };
        drop(state);
        ended
    }
}

fn hand() -> Hand {
    Hand {
        skew: Arc::new(AtomicI64::new(0)),
        ring_at: i64::MAX,
        idle_rings: 0,
        frozen: Vec::new(),
    }
}
