//! The one place that decides what is written of a case: the event over the locked case, with all that follows from it.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::{Inner, count, desk};
use crate::domain::case::{CampaignRef, Case};
use crate::domain::ceiling::Grounds;
use crate::domain::command::{Change, Command, Decision, Entry, Moment, Reason};
use crate::domain::decide::{decide, open_reversal};
use crate::domain::event::Event;
use crate::domain::ids::{AttemptId, AuditId, CaseId, TimelineId, TransferId};
use crate::domain::instrument::History;
use crate::domain::learning::Learned;
use crate::domain::ledger::{Transfer, transfers};
use crate::store::StoreError;
use crate::store::audit::AuditRow;
use crate::store::changes::{CaseChange, Found, Line, Locked, NoticeEnd, RowWrite, Written};
use crate::store::inbox::EventEnd;

pub mod asks;
mod notices;
mod opening;
pub mod past;
mod rows;
mod staff;

pub use notices::{end_notice, learn_fate, lose_notice};
pub use opening::{Hand, Opened, open_case, put_in, resend_secs};
pub use rows::is_carried_out;

/// Who acted, where nobody of the staff did.
pub const ENGINE: &str = "recoup";

/// What became of an event.
#[derive(Debug)]
pub enum Handled {
    /// The case changed, and this was committed.
    Changed(Box<Change>),
    /// Nothing changes, and why.
    Ignored(Reason),
    /// There is no such case.
    Gone,
}

/// When the claim of a case is given back together with the change.
#[derive(Clone, Copy, Debug)]
pub enum Release {
    /// Not at all: whoever brings the event has no claim, or needs it longer.
    Keep,
    /// Where nothing is to be carried out after the commit.
    WhenDone(i64),
    /// In any case.
    Now(i64),
}

/// One thing to write.
#[derive(Debug)]
pub enum Request {
    /// An event for a case.
    Event {
        /// The case.
        id: CaseId,
        /// What happened.
        event: Arc<Event>,
        /// Whose doing it was.
        actor: String,
        /// What becomes of the claim.
        release: Release,
    },
    /// A new case.
    Open {
        /// The case.
        change: Box<Change>,
        /// Whose doing it is, where staff put it in.
        by: Option<Hand>,
    },
    /// The end of a message.
    Notice(NoticeEnd),
    /// The end of an event of the inbox.
    EventEnd(EventEnd),
}

impl Request {
    /// The case to lock for it.
    pub fn case_id(&self) -> Option<&CaseId> {
        match self {
            Self::Event { id, .. } => Some(id),
            Self::Notice(end) => Some(&end.case_id),
            Self::Open { .. } | Self::EventEnd(_) => None,
        }
    }
}

/// What became of a request.
#[derive(Debug)]
pub enum Done {
    /// Of an event.
    Handled(Handled),
    /// The campaign that the case is pinned to must be read first.
    NeedsCampaign(CampaignRef),
    /// Whether it was written.
    Written(bool),
}

/// Brings one event to one case.
pub async fn handle(inner: &Inner, id: &CaseId, event: Event, actor: &str) -> Result<Handled, StoreError> {
    handle_claimed(inner, id, &Arc::new(event), actor, Release::Keep).await
}

/// Brings an event to a case that is claimed, and gives the claim back with the same commit.
pub async fn handle_claimed(
    inner: &Inner,
    id: &CaseId,
    event: &Arc<Event>,
    actor: &str,
    release: Release,
) -> Result<Handled, StoreError> {
    loop {
        let request = Request::Event {
            id: id.clone(),
            event: Arc::clone(event),
            actor: actor.to_owned(),
            release,
        };
        match desk::submit(inner, request).await? {
            Done::Handled(handled) => return Ok(handled),
            Done::NeedsCampaign(pinned) => {
                inner.campaigns.pinned(&*inner.storage, &pinned).await?;
            }
            Done::Written(_) => unreachable!("an event is answered by what became of it"),
        }
    }
}

fn line(inner: &Inner, actor: &str, entry: Entry) -> Line {
    Line {
        id: TimelineId::new(inner.now_ms(), inner.clock.entropy()),
        at: inner.now(),
        actor: actor.to_owned(),
        entry,
    }
}

/// What one transaction is to write, as it grows request by request. Two events for one case are decided one after the
/// other, each over what the one before left.
pub struct Draft<'a> {
    inner: &'a Inner,
    now: Timestamp,
    learned: Arc<Learned>,
    cases: Locked,
    /// What was tried on the instruments that matter, with all that was decided here so far.
    histories: HashMap<String, History>,
    pieces: Vec<Written>,
    /// Where the change of a case stands among the pieces.
    changed: HashMap<CaseId, usize>,
}

/// What a request will have become once the transaction is committed.
#[derive(Debug)]
pub enum Drafted {
    /// What it says.
    Done(Done),
    /// A new case, and where it stands among the pieces.
    Opened(Box<Change>, usize),
    /// One row, and where it stands.
    Row(usize),
}

impl Drafted {
    /// What became of it, now that the pieces are committed.
    pub fn done(self, inner: &Inner, written: &[bool]) -> Done {
        let was_written = |piece: usize| written.get(piece).copied().unwrap_or(false);
        match self {
            Self::Done(done) => {
                if let Done::Handled(Handled::Changed(change)) = &done {
                    told(inner, change);
                }
                done
            }
            Self::Opened(change, piece) => {
                if was_written(piece) {
                    told(inner, &change);
                }
                Done::Written(was_written(piece))
            }
            Self::Row(piece) => Done::Written(was_written(piece)),
        }
    }
}

impl<'a> Draft<'a> {
    /// An empty draft over the locked cases.
    pub fn new(inner: &'a Inner, found: Found) -> Self {
        Self {
            inner,
            now: inner.now(),
            learned: inner.knowledge.newest(),
            cases: found.cases,
            histories: found.histories,
            pieces: Vec::new(),
            changed: HashMap::new(),
        }
    }

    /// What is to be written.
    pub fn into_pieces(self) -> Vec<Written> {
        self.pieces
    }

    /// Adds what follows from a request.
    pub fn add(&mut self, request: &Request) -> Result<Drafted, StoreError> {
        match request {
            Request::Event {
                id,
                event,
                actor,
                release,
            } => self.event(id, event, actor, *release).map(Drafted::Done),
            Request::Open { change, by } => {
                let piece = self.pieces.len();
                self.open(change, by.as_ref().map_or(ENGINE, |by| &by.actor));
                self.audit_opening(change, by.as_ref());
                Ok(Drafted::Opened(change.clone(), piece))
            }
            Request::Notice(end) => Ok(self.row(Written::Notice(end.clone()))),
            Request::EventEnd(end) => Ok(self.row(Written::Event(end.clone()))),
        }
    }

    /// What an event before wrote of the same case.
    fn earlier(&self, id: &CaseId) -> Option<&CaseChange> {
        match self.pieces.get(*self.changed.get(id)?)? {
            Written::Changed(change) => Some(change),
            Written::Opened(_) | Written::Notice(_) | Written::Event(_) => None,
        }
    }

    fn row(&mut self, piece: Written) -> Drafted {
        self.pieces.push(piece);
        Drafted::Row(self.pieces.len() - 1)
    }

    fn event(&mut self, id: &CaseId, event: &Event, actor: &str, release: Release) -> Result<Done, StoreError> {
        let inner = self.inner;
        let case = match (self.earlier(id), self.cases.get(id)) {
            (Some(earlier), _) => &earlier.case,
            (None, Some(Ok(case))) => case,
            (None, Some(Err(error))) => return Err(error.clone()),
            (None, None) => return Ok(Done::Handled(Handled::Gone)),
        };
        let Some(campaign) = inner.campaigns.known(&case.campaign) else {
            return Ok(Done::NeedsCampaign(case.campaign.clone()));
        };
        let shadow = inner.campaigns.shadow_of(&campaign.name);
        let fresh_attempt = AttemptId::new(inner.now_ms(), inner.clock.entropy());
        let learned = Arc::clone(&self.learned);
        let nothing = History::default();
        let moment = Moment {
            now: self.now,
            campaign: &campaign,
            shadow: shadow.as_deref().filter(|shadow| !case.campaign.is_of(shadow)),
            fresh_attempt: &fresh_attempt,
            grounds: Grounds {
                codes: inner.codes(&case.connection),
                learned: &learned,
                rules: &inner.rules,
                history: self.histories.get(&case.connection).unwrap_or(&nothing),
            },
            resend_secs: inner.connections.get(&case.connection).map_or(0, resend_secs),
        };
        let change = match decide(case, event, &moment) {
            Decision::Changed(change) => change,
            Decision::Ignored(reason) => return Ok(Done::Handled(Handled::Ignored(reason))),
        };
        let moved = transfers(Some(case), &change.case, &change.commands);
        let mut written = self.beside(&change, moved, actor);
        written.restated = change.case.is_restated(case);
        let reversals = change
            .commands
            .iter()
            .filter(|command| matches!(command, Command::OpenReversal));
        // Where the invoice is chased already, the booking beside it tells of the dispute.
        let reversals: Vec<Change> = reversals
            .map(|_| {
                let id = CaseId::new(inner.now_ms(), inner.clock.entropy());
                open_reversal(id, &change.case, &moment)
            })
            .collect();
        self.change(&change, written, event, actor, release);
        for reversal in &reversals {
            self.open(reversal, actor);
        }
        if let Some(history) = self.histories.get_mut(&change.case.connection) {
            history.take(&change.case, &change.commands, self.now);
        }
        Ok(Done::Handled(Handled::Changed(change)))
    }

    fn change(&mut self, change: &Change, mut written: CaseChange, event: &Event, actor: &str, release: Release) {
        staff::beside(self.inner, change, event, actor, &mut written);
        written.release = match release {
            Release::Now(fence) => Some(fence),
            Release::WhenDone(fence) if !change.commands.iter().any(is_carried_out) => Some(fence),
            Release::WhenDone(_) | Release::Keep => None,
        };
        let known = self
            .changed
            .get(&change.case.id)
            .and_then(|at| self.pieces.get_mut(*at));
        if let Some(Written::Changed(earlier)) = known {
            earlier.case = written.case;
            earlier.restated |= written.restated;
            earlier.lines.append(&mut written.lines);
            earlier.rows.append(&mut written.rows);
            earlier.audit.append(&mut written.audit);
            earlier.release = written.release.or(earlier.release);
        } else {
            self.changed.insert(change.case.id.clone(), self.pieces.len());
            self.pieces.push(Written::Changed(Box::new(written)));
        }
    }

    fn open(&mut self, change: &Change, actor: &str) {
        let moved = transfers(None, &change.case, &change.commands);
        let written = self.beside(change, moved, actor);
        self.pieces.push(Written::Opened(Box::new(written)));
    }

    /// What staff put in stands in the audit log.
    fn audit_opening(&mut self, change: &Change, by: Option<&Hand>) {
        if let (Some(by), Some(Written::Opened(written))) = (by, self.pieces.last_mut()) {
            written.audit.push(AuditRow {
                id: AuditId::new(self.inner.now_ms(), self.inner.clock.entropy()),
                at: self.now,
                actor: by.actor.clone(),
                action: "cases.open".to_owned(),
                object: change.case.id.to_string(),
                comment: by.comment.clone(),
            });
        }
    }

    fn beside(&self, change: &Change, moved: Vec<Transfer>, actor: &str) -> CaseChange {
        let inner = self.inner;
        let books = moved.into_iter().map(|transfer| {
            let id = TransferId::new(inner.now_ms(), inner.clock.entropy());
            RowWrite::Book(id, transfer)
        });
        let (told, mails) = rows::to_staff(inner, change);
        CaseChange {
            case: change.case.clone(),
            restated: true,
            lines: change
                .entries
                .iter()
                .chain(&told)
                .map(|entry| line(inner, actor, entry.clone()))
                .collect(),
            rows: change
                .commands
                .iter()
                .filter_map(|command| rows::row(inner, command))
                .chain(mails)
                .chain(books)
                .chain(rows::unknown_codes(inner, change).map(RowWrite::UnknownCode))
                .collect(),
            audit: Vec::new(),
            release: None,
            at: self.now,
        }
    }
}

/// Tells operators of a committed change, a line for each entry, and whoever has work by it.
fn told(inner: &Inner, change: &Change) {
    let case: &Case = &change.case;
    count::change(change);
    for unknown in rows::unknown_codes(inner, change) {
        count::unknown_code(&unknown);
        tracing::warn!(case_id = %case.id, section = unknown.section, code = unknown.code, "a decline has a code that we do not know");
    }
    for entry in &change.entries {
        tracing::info!(case_id = %case.id, state = case.state_word(), kind = entry.kind.as_str(), "{}", entry.text);
    }
    if change
        .commands
        .iter()
        .any(|command| matches!(command, Command::Notify { .. } | Command::TellStaff { .. }))
    {
        inner.bells.mails.notify_one();
    }
    if case.next_action().is_some_and(|next| next.at <= inner.now()) {
        inner.bells.cases.notify_one();
    }
}
