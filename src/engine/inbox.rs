//! Events that were made durable: each ends `processed`, `ignored` with a reason, or `dead`.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use jiff::Timestamp;
use metrics::counter;

use super::handle::{ENGINE, Handled, Opened, Request, handle, open_case};
use super::pump::Work;
use super::{Connection, Inner, courtesies, desk};
use crate::clock::Stopwatch;
use crate::domain::calendar::secs_from;
use crate::domain::case::{Case, Contact};
use crate::domain::command::Reason;
use crate::domain::event::{Answer, Event, LookCause, Subscribed};
use crate::domain::ids::CaseId;
use crate::domain::money::Money;
use crate::domain::mutant::alive;
use crate::domain::snapshot::{InvoiceStatus, Snapshot};
use crate::providers::{Hint, NormalizedEvent, PaymentHint, ReadError};
use crate::store::StoreError;
use crate::store::inbox::{EventEnd, InboxRow, InboxStatus};
use crate::telemetry::metric;

/// After so many tries an event that we cannot handle is dead: visible, and re-runnable.
const TRIES_MAX: u32 = 10;
/// After so many tries an event is dead even if only the provider was out of reach (more than a week at one an hour).
const TRIES_MAX_OUT_OF_REACH: u32 = 200;

/// How one event ended.
enum End {
    Processed,
    Ignored(String),
    Dead(String),
    /// Tried again later: why, and whether only the provider was out of reach.
    Later(String, bool),
}

/// The queue of events.
pub struct Events<'a>(pub &'a Inner);

impl Work for Events<'_> {
    type Row = InboxRow;

    async fn claim(&self, limit: u64) -> Result<Vec<InboxRow>, StoreError> {
        let Self(inner) = self;
        if !inner.gate.trusts(inner.now()) {
            return Ok(Vec::new());
        }
        inner.storage.claim_events(inner.now(), limit, inner.lease()).await
    }

    async fn one(&self, row: InboxRow, _: Stopwatch) {
        one(self.0, row).await;
    }
}

async fn one(inner: &Inner, row: InboxRow) {
    crate::failpoint!("event_claimed");
    if alive("event_ended_first") {
        let _ = record(inner, &row, End::Processed).await;
    }
    let end = match AssertUnwindSafe(process(inner, &row)).catch_unwind().await {
        Ok(Ok(end)) => end,
        Ok(Err(error)) => End::Later(error.to_string(), error.is_transient()),
        Err(_) => End::Later("handling it panicked".to_owned(), false),
    };
    crate::failpoint!("event_handled");
    if let Err(error) = record(inner, &row, end).await {
        tracing::error!(inbox_id = %row.id, %error, "the end of an event could not be written; its lease runs out");
    }
}

async fn record(inner: &Inner, row: &InboxRow, end: End) -> Result<(), StoreError> {
    let at = inner.now();
    let id = row.id.clone();
    let (status, reason) = match end {
        End::Processed => (InboxStatus::Processed, None),
        End::Ignored(reason) => (InboxStatus::Ignored, Some(reason)),
        End::Dead(reason) => (InboxStatus::Dead, Some(reason)),
        End::Later(reason, out_of_reach) => {
            let limit = if out_of_reach {
                TRIES_MAX_OUT_OF_REACH
            } else {
                TRIES_MAX
            };
            if row.tries.saturating_add(1) < limit && !alive("failed_event_dropped") {
                let wait = (60_i64 << row.tries.min(6)).min(3600);
                let next_at = secs_from(at, wait);
                let deferred = EventEnd::Deferred { id, next_at, reason };
                desk::submit(inner, Request::EventEnd(deferred)).await?;
                crate::failpoint!("event_deferred");
                return Ok(());
            }
            (InboxStatus::Dead, Some(reason))
        }
    };
    counter!(metric::EVENTS_FINISHED, "end" => status.as_str()).increment(1);
    tracing::info!(inbox_id = %row.id, kind = row.kind, status = status.as_str(), reason, "event ended");
    desk::submit(inner, Request::EventEnd(EventEnd::Ended { id, status, reason, at })).await?;
    crate::failpoint!("event_ended");
    Ok(())
}

async fn process(inner: &Inner, row: &InboxRow) -> Result<End, StoreError> {
    let Some(connection) = inner.connections.get(&row.connection) else {
        return Ok(End::Dead("its connection is not configured".to_owned()));
    };
    let event = match connection.provider.normalize(&row.body) {
        Ok(event) => event,
        Err(error) => return Ok(End::Dead(error.to_string())),
    };
    let ours = connection.provider.capabilities().livemode;
    if let (Some(ours), Some(theirs)) = (ours, event.livemode)
        && ours != theirs
    {
        return Ok(End::Ignored("livemode_mismatch".to_owned()));
    }
    match act(inner, connection, &event).await {
        Ok(end) => Ok(end),
        Err(Stop::Store(error)) => Err(error),
        Err(Stop::Read(ReadError::NotFound)) => Ok(End::Ignored("unknown_to_provider".to_owned())),
        Err(Stop::Read(error)) => Ok(End::Later(error.to_string(), true)),
    }
}

/// Why an event could not be handled now.
pub(super) enum Stop {
    Store(StoreError),
    Read(ReadError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<ReadError> for Stop {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

async fn act(inner: &Inner, connection: &Connection, event: &NormalizedEvent) -> Result<End, Stop> {
    match &event.hint {
        Hint::Invoice { invoice_id, failure } => {
            let key = event.paid_by_key.as_deref();
            let looked = look(inner, connection, invoice_id, *failure, key).await?;
            match &event.subscribed {
                Some(subscribed) => won_back(inner, connection, subscribed, event.created_at, looked).await,
                None => Ok(looked),
            }
        }
        Hint::Payment {
            invoice_id,
            payment_id,
            charge_id,
            what,
        } => {
            let invoice = match invoice_id {
                Some(invoice) => Some(invoice.clone()),
                None => {
                    connection
                        .provider
                        .invoice_of(payment_id.as_deref(), charge_id.as_deref())
                        .await?
                }
            };
            match invoice {
                Some(invoice) => payment(inner, connection, &invoice, *what).await,
                None => Ok(End::Ignored("no_invoice".to_owned())),
            }
        }
        Hint::Subscription { subscription_id } => {
            let ids = inner
                .storage
                .cases_of_subscription(&connection.name, subscription_id)
                .await?;
            look_at_each(inner, connection, ids).await
        }
        Hint::PaymentMethod {
            customer_id,
            payment_method,
            fingerprint,
            instrument,
            renewed,
        } => {
            let changed = Event::MethodChanged {
                payment_method: payment_method.clone(),
                fingerprint: fingerprint.clone(),
                instrument: instrument.clone(),
                renewed: *renewed,
                at: event.created_at,
            };
            let mut ends = Vec::new();
            for id in inner.storage.cases_of_customer(&connection.name, customer_id).await? {
                ends.push(handle(inner, &id, changed.clone(), ENGINE).await?);
            }
            Ok(together(&ends))
        }
        Hint::Upcoming(upcoming) => Ok(match courtesies::plan(inner, connection, upcoming).await? {
            None => End::Processed,
            Some(reason) => End::Ignored(reason.to_owned()),
        }),
        Hint::Customer { customer_id } => contact(inner, connection, customer_id).await,
        Hint::Unhandled => Ok(End::Ignored("type_not_handled".to_owned())),
    }
}

/// Reads an invoice again and brings what it says to its case, or opens one. `key` is that of the request that paid it, where
/// the event names it.
async fn look(
    inner: &Inner,
    connection: &Connection,
    invoice_id: &str,
    failure: bool,
    key: Option<&str>,
) -> Result<End, Stop> {
    let known = inner.storage.case_of_invoice(&connection.name, invoice_id).await?;
    if known.is_none() && !failure {
        return Ok(End::Ignored("no_case".to_owned()));
    }
    let snapshot = inner.snapshot(connection, invoice_id).await?;
    let known = match known {
        Some(id) => Some(id),
        None => match open_case(inner, connection, &snapshot).await? {
            Opened::New => return Ok(End::Processed),
            Opened::None(reason) => return Ok(End::Ignored(reason.to_string())),
            Opened::Exists => inner.storage.case_of_invoice(&connection.name, invoice_id).await?,
        },
    };
    let Some(id) = known else {
        return Ok(End::Later("its case is being opened".to_owned(), true));
    };
    let answered = match key {
        Some(key) => {
            let case = inner.storage.case(&id).await?;
            case.and_then(|case| answered_by_event(&case, &snapshot, key))
        }
        None => None,
    };
    let event = answered.unwrap_or_else(|| Event::Looked {
        snapshot: Box::new(snapshot),
        cause: LookCause::Hint,
    });
    let handled = handle(inner, &id, event, ENGINE).await?;
    Ok(together(&[handled]))
}

/// The first invoice of a subscription was paid: if the customer had lost one, that is won back. Else the event ends as its look at the
/// invoice did.
async fn won_back(
    inner: &Inner,
    connection: &Connection,
    subscribed: &Subscribed,
    told_at: Option<Timestamp>,
    looked: End,
) -> Result<End, Stop> {
    let at = told_at.unwrap_or_else(|| inner.now());
    let lost = inner
        .storage
        .cases_to_win_back(&connection.name, subscribed, at)
        .await?;
    let mut ends = Vec::new();
    for id in lost {
        let event = Event::Subscribed {
            subscription_id: subscribed.subscription_id.clone(),
            at,
        };
        ends.push(handle(inner, &id, event, ENGINE).await?);
    }
    Ok(match looked {
        End::Ignored(_) if !ends.is_empty() => together(&ends),
        looked => looked,
    })
}

/// The answer to a charge of ours that an event brings: the invoice is paid, by the request that had the key of an attempt
/// whose end nobody saw. Without it only the times of charge and payment would tell whose doing the money was.
fn answered_by_event(case: &Case, snapshot: &Snapshot, key: &str) -> Option<Event> {
    let attempt = [case.open_attempt(), case.memory.unclear.as_ref()]
        .into_iter()
        .flatten()
        .find(|attempt| attempt.id.as_str() == key)?;
    let fits = case.paid_since(snapshot) == Some(attempt.amount);
    fits.then(|| Event::Answered {
        attempt: attempt.id.clone(),
        answer: Answer::Succeeded {
            charge_id: snapshot.paying_charge(),
        },
    })
}

async fn look_at_each(inner: &Inner, connection: &Connection, ids: Vec<CaseId>) -> Result<End, Stop> {
    let mut ends = Vec::new();
    for id in ids {
        let Some(case) = inner.storage.case(&id).await? else {
            continue;
        };
        let snapshot = inner.snapshot(connection, &case.invoice_id).await?;
        let event = Event::Looked {
            snapshot: Box::new(snapshot),
            cause: LookCause::Hint,
        };
        ends.push(handle(inner, &id, event, ENGINE).await?);
    }
    Ok(together(&ends))
}

async fn payment(inner: &Inner, connection: &Connection, invoice: &str, what: PaymentHint) -> Result<End, Stop> {
    match what {
        PaymentHint::Failed => look(inner, connection, invoice, true, None).await,
        PaymentHint::Disputed => disputed(inner, connection, invoice).await,
        PaymentHint::Refunded => refunded(inner, connection, invoice).await,
    }
}

/// A dispute concerns the case of its invoice, and every open case of the same subscription: who disputes one month's
/// charge is not charged or dunned for the next.
async fn disputed(inner: &Inner, connection: &Connection, invoice: &str) -> Result<End, Stop> {
    let mut concerned: Vec<CaseId> = inner
        .storage
        .case_of_invoice(&connection.name, invoice)
        .await?
        .into_iter()
        .collect();
    let snapshot = inner.snapshot(connection, invoice).await?;
    let subscription = snapshot.subscription_id.clone();
    if let Some(id) = concerned.first() {
        money_first(inner, id, snapshot).await?;
    }
    if let Some(subscription) = subscription {
        let others = inner
            .storage
            .cases_of_subscription(&connection.name, &subscription)
            .await?;
        concerned.extend(
            others
                .into_iter()
                .filter(|id| !concerned.contains(id))
                .collect::<Vec<_>>(),
        );
    }
    let mut ends = Vec::new();
    for id in concerned {
        ends.push(handle(inner, &id, Event::Disputed, ENGINE).await?);
    }
    Ok(together(&ends))
}

async fn refunded(inner: &Inner, connection: &Connection, invoice: &str) -> Result<End, Stop> {
    let Some(id) = inner.storage.case_of_invoice(&connection.name, invoice).await? else {
        return Ok(End::Ignored("no_case".to_owned()));
    };
    let snapshot = inner.snapshot(connection, invoice).await?;
    let refunded = snapshot.payment.as_ref().map_or(0, |payment| payment.refunded_minor);
    if refunded <= 0 {
        return Ok(End::Ignored(Reason::NothingNew.to_string()));
    }
    let event = Event::Refunded {
        amount: Money::new(refunded, snapshot.amount_paid.currency),
    };
    money_first(inner, &id, snapshot).await?;
    Ok(together(&[handle(inner, &id, event, ENGINE).await?]))
}

/// Money that is taken back came before: where the event that told of it was lost, the invoice tells of it now.
async fn money_first(inner: &Inner, id: &CaseId, snapshot: Snapshot) -> Result<(), Stop> {
    if snapshot.status == InvoiceStatus::Paid {
        let event = Event::Looked {
            snapshot: Box::new(snapshot),
            cause: LookCause::Hint,
        };
        handle(inner, id, event, ENGINE).await?;
    }
    Ok(())
}

async fn contact(inner: &Inner, connection: &Connection, customer_id: &str) -> Result<End, Stop> {
    let mut ends = Vec::new();
    for id in inner.storage.cases_of_customer(&connection.name, customer_id).await? {
        let Some(case) = inner.storage.case(&id).await? else {
            continue;
        };
        let customer = inner.snapshot(connection, &case.invoice_id).await?.customer;
        let zone = customer.local_zone().map(str::to_owned);
        let contact = Contact {
            email: customer.email,
            alternate: customer.alternate,
            name: customer.name,
            locale: customer.locale,
        };
        ends.push(handle(inner, &id, Event::ContactChanged { contact, zone }, ENGINE).await?);
    }
    Ok(together(&ends))
}

/// An event that concerns several cases is processed where it changed one of them.
fn together(ends: &[Handled]) -> End {
    let mut reason = "no_case".to_owned();
    for end in ends {
        match end {
            Handled::Changed(_) => return End::Processed,
            Handled::Ignored(why) => reason = why.to_string(),
            Handled::Gone => {}
        }
    }
    End::Ignored(reason)
}
