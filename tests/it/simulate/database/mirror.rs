//! A real database that does whatever the model does, at the same moment, and must answer alike.

use std::fmt::Debug;
use std::sync::Mutex;

use jiff::Timestamp;
use recoup::domain::campaign::Campaign;
use recoup::domain::ids::CaseId;
use recoup::store::changes::{Asker, Found, Written};
use recoup::store::notifications::NotificationRow;
use recoup::store::{
    Lease, Oversight, Storage, Store, StoreError, attempts, campaigns, cases, late, ledger, notifications, timeline,
};
use sea_orm::ConnectionTrait;
use tokio::runtime::Runtime;

use super::Database;
use crate::simulate::state::{SECOND, State, instant};

/// Leases of the mirror never end by themselves: the model says when.
const LEASE_SECS: u32 = 7 * 24 * 3600;
/// More lines than any timeline has.
const LINES_MAX: u64 = 1000;

#[derive(Debug)]
pub struct Mirror {
    store: Store,
    runtime: Runtime,
    differs: Mutex<Vec<String>>,
}

/// What of a message both keep.
fn brief(row: &NotificationRow) -> impl PartialEq + Debug {
    let row = row.clone();
    (
        row.id,
        row.case_id,
        row.step,
        row.message,
        row.status,
        row.queued_at,
        row.next_at,
        row.tries,
    )
}

impl Mirror {
    pub fn new(url: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let store = runtime.block_on(async {
            let store = Store::connect(url, 4).await.unwrap();
            store.migrate().await.unwrap();
            store
        });
        Self {
            store,
            runtime,
            differs: Mutex::default(),
        }
    }

    pub fn close(self) {
        self.runtime.block_on(self.store.close()).unwrap();
    }

    /// Where the two differed, in order.
    pub fn differences(&self) -> Vec<String> {
        self.differs.lock().unwrap().clone()
    }

    /// Both answers must be equal.
    fn same<T: PartialEq + Debug + ?Sized>(&self, what: &str, model: &T, real: &T) {
        if model != real {
            let text = format!("{what}: the model says {model:?}, the database {real:?}");
            self.differs.lock().unwrap().push(text);
        }
    }

    /// Has the database do what the model did.
    pub fn does<R: PartialEq + Debug>(
        &self,
        what: &str,
        model: &R,
        real: impl AsyncFnOnce(&Store) -> Result<R, StoreError>,
    ) {
        let real = self.runtime.block_on(real(&self.store)).unwrap();
        self.same(what, model, &real);
    }

    /// The same for messages, of which the model keeps no words.
    pub fn mails(
        &self,
        what: &str,
        model: &[NotificationRow],
        real: impl AsyncFnOnce(&Store) -> Result<Vec<NotificationRow>, StoreError>,
    ) {
        let real = self.runtime.block_on(real(&self.store)).unwrap();
        let [model, real] = [model, &real[..]].map(|rows| rows.iter().map(brief).collect::<Vec<_>>());
        self.same(what, &model, &real);
    }

    pub fn lease(lease: Lease<'_>) -> Lease<'_> {
        Lease {
            secs: LEASE_SECS,
            ..lease
        }
    }

    /// Ends the leases that have ended in the model.
    pub fn expire(&self, model: &Database, now: i64) {
        let ended = |lease: Option<i64>| lease.is_some_and(|until| until <= now);
        let cases = model
            .cases
            .values()
            .filter(|row| ended(row.lease))
            .map(|row| ("due_cases", "case_id", row.case.id.as_str()));
        let events = model
            .pending
            .iter()
            .map(|id| &model.events[id])
            .filter(|row| ended(row.lease));
        let events = events.map(|row| ("inbox", "id", row.row.id.as_str()));
        let mails = model.mails.values().filter(|row| ended(row.lease));
        let mails = mails.map(|row| ("notifications", "id", row.row.id.as_str()));
        for (table, key, id) in cases.chain(events).chain(mails) {
            let sql = format!("UPDATE {table} SET lease_until = 0 WHERE {key} = '{id}' AND lease_until IS NOT NULL");
            self.runtime
                .block_on(self.store.conn().execute_unprepared(&sql))
                .unwrap();
        }
    }

    pub fn change(&self, ids: &[CaseId], ask: Asker<'_>, found: &Found, pieces: &[Written], written: &[bool]) {
        let mut seen = Found::default();
        let mut decide = |real: Found| {
            seen = real;
            pieces.to_vec()
        };
        let real = self.runtime.block_on(self.store.change(ids, ask, &mut decide)).unwrap();
        self.same("change", written, &real[..]);
        for id in ids {
            self.same("a locked case", &found.cases.get(id), &seen.cases.get(id));
        }
        self.same("the histories", &found.histories, &seen.histories);
    }

    pub fn campaign(&self, campaign: &Campaign, now: i64) {
        self.runtime
            .block_on(campaigns::put(self.store.conn(), campaign, instant(now)))
            .unwrap();
    }

    /// At the end every row must be equal.
    pub fn compare(&self, model: &Database) {
        self.runtime.block_on(self.compare_all(model)).unwrap();
    }

    async fn compare_all(&self, model: &Database) -> Result<(), StoreError> {
        let conn = self.store.conn();
        for (id, row) in &model.cases {
            self.same("a case", &Some(row.case.clone()), &cases::find(conn, id).await?);
            let lines = timeline::by_case(conn, id, LINES_MAX, None).await?;
            let lines: Vec<_> = lines
                .into_iter()
                .map(|line| (line.kind, line.actor, line.text, line.data))
                .collect();
            let ours = row.lines.iter().map(|line| {
                let entry = line.entry.clone();
                (entry.kind, line.actor.clone(), entry.text, entry.data)
            });
            self.same("a timeline", &ours.collect::<Vec<_>>(), &lines);
            let real = attempts::by_case(conn, id).await?;
            let mut real: Vec<_> = real
                .into_iter()
                .map(|row| (row.id, row.origin, row.status, row.charge_id))
                .collect();
            real.sort();
            let ours = model.attempts.iter().filter(|(_, row)| row.case == *id);
            let ours = ours.map(|(id, row)| (id.clone(), row.origin, row.status, row.charge.clone()));
            self.same("the attempts", &ours.collect::<Vec<_>>(), &real);
            let mut real = notifications::by_case(conn, id).await?;
            real.sort_by(|a, b| a.id.cmp(&b.id));
            let ours = model.mails.values().filter(|row| row.row.case_id == *id);
            let ours: Vec<_> = ours.map(|row| brief(&row.row)).collect();
            self.same("the messages", &ours, &real.iter().map(brief).collect());
        }
        let until: Timestamp = "2100-01-01T00:00:00Z".parse().unwrap();
        let mut real: Vec<_> = late::list(conn, Timestamp::UNIX_EPOCH, until)
            .await?
            .into_iter()
            .map(|row| (row.case_id, row.kind, row.amount.amount_minor))
            .collect();
        let mut ours: Vec<_> = model
            .late
            .iter()
            .map(|(id, kind, money)| (id.clone(), *kind, money.amount_minor))
            .collect();
        real.sort();
        ours.sort();
        self.same("late money", &ours, &real);
        self.compare_books(model).await
    }

    /// The ledger, and the audit log with its chain.
    async fn compare_books(&self, model: &Database) -> Result<(), StoreError> {
        for id in model.cases.keys() {
            let debits = ledger::by_case(self.store.conn(), id).await?.into_iter();
            let debits = debits.filter(|entry| entry.amount.amount_minor > 0);
            let mut real: Vec<_> = debits
                .map(|entry| (entry.kind, entry.account, entry.amount.amount_minor))
                .collect();
            let moved = model.ledger.moved.iter().filter(|moved| moved.case == *id);
            let mut ours: Vec<_> = moved.map(|moved| (moved.kind, moved.debit, moved.minor)).collect();
            real.sort();
            ours.sort();
            self.same("the ledger", &ours, &real);
        }
        let chain = self.store.check_chain().await?;
        let length = i64::try_from(model.audit.len()).unwrap();
        self.same("the audit log", &(length, None), &(chain.length, chain.broken));
        Ok(())
    }
}

/// From when to when a lease runs that begins now. Those that are over end in the mirror too.
pub(super) fn lease_span(state: &State, lease: Lease<'_>) -> (i64, i64) {
    if let Some(mirror) = &state.mirror {
        mirror.expire(&state.db, state.now);
    }
    (state.now, state.now + i64::from(lease.secs) * SECOND)
}
