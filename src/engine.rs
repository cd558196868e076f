//! F3: the only writer of case state. One code path turns what is due into effects, however it was rung for.
//!
//! `tick` does everything that is due now; webhooks, the scheduler and the test clock only ring for it. Truth is the due
//! rows in the database, never a timer in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use tokio::sync::Notify;

use crate::clock::{Backwards, Clock, entropy};
use crate::domain::campaign::Campaign;
use crate::domain::case::{CampaignRef, Case, Collector};
use crate::domain::command::Reason;
use crate::domain::event::{Event, StaffAction};
use crate::domain::ids::CaseId;
use crate::mailer::{Mailer, Templates};
use crate::providers::Provider;
use crate::store::{Store, StoreError, campaigns, settings};

mod count;
mod handle;
mod inbox;
mod outbox;
mod steps;
mod sweep;
mod tick;

pub use tick::TickReport;

/// How long a claimed row belongs to its claimer. More than twice the longest call plus its reads, so that a slow call is
/// never overtaken.
pub const LEASE_SECS: u32 = 120;
/// How many rows one claim takes. All of them are worked on at the same time: a row that waited for its turn would use up
/// its lease meanwhile.
const BATCH: u64 = 16;
/// Where the test clock's instant is kept, so that it does not go back when the process starts again.
const TEST_CLOCK: &str = "test_clock";

/// One account at one provider.
#[derive(Clone)]
pub struct Connection {
    /// Its name, as in the webhook's address.
    pub name: String,
    /// The provider behind it.
    pub provider: Arc<dyn Provider>,
    /// Who may charge.
    pub collector: Collector,
    /// The IANA zone of customers whose own is unknown.
    pub default_zone: String,
    /// The locale of customers whose own is unknown.
    pub default_locale: String,
}

/// What every mail says of the sender.
#[derive(Clone, Debug)]
pub struct Brand {
    /// The company as customers know it.
    pub company: String,
    /// Where customers can ask, if anywhere.
    pub support: Option<String>,
}

/// What the engine is made of.
pub struct Parts {
    /// The database.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// The accounts.
    pub connections: Vec<Connection>,
    /// How mails leave.
    pub mailer: Mailer,
    /// What mails say.
    pub templates: Templates,
    /// Who mails are from.
    pub brand: Brand,
}

/// The engine. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    clock: Clock,
    connections: BTreeMap<String, Connection>,
    mailer: Mailer,
    templates: Templates,
    brand: Brand,
    /// Names this process in leases.
    owner: String,
    bell: Notify,
    /// One tick at a time in a process: replicas are kept apart by leases, the test clock by this.
    ticking: tokio::sync::Mutex<()>,
    /// Set once: from then on nothing more is claimed.
    stopping: AtomicBool,
    /// Campaign versions are immutable, so they are kept once read.
    campaigns: Mutex<HashMap<(String, u32), Arc<Campaign>>>,
    /// The turns of the sweep as this process knows them, by connection.
    sweeps: Mutex<HashMap<String, sweep::Turn>>,
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
                store: parts.store,
                clock: parts.clock,
                connections,
                mailer: parts.mailer,
                templates: parts.templates,
                brand: parts.brand,
                owner: format!("{:016x}", entropy() >> 64),
                bell: Notify::new(),
                ticking: tokio::sync::Mutex::new(()),
                stopping: AtomicBool::new(false),
                campaigns: Mutex::new(HashMap::new()),
                sweeps: Mutex::new(HashMap::new()),
            }),
        }
    }

    /// The database.
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// The time.
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// The connection of that name.
    pub fn connection(&self, name: &str) -> Option<&Connection> {
        self.inner.connections.get(name)
    }

    /// Rings for a tick soon; never waits.
    pub fn nudge(&self) {
        self.inner.bell.notify_one();
    }

    /// Waits until somebody rings.
    pub async fn rung(&self) {
        self.inner.bell.notified().await;
    }

    /// Lets a tick end after what it is at, however much is still due, and every later one at once. For good.
    pub fn stop(&self) {
        self.inner.stopping.store(true, Ordering::SeqCst);
        self.nudge();
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
        let advancing = tokio::spawn(async move {
            let _one_at_a_time = engine.inner.ticking.lock().await;
            tick::advance(&engine.inner, to).await
        });
        // A caller that goes away must not leave half-done work behind, so the work is no part of the call.
        match advancing.await {
            Ok(advanced) => advanced,
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(ended) => Err(StoreError::Unavailable(ended.to_string()).into()),
            },
        }
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
        let case = match handle::handle(&self.inner, id, &event, actor).await? {
            handle::Handled::Changed(change) => change.case,
            handle::Handled::Ignored(reason) => return Err(StaffError::Refused(reason)),
            handle::Handled::Gone => return Err(StaffError::NotFound),
        };
        self.nudge();
        Ok(case)
    }

    /// The campaign version that a case is pinned to.
    pub async fn campaign(&self, pinned: &CampaignRef) -> Result<Arc<Campaign>, StoreError> {
        self.inner.campaign(pinned).await
    }

    /// Sets a test clock to where it stood when the process ended, and takes back what that process had claimed: leases
    /// run by real time, for which a test clock does not wait. A system clock stays as it is.
    pub async fn restore_test_clock(&self) -> Result<(), StoreError> {
        if !self.inner.clock.is_test() {
            return Ok(());
        }
        self.inner.store.end_leases().await?;
        let kept = settings::get(self.inner.store.conn(), TEST_CLOCK).await?;
        if let Some(kept) = kept.and_then(|text| text.parse::<Timestamp>().ok()) {
            // A start later than where the clock stood is a move forward, and wins.
            let _ = self.inner.clock.advance_to(kept);
        }
        settings::set(self.inner.store.conn(), TEST_CLOCK, &self.inner.clock.now().to_string()).await
    }
}

impl Inner {
    fn sweeps(&self) -> std::sync::MutexGuard<'_, HashMap<String, sweep::Turn>> {
        self.sweeps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    fn now_ms(&self) -> i64 {
        self.now().as_millisecond()
    }

    async fn campaign(&self, pinned: &CampaignRef) -> Result<Arc<Campaign>, StoreError> {
        let key = (pinned.name.clone(), pinned.version);
        let kept = self
            .campaigns
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
            .cloned();
        if let Some(campaign) = kept {
            return Ok(campaign);
        }
        let found = campaigns::get(self.store.conn(), &pinned.name, pinned.version).await?;
        let campaign = Arc::new(found.ok_or_else(|| StoreError::Corrupt {
            table: "campaigns",
            id: format!("{}@{}", pinned.name, pinned.version),
            what: "a case is pinned to it, but it is missing".to_owned(),
        })?);
        self.campaigns
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key, Arc::clone(&campaign));
        Ok(campaign)
    }

    /// The newest version of the campaign that new cases are opened with.
    async fn campaign_for_new_cases(&self) -> Result<Arc<Campaign>, StoreError> {
        let newest = campaigns::newest(self.store.conn(), "default").await?;
        Ok(newest.map_or_else(|| Arc::new(Campaign::embedded()), Arc::new))
    }
}
