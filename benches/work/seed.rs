//! Cases that wait for their next charge, written through the store.

use std::sync::Arc;

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};
use recoup::clock::{Clock, entropy};
use recoup::domain::campaign::Campaign;
use recoup::domain::case::{Birth, CampaignRef, Case, Collector, Contact, Memory, State, Timers, Trigger};
use recoup::domain::ceiling::Rules;
use recoup::domain::ids::{CaseId, NotificationId, TransferId};
use recoup::domain::learning::Policy;
use recoup::domain::ledger::transfers;
use recoup::domain::message::Message;
use recoup::engine::{Brand, Connection, Engine, Parts};
use recoup::mailer::{Mailer, Templates};
use recoup::store::changes::{self, CaseChange, NewNotice, RowWrite, Written};
use recoup::store::{Store, campaigns};
use sea_orm::{ConnectionTrait, Statement};

use super::account::{Account, address, decline, owed};

/// As many as the service opens.
const CONNECTIONS_MAX: u32 = 16;
/// How many cases one transaction of the seed writes.
const AT_ONCE: usize = 1_000;
/// How long ago the cases were opened, in days: some way into their campaign.
const AGE_DAYS: i64 = 2;

/// An engine on a database of its own, which has let nothing become due yet.
pub struct Ground {
    pub store: Store,
    pub engine: Engine,
    campaign: Campaign,
}

impl Ground {
    pub async fn prepare(url: &str, clock: Clock, account: Account) -> anyhow::Result<Self> {
        Self::with_mailer(url, clock, account, Arc::new(Mailer::new(None, None)?)).await
    }

    /// The same, whose mails leave by this mailer.
    pub async fn with_mailer(url: &str, clock: Clock, account: Account, mailer: Arc<Mailer>) -> anyhow::Result<Self> {
        let store = Store::connect(url, CONNECTIONS_MAX).await?;
        store.migrate().await?;
        // What is measured is the queue: charges on fixed days. What an arm's decision takes, `decision` measures.
        let campaign = Campaign::parse(include_str!("../../tests/fixtures/campaigns/default.toml"))?;
        campaigns::put(store.conn(), &campaign, clock.now()).await?;
        let engine = Engine::new(Parts {
            storage: Arc::new(store.clone()),
            clock,
            connections: vec![Connection {
                name: "stripe".to_owned(),
                provider: Arc::new(account),
                collector: Collector::Us,
                default_zone: "Europe/Berlin".to_owned(),
                default_locale: "en".to_owned(),
            }],
            mailer,
            templates: Templates::new()?,
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
        // The first turn vouches for the database; it would have to reconcile were there cases already.
        engine.tick().await?;
        Ok(Self {
            store,
            engine,
            campaign,
        })
    }

    /// Writes `count` cases; case `n` has its charge due at `due(n)`.
    pub async fn seed(&self, count: usize, due: impl Fn(usize) -> Timestamp) -> anyhow::Result<()> {
        let now = self.engine.clock().now();
        self.write(count, |number| self.waiting(number, due(number), now)).await
    }

    /// Writes `count` cases of which nothing is due but a message each, that of case `n` since `due(n)`.
    pub async fn seed_mails(&self, count: usize, due: impl Fn(usize) -> Timestamp) -> anyhow::Result<()> {
        let now = self.engine.clock().now();
        let later = now + SignedDuration::from_hours(24 * AGE_DAYS);
        self.write(count, |number| {
            let mut case = self.waiting(number, later, now);
            case.at = due(number);
            case.rows.push(RowWrite::Queue(NewNotice {
                id: NotificationId::new(case.at.as_millisecond(), entropy()),
                message: Message::Reminder,
                step: "reminder".to_owned(),
                due_at: case.at,
                recipient: None,
            }));
            case
        })
        .await
    }

    async fn write(&self, count: usize, case: impl Fn(usize) -> CaseChange) -> anyhow::Result<()> {
        for first in (0..count).step_by(AT_ONCE) {
            let numbers = first..count.min(first + AT_ONCE);
            let opened: Vec<Written> = numbers.map(|number| Written::Opened(Box::new(case(number)))).collect();
            changes::commit(&self.store, &[], &|_| Vec::new(), &mut |_| opened.clone()).await?;
        }
        for table in ["cases", "due_cases", "notifications"] {
            self.store
                .conn()
                .execute_unprepared(&format!("ANALYZE {table}"))
                .await?;
        }
        Ok(())
    }

    /// Checks that each of the cases was moved on and told why.
    pub async fn check(&self, count: usize) -> anyhow::Result<()> {
        let conn = self.store.conn();
        let mut told = Vec::new();
        for sql in [
            "SELECT COUNT(DISTINCT case_id) FROM timeline",
            "SELECT COUNT(*) FROM due_cases WHERE lease_owner IS NULL AND due_at > (SELECT MAX(updated_at) FROM cases)",
        ] {
            let asked = Statement::from_string(conn.get_database_backend(), sql);
            let row = conn.query_one_raw(asked).await?.context("a count")?;
            told.push(row.try_get_by_index::<i64>(0)?);
        }
        let all = i64::try_from(count)?;
        anyhow::ensure!(told == [all, all], "{told:?} cases were worked on instead of {all}");
        Ok(())
    }

    fn waiting(&self, number: usize, charge_at: Timestamp, now: Timestamp) -> CaseChange {
        let opened_at = now - SignedDuration::from_hours(24 * AGE_DAYS);
        let case = Case {
            id: CaseId::new(opened_at.as_millisecond(), entropy()),
            connection: "stripe".to_owned(),
            invoice_id: format!("in_{number:016x}"),
            subscription_id: Some(format!("sub_{number:016x}")),
            customer_id: format!("cus_{number:016x}"),
            amount_due: owed(1999),
            state: State::Active,
            decline: decline(),
            campaign: CampaignRef {
                name: self.campaign.name.clone(),
                version: self.campaign.version,
            },
            collector: Collector::Us,
            opened_at,
            closed_at: None,
            zone: "Europe/Berlin".to_owned(),
            contact: Contact {
                email: Some(address(&format!("{number:016x}"))),
                name: Some("Ada Albers".to_owned()),
                alternate: None,
                locale: Some("en".to_owned()),
            },
            timers: Timers {
                charge_at: Some(charge_at),
                charge_trigger: Some(Trigger::Schedule),
                final_at: Some(now + SignedDuration::from_hours(24 * 19)),
                ..Timers::default()
            },
            warnings: Vec::new(),
            attempts: 1,
            notifications: 0,
            reversal_of: None,
            birth: Birth::default(),
            memory: self.memory(number, opened_at),
        };
        let id = TransferId::new(opened_at.as_millisecond(), entropy());
        let owed = transfers(None, &case, &[]).into_iter();
        CaseChange {
            restated: true,
            lines: Vec::new(),
            // Without it the books would not fit, and reconciliation would hand the case to a person.
            rows: owed.map(|owed| RowWrite::Book(id.clone(), owed)).collect(),
            case,
            audit: Vec::new(),
            release: None,
            at: now,
        }
    }

    fn memory(&self, number: usize, opened_at: Timestamp) -> Memory {
        Memory {
            declined_methods: vec![format!("pm_{number:016x}")],
            known_charges: vec![format!("ch_{number:016x}")],
            // Nothing is to be written to anybody meanwhile.
            steps_done: self.campaign.messages.iter().map(|step| step.key.clone()).collect(),
            ..Memory::since(opened_at)
        }
    }
}
