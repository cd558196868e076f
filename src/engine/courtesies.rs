//! Messages that belong to no case: a card that will have died when a subscription is charged next. They leave by the same pace, the
//! same hand and the same truth about what became of them as those of a case.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use metrics::counter;

use super::inbox::Stop;
use super::outbox::{Left, Letter, PUT_BACK_LONG_SECS, QUIET, Queue, RETRY_SECS, hand_over};
use super::pace::{self, Turn, turn_to};
use super::pump::{CLAIMED_MAX, Work};
use super::reach::suppress;
use super::{Connection, Inner, SEND_BEFORE_SECS};
use crate::clock::Stopwatch;
use crate::domain::calendar::secs_from;
use crate::domain::command::Reason;
use crate::domain::ids::NotificationId;
use crate::domain::message::Message;
use crate::domain::renewal::{CardOnFile, Renewal, Silence, Upcoming};
use crate::domain::suppression::{SuppressionScope, SuppressionWhy};
use crate::mailer::context::Card;
use crate::mailer::{Locale, MailContext, SendOutcome};
use crate::providers::ReadError;
use crate::store::StoreError;
use crate::store::courtesies::{CourtesyEnd, CourtesyFacts, CourtesyRow, NewCourtesy};
use crate::store::notifications::NotificationStatus;
use crate::telemetry::metric;

/// Who is chased is written to already.
const CASE_OPEN: &str = "case_open";

/// Queues a word about the card of a renewal that the provider announces, or says why nobody is written to.
pub(super) async fn plan(
    inner: &Inner,
    connection: &Connection,
    upcoming: &Upcoming,
) -> Result<Option<&'static str>, Stop> {
    if !upcoming.automatic {
        return Ok(Some(Silence::NotAutomatic.as_str()));
    }
    if upcoming.amount.amount_minor <= 0 {
        return Ok(Some(Silence::NothingDue.as_str()));
    }
    if is_chased(inner, &connection.name, &upcoming.customer_id).await? {
        return Ok(Some(CASE_OPEN));
    }
    let renewal = renewal(inner, connection, &upcoming.subscription_id, &upcoming.customer_id).await?;
    let zone = renewal.zone(&connection.default_zone);
    if let Err(silence) = renewal.dying_card(upcoming.charge_at, inner.now(), &zone) {
        return Ok(Some(silence.as_str()));
    }
    let new = NewCourtesy {
        id: NotificationId::new(inner.now_ms(), inner.clock.entropy()),
        connection: connection.name.clone(),
        customer_id: upcoming.customer_id.clone(),
        subscription_id: upcoming.subscription_id.clone(),
        period_ends_at: upcoming.period_ends_at,
        message: Message::CardExpiring,
        facts: CourtesyFacts {
            charge_at: upcoming.charge_at,
            amount: upcoming.amount,
            description: upcoming.description.clone(),
        },
        at: inner.now(),
    };
    let queued = inner.storage.queue_courtesy(&new).await?;
    inner.bells.courtesies.notify_one();
    Ok((!queued).then_some(Reason::NothingNew.as_str()))
}

async fn is_chased(inner: &Inner, connection: &str, customer_id: &str) -> Result<bool, StoreError> {
    let open = inner.storage.cases_of_customer(connection, customer_id).await?;
    Ok(!open.is_empty())
}

async fn renewal(
    inner: &Inner,
    connection: &Connection,
    subscription_id: &str,
    customer_id: &str,
) -> Result<Renewal, ReadError> {
    let _call = inner.call().await;
    connection.provider.renewal(subscription_id, customer_id).await
}

/// The queue of messages that belong to no case.
pub(super) struct Letters<'a>(pub(super) &'a Inner);

impl Work for Letters<'_> {
    type Row = CourtesyRow;

    async fn claim(&self, limit: u64) -> Result<Vec<CourtesyRow>, StoreError> {
        let Self(inner) = self;
        if !inner.gate.is_open(inner.now()) {
            return Ok(Vec::new());
        }
        inner.storage.claim_courtesies(inner.now(), limit, inner.lease()).await
    }

    async fn one(&self, row: CourtesyRow, claimed: Stopwatch) {
        let Self(inner) = self;
        match AssertUnwindSafe(deliver(inner, &row, &claimed)).catch_unwind().await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::error!(notification_id = %row.id, %error, "a message waits for its lease to run out");
            }
            Err(_) => tracing::error!(notification_id = %row.id, "working on the message panicked"),
        }
    }
}

/// Writes down the messages whose sender died while it was sending.
pub(super) async fn bury_stranded(inner: &Inner) -> Result<(), StoreError> {
    for id in inner.storage.stranded_courtesies(CLAIMED_MAX).await? {
        tracing::warn!(notification_id = %id, "a message was being sent when its worker died; it is not sent again");
        let end = CourtesyEnd {
            id,
            status: NotificationStatus::Unknown,
            reason: Some("the sender went away".to_owned()),
            only_stranded: true,
            at: inner.now(),
        };
        inner.storage.end_courtesy(&end).await?;
    }
    Ok(())
}

/// Ends every message that is due now without sending it.
pub(super) async fn end_all(inner: &Inner, why: &str) -> Result<(), StoreError> {
    loop {
        let rows = inner
            .storage
            .claim_courtesies(inner.now(), CLAIMED_MAX, inner.lease())
            .await?;
        if rows.is_empty() {
            return Ok(());
        }
        for row in rows {
            end(inner, &row, NotificationStatus::Superseded, Some(why.to_owned())).await?;
        }
    }
}

async fn deliver(inner: &Inner, row: &CourtesyRow, claimed: &Stopwatch) -> Result<(), StoreError> {
    let Some(connection) = inner.connections.get(&row.connection) else {
        return put_back(inner, row, PUT_BACK_LONG_SECS, "its connection is not configured").await;
    };
    if is_chased(inner, &row.connection, &row.customer_id).await? {
        return end(inner, row, NotificationStatus::Superseded, Some(CASE_OPEN.to_owned())).await;
    }
    let read = inner.clock.stopwatch();
    let renewal = match renewal(inner, connection, &row.subscription_id, &row.customer_id).await {
        Ok(renewal) => renewal,
        Err(ReadError::NotFound) => {
            let reason = "subscription_missing".to_owned();
            return end(inner, row, NotificationStatus::Superseded, Some(reason)).await;
        }
        Err(ReadError::Refused(_) | ReadError::Unavailable { .. }) => {
            let wait = pace::patience_secs(row.queued_at, inner.now());
            return put_back(inner, row, wait, "the subscription could not be read").await;
        }
    };
    let zone = renewal.zone(&connection.default_zone);
    let (card, address) = match renewal.dying_card(row.facts.charge_at, inner.now(), &zone) {
        Ok(found) => found,
        Err(silence) => {
            return end(inner, row, NotificationStatus::Superseded, Some(silence.to_string())).await;
        }
    };
    if let Some(morning) = morning(inner, &zone).await? {
        return inner.storage.put_courtesy_back(&row.id, morning, QUIET, false).await;
    }
    let _lane = match turn_to(inner, address, &row.id, row.reason.as_deref()).await {
        Turn::Go(lane) if claimed.elapsed().as_secs() < SEND_BEFORE_SECS => lane,
        Turn::Go(_) => {
            return inner
                .storage
                .put_courtesy_back(&row.id, inner.now(), pace::WAITS, false)
                .await;
        }
        Turn::Wait(at) => return inner.storage.put_courtesy_back(&row.id, at, pace::WAITS, false).await,
    };
    send(inner, connection, row, &renewal, (card, address), &read).await
}

/// When the night is over where the customer lives, where it is night by the campaign of new cases.
async fn morning(inner: &Inner, zone: &TimeZone) -> Result<Option<Timestamp>, StoreError> {
    let campaign = inner.campaigns.of_the_rest(&*inner.storage).await?;
    let now = inner.now();
    let morning = campaign.quiet.map(|quiet| quiet.over(now, zone));
    Ok(morning.filter(|at| *at > now))
}

async fn send(
    inner: &Inner,
    connection: &Connection,
    row: &CourtesyRow,
    renewal: &Renewal,
    (card, address): (&CardOnFile, &str),
    read: &Stopwatch,
) -> Result<(), StoreError> {
    if let Some(why) = inner.storage.suppressed(address, SuppressionScope::All).await? {
        let reason = format!("suppressed_{why}");
        return end(inner, row, NotificationStatus::Suppressed, Some(reason)).await;
    }
    let customer = &renewal.customer;
    let zone = renewal.zone(&connection.default_zone);
    let context = context(inner, row, renewal, card, &zone);
    let locale = Locale::pick(customer.locale.as_deref(), Some(&connection.default_locale));
    let rendered = match inner.templates.render(row.message, 0, locale, &context) {
        Ok(rendered) => rendered,
        Err(error) => {
            tracing::error!(notification_id = %row.id, %error, "a message could not be rendered");
            return end(inner, row, NotificationStatus::Failed, Some("not_rendered".to_owned())).await;
        }
    };
    let letter = Letter {
        id: &row.id,
        to: address.to_owned(),
        to_name: customer.name.clone(),
        unsubscribe_url: None,
        rendered,
    };
    match hand_over(inner, Queue::Courtesies, letter, read).await? {
        Left::Waits => {
            inner
                .storage
                .put_courtesy_back(&row.id, inner.now(), pace::WAITS, false)
                .await
        }
        Left::NotOurs => Ok(()),
        Left::Answered(outcome) => record(inner, row, (address, outcome)).await,
    }
}

fn context(inner: &Inner, row: &CourtesyRow, renewal: &Renewal, card: &CardOnFile, zone: &TimeZone) -> MailContext {
    let facts = &row.facts;
    MailContext {
        customer_name: renewal.customer.name.clone(),
        company_name: inner.brand.company.clone(),
        support_contact: inner.brand.support.clone(),
        look: inner.brand.look.clone(),
        amount: facts.amount,
        plan: facts.description.clone(),
        wording: None,
        card: Some(Card {
            brand: card.shown.brand.clone(),
            last4: card.shown.last4.clone(),
            expires: Some(card.expires()),
        }),
        next_retry_at: None,
        ends_at: None,
        paid_at: None,
        // A page of the provider for payment data ends minutes after it was made, and ours is the page of a case.
        action_url: None,
        attempts: 0,
        due_at: Some(facts.charge_at),
        written_at: Some(inner.now()),
        time_zone: zone.iana_name().map(str::to_owned),
        stop_url: None,
        unsubscribe_url: None,
        staff: None,
    }
}

async fn record(inner: &Inner, row: &CourtesyRow, (address, outcome): (&str, SendOutcome)) -> Result<(), StoreError> {
    let (status, reason) = match outcome {
        SendOutcome::Sent => (NotificationStatus::Sent, None),
        SendOutcome::Kept => (NotificationStatus::Kept, None),
        SendOutcome::Unknown(reason) => (NotificationStatus::Unknown, Some(reason)),
        SendOutcome::Permanent(reason) => (NotificationStatus::Failed, Some(reason)),
        SendOutcome::BadRecipient(reason) => {
            suppress(inner, address, SuppressionScope::All, SuppressionWhy::Bounced).await?;
            (NotificationStatus::Failed, Some(reason))
        }
        SendOutcome::Transient(reason) | SendOutcome::Throttled(reason) => match RETRY_SECS.get(row.tries as usize) {
            Some(wait) => {
                let at = secs_from(inner.now(), *wait);
                return inner.storage.put_courtesy_back(&row.id, at, &reason, true).await;
            }
            None => (NotificationStatus::Failed, Some(reason)),
        },
    };
    end(inner, row, status, reason).await
}

async fn put_back(inner: &Inner, row: &CourtesyRow, secs: i64, why: &str) -> Result<(), StoreError> {
    let at = secs_from(inner.now(), secs);
    inner.storage.put_courtesy_back(&row.id, at, why, false).await
}

async fn end(
    inner: &Inner,
    row: &CourtesyRow,
    status: NotificationStatus,
    reason: Option<String>,
) -> Result<(), StoreError> {
    let end = CourtesyEnd {
        id: row.id.clone(),
        status,
        reason,
        only_stranded: false,
        at: inner.now(),
    };
    if inner.storage.end_courtesy(&end).await? {
        counter!(metric::NOTIFICATIONS, "message" => row.message.as_str(), "result" => status.as_str()).increment(1);
        tracing::info!(notification_id = %row.id, status = status.as_str(), reason = end.reason, "message ended");
    }
    Ok(())
}
