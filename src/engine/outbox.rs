//! Messages: the gate once more, then one recipient, then the truth about what became of it.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use jiff::Timestamp;
use metrics::histogram;

use super::handle::{ENGINE, end_notice, handle, lose_notice};
use super::pace::{self, Turn};
use super::pump::{CLAIMED_MAX, Work};
use super::{Connection, Inner, SEND_BEFORE_SECS, reach};
use crate::clock::Stopwatch;
use crate::domain::calendar::{secs_from, zone};
use crate::domain::case::{Case, Warning};
use crate::domain::event::{Event, LookCause};
use crate::domain::ids::NotificationId;
use crate::domain::message::Message;
use crate::domain::mutant::alive;
use crate::domain::outcome::Outcome;
use crate::domain::snapshot::InvoiceStatus;
use crate::mailer::{self, Email, Locale, SendOutcome};
use crate::providers::ReadError;
use crate::store::StoreError;
use crate::store::letters::Drawer;
use crate::store::notifications::{NotificationRow, NotificationStatus, Rendered};
use crate::store::touches::Touch;
use crate::telemetry::metric;

/// The waits between tries of a message that the mail server put off.
pub(super) const RETRY_SECS: [i64; 5] = [300, 1800, 7200, 6 * 3600, 24 * 3600];
/// How long it waits where only people can let it go on.
pub(super) const PUT_BACK_LONG_SECS: i64 = 3600;
/// How long the last notice waits for a customer's other mails: no longer than that any end waits for its notice.
const LAST_WORD_WAITS_SECS_MAX: i64 = 14 * 24 * 3600;
/// Why a message waits for the morning.
pub(super) const QUIET: &str = "it is night where the customer lives";
/// Why a message waits for another day.
const TOUCHED: &str = "the customer was written to lately";

/// Why a message waits for a minute.
const UNDO: &str = "staff may take its last act back";

mod content;
mod gates;

pub use content::facts;
use content::{context, nth_of_its_kind};

/// What the gate says of a message.
enum Gate {
    Send(Box<Case>),
    Supersede(&'static str),
    Suppress(&'static str),
    Later(&'static str),
    MuchLater(&'static str),
}

/// The queue of messages.
pub struct Mails<'a>(pub &'a Inner);

impl Work for Mails<'_> {
    type Row = NotificationRow;

    async fn claim(&self, limit: u64) -> Result<Vec<NotificationRow>, StoreError> {
        let Self(inner) = self;
        if !inner.gate.is_open(inner.now()) {
            return Ok(Vec::new());
        }
        inner.storage.claim_mails(inner.now(), limit, inner.lease()).await
    }

    async fn one(&self, row: NotificationRow, claimed: Stopwatch) {
        one(self.0, row, &claimed).await;
    }
}

/// Writes down the messages whose sender died while it was sending.
pub async fn bury_stranded(inner: &Inner) -> Result<(), StoreError> {
    if alive("stranded_mails_stay") {
        return Ok(());
    }
    for row in inner.storage.stranded_mails(CLAIMED_MAX).await? {
        tracing::warn!(notification_id = %row.id, "a message was being sent when its worker died; it is not sent again");
        crate::failpoint!("mail_before_lost");
        lose_notice(inner, &row).await?;
        crate::failpoint!("mail_lost");
    }
    Ok(())
}

/// Ends every message that is due now without sending it.
pub async fn end_all(inner: &Inner, why: &str) -> Result<(), StoreError> {
    loop {
        let rows = inner
            .storage
            .claim_mails(inner.now(), CLAIMED_MAX, inner.lease())
            .await?;
        if rows.is_empty() {
            return Ok(());
        }
        for row in rows {
            end_notice(inner, &row, NotificationStatus::Superseded, Some(why)).await?;
        }
    }
}

async fn one(inner: &Inner, row: NotificationRow, claimed: &Stopwatch) {
    crate::failpoint!("mail_claimed");
    match AssertUnwindSafe(deliver(inner, &row, claimed)).catch_unwind().await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::error!(notification_id = %row.id, %error, "a message waits for its lease to run out");
        }
        Err(_) => tracing::error!(notification_id = %row.id, "working on the message panicked"),
    }
}

async fn deliver(inner: &Inner, row: &NotificationRow, claimed: &Stopwatch) -> Result<(), StoreError> {
    let Some(connection) = inner.connections.get(&row.connection) else {
        // The configuration may be mended; the gate sees to it that nothing stale leaves then.
        return put_back(inner, row, PUT_BACK_LONG_SECS, "its connection is not configured").await;
    };
    // Both are had before the obligation is read, so that what was read is fresh when the message leaves.
    let _lane = match pace::turn(inner, row).await? {
        Turn::Go(lane) => lane,
        Turn::Wait(at) => return wait(inner, row, at, (pace::WAITS, false)).await,
    };
    let _in_hand = inner.pace.in_hand().await;
    if claimed.elapsed().as_secs() >= SEND_BEFORE_SECS {
        return inner
            .storage
            .put_mail_back(&row.id, inner.now(), pace::WAITS, false)
            .await;
    }
    let read = inner.clock.stopwatch();
    match gate(inner, connection, row).await? {
        Gate::Send(case) => match not_before(inner, row, &case).await? {
            Some((at, why)) => wait(inner, row, at, (why, false)).await,
            None => send(inner, connection, row, &case, &read).await,
        },
        Gate::Supersede(why) => end_notice(inner, row, NotificationStatus::Superseded, Some(why)).await,
        Gate::Suppress(why) => end_notice(inner, row, NotificationStatus::Suppressed, Some(why)).await,
        Gate::Later(why) => put_back(inner, row, pace::patience_secs(row.queued_at, inner.now()), why).await,
        Gate::MuchLater(why) => put_back(inner, row, PUT_BACK_LONG_SECS, why).await,
    }
}

/// When a message may leave by the hours and the limits of its campaign, where that is not now, and why.
async fn not_before(
    inner: &Inner,
    row: &NotificationRow,
    case: &Case,
) -> Result<Option<(Timestamp, &'static str)>, StoreError> {
    if row.message.is_for_staff() {
        return Ok(None);
    }
    let now = inner.now();
    // What is told now might not be true any more a moment later.
    if let Some(undo) = case.memory.undo.as_ref().filter(|undo| undo.until > now) {
        return Ok(Some((undo.until, UNDO)));
    }
    let campaign = inner.campaigns.pinned(&*inner.storage, &case.campaign).await?;
    let morning = |at| campaign.quiet.map_or(at, |quiet| quiet.over(at, &zone(&case.zone)));
    if morning(now) > now {
        return Ok(Some((morning(now), QUIET)));
    }
    let Some(mut limits) = campaign.touches.filter(|_| row.message.is_reminder()) else {
        return Ok(None);
    };
    let last_word = row.message == Message::FinalNotice;
    if last_word && now >= secs_from(row.queued_at, LAST_WORD_WAITS_SECS_MAX) {
        limits.apart_hours = 0;
    }
    let touch = Touch {
        id: &row.id,
        connection: &case.connection,
        customer_id: &case.customer_id,
        last_word,
        queued_at: row.queued_at,
        now,
    };
    let next = inner.storage.touch(touch, limits).await?;
    Ok(next.map(|at| (morning(at), TOUCHED)))
}

async fn put_back(inner: &Inner, row: &NotificationRow, secs: i64, why: &str) -> Result<(), StoreError> {
    wait(inner, row, secs_from(inner.now(), secs), (why, false)).await?;
    crate::failpoint!("mail_put_back");
    Ok(())
}

/// Lets a message wait, and the end of its case with it where the message announces that; says why, and whether it was tried.
async fn wait(
    inner: &Inner,
    row: &NotificationRow,
    until: Timestamp,
    (why, tried): (&str, bool),
) -> Result<(), StoreError> {
    if row.message == Message::FinalNotice {
        let step = row.step.clone();
        handle(inner, &row.case_id, Event::FinalNoticeWaits { step, until }, ENGINE).await?;
    }
    inner.storage.put_mail_back(&row.id, until, why, tried).await
}

/// Reads the obligation again before a message leaves.
async fn gate(inner: &Inner, connection: &Connection, row: &NotificationRow) -> Result<Gate, StoreError> {
    let Some(case) = inner.storage.case(&row.case_id).await? else {
        return Ok(Gate::Supersede("no_case"));
    };
    if row.message.is_for_staff() {
        return Ok(gates::for_staff(row.message, case));
    }
    if inner.storage.is_excluded(&case.connection, &case.customer_id).await? {
        return Ok(Gate::Suppress("excluded"));
    }
    if row.message == Message::PaymentReceived {
        return Ok(match case.outcome() {
            Some(_) if case.warnings.contains(&Warning::MailBounced) => Gate::Suppress("mail_bounced"),
            Some(Outcome::Recovered { .. }) => Gate::Send(Box::new(case)),
            Some(Outcome::Exhausted { .. } | Outcome::Stopped { .. }) | None => Gate::Supersede("not_recovered"),
        });
    }
    if alive("mail_without_gate") {
        return Ok(Gate::Send(Box::new(case)));
    }
    let snapshot = match inner.snapshot(connection, &case.invoice_id).await {
        Ok(snapshot) => snapshot,
        Err(ReadError::NotFound) => return Ok(Gate::Supersede("invoice_missing")),
        Err(ReadError::Refused(_) | ReadError::Unavailable { .. }) => {
            return Ok(Gate::Later("the invoice could not be read"));
        }
    };
    let paid = snapshot.status == InvoiceStatus::Paid;
    let disputed = snapshot.payment.as_ref().is_some_and(|payment| payment.disputed);
    let event = Event::Looked {
        snapshot: Box::new(snapshot),
        cause: LookCause::Hint,
    };
    handle(inner, &case.id, event, ENGINE).await?;
    if paid {
        return Ok(Gate::Supersede("paid"));
    }
    let Some(case) = inner.storage.case(&row.case_id).await? else {
        return Ok(Gate::Supersede("no_case"));
    };
    if case.warnings.contains(&Warning::MailBounced) {
        return Ok(Gate::Suppress("mail_bounced"));
    }
    match row.message {
        Message::PaymentMethodUpdated => return Ok(gates::method_updated(case)),
        Message::WinBack if disputed => return Ok(Gate::Suppress("disputed")),
        Message::WinBack => return gates::win_back(inner, connection, case).await,
        Message::PaymentFailed
        | Message::UpdatePaymentMethod
        | Message::ConfirmPayment
        | Message::CardExpiring
        | Message::CardExpired
        | Message::Reminder
        | Message::FinalNotice
        | Message::SubscriptionPaused
        | Message::SubscriptionEnded
        | Message::PaymentReceived
        | Message::StaffPersonNeeded
        | Message::StaffMailBounced
        | Message::StaffDigest => {}
    }
    Ok(gates::by_state(row.message, case))
}

/// Sends a message whose obligation was read `read` ago.
async fn send(
    inner: &Inner,
    connection: &Connection,
    row: &NotificationRow,
    case: &Case,
    read: &Stopwatch,
) -> Result<(), StoreError> {
    let Some(to) = address(row, case) else {
        return end_notice(inner, row, NotificationStatus::Suppressed, Some("no_address")).await;
    };
    if reach::hold_back(inner, row, case, &to).await? {
        return Ok(());
    }
    let context = context(inner, connection, row, case).await;
    let asked = case.contact.locale.as_deref().filter(|_| !row.message.is_for_staff());
    let locale = Locale::pick(asked, Some(&connection.default_locale));
    let nth = nth_of_its_kind(inner, row, case).await?;
    let rendered = match inner.templates.render(row.message, nth, locale, &context) {
        Ok(rendered) => rendered,
        Err(error) => {
            tracing::error!(notification_id = %row.id, %error, "a message could not be rendered");
            return end_notice(inner, row, NotificationStatus::Failed, Some("not_rendered")).await;
        }
    };
    let letter = Letter {
        id: &row.id,
        to: to.clone(),
        to_name: context.customer_name,
        unsubscribe_url: context.unsubscribe_url,
        rendered,
    };
    match hand_over(inner, Queue::Notices, letter, read).await? {
        Left::Waits => {
            inner
                .storage
                .put_mail_back(&row.id, inner.now(), pace::WAITS, false)
                .await
        }
        Left::NotOurs => Ok(()),
        Left::Answered(outcome) => record(inner, row, case, (&to, outcome)).await,
    }
}

/// A message that is ready to leave.
pub(super) struct Letter<'a> {
    pub(super) id: &'a NotificationId,
    pub(super) to: String,
    pub(super) to_name: Option<String>,
    /// Where a mail that advertises leads who wants no more of them.
    pub(super) unsubscribe_url: Option<String>,
    pub(super) rendered: mailer::Rendered,
}

/// Which queue a message stands in.
#[derive(Clone, Copy)]
pub(super) enum Queue {
    /// That of the cases.
    Notices,
    /// That of messages which belong to no case.
    Letters(Drawer),
}

/// What became of a message that was to leave.
pub(super) enum Left {
    /// Too many are on their way.
    Waits,
    /// Somebody else has it by now.
    NotOurs,
    /// The mail server was asked.
    Answered(SendOutcome),
}

/// Hands a message over whose reason was read `read` ago: the one place by which mails leave.
pub(super) async fn hand_over(
    inner: &Inner,
    queue: Queue,
    letter: Letter<'_>,
    read: &Stopwatch,
) -> Result<Left, StoreError> {
    let Letter {
        id,
        to,
        to_name,
        unsubscribe_url,
        rendered,
    } = letter;
    let words = Rendered {
        recipient: &to,
        locale: rendered.locale,
        subject: &rendered.subject,
        text: &rendered.text,
        html: &rendered.html,
    };
    let Some(_leaving) = inner.pace.leaving(read).await else {
        return Ok(Left::Waits);
    };
    crate::failpoint!("mail_before_start");
    let ours = match queue {
        Queue::Notices => inner.storage.start_mail(id, words).await?,
        Queue::Letters(drawer) => inner.storage.start_letter(drawer, id, words).await?,
    };
    if !ours {
        return Ok(Left::NotOurs);
    }
    crate::failpoint!("mail_started");
    let email = Email {
        id: id.clone(),
        to,
        to_name,
        subject: rendered.subject,
        text: rendered.text,
        html: rendered.html,
        pictures: rendered.pictures,
        unsubscribe_url,
    };
    let watch = inner.clock.stopwatch();
    let outcome = inner.mailer.send(&email, inner.now()).await;
    crate::failpoint!("mail_answered");
    inner.pace.heard(&email.to, &outcome, inner.now());
    let result = match &outcome {
        SendOutcome::Sent | SendOutcome::Kept => "sent",
        SendOutcome::Transient(_) | SendOutcome::Throttled(_) => "put_off",
        SendOutcome::BadRecipient(_) | SendOutcome::Permanent(_) => "refused",
        SendOutcome::Unknown(_) => "unknown",
    };
    histogram!(metric::MAIL_SEND, "result" => result).record(watch.elapsed().as_secs_f64());
    Ok(Left::Answered(outcome))
}

async fn record(
    inner: &Inner,
    row: &NotificationRow,
    case: &Case,
    (to, outcome): (&str, SendOutcome),
) -> Result<(), StoreError> {
    let (status, reason) = match outcome {
        SendOutcome::Sent => (NotificationStatus::Sent, None),
        SendOutcome::Kept => (NotificationStatus::Kept, None),
        SendOutcome::Unknown(reason) if alive("unknown_mail_again") => {
            let at = secs_from(inner.now(), RETRY_SECS[0]);
            inner.storage.put_mail_back(&row.id, at, &reason, true).await?;
            return Ok(());
        }
        SendOutcome::Unknown(reason) => (NotificationStatus::Unknown, Some(reason)),
        SendOutcome::Permanent(reason) => (NotificationStatus::Failed, Some(reason)),
        SendOutcome::BadRecipient(reason) => {
            reach::bounced(inner, row, case, to).await?;
            (NotificationStatus::Failed, Some(reason))
        }
        SendOutcome::Transient(reason) | SendOutcome::Throttled(reason) => match RETRY_SECS.get(row.tries as usize) {
            Some(wait_secs) => {
                let at = secs_from(inner.now(), *wait_secs);
                return wait(inner, row, at, (&reason, true)).await;
            }
            None => (NotificationStatus::Failed, Some(reason)),
        },
    };
    end_notice(inner, row, status, reason.as_deref()).await?;
    crate::failpoint!("mail_recorded");
    Ok(())
}

/// Where a message goes.
pub(super) fn address(row: &NotificationRow, case: &Case) -> Option<String> {
    if row.message.is_for_staff() {
        row.recipient.clone()
    } else {
        case.address().map(str::to_owned)
    }
}
