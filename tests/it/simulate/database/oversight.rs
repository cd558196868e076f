//! What reconciliation asks of the model.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use recoup::domain::command::AttemptStatus;
use recoup::domain::ids::CaseId;
use recoup::store::drift::{BooksPage, ChainCheck, OpenCase, OpenSince, Overdue};
use recoup::store::notifications::NotificationStatus;
use recoup::store::{Oversight, StoreError};

use super::Port;
use crate::simulate::state::{SECOND, instant};

/// Whether a lease is one that no worker can hold.
fn impossible(lease: Option<i64>, now: i64, length: i64) -> bool {
    lease.is_some_and(|until| until < now - 10 * length || until > now + length)
}

#[async_trait]
impl Oversight for Port {
    async fn open_attempts(&self, before: Timestamp, limit: u64) -> Result<Vec<OpenSince>, StoreError> {
        let before = before.as_millisecond();
        self.read(|state| {
            let open = state.db.attempts.iter();
            let open = open.filter(|(_, row)| row.status == AttemptStatus::Open && row.started < before);
            let mut open: Vec<_> = open
                .map(|(id, row)| OpenSince {
                    attempt: id.clone(),
                    case_id: row.case.clone(),
                    started_at: instant(row.started),
                })
                .collect();
            open.sort_by(|a, b| (a.started_at, &a.attempt).cmp(&(b.started_at, &b.attempt)));
            open.truncate(usize::try_from(limit).unwrap());
            open
        })
        .await
    }

    async fn open_cases(&self, after: Option<&CaseId>, _: Timestamp, limit: u64) -> Result<Vec<OpenCase>, StoreError> {
        // When a case was written last is not kept here: each is looked at.
        self.read(|state| {
            let open = state.db.cases.values().filter(|row| row.closed.is_none());
            open.filter(|row| after.is_none_or(|after| row.case.id > *after))
                .take(usize::try_from(limit).unwrap())
                .map(|row| OpenCase {
                    id: row.case.id.clone(),
                    connection: row.case.connection.clone(),
                    invoice_id: row.case.invoice_id.clone(),
                })
                .collect()
        })
        .await
    }

    async fn unknown_charges(&self, _: &str, _: &[(String, String)], _: Timestamp) -> Result<Vec<String>, StoreError> {
        // The simulated provider has no list of charges, so nobody can ask.
        unreachable!("without a list of charges there is none to look up")
    }

    async fn overdue(&self, before: Timestamp) -> Result<Overdue, StoreError> {
        let before = before.as_millisecond();
        self.read(|state| {
            let count = |due: usize| u64::try_from(due).unwrap();
            let db = &state.db;
            let events = db
                .pending
                .iter()
                .filter(|id| db.events[*id].row.next_at.as_millisecond() <= before);
            let cases = db.cases.values().filter(|row| row.closed.is_none());
            let cases = cases.filter(|row| row.next_at.is_some_and(|at| at <= before));
            let mails = db
                .mails
                .values()
                .filter(|mail| mail.row.status == NotificationStatus::Pending);
            let mails = mails.filter(|mail| mail.row.next_at.as_millisecond() <= before);
            Overdue {
                events: count(events.count()),
                cases: count(cases.count()),
                mails: count(mails.count()),
            }
        })
        .await
    }

    async fn free_leases(&self, now: Timestamp, lease_secs: u32) -> Result<u64, StoreError> {
        let length = i64::from(lease_secs) * SECOND;
        let due = now.as_millisecond();
        self.write(|state| {
            let now = state.now;
            let mut kept_waiting = 0;
            for row in state.db.cases.values_mut() {
                if impossible(row.lease, now, length) {
                    kept_waiting += u64::from(row.next_at.is_some_and(|at| at <= due));
                    row.lease = None;
                }
            }
            for event in state.db.events.values_mut() {
                if impossible(event.lease, now, length) {
                    kept_waiting +=
                        u64::from(event.row.ended_at.is_none() && event.row.next_at.as_millisecond() <= due);
                    event.lease = None;
                }
            }
            let half_sent = NotificationStatus::Sending;
            for mail in state.db.mails.values_mut().filter(|mail| mail.row.status != half_sent) {
                if impossible(mail.lease, now, length) {
                    let waits = mail.row.status == NotificationStatus::Pending;
                    kept_waiting += u64::from(waits && mail.row.next_at.as_millisecond() <= due);
                    mail.lease = None;
                }
            }
            kept_waiting
        })
        .await
    }

    async fn check_books(&self, _: Option<&CaseId>, _: u64) -> Result<BooksPage, StoreError> {
        // The model keeps no ledger; its books are those of the provider and the mail server.
        self.read(|_| BooksPage::default()).await
    }

    async fn events_received(&self, from: Timestamp, to: Timestamp) -> Result<Vec<(String, u64)>, StoreError> {
        self.read(|state| {
            let mut counts = BTreeMap::new();
            for event in state.db.events.values() {
                if event.row.received_at > from && event.row.received_at <= to {
                    *counts.entry(event.row.connection.clone()).or_insert(0) += 1;
                }
            }
            counts.into_iter().collect()
        })
        .await
    }

    async fn check_chain(&self) -> Result<ChainCheck, StoreError> {
        self.read(|state| ChainCheck {
            length: i64::try_from(state.db.audit.len()).unwrap(),
            head: String::new(),
            broken: None,
        })
        .await
    }

    async fn database_now(&self) -> Result<Timestamp, StoreError> {
        self.read(|state| instant(state.now)).await
    }

    async fn birthmark(&self) -> Result<String, StoreError> {
        self.read(|_| "the model".to_owned()).await
    }

    async fn tidy(&self, _: Timestamp) -> Result<(), StoreError> {
        // The model keeps everything.
        Ok(())
    }

    async fn purge(&self, _: Timestamp) -> Result<u64, StoreError> {
        self.read(|_| 0).await
    }
}
