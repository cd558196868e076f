//! The one place that writes case state: one transaction, under the row lock, together with all that follows.

use metrics::counter;

use super::{Connection, Inner, count};
use crate::clock::entropy;
use crate::domain::case::Case;
use crate::domain::command::{Change, Command, Decision, Entry, EntryKind, Moment, Reason};
use crate::domain::decide::{NoCase, decide, open, open_reversal};
use crate::domain::event::{Event, Opening, StaffAction};
use crate::domain::ids::{AttemptId, AuditId, CaseId, NotificationId, TimelineId};
use crate::domain::snapshot::Snapshot;
use crate::store::audit::AuditRow;
use crate::store::cases::Inserted;
use crate::store::notifications::{NotificationRow, NotificationStatus};
use crate::store::{StoreError, Tx, attempts, audit, cases, late, notifications, timeline};
use crate::telemetry::metric;

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

/// What became of an invoice that may get a case.
#[derive(Debug)]
pub enum Opened {
    /// It has one now.
    New,
    /// It had one already, opened by somebody else in the meantime.
    Exists,
    /// It gets none, and why.
    None(NoCase),
}

/// How often a change is tried where the database let go of it before the commit: a deadlock, a lock not had in time.
const TRIES_MAX: u32 = 3;

/// Brings one event to one case.
pub async fn handle(inner: &Inner, id: &CaseId, event: &Event, actor: &str) -> Result<Handled, StoreError> {
    let Some(seen) = cases::find(inner.store.conn(), id).await? else {
        return Ok(Handled::Gone);
    };
    let campaign = inner.campaign(&seen.campaign).await?;
    let resend_secs = inner.connections.get(&seen.connection).map_or(0, resend_secs);
    let fresh_attempt = AttemptId::new(inner.now_ms(), entropy());
    let moment = Moment {
        now: inner.now(),
        campaign: &campaign,
        fresh_attempt: &fresh_attempt,
        resend_secs,
    };
    let mut tries = 1;
    let (tx, handled) = loop {
        match prepare(inner, id, event, actor, &moment).await {
            // What was not committed is gone, so the same may be done again.
            Err(error) if error.is_transient() && tries < TRIES_MAX => tries += 1,
            done => break done?,
        }
    };
    if let Handled::Changed(change) = &handled {
        tx.commit().await?;
        told(change);
    }
    Ok(handled)
}

/// Decides and writes, all but the commit.
async fn prepare(
    inner: &Inner,
    id: &CaseId,
    event: &Event,
    actor: &str,
    moment: &Moment<'_>,
) -> Result<(Tx, Handled), StoreError> {
    let tx = inner.store.begin().await?;
    let Some(case) = cases::lock(&tx, id).await? else {
        return Ok((tx, Handled::Gone));
    };
    let change = match decide(&case, event, moment) {
        Decision::Changed(change) => change,
        Decision::Ignored(reason) => return Ok((tx, Handled::Ignored(reason))),
    };
    cases::save(&tx, &change.case, moment.now).await?;
    record(inner, &tx, &change, moment, actor).await?;
    if let Event::Staff { action, comment, .. } = event {
        audited(inner, &tx, id, action, actor, comment.as_deref()).await?;
    }
    Ok((tx, Handled::Changed(change)))
}

/// Opens a case for an invoice whose charge failed, unless it has one or needs none.
pub async fn open_case(inner: &Inner, connection: &Connection, snapshot: &Snapshot) -> Result<Opened, StoreError> {
    let campaign = inner.campaign_for_new_cases().await?;
    let now = inner.now();
    let fresh_attempt = AttemptId::new(inner.now_ms(), entropy());
    let moment = Moment {
        now,
        campaign: &campaign,
        fresh_attempt: &fresh_attempt,
        resend_secs: resend_secs(connection),
    };
    let opening = Opening {
        connection: connection.name.clone(),
        collector: connection.collector,
        default_zone: connection.default_zone.clone(),
    };
    let id = CaseId::new(inner.now_ms(), entropy());
    let change = match open(id, &opening, snapshot, &moment) {
        Ok(change) => change,
        Err(reason) => return Ok(Opened::None(reason)),
    };
    let tx = inner.store.begin().await?;
    match cases::insert(&tx, &change.case, now).await? {
        Inserted::Exists => return Ok(Opened::Exists),
        Inserted::New => {}
    }
    record(inner, &tx, &change, &moment, ENGINE).await?;
    tx.commit().await?;
    told(&change);
    Ok(Opened::New)
}

/// Writes how a notification ended, with its line in the timeline; nothing where that is no news.
pub async fn end_notice(
    inner: &Inner,
    row: &NotificationRow,
    status: NotificationStatus,
    reason: Option<&str>,
) -> Result<(), StoreError> {
    let tx = inner.store.begin().await?;
    // The case is locked first, as everywhere: whoever took the two in another order could wait for the other for ever.
    cases::lock(&tx, &row.case_id).await?;
    if notifications::end(tx.conn(), &row.id, status, reason, inner.now()).await? {
        note_end(inner, tx, row, status, reason).await?;
    }
    Ok(())
}

/// Marks `unknown` a message whose sender went away while it was sending: it may have left, so it is not sent again.
pub async fn lose_notice(inner: &Inner, row: &NotificationRow) -> Result<(), StoreError> {
    let reason = "the sender went away";
    let tx = inner.store.begin().await?;
    cases::lock(&tx, &row.case_id).await?;
    if notifications::lose(&tx, &row.id, reason, inner.now()).await? {
        note_end(inner, tx, row, NotificationStatus::Unknown, Some(reason)).await?;
    }
    Ok(())
}

async fn note_end(
    inner: &Inner,
    tx: Tx,
    NotificationRow {
        id,
        case_id: case,
        message,
        ..
    }: &NotificationRow,
    status: NotificationStatus,
    reason: Option<&str>,
) -> Result<(), StoreError> {
    let now = inner.now();
    let entry = Entry {
        kind: EntryKind::NoticeEnded,
        text: format!("The message ended: {status}."),
        data: serde_json::json!({"notification": id, "status": status, "reason": reason}),
    };
    timeline::append(
        &tx,
        case,
        &[(TimelineId::new(inner.now_ms(), entropy()), entry)],
        now,
        ENGINE,
    )
    .await?;
    tx.commit().await?;
    counter!(metric::NOTIFICATIONS, "message" => message.as_str(), "result" => status.as_str()).increment(1);
    tracing::info!(case_id = %case, notification_id = %id, status = status.as_str(), reason, "message ended");
    Ok(())
}

/// How long an idempotency key is sent again: 0.8 of its life at the provider.
pub fn resend_secs(connection: &Connection) -> i64 {
    let ttl = connection.provider.capabilities().idempotency_ttl.as_secs();
    i64::try_from(ttl / 5 * 4).unwrap_or(i64::MAX)
}

async fn record(inner: &Inner, tx: &Tx, change: &Change, moment: &Moment<'_>, actor: &str) -> Result<(), StoreError> {
    let case = &change.case;
    append(inner, tx, case, &change.entries, actor).await?;
    for command in &change.commands {
        match command {
            Command::OpenAttempt { attempt, origin } => attempts::open(tx, case, attempt, *origin).await?,
            Command::RecordAttempt { seen, origin } => {
                let id = AttemptId::new(inner.now_ms(), entropy());
                attempts::record(tx, id, case, seen, *origin).await?;
            }
            Command::CloseAttempt {
                id,
                status,
                charge_id,
                decline,
            } => {
                attempts::close(tx, id, *status, charge_id.as_deref(), decline.as_ref(), moment.now).await?;
            }
            Command::Notify { message, step } => {
                let id = NotificationId::new(inner.now_ms(), entropy());
                notifications::queue(tx, &id, case, *message, step, moment.now).await?;
            }
            Command::SupersedeNotices { reason } => {
                notifications::supersede_dunning(tx, &case.id, moment.now, reason.as_str()).await?;
            }
            Command::BookLate { kind, amount } => late::book(tx, case, *kind, *amount, moment.now).await?,
            Command::OpenReversal => {
                let id = CaseId::new(inner.now_ms(), entropy());
                let reversal = open_reversal(id, case, moment);
                match cases::insert(tx, &reversal.case, moment.now).await? {
                    Inserted::New => append(inner, tx, &reversal.case, &reversal.entries, actor).await?,
                    // The invoice is chased already; the booking above tells of the dispute.
                    Inserted::Exists => {}
                }
            }
            // These are carried out by the worker that holds the lease, after the commit.
            Command::Resend { .. } | Command::Finish => {}
        }
    }
    Ok(())
}

async fn append(inner: &Inner, tx: &Tx, case: &Case, entries: &[Entry], actor: &str) -> Result<(), StoreError> {
    let line = |entry: &Entry| (TimelineId::new(inner.now_ms(), entropy()), entry.clone());
    let lines: Vec<_> = entries.iter().map(line).collect();
    timeline::append(tx, &case.id, &lines, inner.now(), actor).await
}

async fn audited(
    inner: &Inner,
    tx: &Tx,
    id: &CaseId,
    action: &StaffAction,
    actor: &str,
    comment: Option<&str>,
) -> Result<(), StoreError> {
    let entry = AuditRow {
        id: AuditId::new(inner.now_ms(), entropy()),
        at: inner.now(),
        actor: actor.to_owned(),
        action: action.as_str().to_owned(),
        object: id.to_string(),
        comment: comment.map(str::to_owned),
    };
    audit::append(tx, &entry).await
}

/// Tells operators of a committed change: a line for each entry, and the counters.
fn told(change: &Change) {
    let case = &change.case;
    count::change(change);
    for entry in &change.entries {
        tracing::info!(case_id = %case.id, state = case.state_word(), kind = entry.kind.as_str(), "{}", entry.text);
    }
}
