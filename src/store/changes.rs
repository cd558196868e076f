//! What changes of cases write, and the one transaction that writes it: lock, decide, write, commit.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Serialize;

use super::approvals::ApprovalWrite;
use super::audit::AuditRow;
use super::inbox::EventEnd;
use super::notifications::NotificationStatus;
use super::timeline::LineOf;
use super::{
    Store, StoreError, Tx, approvals, attempts, audit, cases, inbox, instruments, late, learning, ledger,
    notifications, shadows, timeline, unknown_codes, win_back,
};
use crate::domain::case::{Case, OpenAttempt, Origin};
use crate::domain::ceiling::Rule;
use crate::domain::command::{AttemptStatus, Entry, LateKind};
use crate::domain::decide::shadow::Shadowed;
use crate::domain::decline::Decline;
use crate::domain::event::SeenAttempt;
use crate::domain::ids::{AttemptId, BlockedId, CaseId, EvidenceId, NotificationId, TimelineId, TransferId};
use crate::domain::instrument::{History, Instrument};
use crate::domain::learning::model::Evidence;
use crate::domain::ledger::Transfer;
use crate::domain::message::Message;
use crate::domain::money::Money;
use crate::domain::taxonomy::UnknownCode;

/// The locked cases by id; one that cannot be read is an error of its own, and one that is missing is not in here.
pub type Locked = HashMap<CaseId, Result<Case, StoreError>>;

/// What is decided over.
#[derive(Debug, Default)]
pub struct Found {
    /// The locked cases.
    pub cases: Locked,
    /// What was tried on the instruments that were asked for, by connection.
    pub histories: HashMap<String, History>,
}

/// An instrument whose history is needed to decide.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Ask {
    /// The connection.
    pub connection: String,
    /// The key of the instrument.
    pub instrument: String,
    /// Whether it may be charged by what is decided.
    #[serde(skip)]
    pub may_charge: bool,
    /// The group whose bank may be asked by that, and when.
    #[serde(skip)]
    pub bank_group: Option<String>,
    /// The present instant.
    #[serde(skip)]
    pub at: Timestamp,
}

/// Says of the locked cases which instruments matter to what is decided.
pub type Asker<'a> = &'a (dyn Fn(&Locked) -> Vec<Ask> + Send + Sync);

/// Decides over the locked cases what to write. It is called once for each try, so it must start from scratch each time.
pub type Decider<'a> = &'a mut (dyn FnMut(Found) -> Vec<Written> + Send);

/// One piece of what a transaction writes.
#[derive(Clone, Debug)]
pub enum Written {
    /// A case as it is now, and what goes with it.
    Changed(Box<CaseChange>),
    /// A new case. Where its invoice has an open one already, nothing of it is written.
    Opened(Box<CaseChange>),
    /// How a message ended. Where that is no news, nothing of it is written.
    Notice(NoticeEnd),
    /// How an event of the inbox ended; nothing where it is not pending any more.
    Event(EventEnd),
}

/// A case with all that is committed together with it.
#[derive(Clone, Debug)]
pub struct CaseChange {
    /// The case as it is now.
    pub case: Case,
    /// Whether more than its plan changed, as [`Case::is_restated`] says; else no more is written. A new case is written whole.
    pub restated: bool,
    /// Lines for its timeline, in order.
    pub lines: Vec<Line>,
    /// Rows beside it, in order.
    pub rows: Vec<RowWrite>,
    /// What staff did, for the audit log.
    pub audit: Vec<AuditRow>,
    /// Gives the claim of this number back, unless somebody else holds the case by now.
    pub release: Option<i64>,
    /// The present instant.
    pub at: Timestamp,
}

/// One new line of a timeline.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its id.
    pub id: TimelineId,
    /// When it happened.
    pub at: Timestamp,
    /// Whose doing it was.
    pub actor: String,
    /// What it says.
    pub entry: Entry,
}

/// One row beside a case.
#[derive(Clone, Debug)]
pub enum RowWrite {
    /// The intent to charge. A case that has an open attempt refuses a second one with `Conflict`.
    OpenAttempt(OpenAttempt, Origin),
    /// An attempt that somebody else made; nothing where its charge is on record already.
    RecordAttempt(AttemptId, SeenAttempt, Origin),
    /// How an attempt ended; an ended one stays as it is.
    CloseAttempt(AttemptEnd),
    /// A message to send; nothing where the case had this step before.
    Queue(NewNotice),
    /// Holds back every message that makes sense only while the invoice is open and has not left, and says why.
    HoldBack(&'static str),
    /// Money that moved after the case had ended.
    BookLate(LateKind, Money),
    /// That the customer is back: with which subscription, paid for when.
    WinBack(String, Timestamp),
    /// Something to learn from.
    See(EvidenceId, Evidence),
    /// A transfer of the ledger; nothing where its reference is booked for this case already.
    Book(TransferId, Transfer),
    /// A charge that the ceiling did not allow.
    Block(Blocked),
    /// What a shadow would have planned.
    Shadow(Box<Shadowed>),
    /// A code of a decline that nobody knows: counted.
    UnknownCode(UnknownCode),
    /// What becomes of an act that needs a second person. One that is decided already refuses with `Conflict`.
    Approval(Box<ApprovalWrite>),
}

/// How an attempt ended.
#[derive(Clone, Debug)]
pub struct AttemptEnd {
    /// The attempt.
    pub id: AttemptId,
    /// How it ended.
    pub status: AttemptStatus,
    /// The charge, where known.
    pub charge_id: Option<String>,
    /// Why it was declined.
    pub decline: Option<Decline>,
    /// What was charged, where it is known.
    pub instrument: Option<Instrument>,
}

/// A charge that the ceiling did not allow.
#[derive(Clone, Debug)]
pub struct Blocked {
    /// The id of its row.
    pub id: BlockedId,
    /// What would have been charged.
    pub instrument: Instrument,
    /// The rule.
    pub rule: Rule,
    /// When it may be made; none where it may not.
    pub until: Option<Timestamp>,
}

/// A message to send.
#[derive(Clone, Debug)]
pub struct NewNotice {
    /// The id of its row.
    pub id: NotificationId,
    /// The message.
    pub message: Message,
    /// The step.
    pub step: String,
    /// When it is due.
    pub due_at: Timestamp,
    /// The address of the staff it goes to; a customer's is read of the case when it leaves.
    pub recipient: Option<String>,
}

/// From where a message comes to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndsFrom {
    /// Its queue, or its way to the relay.
    Queue,
    /// Its way to the relay, on which its sender went away.
    Stranded,
    /// The relay, which has it, or may have it.
    Relay,
}

/// How a message ended.
#[derive(Clone, Debug)]
pub struct NoticeEnd {
    /// The message.
    pub id: NotificationId,
    /// The connection of its case.
    pub connection: String,
    /// Its case.
    pub case_id: CaseId,
    /// How it ended.
    pub status: NotificationStatus,
    /// Why.
    pub reason: Option<String>,
    /// Where it must stand for that to be news.
    pub from: EndsFrom,
    /// The line for the timeline.
    pub line: Line,
    /// The present instant.
    pub at: Timestamp,
}

/// Locks the cases, reads what was tried on the instruments that matter, lets `decide` decide over them, writes what it says and commits. Says for each piece whether it was
/// written. Nothing is written on an error, except perhaps on `Uncertain`.
pub async fn commit(
    store: &Store,
    ids: &[CaseId],
    ask: Asker<'_>,
    decide: Decider<'_>,
) -> Result<Vec<bool>, StoreError> {
    let tx = store.begin().await?;
    let cases = cases::lock_all(&tx, ids).await?;
    let asked = ask(&cases);
    instruments::lock(&tx, &asked).await?;
    let mut histories = instruments::read(&tx, &asked).await?;
    if let Some(first) = asked.first() {
        for bank in instruments::banks(&tx, &asked, first.at).await? {
            let history: &mut History = histories.entry(bank.group.connection).or_default();
            history.know_bank(bank.group.bank_group, bank.answers);
        }
    }
    let pieces = decide(Found { cases, histories });
    if pieces.is_empty() {
        return Ok(Vec::new());
    }
    let written = write(&tx, &pieces).await?;
    tx.commit().await?;
    Ok(written)
}

/// Writes all pieces, each kind of row in one statement: first what says whether a piece is news, then what goes with it.
async fn write(tx: &Tx, pieces: &[Written]) -> Result<Vec<bool>, StoreError> {
    let (mut changed, mut new, mut notices, mut events) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for piece in pieces {
        match piece {
            Written::Changed(change) => changed.push(&**change),
            Written::Opened(change) => new.push(&**change),
            Written::Notice(end) => notices.push(end),
            Written::Event(end) => events.push(end),
        }
    }
    cases::save(tx, &changed).await?;
    let mut opened = cases::insert(tx, &new).await?;
    let mut ended = notifications::end(tx, &notices).await?;
    let mut settled = inbox::settle(tx, &events).await?;
    // What two pieces name was written once: for the first of them.
    let written: Vec<bool> = pieces
        .iter()
        .map(|piece| match piece {
            Written::Changed(_) => true,
            Written::Opened(change) => opened.remove(&change.case.id),
            Written::Notice(end) => ended.remove(&end.id),
            Written::Event(end) => settled.remove(end.id()),
        })
        .collect();
    let (mut lines, mut news_beside) = (Vec::new(), Vec::new());
    let news = pieces.iter().zip(&written).filter(|(_, written)| **written);
    for (piece, _) in news {
        match piece {
            Written::Changed(change) | Written::Opened(change) => {
                let case = &change.case;
                lines.extend(change.lines.iter().map(|line| LineOf {
                    connection: &case.connection,
                    case_id: &case.id,
                    line,
                }));
                news_beside.push(&**change);
            }
            Written::Notice(end) => lines.push(LineOf {
                connection: &end.connection,
                case_id: &end.case_id,
                line: &end.line,
            }),
            Written::Event(_) => {}
        }
    }
    timeline::append(tx, &lines).await?;
    beside(tx, &news_beside).await?;
    Ok(written)
}

/// The rows beside the cases: the first of each case, then the second of each, and so on. So the order within a case is
/// kept, and an attempt that ends makes room for the next one.
async fn beside(tx: &Tx, changes: &[&CaseChange]) -> Result<(), StoreError> {
    for nth in 0.. {
        let row = |change: &&CaseChange| change.rows.get(nth).is_some();
        let round: Vec<&CaseChange> = changes.iter().copied().filter(row).collect();
        if round.is_empty() {
            break;
        }
        write_round(tx, &round, nth).await?;
    }
    for entry in changes.iter().flat_map(|change| &change.audit) {
        audit::append(tx, entry).await?;
    }
    unknown_codes::count(tx, changes).await
}

/// One row of each case, in one statement for each kind.
async fn write_round(tx: &Tx, round: &[&CaseChange], nth: usize) -> Result<(), StoreError> {
    let (mut opened, mut recorded, mut closed) = (Vec::new(), Vec::new(), Vec::new());
    let (mut queued, mut superseded, mut booked, mut seen) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut blocked, mut shadowed) = (Vec::new(), Vec::new());
    for CaseChange { case, rows, at, .. } in round {
        match &rows[nth] {
            RowWrite::OpenAttempt(attempt, origin) => opened.push((case, attempt, *origin)),
            RowWrite::RecordAttempt(id, seen, origin) => recorded.push((id, case, seen, *origin, *at)),
            RowWrite::CloseAttempt(end) => closed.push((&case.id, end, *at)),
            RowWrite::Queue(notice) => queued.push((case, notice, *at)),
            RowWrite::HoldBack(reason) => superseded.push((&case.id, *reason, *at)),
            RowWrite::BookLate(kind, amount) => late::book(tx, case, *kind, *amount, *at).await?,
            RowWrite::WinBack(subscription, at) => win_back::record(tx, case, subscription, *at).await?,
            RowWrite::See(id, evidence) => seen.push((case, id, evidence)),
            RowWrite::Book(id, transfer) => booked.push((case, id, transfer, *at)),
            RowWrite::Block(one) => blocked.push((case, one, *at)),
            RowWrite::Shadow(both) => shadowed.push((case, &**both, *at)),
            RowWrite::Approval(what) => approvals::write(tx, case, what, *at).await?,
            // All cases share these rows: they are written last, so that nobody waits for them long.
            RowWrite::UnknownCode(_) => {}
        }
    }
    attempts::close(tx, &closed).await?;
    instruments::close(tx, &closed).await?;
    attempts::open(tx, &opened).await?;
    instruments::open(tx, &opened).await?;
    let news = attempts::record(tx, &recorded).await?;
    recorded.retain(|(id, ..)| news.contains(*id));
    instruments::record(tx, &recorded).await?;
    instruments::block(tx, &blocked).await?;
    notifications::hold_back(tx, &superseded).await?;
    notifications::queue(tx, &queued).await?;
    learning::see(tx, &seen).await?;
    shadows::keep(tx, &shadowed).await?;
    ledger::book(tx, &booked).await
}
