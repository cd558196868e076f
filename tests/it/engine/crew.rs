//! A second engine on the story's database, whose provider fails exactly where a test wants it to.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jiff::Timestamp;
use recoup::clock::Clock;
use recoup::domain::campaign::FinalAction;
use recoup::domain::case::Collector;
use recoup::domain::ceiling::Rules;
use recoup::domain::learning::Policy;
use recoup::domain::renewal::Renewal;
use recoup::domain::snapshot::Snapshot;
use recoup::domain::taxonomy::Taxonomy;
use recoup::engine::{Brand, Connection, Engine, Parts, TickReport};
use recoup::mailer::{Mailer, Templates};
use recoup::providers::signature::BadSignature;
use recoup::providers::stripe::{Stripe, StripeSettings};
use recoup::providers::{
    ActionOutcome, Capabilities, ChargeOutcome, ChargeRequest, ListError, Malformed, NormalizedEvent, Provider,
    ReadError,
};
use recoup::sandbox::{API_KEY, Shape};
use recoup::store::{cases, notifications};
use sea_orm::{ConnectionTrait, Statement};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::support::story::{Story, tell_in};

/// More rounds than this at one instant mean that something never comes to rest.
const ROUNDS_MAX: u32 = 1000;

/// What one charge meets; without an order it passes.
#[expect(clippy::large_enum_variant, reason = "a test has a handful of them")]
pub enum Charge {
    /// Waits before a byte leaves, until the test lets it go on.
    HoldBefore,
    /// Is carried out, then waits before the answer is given, until the test lets it go on.
    HoldAfter,
    /// Is not carried out, and answered so.
    Answer(ChargeOutcome),
}

/// What one read of an invoice meets; without an order it passes.
pub enum Read {
    /// Passes.
    Pass,
    /// Waits before it is made, until the test lets it go on.
    Hold,
    /// Fails so.
    Fail(ReadError),
}

/// The real adapter, with a string on every limb.
pub struct Puppet {
    real: Stripe,
    charges: Mutex<VecDeque<Charge>>,
    reads: Mutex<VecDeque<Read>>,
    poison: Mutex<Option<String>>,
    keys: Mutex<Vec<String>>,
    held: Semaphore,
    go: Semaphore,
}

impl Puppet {
    /// The next charge meets this.
    pub fn next_charge(&self, order: Charge) {
        self.charges.lock().unwrap().push_back(order);
    }

    /// The next read of an invoice meets this.
    pub fn next_read(&self, order: Read) {
        self.reads.lock().unwrap().push_back(order);
    }

    /// Events whose body has this text make `normalize` panic; nothing heals it.
    pub fn poison(&self, text: Option<&str>) {
        *self.poison.lock().unwrap() = text.map(str::to_owned);
    }

    /// The keys of the charges asked for, in order.
    pub fn keys(&self) -> Vec<String> {
        self.keys.lock().unwrap().clone()
    }

    /// Waits until `calls` more calls are held.
    pub async fn held(&self, calls: u32) {
        self.held.acquire_many(calls).await.unwrap().forget();
    }

    /// Lets `calls` held calls go on.
    pub fn go(&self, calls: usize) {
        self.go.add_permits(calls);
    }

    async fn hold(&self) {
        self.held.add_permits(1);
        self.go.acquire().await.unwrap().forget();
    }
}

#[async_trait]
impl Provider for Puppet {
    fn capabilities(&self) -> Capabilities {
        self.real.capabilities()
    }

    fn codes(&self) -> &'static Taxonomy {
        self.real.codes()
    }

    fn verify(&self, signature: Option<&str>, body: &[u8], now: Timestamp) -> Result<(), BadSignature> {
        self.real.verify(signature, body, now)
    }

    fn normalize(&self, body: &[u8]) -> Result<NormalizedEvent, Malformed> {
        let poison = self.poison.lock().unwrap().clone();
        if let Some(poison) = poison {
            assert!(!String::from_utf8_lossy(body).contains(&poison), "poison, as ordered");
        }
        self.real.normalize(body)
    }

    async fn snapshot(&self, invoice_id: &str) -> Result<Snapshot, ReadError> {
        let order = self.reads.lock().unwrap().pop_front();
        match order {
            Some(Read::Fail(error)) => return Err(error),
            Some(Read::Hold) => self.hold().await,
            Some(Read::Pass) | None => {}
        }
        self.real.snapshot(invoice_id).await
    }

    async fn invoice_of(&self, payment_id: Option<&str>, charge_id: Option<&str>) -> Result<Option<String>, ReadError> {
        self.real.invoice_of(payment_id, charge_id).await
    }

    /// The stories of the crew bring their events by hand; a sweep would find the others.
    async fn events(&self, _: Timestamp, _: Timestamp) -> Result<Vec<Vec<u8>>, ListError> {
        Err(ReadError::NotFound.into())
    }

    async fn charge(&self, request: &ChargeRequest) -> ChargeOutcome {
        self.keys.lock().unwrap().push(request.key.clone());
        let order = self.charges.lock().unwrap().pop_front();
        match order {
            Some(Charge::Answer(outcome)) => outcome,
            Some(Charge::HoldBefore) => {
                self.hold().await;
                self.real.charge(request).await
            }
            Some(Charge::HoldAfter) => {
                let outcome = self.real.charge(request).await;
                self.hold().await;
                outcome
            }
            None => self.real.charge(request).await,
        }
    }

    async fn finish(&self, action: FinalAction, snapshot: &Snapshot, key: &str) -> ActionOutcome {
        self.real.finish(action, snapshot, key).await
    }

    async fn renewal(&self, subscription_id: &str, customer_id: &str) -> Result<Renewal, ReadError> {
        self.real.renewal(subscription_id, customer_id).await
    }

    async fn is_subscribed(&self, customer_id: &str) -> Result<bool, ReadError> {
        self.real.is_subscribed(customer_id).await
    }

    async fn update_link(&self, customer_id: &str, key: &str) -> Result<Option<String>, ReadError> {
        self.real.update_link(customer_id, key).await
    }
}

/// A worker of its own beside the story's service.
pub struct Crew {
    /// The worker.
    pub engine: Engine,
    /// Its provider.
    pub puppet: Arc<Puppet>,
}

/// Plays on SQLite and on PostgreSQL, and checks in the end that no work was left over.
pub fn play(start: &str, act: &impl AsyncFn(&mut Story)) {
    tell_in(Shape::New, start, &[], &async |story: &mut Story| {
        act(story).await;
        at_rest(story).await;
    });
}

impl Crew {
    /// A worker that keeps its mails in the database.
    pub fn new(story: &Story) -> Self {
        Self::with_mailer(story, Mailer::new(None, None).unwrap())
    }

    /// A worker that sends its mails by `mailer`.
    pub fn with_mailer(story: &Story, mailer: Mailer) -> Self {
        Self::build(story, story.clock.clone(), mailer)
    }

    /// A worker by another clock than the story's, that keeps its mails in the database.
    pub fn at(story: &Story, clock: Clock) -> Self {
        Self::build(story, clock, Mailer::new(None, None).unwrap())
    }

    fn build(story: &Story, clock: Clock, mailer: Mailer) -> Self {
        let real = Stripe::new(StripeSettings {
            api_base: story.sandbox.url().parse().unwrap(),
            api_key: API_KEY.into(),
            webhook_secrets: vec!["whsec_unused".into()],
        });
        let puppet = Arc::new(Puppet {
            real: real.unwrap(),
            charges: Mutex::default(),
            reads: Mutex::default(),
            poison: Mutex::default(),
            keys: Mutex::default(),
            held: Semaphore::new(0),
            go: Semaphore::new(0),
        });
        let connection = Connection {
            name: "stripe".to_owned(),
            provider: Arc::clone(&puppet) as Arc<dyn Provider>,
            collector: Collector::Us,
            default_zone: "UTC".to_owned(),
            default_locale: "en".to_owned(),
        };
        let engine = Engine::new(Parts {
            storage: Arc::new(story.app.store.clone()),
            clock,
            connections: vec![connection],
            mailer: Arc::new(mailer),
            templates: Templates::new().unwrap(),
            brand: Brand {
                company: "Acme".to_owned(),
                support: None,
                look: recoup::domain::brand::Look::default(),
                links: None,
            },
            staff: Vec::new(),
            mails_per_domain_per_minute: 0,
            learning: Policy::default(),
            rules: Rules::embedded(),
        });
        Self { engine, puppet }
    }

    /// Delivers webhooks and does what is due now with this worker, until all is at rest.
    pub async fn settle(&self, story: &Story) -> TickReport {
        let mut all = TickReport::default();
        for _ in 0..ROUNDS_MAX {
            story.sandbox.deliver_webhooks().await;
            let done = self.engine.tick().await.unwrap();
            all.inbox += done.inbox;
            all.cases += done.cases;
            all.mails += done.mails;
            if done.total() == 0 && story.sandbox.pending_webhooks() == 0 {
                return all;
            }
        }
        panic!("the worker does not come to rest at {}", story.now());
    }

    /// Moves all clocks to `to` with this worker, stopping wherever something is due on the way.
    pub async fn advance(&self, story: &Story, to: &str) {
        let to: Timestamp = to.parse().unwrap();
        loop {
            self.settle(story).await;
            if story.now() >= to {
                return;
            }
            let ours = cases::next_due(&story.app.store, story.now()).await.unwrap();
            let next = ours.into_iter().chain(story.sandbox.next_due());
            let next = next.filter(|at| *at > story.now()).min().unwrap_or(to);
            story.clock.advance_to(next.min(to)).unwrap();
        }
    }

    /// Begins a tick that a test can let die in the middle.
    pub fn start_tick(&self) -> JoinHandle<TickReport> {
        let engine = self.engine.clone();
        tokio::spawn(async move { engine.tick().await.unwrap() })
    }
}

/// The process dies: its tick is dropped at the await where it stands.
pub async fn kill(tick: JoinHandle<TickReport>) {
    tick.abort();
    assert!(tick.await.unwrap_err().is_cancelled(), "it must die in the middle");
}

/// Runs a statement on the story's database.
pub async fn run(story: &Story, sql: &str) {
    let conn = story.app.store.conn();
    conn.execute_unprepared(sql).await.unwrap();
}

/// The number that a statement selects.
pub async fn number(story: &Story, sql: &str) -> i64 {
    let conn = story.app.store.conn();
    let statement = Statement::from_string(conn.get_database_backend(), sql);
    let row = conn.query_one_raw(statement).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

/// How many rows are leased to somebody.
pub async fn leased(story: &Story) -> i64 {
    let mut leased = 0;
    for table in ["due_cases", "inbox", "notifications"] {
        leased += number(story, &format!("SELECT COUNT(*) FROM {table} WHERE lease_until > 0")).await;
    }
    leased
}

/// Nothing is due, nothing is leased, nothing is half sent.
async fn at_rest(story: &Story) {
    let now = story.now().as_millisecond();
    for (what, sql) in [
        ("cases", format!("SELECT COUNT(*) FROM due_cases WHERE due_at <= {now}")),
        (
            "events",
            format!("SELECT COUNT(*) FROM inbox WHERE ended_at IS NULL AND next_at <= {now}"),
        ),
        (
            "mails",
            format!("SELECT COUNT(*) FROM notifications WHERE ended_at IS NULL AND next_at <= {now}"),
        ),
    ] {
        assert_eq!(number(story, &sql).await, 0, "{what} are left over");
    }
    assert_eq!(leased(story).await, 0, "leases are left over");
}

/// How each message of the newest case of an invoice stands, with the reason.
pub async fn mails(story: &Story, invoice: &str) -> Vec<String> {
    let case = story.case(invoice).await;
    let rows = notifications::by_case(story.app.store.conn(), &case.id).await.unwrap();
    let line = |row: &notifications::NotificationRow| {
        let reason = row
            .reason
            .as_deref()
            .map(|reason| format!(": {reason}"))
            .unwrap_or_default();
        format!("{} {}{reason}", row.message, row.status)
    };
    rows.iter().map(line).collect()
}
