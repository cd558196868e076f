//! What reconciliation asks of the model.

use std::collections::BTreeMap;
use std::ops::Bound;

use async_trait::async_trait;
use jiff::Timestamp;
use recoup::domain::ids::{CaseId, InboxId};
use recoup::store::drift::{BooksPage, ChainCheck, Faults, OpenCase, OpenSince, Overdue};
use recoup::store::notifications::NotificationStatus;
use recoup::store::{Oversight, Store, StoreError};

use super::port::count;
use super::{CaseRow, Port};
use crate::simulate::state::{SECOND, instant};

/// Whether a lease is one that no worker can hold.
fn impossible(lease: Option<i64>, now: i64, length: i64) -> bool {
    lease.is_some_and(|until| until < now - 10 * length || until > now + length)
}

#[async_trait]
impl Oversight for Port {
    async fn open_attempts(&self, before: Timestamp, limit: u64) -> Result<Vec<OpenSince>, StoreError> {
        let since = before.as_millisecond();
        if self.glance(|state| state.db.open_attempts.is_empty())? {
            return Ok(Vec::new());
        }
        self.read(|state| {
            let open = state.db.open_attempts.iter().map(|id| (id, &state.db.attempts[id]));
            let mut open: Vec<_> = open
                .filter(|(_, row)| row.started < since)
                .map(|(id, row)| OpenSince {
                    attempt: id.clone(),
                    case_id: row.case.clone(),
                    started_at: instant(row.started),
                })
                .collect();
            open.sort_by(|a, b| (a.started_at, &a.attempt).cmp(&(b.started_at, &b.attempt)));
            open.truncate(count(limit));
            if let Some(mirror) = &state.mirror {
                let real = async |store: &Store| store.open_attempts(before, limit).await;
                mirror.does("open_attempts", &open, real);
            }
            open
        })
        .await
    }

    async fn open_cases(
        &self,
        after: Option<&CaseId>,
        untouched_since: Timestamp,
        limit: u64,
    ) -> Result<Vec<OpenCase>, StoreError> {
        self.read(|state| {
            let follows = |row: &CaseRow| after.is_none_or(|after| row.case.id > *after);
            let open = state
                .db
                .open_cases(|row| follows(row) && row.updated <= untouched_since);
            let open: Vec<_> = open.take(count(limit)).map(open_case).collect();
            if let Some(mirror) = &state.mirror {
                let real = async |store: &Store| Oversight::open_cases(store, after, untouched_since, limit).await;
                mirror.does("open_cases", &open, real);
            }
            open
        })
        .await
    }

    async fn unknown_charges(
        &self,
        connection: &str,
        charges: &[(String, String)],
        since: Timestamp,
    ) -> Result<Vec<String>, StoreError> {
        self.read(|state| {
            let db = &state.db;
            let chased = |customer: &str| {
                let ended = |row: &CaseRow| row.case.closed_at.is_none_or(|at| at > since);
                let of = |row: &&CaseRow| row.case.customer_id == customer;
                db.cases.values().filter(of).any(ended)
            };
            let unknown = charges.iter().filter(|(charge, _)| !db.ledger.knows(charge));
            let unknown = unknown.filter(|(_, customer)| chased(customer));
            let unknown: Vec<_> = unknown.map(|(charge, _)| charge.clone()).collect();
            if let Some(mirror) = &state.mirror {
                let real = async |store: &Store| store.unknown_charges(connection, charges, since).await;
                mirror.does("unknown_charges", &unknown, real);
            }
            unknown
        })
        .await
    }

    async fn overdue(&self, before: Timestamp) -> Result<Overdue, StoreError> {
        let since = before.as_millisecond();
        self.glance(|state| {
            let count = |due: usize| u64::try_from(due).unwrap();
            let db = &state.db;
            let events = db.pending.iter().filter(|id| db.events[*id].row.next_at <= before);
            let cases = db.open_cases(|row| row.next_at.is_some_and(|at| at <= since));
            let mails = db
                .unsent()
                .filter(|mail| mail.row.status == NotificationStatus::Pending && mail.row.next_at <= before);
            let overdue = Overdue {
                events: count(events.count()),
                cases: count(cases.count()),
                mails: count(mails.count()),
            };
            if let Some(mirror) = &state.mirror {
                mirror.does("overdue", &overdue, async |store| store.overdue(before).await);
            }
            overdue
        })
    }

    async fn free_leases(&self, now: Timestamp, lease_secs: u32) -> Result<u64, StoreError> {
        let length = i64::from(lease_secs) * SECOND;
        let due = now.as_millisecond();
        let at = self.0.world.lock().now;
        if self.glance(|state| !state.db.leases().any(|lease| impossible(Some(lease), at, length)))? {
            return Ok(0);
        }
        self.write(|state| {
            if let Some(mirror) = &state.mirror {
                mirror.expire(&state.db, state.now);
            }
            let (at, db) = (state.now, &mut state.db);
            let mut kept_waiting = 0;
            for id in &db.open {
                let row = db.cases.get_mut(id).unwrap();
                if impossible(row.lease, at, length) {
                    kept_waiting += u64::from(row.next_at.is_some_and(|at| at <= due));
                    row.lease = None;
                }
            }
            for id in &db.pending {
                let event = db.events.get_mut(id).unwrap();
                if impossible(event.lease, at, length) {
                    kept_waiting += u64::from(event.row.next_at <= now);
                    event.lease = None;
                }
            }
            for id in &db.waiting {
                let mail = db.mails.get_mut(id).unwrap();
                if mail.row.status == NotificationStatus::Pending && impossible(mail.lease, at, length) {
                    kept_waiting += u64::from(mail.row.next_at <= now);
                    mail.lease = None;
                }
            }
            kept_waiting
        })
        .await
    }

    async fn check_books(&self, after: Option<&CaseId>, limit: u64) -> Result<BooksPage, StoreError> {
        self.read(|state| {
            let from = after.map_or(Bound::Unbounded, |after| Bound::Excluded(after.clone()));
            let mut page = BooksPage::default();
            let cases = state.db.cases.range((from, Bound::Unbounded));
            for (id, row) in cases.take(count(limit)) {
                let faults = state.db.ledger.faults(&row.case);
                if faults != Faults::default() {
                    page.wrong.push((id.clone(), faults));
                }
                page.last = Some(id.clone());
            }
            if let Some(mirror) = &state.mirror {
                mirror.does("check_books", &page, async |store| {
                    store.check_books(after, limit).await
                });
            }
            page
        })
        .await
    }

    async fn events_received(&self, from: Timestamp, to: Timestamp) -> Result<Vec<(String, u64)>, StoreError> {
        self.read(|state| {
            // The ids sort by the time of their making.
            let bound = |at: Timestamp| InboxId::new(at.as_millisecond(), u128::MAX);
            let mut counts = BTreeMap::new();
            let (first, last) = (bound(from), bound(to));
            if first < last {
                let there = state.db.events.range((Bound::Excluded(first), Bound::Included(last)));
                for event in there.map(|(_, event)| event) {
                    *counts.entry(event.row.connection.clone()).or_insert(0) += 1;
                }
            }
            let counts: Vec<_> = counts.into_iter().collect();
            if let Some(mirror) = &state.mirror {
                mirror.does("events_received", &counts, async |store| {
                    store.events_received(from, to).await
                });
            }
            counts
        })
        .await
    }

    async fn check_chain(&self) -> Result<ChainCheck, StoreError> {
        // Nothing here can be tampered with; the real databases' chain is checked where they play along.
        self.read(|state| ChainCheck {
            length: i64::try_from(state.db.audit.len()).unwrap(),
            head: String::new(),
            broken: None,
        })
        .await
    }

    async fn database_now(&self) -> Result<Timestamp, StoreError> {
        self.glance(|state| instant(state.now))
    }

    async fn birthmark(&self) -> Result<String, StoreError> {
        self.glance(|_| "the model".to_owned())
    }

    async fn tidy(&self, _: Timestamp) -> Result<(), StoreError> {
        // The model keeps everything.
        Ok(())
    }

    async fn purge(&self, _: Timestamp) -> Result<u64, StoreError> {
        self.glance(|_| 0)
    }
}

fn open_case(row: &CaseRow) -> OpenCase {
    OpenCase {
        id: row.case.id.clone(),
        connection: row.case.connection.clone(),
        invoice_id: row.case.invoice_id.clone(),
    }
}
