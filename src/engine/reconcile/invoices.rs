//! Cases against the provider's invoices, and attempts that stand open.

use std::pin::Pin;

use futures_util::future::join_all;
use jiff::Timestamp;

use super::{DAILY_SECS, HOURLY_SECS, READS_MAX, Ran, YOUNG_SECS};
use crate::domain::calendar::secs_from;
use crate::domain::case::{Case, OpenAttempt, State};
use crate::domain::event::{Event, LookCause};
use crate::domain::ids::CaseId;
use crate::domain::snapshot::{InvoiceStatus, Snapshot};
use crate::engine::handle::{ENGINE, Handled, Opened, handle, open_case};
use crate::engine::stretch::Stretch;
use crate::engine::{Connection, Inner};
use crate::providers::{ListError, ReadError};
use crate::store::StoreError;
use crate::store::drift::{OpenCase, OpenSince};

/// An attempt that is open for longer is looked at.
const OPEN_SECS: i64 = 300;
/// After this long an attempt must have ended, or a person must know of it.
const UNRESOLVED_SECS: i64 = 72 * HOURLY_SECS + HOURLY_SECS;
/// A case with an open attempt is looked at within this time, or its timers went wrong.
const NEXT_LOOK_SECS: i64 = 2 * HOURLY_SECS;
/// The most attempts of one turn.
const ATTEMPTS_MAX: u64 = 200;
/// The most invoices that one turn of five minutes reads: with more than 14,400 open cases a round takes longer than a
/// day.
const LOOKS_MAX: i64 = 50;
/// How often those are asked for again that could not be read while all the others could.
const ROUNDS_MAX: usize = 4;
/// How many invoices are read at the same time.
const SIDE_BY_SIDE: usize = 8;
/// The open cases that are fetched with one statement.
const PAGE: u64 = 500;

/// Attempts that stand open: each is either about to be looked at, or mended so that it is, or given to a person. Calls the
/// provider only for those whose timers went wrong.
pub(super) async fn open_attempts(inner: &Inner) -> Result<u64, StoreError> {
    let before = secs_from(inner.now(), -OPEN_SECS);
    let mut found = 0;
    let mut cases = Vec::new();
    for open in inner.storage.open_attempts(before, ATTEMPTS_MAX).await? {
        if let Some(case) = inner.storage.case(&open.case_id).await? {
            cases.push((case, open));
        }
    }
    if cases.is_empty() {
        return Ok(0);
    }
    // One that was closed since then says nothing; a closed one never opens again.
    let still = inner.storage.open_attempts(before, ATTEMPTS_MAX).await?;
    cases.retain(|(_, open)| still.contains(open));
    for (case, open) in cases {
        if let Some(event) = mend(inner, &case, &open).await? {
            let handled = handle(inner, &case.id, event, ENGINE).await?;
            if matches!(handled, Handled::Changed(_)) {
                tracing::error!(case_id = %case.id, attempt_id = %open.attempt, "an attempt stood open for too long");
                found += 1;
            }
        }
    }
    Ok(found)
}

/// What an attempt that stands open needs, if anything.
async fn mend(inner: &Inner, case: &Case, open: &OpenSince) -> Result<Option<Event>, StoreError> {
    let now = inner.now();
    let ours = |attempt: &OpenAttempt| attempt.id == open.attempt;
    if !case.open_attempt().is_some_and(ours) {
        return Ok(Some(Event::AttemptStray {
            attempt: open.attempt.clone(),
        }));
    }
    // The provider works on it for days, and the case is watched daily.
    let (slow, limit) = match &case.state {
        State::Processing { .. } => (true, DAILY_SECS + HOURLY_SECS),
        State::Active
        | State::Charging { .. }
        | State::InDoubt { .. }
        | State::Paused { .. }
        | State::NeedsPerson
        | State::Ending { .. }
        | State::Closed { .. } => (false, NEXT_LOOK_SECS),
    };
    if !slow && secs_from(open.started_at, UNRESOLVED_SECS) <= now {
        return Ok(Some(Event::OutOfReach {
            reason: "it could not be resolved in time".to_owned(),
            retry_after: None,
            refused: false,
        }));
    }
    if case.next_action().is_some_and(|next| next.at <= secs_from(now, limit)) {
        return Ok(None);
    }
    let Some(connection) = inner.connections.get(&case.connection) else {
        return Ok(None);
    };
    let read = connection.provider.snapshot(&case.invoice_id);
    Ok(inner.unless_stopping(read).await.ok().map(hint))
}

/// Some of the open cases: so many that all of them are read once a day, whatever their number.
pub(super) async fn some_open_cases(inner: &Inner, mark: &str) -> Result<Ran, StoreError> {
    let now = inner.now();
    let (since, cursor) = mark.split_once(' ').unwrap_or((mark, ""));
    let since: Timestamp = since.parse().unwrap_or(now);
    let count: u64 = inner.storage.count_open().await?.iter().map(|(_, count)| *count).sum();
    let elapsed = now.duration_since(since).as_secs().clamp(0, DAILY_SECS);
    let share = i64::try_from(count).unwrap_or(i64::MAX).saturating_mul(elapsed) / DAILY_SECS;
    if share == 0 {
        return Ok(Ran {
            found: 0,
            mark: mark.to_owned(),
            complete: true,
        });
    }
    let limit = u64::try_from(share.min(LOOKS_MAX)).unwrap_or(0);
    let after = (!cursor.is_empty()).then(|| CaseId::from(cursor.to_owned()));
    // What was written within half a day was read then.
    let untouched = secs_from(now, -DAILY_SECS / 2);
    let mut cases = inner.storage.open_cases(after.as_ref(), untouched, limit).await?;
    if after.is_some() && (cases.len() as u64) < limit {
        // The round is over, and the next one begins.
        let left = limit - cases.len() as u64;
        let mut first = inner.storage.open_cases(None, untouched, left).await?;
        first.retain(|case| !cases.iter().any(|known| known.id == case.id));
        cases.extend(first);
    }
    let last = cases.last().map(|case| case.id.to_string());
    let (found, left) = look_at(inner, cases).await?;
    Ok(Ran {
        found,
        mark: format!("{now} {}", last.unwrap_or_default()),
        complete: left.is_empty(),
    })
}

/// All of the open cases; says whether each invoice could be read.
pub(super) async fn every_open_case(inner: &Inner) -> Result<bool, StoreError> {
    let (mut after, mut count) = (None, 0);
    let mut unread = Vec::new();
    loop {
        let cases = inner.storage.open_cases(after.as_ref(), inner.now(), PAGE).await?;
        let Some(last) = cases.last() else { break };
        after = Some(last.id.clone());
        count += cases.len();
        let (found, left) = look_at(inner, cases).await?;
        super::count(super::Job::Invoices, found);
        unread.extend(left);
        if inner.is_stopping() {
            return Ok(false);
        }
    }
    // Where a few of many could not be read, the provider is there: they are asked for again, and not all of them anew.
    for _ in 0..ROUNDS_MAX {
        if unread.is_empty() || unread.len() * 10 > count {
            break;
        }
        let (found, left) = look_at(inner, unread).await?;
        super::count(super::Job::Invoices, found);
        unread = left;
    }
    Ok(unread.is_empty())
}

/// Brings an event to each open case.
pub(super) async fn tell_every_open_case(inner: &Inner, event: &Event) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let cases = inner.storage.open_cases(after.as_ref(), inner.now(), PAGE).await?;
        let Some(last) = cases.last() else {
            return Ok(());
        };
        after = Some(last.id.clone());
        for case in &cases {
            handle(inner, &case.id, event.clone(), ENGINE).await?;
        }
    }
}

/// Reads the invoices of cases; says how many ended by news that no event had brought, and which could not be read.
async fn look_at(inner: &Inner, cases: Vec<OpenCase>) -> Result<(u64, Vec<OpenCase>), StoreError> {
    type Look<'a> = Pin<Box<dyn Future<Output = Result<Option<bool>, StoreError>> + Send + 'a>>;
    let mut found = 0;
    let mut read = Vec::with_capacity(cases.len());
    for some in cases.chunks(SIDE_BY_SIDE) {
        if inner.is_stopping() {
            break;
        }
        let looks = some.iter().map(|case| Box::pin(look(inner, case)) as Look<'_>);
        for look in join_all(looks.collect::<Vec<_>>()).await {
            let look = look?;
            found += u64::from(look == Some(true));
            read.push(look.is_some());
        }
    }
    let read = read.into_iter().chain(std::iter::repeat(false));
    let left = cases.into_iter().zip(read).filter(|(_, read)| !read);
    Ok((found, left.map(|(case, _)| case).collect()))
}

/// Whether the invoice of a case had news that should have come as an event; nothing where it could not be read.
async fn look(inner: &Inner, case: &OpenCase) -> Result<Option<bool>, StoreError> {
    let Some(connection) = inner.connections.get(&case.connection) else {
        return Ok(Some(false));
    };
    let read = connection.provider.snapshot(&case.invoice_id);
    let snapshot = match inner.unless_stopping(read).await {
        Ok(snapshot) => snapshot,
        // The next step of the case finds that out for itself.
        Err(ReadError::NotFound) => return Ok(Some(false)),
        Err(error) => {
            tracing::warn!(case_id = %case.id, %error, "an invoice could not be read for reconciliation");
            return Ok(None);
        }
    };
    let fresh = news_at(&snapshot).is_some_and(|at| at > secs_from(inner.now(), -YOUNG_SECS));
    let handled = handle(inner, &case.id, hint(snapshot), ENGINE).await?;
    let ended = matches!(&handled, Handled::Changed(change) if change.case.outcome().is_some());
    if ended && !fresh {
        tracing::error!(case_id = %case.id, "the invoice of an open case was settled, and no event had told of it");
    }
    Ok(Some(ended && !fresh))
}

/// When the news of a snapshot came about, where it says so.
fn news_at(snapshot: &Snapshot) -> Option<Timestamp> {
    let ended = snapshot.subscription.as_ref().and_then(|seen| seen.canceled_at);
    snapshot.paid_at.or(ended)
}

/// Failed invoices without a case: the provider may never have made an event of them. One list a connection, then one read
/// for each invoice that is not ours, newest first.
pub(super) async fn missing(inner: &Inner, mark: &str) -> Result<Ran, StoreError> {
    let since: Timestamp = mark.parse().unwrap_or(inner.now());
    let (mut found, mut complete) = (0, true);
    for connection in inner.connections.values() {
        let (invoices, whole) = without_case(inner, connection).await?;
        found += open_missing(inner, connection, &invoices, since).await?;
        complete &= whole && !inner.is_stopping();
    }
    Ok(Ran {
        found,
        mark: since.to_string(),
        complete,
    })
}

/// The failed invoices without a case, newest first, however long ago they were made; and whether the list was read to its
/// end.
async fn without_case(inner: &Inner, connection: &Connection) -> Result<(Vec<String>, bool), StoreError> {
    let mut stretch = Stretch::new(Timestamp::UNIX_EPOCH, inner.now());
    let mut pieces = Vec::new();
    let mut whole = true;
    while let Some((from, until)) = stretch.piece() {
        match inner
            .unless_stopping(connection.provider.failed_invoices(from, until))
            .await
        {
            Ok(invoices) => {
                let mut unknown = Vec::new();
                for invoice in invoices {
                    let known = inner.storage.case_of_invoice(&connection.name, &invoice).await?;
                    if known.is_none() {
                        unknown.push(invoice);
                    }
                    if inner.is_stopping() {
                        return Ok((Vec::new(), false));
                    }
                }
                pieces.push(unknown);
                stretch.go_on();
            }
            Err(ListError::TooLong) if stretch.halve() => {}
            Err(ListError::Read(ReadError::NotFound)) => break,
            Err(error) => {
                tracing::warn!(connection = connection.name, %error, "the list of open invoices could not be read");
                whole = false;
                break;
            }
        }
    }
    Ok((pieces.into_iter().rev().flatten().collect(), whole))
}

async fn open_missing(
    inner: &Inner,
    connection: &Connection,
    invoices: &[String],
    since: Timestamp,
) -> Result<u64, StoreError> {
    let mut found = 0;
    if invoices.len() > READS_MAX {
        tracing::warn!(
            connection = connection.name,
            invoices = invoices.len(),
            "more invoices without a case than one turn reads"
        );
    }
    for invoice in invoices.iter().take(READS_MAX) {
        let read = connection.provider.snapshot(invoice);
        let Ok(snapshot) = inner.unless_stopping(read).await else {
            continue;
        };
        let now = inner.now();
        let failed_at = snapshot.payment.as_ref().and_then(|payment| payment.charged_at);
        // What failed before we were here is not ours, and what failed just now is on its way.
        let ours = failed_at.is_some_and(|at| (since..=secs_from(now, -YOUNG_SECS)).contains(&at));
        if ours
            && snapshot.status == InvoiceStatus::Open
            && matches!(open_case(inner, connection, &snapshot).await?, Opened::New)
        {
            tracing::error!(
                connection = connection.name,
                "a failed invoice was found of which no event had told"
            );
            found += 1;
        }
    }
    Ok(found)
}

pub(super) fn hint(snapshot: Snapshot) -> Event {
    Event::Looked {
        snapshot: Box::new(snapshot),
        cause: LookCause::Hint,
    }
}
