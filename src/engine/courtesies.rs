//! Messages to customers that belong to no case: a card that will have died when a subscription is charged next.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::inbox::Stop;
use super::letters::Slip;
use super::outbox::{Left, Letter, PUT_BACK_LONG_SECS, QUIET, Queue, hand_over};
use super::pace::{self, Turn, turn_to};
use super::reach::suppress;
use super::{Connection, Inner, SEND_BEFORE_SECS, letters};
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
use crate::store::courtesies::{CourtesyFacts, CourtesyRow, NewCourtesy};
use crate::store::letters::Drawer;
use crate::store::notifications::NotificationStatus;

/// Who is chased is written to already.
const CASE_OPEN: &str = "case_open";
/// Staff excluded the customer.
const EXCLUDED: &str = "excluded";

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
    if inner
        .storage
        .is_excluded(&connection.name, &upcoming.customer_id)
        .await?
    {
        return Ok(Some(EXCLUDED));
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
    inner.bells.letters.notify_one();
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

pub(super) fn slip(row: &CourtesyRow) -> Slip<'_> {
    Slip {
        drawer: Drawer::Courtesies,
        id: &row.id,
        message: row.message,
        tries: row.tries,
    }
}

pub(super) async fn deliver(inner: &Inner, row: &CourtesyRow, claimed: &Stopwatch) -> Result<(), StoreError> {
    let Some(connection) = inner.connections.get(&row.connection) else {
        return put_back(inner, row, PUT_BACK_LONG_SECS, "its connection is not configured").await;
    };
    if is_chased(inner, &row.connection, &row.customer_id).await? {
        return end(inner, row, NotificationStatus::Superseded, Some(CASE_OPEN.to_owned())).await;
    }
    if inner.storage.is_excluded(&row.connection, &row.customer_id).await? {
        return end(inner, row, NotificationStatus::Suppressed, Some(EXCLUDED.to_owned())).await;
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
        return wait(inner, row, morning, QUIET).await;
    }
    let _lane = match turn_to(inner, address, &row.id, row.reason.as_deref()).await {
        Turn::Go(lane) if claimed.elapsed().as_secs() < SEND_BEFORE_SECS => lane,
        Turn::Go(_) => return wait(inner, row, inner.now(), pace::WAITS).await,
        Turn::Wait(at) => return wait(inner, row, at, pace::WAITS).await,
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
    match hand_over(inner, Queue::Letters(Drawer::Courtesies), letter, read).await? {
        Left::Waits => wait(inner, row, inner.now(), pace::WAITS).await,
        Left::NotOurs => Ok(()),
        Left::Answered(outcome) => {
            if matches!(outcome, SendOutcome::BadRecipient(_)) {
                suppress(inner, address, SuppressionScope::All, SuppressionWhy::Bounced).await?;
            }
            letters::record(inner, slip(row), outcome).await
        }
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
        digest: None,
    }
}

async fn put_back(inner: &Inner, row: &CourtesyRow, secs: i64, why: &str) -> Result<(), StoreError> {
    wait(inner, row, secs_from(inner.now(), secs), why).await
}

/// Puts a message off that was not tried.
async fn wait(inner: &Inner, row: &CourtesyRow, until: Timestamp, why: &str) -> Result<(), StoreError> {
    let storage = &inner.storage;
    storage
        .put_letter_back(Drawer::Courtesies, &row.id, until, why, false)
        .await
}

async fn end(
    inner: &Inner,
    row: &CourtesyRow,
    status: NotificationStatus,
    reason: Option<String>,
) -> Result<(), StoreError> {
    letters::end(inner, slip(row), status, reason).await
}
