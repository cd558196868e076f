//! The model of the database: committed rows, the laws of the schema, leases by its own time.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use recoup::domain::campaign::Campaign;
use recoup::domain::case::{CampaignRef, Case, Origin};
use recoup::domain::command::{AttemptStatus, LateKind};
use recoup::domain::ids::{AttemptId, CaseId, InboxId, NotificationId};
use recoup::domain::instrument::PastAttempt;
use recoup::domain::money::Money;
use recoup::domain::mutant::alive;
use recoup::store::audit::AuditRow;
use recoup::store::cases::Claim;
use recoup::store::changes::Line;
use recoup::store::inbox::{InboxRow, InboxStatus, NewInbox, Received};
use recoup::store::learning::{Posterior, Waiting};
use recoup::store::notifications::{NotificationRow, NotificationStatus};

mod courtesies;
mod ledger;
mod mirror;
mod oversight;
mod port;
mod reach;
mod tried;
mod write;

pub use ledger::{Ledger, Moved};
pub use mirror::Mirror;
pub use port::Port;

#[derive(Debug)]
pub struct CaseRow {
    pub case: Case,
    pub next_at: Option<i64>,
    pub lease: Option<i64>,
    pub fence: i64,
    /// When it was committed that the case is closed, by the world's time.
    pub closed: Option<i64>,
    /// When it was written last, by the writer's time.
    pub updated: Timestamp,
    pub lines: Vec<Line>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRow {
    pub case: CaseId,
    pub origin: Origin,
    pub status: AttemptStatus,
    pub charge: Option<String>,
    pub started: i64,
    pub committed: i64,
}

#[derive(Debug)]
pub struct MailRow {
    pub row: NotificationRow,
    pub lease: Option<i64>,
    /// When it was committed, by the world's time.
    pub committed: i64,
}

#[derive(Debug)]
pub struct EventRow {
    pub row: InboxRow,
    pub lease: Option<i64>,
}

/// What is committed.
#[derive(Debug, Default)]
pub struct Database {
    pub cases: BTreeMap<CaseId, CaseRow>,
    /// The cases that are not closed.
    pub open: BTreeSet<CaseId>,
    /// The cases of each invoice, oldest first.
    pub by_invoice: BTreeMap<String, BTreeSet<CaseId>>,
    pub attempts: BTreeMap<AttemptId, AttemptRow>,
    pub open_attempts: BTreeSet<AttemptId>,
    /// What was tried on each instrument.
    pub tried: BTreeMap<String, Vec<PastAttempt>>,
    /// The group of each instrument's bank.
    pub banks: BTreeMap<String, String>,
    pub charges: BTreeSet<String>,
    pub mails: BTreeMap<NotificationId, MailRow>,
    /// The messages that have not ended.
    pub waiting: BTreeSet<NotificationId>,
    pub steps: BTreeSet<(CaseId, String)>,
    pub events: BTreeMap<InboxId, EventRow>,
    pub pending: BTreeSet<InboxId>,
    pub event_ids: BTreeMap<String, InboxId>,
    pub late: Vec<(CaseId, LateKind, Money)>,
    pub ledger: Ledger,
    pub audit: Vec<AuditRow>,
    pub settings: BTreeMap<String, String>,
    /// Since when what the provider lists is our concern: the database knows how far it was read.
    pub swept_since: Option<i64>,
    pub campaigns: Vec<Campaign>,
    /// The evidence that no posterior holds yet, oldest first.
    pub evidence: Vec<Waiting>,
    pub posteriors: Vec<Posterior>,
    /// The instants at which something falls due that were written since anybody asked.
    pub dues: Vec<i64>,
}

fn free(lease: Option<i64>, now: i64) -> bool {
    lease.is_none_or(|until| until <= now) || alive("no_lease")
}

impl Database {
    pub fn versions(&self) -> Vec<CampaignRef> {
        self.campaigns.iter().map(CampaignRef::of).collect()
    }

    pub fn take_in(&mut self, event: &NewInbox) -> Received {
        if self.event_ids.contains_key(&event.event_id) {
            return Received::Duplicate;
        }
        let ended = event.status != InboxStatus::Pending;
        let row = InboxRow {
            id: event.id.clone(),
            connection: event.connection.clone(),
            event_id: event.event_id.clone(),
            kind: event.kind.clone(),
            body: event.body.clone(),
            received_at: event.received_at,
            status: event.status,
            tries: 0,
            next_at: event.received_at,
            reason: event.reason.clone(),
            ended_at: ended.then_some(event.received_at),
        };
        self.event_ids.insert(event.event_id.clone(), event.id.clone());
        if !ended {
            self.pending.insert(event.id.clone());
            self.dues.push(event.received_at.as_millisecond());
        }
        self.events.insert(event.id.clone(), EventRow { row, lease: None });
        Received::Accepted
    }

    pub fn claim_events(&mut self, due: Timestamp, limit: usize, lease: (i64, i64)) -> Vec<InboxRow> {
        let events = &self.events;
        let mut first: Vec<(Timestamp, InboxId)> = self
            .pending
            .iter()
            .filter(|id| events[id].row.next_at <= due && free(events[id].lease, lease.0))
            .map(|id| (events[id].row.next_at, id.clone()))
            .collect();
        first.sort();
        first.truncate(limit);
        let mut claimed = Vec::with_capacity(first.len());
        for (_, id) in first {
            let event = self.events.get_mut(&id).unwrap();
            event.lease = Some(lease.1);
            self.dues.push(lease.1);
            claimed.push(event.row.clone());
        }
        claimed
    }

    pub fn claim_cases(&mut self, due: Timestamp, limit: usize, lease: (i64, i64)) -> Vec<Claim> {
        let due = due.as_millisecond();
        let mut first: Vec<(i64, CaseId)> = self
            .open
            .iter()
            .map(|id| (id, &self.cases[id]))
            .filter(|(_, row)| free(row.lease, lease.0))
            .filter_map(|(id, row)| row.next_at.filter(|at| *at <= due).map(|at| (at, id.clone())))
            .collect();
        first.sort();
        first.truncate(limit);
        let mut claimed = Vec::with_capacity(first.len());
        for (_, id) in first {
            let row = self.cases.get_mut(&id).unwrap();
            row.lease = Some(lease.1);
            row.fence += 1;
            self.dues.push(lease.1);
            claimed.push(Claim {
                id,
                fence: row.fence,
                connection: row.case.connection.clone(),
                invoice_id: row.case.invoice_id.clone(),
            });
        }
        claimed
    }

    pub fn release(&mut self, id: &CaseId, fence: i64) {
        if let Some(row) = self.cases.get_mut(id)
            && (row.fence == fence || alive("released_by_anybody"))
        {
            row.lease = None;
            self.dues.extend(row.next_at);
        }
    }

    pub fn claim_mails(&mut self, due: Timestamp, limit: usize, lease: (i64, i64)) -> Vec<NotificationRow> {
        let mut first: Vec<(Timestamp, NotificationId)> = self
            .unsent()
            .filter(|mail| mail.row.status == NotificationStatus::Pending)
            .filter(|mail| mail.row.next_at <= due && free(mail.lease, lease.0))
            .map(|mail| (mail.row.next_at, mail.row.id.clone()))
            .collect();
        first.sort();
        first.truncate(limit);
        let mut claimed = Vec::with_capacity(first.len());
        for (_, id) in first {
            let mail = self.mails.get_mut(&id).unwrap();
            mail.lease = Some(lease.1);
            self.dues.push(lease.1);
            claimed.push(mail.row.clone());
        }
        claimed
    }

    pub fn stranded(&self, limit: usize, now: i64) -> Vec<NotificationRow> {
        let mut rows: Vec<(i64, &NotificationRow)> = self
            .unsent()
            .filter(|mail| mail.row.status == NotificationStatus::Sending)
            .filter_map(|mail| mail.lease.filter(|until| *until <= now).map(|until| (until, &mail.row)))
            .collect();
        rows.sort_by(|a, b| (a.0, &a.1.id).cmp(&(b.0, &b.1.id)));
        rows.into_iter().take(limit).map(|(_, row)| row.clone()).collect()
    }

    pub fn start_mail(&mut self, id: &NotificationId, now: i64) -> bool {
        let Some(mail) = self.mails.get_mut(id) else {
            return false;
        };
        let ours = mail.row.status == NotificationStatus::Pending && mail.lease.is_some_and(|until| until > now);
        if ours {
            mail.row.status = NotificationStatus::Sending;
            self.dues.extend(mail.lease);
        }
        ours || alive("mail_starts_again")
    }

    pub fn put_mail_back(&mut self, id: &NotificationId, next_at: Timestamp, reason: &str, tried: bool) {
        let from = if tried {
            NotificationStatus::Sending
        } else {
            NotificationStatus::Pending
        };
        if let Some(mail) = self.mails.get_mut(id)
            && mail.row.status == from
        {
            mail.row.status = NotificationStatus::Pending;
            mail.row.next_at = next_at;
            mail.row.reason = Some(reason.to_owned());
            mail.row.tries += u32::from(tried);
            mail.lease = None;
            self.dues.push(next_at.as_millisecond());
        }
    }

    /// The messages that have not ended.
    pub fn unsent(&self) -> impl Iterator<Item = &MailRow> + '_ {
        self.waiting.iter().map(|id| &self.mails[id])
    }

    /// The cases of an invoice, oldest first.
    pub fn cases_of(&self, invoice: &str) -> impl DoubleEndedIterator<Item = &CaseRow> + '_ {
        let ids = self.by_invoice.get(invoice).into_iter().flatten();
        ids.map(|id| &self.cases[id])
    }

    /// The case of an invoice; never the linked one of a reversal.
    pub fn case_of_invoice(&self, invoice: &str) -> Option<&CaseRow> {
        self.cases_of(invoice).find(|row| row.case.reversal_of.is_none())
    }

    /// The open cases that the condition keeps.
    pub fn open_cases(&self, keep: impl Fn(&CaseRow) -> bool) -> impl Iterator<Item = &CaseRow> {
        self.open.iter().map(|id| &self.cases[id]).filter(move |row| keep(row))
    }

    /// When the leases end that are held.
    pub fn leases(&self) -> impl Iterator<Item = i64> + '_ {
        let cases = self.open.iter().filter_map(|id| self.cases[id].lease);
        let events = self.pending.iter().filter_map(|id| self.events[id].lease);
        cases.chain(events).chain(self.unsent().filter_map(|mail| mail.lease))
    }

    /// Every instant at which somebody may claim something.
    pub fn claimable(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        let cases = self.open.iter().map(|id| &self.cases[id]);
        let cases = cases.filter_map(|row| row.next_at.map(|at| (at, row.lease.unwrap_or(0))));
        let events = self.pending.iter().map(|id| &self.events[id]);
        let events = events.map(|event| (event.row.next_at.as_millisecond(), event.lease.unwrap_or(0)));
        let mails = self.unsent().map(|mail| {
            let pending = mail.row.status == NotificationStatus::Pending;
            let at = if pending { mail.row.next_at.as_millisecond() } else { 0 };
            (at, mail.lease.unwrap_or(0))
        });
        cases.chain(events).chain(mails)
    }
}
