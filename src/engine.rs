//! F3: the only writer of case state. One code path turns what is due into effects, however it was rung for.
//!
//! `tick` does everything that is due now; webhooks, the scheduler and the test clock only ring for it. Truth is the due
//! rows in the database, never a timer in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use tokio::sync::{Notify, Semaphore, SemaphorePermit, watch};

use crate::clock::{Backwards, Clock};
use crate::domain::brand::Look;
use crate::domain::campaign::Campaign;
use crate::domain::case::{CampaignRef, Case};
use crate::domain::ceiling::Rules;
use crate::domain::command::{Reason, Refusal};
use crate::domain::event::{Event, StaffAction};
use crate::domain::ids::CaseId;
use crate::domain::instrument::History;
use crate::domain::learning::{Learned, Policy};
use crate::domain::snapshot::Snapshot;
use crate::domain::taxonomy::Taxonomy;
use crate::links::Links;
use crate::mailer::{Courier, Templates};
use crate::providers::ReadError;
use crate::store::{Lease, Storage, StoreError};

mod by_hand;
mod campaigns;
mod connection;
mod count;
mod courtesies;
mod desk;
mod digests;
mod gate;
mod handle;
mod inbox;
mod learn;
mod letters;
mod outbox;
mod pace;
mod preview;
mod pump;
mod reach;
mod reconcile;
mod steps;
mod stretch;
mod sweep;
mod tick;

pub use by_hand::NotPutIn;
pub use connection::Connection;
pub use gate::{BIRTHMARK, HEARTBEAT};
pub use handle::past::{Import, Imported};
pub use pump::PLACES;
pub use reach::Reported;
pub use reconcile::Job;
pub use sweep::silent_since;
pub use tick::TickReport;

/// How long a claimed row belongs to its claimer. More than twice the longest call plus its reads, so that a slow call is
/// never overtaken.
pub const LEASE_SECS: u32 = 120;
/// An effect is sent only while at least half of the lease is left.
const SEND_BEFORE_SECS: u64 = LEASE_SECS as u64 / 2;
/// How many calls to providers are under way at the same time, whatever they are for: a morning on which everything is due must
/// not look like an attack.
pub const CALLS_MAX: usize = 128;
/// What a lease must last beyond two calls: for the reads behind an answer, and for the commit.
const GRACE_SECS: u64 = 30;
/// Where the test clock's instant is kept, so that it does not go back when the process starts again.
pub const TEST_CLOCK: &str = "test_clock";

/// What every mail says of the sender.
#[derive(Clone, Debug)]
pub struct Brand {
    /// The company as customers know it.
    pub company: String,
    /// Where customers can ask, if anywhere.
    pub support: Option<String>,
    /// How mails look.
    pub look: Look,
    /// The way to our page for customers; without it, mails lead to the provider's.
    pub links: Option<Links>,
}

/// What the engine is made of.
pub struct Parts {
    /// The database.
    pub storage: Arc<dyn Storage>,
    /// The time.
    pub clock: Clock,
    /// The accounts.
    pub connections: Vec<Connection>,
    /// How mails leave.
    pub mailer: Arc<dyn Courier>,
    /// What mails say.
    pub templates: Templates,
    /// Who mails are from.
    pub brand: Brand,
    /// Where billing staff are written to; without an address they are not.
    pub staff: Vec<String>,
    /// The most mails a minute that leave for one recipient domain; 0 sets no limit.
    pub mails_per_domain_per_minute: u32,
    /// What the operator decides of learning.
    pub learning: Policy,
    /// The rules of the networks, with the operator's limits.
    pub rules: Rules,
}

/// A call could outlast the lease under which it is made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the connection `{connection}` allows {call_secs} s for a call, but a lease lasts {LEASE_SECS} s and must last at least \
     twice a call and {GRACE_SECS} s more: lower the provider's call timeout, or raise engine::LEASE_SECS"
)]
pub struct LeaseTooShort {
    /// The connection.
    pub connection: String,
    /// How long a call to its provider may take, in seconds.
    pub call_secs: u64,
}

impl Parts {
    /// Checks that nobody overtakes a call that is under way: a lease outlasts two calls and the work around them.
    pub fn check(&self) -> Result<(), LeaseTooShort> {
        for connection in &self.connections {
            let call_secs = connection.provider.capabilities().call_timeout.as_secs();
            if call_secs.saturating_mul(2).saturating_add(GRACE_SECS) > u64::from(LEASE_SECS) {
                return Err(LeaseTooShort {
                    connection: connection.name.clone(),
                    call_secs,
                });
            }
        }
        Ok(())
    }
}

/// The engine. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    storage: Arc<dyn Storage>,
    clock: Clock,
    connections: BTreeMap<String, Connection>,
    mailer: Arc<dyn Courier>,
    templates: Templates,
    brand: Brand,
    staff: Vec<String>,
    pace: pace::Pace,
    /// Names this process in leases.
    owner: String,
    bells: Bells,
    desk: desk::Desk,
    /// The right to call a provider.
    calls: Semaphore,
    /// One tick at a time in a process: replicas are kept apart by leases, the test clock by this.
    ticking: tokio::sync::Mutex<()>,
    /// Set once: from then on nothing more is claimed.
    stopping: watch::Sender<bool>,
    campaigns: campaigns::Campaigns,
    knowledge: learn::Knowledge,
    digests: digests::Known,
    rules: Rules,
    /// The turns of the sweep as this process knows them, by connection.
    sweeps: Mutex<HashMap<String, sweep::Turn>>,
    /// The turns of reconciliation as this process knows them.
    turns: Mutex<HashMap<Job, reconcile::Turn>>,
    /// Whether this process may charge and send.
    gate: gate::Gate,
    /// When this process began.
    started_at: Timestamp,
}

/// Rung where there may be work, each for those who do it.
#[derive(Default)]
struct Bells {
    inbox: Notify,
    cases: Notify,
    mails: Notify,
    letters: Notify,
    upkeep: Notify,
    /// For whoever does all of it in turn.
    all: Notify,
}

/// Why the test clock was not advanced.
#[derive(Debug, thiserror::Error)]
pub enum AdvanceError {
    /// The service runs on the system's time.
    #[error("the service does not run on a test clock")]
    NotTestClock,
    /// The instant is in the past.
    #[error(transparent)]
    Backwards(#[from] Backwards),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where the test clock stands after an advance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advanced {
    /// The present instant.
    pub now: Timestamp,
    /// How many pieces of work were done on the way.
    pub ticks: u64,
}

/// Why a staff action was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum StaffError {
    /// There is no such case.
    #[error("there is no such case")]
    NotFound,
    /// The decider refused.
    #[error("refused: {0}")]
    Refused(Reason),
    /// A rule forbids it, which the timeline tells.
    #[error("refused: {} by {}", .0.reason, .0.rule)]
    Forbidden(Refusal),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Engine {
    /// Puts an engine together.
    pub fn new(parts: Parts) -> Self {
        let connections = parts
            .connections
            .into_iter()
            .map(|one| (one.name.clone(), one))
            .collect();
        Self {
            inner: Arc::new(Inner {
                storage: parts.storage,
                started_at: parts.clock.now(),
                gate: gate::Gate::default(),
                turns: Mutex::new(HashMap::new()),
                owner: format!("{:016x}", parts.clock.entropy() >> 64),
                clock: parts.clock,
                connections,
                mailer: parts.mailer,
                templates: parts.templates,
                brand: parts.brand,
                staff: parts.staff,
                bells: Bells::default(),
                desk: desk::Desk::new(),
                calls: Semaphore::new(CALLS_MAX),
                pace: pace::Pace::new(parts.mails_per_domain_per_minute),
                ticking: tokio::sync::Mutex::new(()),
                stopping: watch::Sender::new(false),
                campaigns: campaigns::Campaigns::default(),
                knowledge: learn::Knowledge::new(parts.learning),
                digests: digests::Known::default(),
                rules: parts.rules,
                sweeps: Mutex::new(HashMap::new()),
            }),
        }
    }

    /// The time.
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// Rings for everybody who works; never waits.
    pub fn nudge(&self) {
        let Bells {
            inbox,
            cases,
            mails,
            letters,
            upkeep,
            all,
        } = &self.inner.bells;
        for bell in [inbox, cases, mails, letters, upkeep, all] {
            bell.notify_one();
        }
    }

    /// Waits until somebody rings.
    pub async fn rung(&self) {
        self.inner.bells.all.notified().await;
    }

    /// Works until `stop` is called. Under a test clock it does so in ticks, which never meet an advance of that clock.
    pub async fn work(&self) -> Result<(), StoreError> {
        if !self.inner.clock.is_test() {
            return tick::until_stopped(&self.inner).await;
        }
        while !self.inner.is_stopping() {
            self.rung().await;
            self.tick().await?;
        }
        Ok(())
    }

    /// Lets a tick end after what it is at, however much is still due, and every later one at once. For good.
    pub fn stop(&self) {
        self.inner.stopping.send_replace(true);
        self.nudge();
    }

    /// Whether this process reconciles first: it takes events in, and neither charges nor sends until it is done.
    pub fn is_reconciling(&self) -> bool {
        self.inner.gate.is_reconciling()
    }

    /// Brings the gauges up to date with the database.
    pub async fn take_stock(&self) -> Result<(), StoreError> {
        count::stock(&self.inner).await
    }

    /// Does everything that is due now, until nothing is or `stop` is called.
    pub async fn tick(&self) -> Result<TickReport, StoreError> {
        let _one_at_a_time = self.inner.ticking.lock().await;
        tick::until_idle(&self.inner).await
    }

    /// Moves the test clock to `to`, stopping at each due instant on the way to do what is due there.
    pub async fn advance(&self, to: Timestamp) -> Result<Advanced, AdvanceError> {
        let engine = self.clone();
        // A caller that goes away must not leave half-done work behind, so the work is no part of the call.
        detached(&self.inner.clock, async move {
            let _one_at_a_time = engine.inner.ticking.lock().await;
            tick::advance(&engine.inner, to).await
        })
        .await
    }

    /// Carries out what staff asks for; `actor` is the name of the API key.
    pub async fn staff(
        &self,
        id: &CaseId,
        action: StaffAction,
        actor: &str,
        comment: Option<String>,
    ) -> Result<Case, StaffError> {
        let event = Event::Staff {
            action,
            actor: actor.to_owned(),
            comment,
        };
        self.act(id, event, actor).await
    }

    /// Has a person's wish carried out.
    async fn act(&self, id: &CaseId, event: Event, actor: &str) -> Result<Case, StaffError> {
        let (engine, id, actor) = (self.clone(), id.clone(), actor.to_owned());
        // A caller that goes away must not take along the changes of others that share its transaction.
        let work = async move { handle::handle(&engine.inner, &id, event, &actor).await };
        let handled = detached(&self.inner.clock, work).await?;
        let case = match handled {
            handle::Handled::Changed(change) => match change.refused {
                Some(refusal) => return Err(StaffError::Forbidden(refusal)),
                None => change.case,
            },
            handle::Handled::Ignored(reason) => return Err(StaffError::Refused(reason)),
            handle::Handled::Gone => return Err(StaffError::NotFound),
        };
        self.nudge();
        Ok(case)
    }

    /// What was learned, as far as this process has read it.
    pub fn learned(&self) -> Arc<Learned> {
        self.inner.knowledge.newest()
    }

    /// The rules of the networks.
    pub fn rules(&self) -> &Rules {
        &self.inner.rules
    }

    /// What was tried on the instrument of a case.
    pub async fn history(&self, case: &Case) -> Result<History, StoreError> {
        let key = case.instrument().key;
        self.inner.storage.history(&case.connection, &[key]).await
    }

    /// The campaign version that a case is pinned to.
    pub async fn campaign(&self, pinned: &CampaignRef) -> Result<Arc<Campaign>, StoreError> {
        self.inner.campaigns.pinned(&*self.inner.storage, pinned).await
    }
}

/// Runs work that goes on when its caller goes away. A simulation has nothing to run it on besides its caller.
async fn detached<T, E>(clock: &Clock, work: impl Future<Output = Result<T, E>> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    if clock.is_simulated() {
        return work.await;
    }
    match tokio::spawn(work).await {
        Ok(done) => done,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(ended) => Err(StoreError::Unavailable(ended.to_string()).into()),
        },
    }
}

impl Inner {
    fn sweeps(&self) -> std::sync::MutexGuard<'_, HashMap<String, sweep::Turn>> {
        self.sweeps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turns(&self) -> std::sync::MutexGuard<'_, HashMap<Job, reconcile::Turn>> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Reads for upkeep, which is tried again: a process that is to stop does not wait for it.
    async fn unless_stopping<T, E: From<ReadError>>(&self, read: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let mut stopping = self.stopping.subscribe();
        tokio::select! {
            biased;
            _ = stopping.wait_for(|stopping| *stopping) => {
                let reason = "this process is stopping".to_owned();
                Err(ReadError::Unavailable { reason, retry_after: None }.into())
            }
            read = read => read,
        }
    }

    fn codes(&self, connection: &str) -> &'static Taxonomy {
        self.connections
            .get(connection)
            .map_or(Taxonomy::NONE, |connection| connection.provider.codes())
    }

    fn now_ms(&self) -> i64 {
        self.now().as_millisecond()
    }

    fn lease(&self) -> Lease<'_> {
        Lease {
            owner: &self.owner,
            secs: LEASE_SECS,
        }
    }

    /// Waits until another call may be made; it ends with what is given.
    async fn call(&self) -> SemaphorePermit<'_> {
        self.calls.acquire().await.expect("nobody closes it")
    }

    /// Reads one invoice as the provider has it now.
    async fn snapshot(&self, connection: &Connection, invoice_id: &str) -> Result<Snapshot, ReadError> {
        let _call = self.call().await;
        connection.provider.snapshot(invoice_id).await
    }
}
