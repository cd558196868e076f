//! The weekly digest to staff: made once a week of what the database holds, and sent as all messages are that belong to no case.
//!
//! Nothing remembers that a digest is due. Whoever tends the service looks whether the newest week that is due has its rows, and makes
//! them where it has none: so it is made once however many processes look, and a morning on which none was there is made up for. Only
//! the newest week is: after a long silence one digest comes, and not one for each week of it.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use super::letters::{Slip, end, record};
use super::outbox::{Left, Letter, Queue, hand_over};
use super::pace::{self, Turn, turn_to};
use super::{Connection, Inner, SEND_BEFORE_SECS};
use crate::clock::Stopwatch;
use crate::domain::calendar::{secs_from, zone};
use crate::domain::ids::NotificationId;
use crate::domain::message::Message;
use crate::domain::report::digest::{Attention, Digest, Week, digest};
use crate::links::Links;
use crate::mailer::{Locale, MailContext};
use crate::store::StoreError;
use crate::store::digests::{DigestRow, NewDigest};
use crate::store::inbox::InboxStatus;
use crate::store::letters::Drawer;
use crate::store::notifications::NotificationStatus;

/// How long a digest waits that could not be made: reading many cases again each second would help nobody.
const AGAIN_SECS: i64 = 600;
/// The state of a case that only a person can bring on.
const NEEDS_PERSON: &str = "needs_person";
/// Why a digest is not sent of a service that has seen no case yet, and in which nothing waits.
const NOTHING: &str = "nothing_to_tell";

/// What this process knows of digests.
#[derive(Default)]
pub(super) struct Known {
    state: Mutex<State>,
}

#[derive(Clone, Default)]
struct State {
    /// The newest week that is known to have its digest.
    week: Option<String>,
    /// Not before this instant is one made.
    not_before: Option<Timestamp>,
}

/// The connection by whose zone weeks end and in whose language staff are written to. The first one, where there are several.
fn home(inner: &Inner) -> Option<&Connection> {
    inner.connections.values().next()
}

/// The newest week whose digest is due; none where nobody is written to.
fn newest_due(inner: &Inner) -> Option<Week> {
    let home = home(inner).filter(|_| !inner.staff.is_empty())?;
    Some(Week::newest_due(inner.now(), &zone(&home.default_zone)))
}

/// When the next digest is due.
pub(super) fn next_due(inner: &Inner) -> Option<Timestamp> {
    newest_due(inner).map(|week| week.next_due_at())
}

/// Makes the digest of the newest week that is due, where nobody did.
pub(super) async fn plan(inner: &Inner) -> Result<(), StoreError> {
    let now = inner.now();
    let Some(week) = newest_due(inner).filter(|_| inner.gate.is_open(now)) else {
        return Ok(());
    };
    let known = {
        let state = inner.digests.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.week == Some(week.label()) || state.not_before.is_some_and(|at| now < at)
    };
    if known {
        return Ok(());
    }
    let made = make(inner, &week).await;
    let mut state = inner.digests.state.lock().unwrap_or_else(PoisonError::into_inner);
    match made {
        Ok(()) => state.week = Some(week.label()),
        Err(error) => {
            tracing::error!(week = week.label(), %error, "the weekly digest could not be made; it is tried again");
            state.not_before = Some(secs_from(now, AGAIN_SECS));
        }
    }
    Ok(())
}

async fn make(inner: &Inner, week: &Week) -> Result<(), StoreError> {
    let label = week.label();
    if inner.storage.has_digest(&label).await? {
        return Ok(());
    }
    let span = week.span();
    let cases = inner.storage.digest_cases(span).await?;
    let open = inner.storage.count_open().await?.into_iter();
    let events = inner.storage.count_events().await?.into_iter();
    let attention = Attention {
        needs_person: open
            .filter(|(state, _)| state == NEEDS_PERSON)
            .map(|(_, count)| count)
            .sum(),
        dead_events: events
            .filter(|(status, _)| *status == InboxStatus::Dead)
            .map(|(_, count)| count)
            .sum(),
        undelivered: inner.storage.undelivered(span.closed_from, span.until).await?,
    };
    let facts = digest(&cases, week, attention).map_err(|error| StoreError::Other(error.to_string()))?;
    let to = inner.staff.iter().map(|address| {
        let id = NotificationId::new(inner.now_ms(), inner.clock.entropy());
        (id, address.clone())
    });
    let new = NewDigest {
        week: &label,
        to: &to.collect::<Vec<_>>(),
        // A service without a case has nothing to tell; a quiet week of one that works is told, so that silence means a fault.
        unsent: facts.is_empty().then_some(NOTHING),
        facts: &facts,
        at: inner.now(),
    };
    if inner.storage.queue_digest(&new).await? {
        tracing::info!(week = label, sent = new.unsent.is_none(), "the weekly digest was made");
        inner.bells.letters.notify_one();
    }
    Ok(())
}

pub(super) fn slip(row: &DigestRow) -> Slip<'_> {
    Slip {
        drawer: Drawer::Digests,
        id: &row.id,
        message: Message::StaffDigest,
        tries: row.tries,
    }
}

pub(super) async fn deliver(inner: &Inner, row: &DigestRow, claimed: &Stopwatch) -> Result<(), StoreError> {
    let stale = match (home(inner), newest_due(inner)) {
        (Some(home), Some(week)) if inner.staff.contains(&row.recipient) => {
            if week.label() == row.week {
                return send(inner, home, row, claimed).await;
            }
            "a newer week is due"
        }
        _ => "its address is not configured",
    };
    end(inner, slip(row), NotificationStatus::Superseded, Some(stale.to_owned())).await
}

async fn send(inner: &Inner, home: &Connection, row: &DigestRow, claimed: &Stopwatch) -> Result<(), StoreError> {
    let put_back = async |at| {
        let storage = &inner.storage;
        storage
            .put_letter_back(Drawer::Digests, &row.id, at, pace::WAITS, false)
            .await
    };
    let _lane = match turn_to(inner, &row.recipient, &row.id, row.reason.as_deref()).await {
        Turn::Go(lane) if claimed.elapsed().as_secs() < SEND_BEFORE_SECS => lane,
        Turn::Go(_) => return put_back(inner.now()).await,
        Turn::Wait(at) => return put_back(at).await,
    };
    let locale = Locale::pick(None, Some(&home.default_locale));
    let rendered = match inner
        .templates
        .render(Message::StaffDigest, 0, locale, &context(inner, home, &row.facts))
    {
        Ok(rendered) => rendered,
        Err(error) => {
            tracing::error!(notification_id = %row.id, %error, "a message could not be rendered");
            let reason = Some("not_rendered".to_owned());
            return end(inner, slip(row), NotificationStatus::Failed, reason).await;
        }
    };
    let letter = Letter {
        id: &row.id,
        to: row.recipient.clone(),
        to_name: None,
        unsubscribe_url: None,
        rendered,
    };
    // What it tells was read when it was made, and does not age.
    match hand_over(inner, Queue::Letters(Drawer::Digests), letter, &inner.clock.stopwatch()).await? {
        Left::Waits => put_back(inner.now()).await,
        Left::NotOurs => Ok(()),
        Left::Answered(outcome) => record(inner, slip(row), outcome).await,
    }
}

fn context(inner: &Inner, home: &Connection, facts: &Digest) -> MailContext {
    let brand = &inner.brand;
    MailContext {
        customer_name: None,
        company_name: brand.company.clone(),
        support_contact: None,
        look: brand.look.clone(),
        amount: facts.at_risk(),
        plan: None,
        wording: None,
        card: None,
        next_retry_at: None,
        ends_at: None,
        paid_at: None,
        action_url: brand.links.as_ref().map(Links::dashboard),
        attempts: 0,
        due_at: None,
        written_at: Some(inner.now()),
        time_zone: Some(home.default_zone.clone()),
        stop_url: None,
        unsubscribe_url: None,
        staff: None,
        digest: Some(facts.clone()),
    }
}
