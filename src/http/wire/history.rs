//! What happened, as the API prints it: timelines, messages, events, audit.

use serde::Serialize;
use serde_json::Value;

use super::case::shown_address;
use super::{Instant, MoneyJson};
use crate::domain::command::EntryKind;
use crate::domain::message::Message;
use crate::domain::role::Role;
use crate::store::audit::AuditRow;
use crate::store::courtesies::CourtesyRow;
use crate::store::digests::DigestRow;
use crate::store::inbox::{InboxRow, InboxStatus};
use crate::store::notifications::{NotificationRow, NotificationStatus};
use crate::store::timeline::TimelineRow;

/// One line of a case's story.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = TimelineEntry)]
pub struct TimelineJson {
    /// Its id.
    pub id: String,
    /// When it happened.
    pub at: Instant,
    /// Whose doing it was: `engine`, or the name of an API key.
    pub actor: String,
    /// What it tells of.
    pub kind: EntryKind,
    /// One English sentence.
    pub text: String,
    /// The inputs and results behind it.
    #[schema(value_type = Object)]
    pub data: Value,
}

impl From<&TimelineRow> for TimelineJson {
    fn from(row: &TimelineRow) -> Self {
        Self {
            id: row.id.to_string(),
            at: Instant(row.at),
            actor: row.actor.clone(),
            kind: row.kind,
            text: row.text.clone(),
            data: row.data.clone(),
        }
    }
}

/// One message to one recipient for one step of a case.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Notification)]
pub struct NotificationJson {
    /// Its id.
    pub id: String,
    /// The case.
    pub case_id: String,
    /// The message.
    pub message: Message,
    /// The template that renders it; named like the message.
    pub template: Message,
    /// The step of the campaign.
    pub step: String,
    /// Where it stands.
    pub status: NotificationStatus,
    /// Whom it goes to; masked for viewers. Null until it is rendered.
    pub recipient: Option<String>,
    /// The locale it was rendered in.
    pub locale: Option<String>,
    /// The rendered subject.
    pub subject: Option<String>,
    /// The rendered text.
    pub body_text: Option<String>,
    /// The rendered HTML.
    pub body_html: Option<String>,
    /// When it was queued.
    pub queued_at: Instant,
    /// When it is sent, or sent again; null once it ended.
    pub next_at: Option<Instant>,
    /// When it ended.
    pub ended_at: Option<Instant>,
    /// How often it was handed to the mail server.
    pub tries: u32,
    /// Why it stands as it does, where there is more to say.
    pub reason: Option<String>,
}

impl NotificationJson {
    /// The message as a holder of `role` may see it.
    pub fn of(row: &NotificationRow, role: Role) -> Self {
        Self {
            id: row.id.to_string(),
            case_id: row.case_id.to_string(),
            message: row.message,
            template: row.message,
            step: row.step.clone(),
            status: row.status,
            recipient: row.recipient.as_deref().map(|address| shown_address(address, role)),
            locale: row.locale.clone(),
            subject: row.subject.clone(),
            body_text: row.body_text.clone(),
            body_html: row.body_html.clone(),
            queued_at: Instant(row.queued_at),
            next_at: row.ended_at.is_none().then_some(Instant(row.next_at)),
            ended_at: row.ended_at.map(Instant),
            tries: row.tries,
            reason: row.reason.clone(),
        }
    }
}

/// One message to a customer that belongs to no case.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Courtesy)]
pub struct CourtesyJson {
    /// Its id.
    pub id: String,
    /// The connection of the customer.
    pub connection: String,
    /// The provider's name for the customer.
    pub customer_id: String,
    /// The provider's name for the subscription it is about.
    pub subscription_id: String,
    /// When the charge is made that it is about.
    pub charge_at: Instant,
    /// What is charged.
    pub amount: MoneyJson,
    /// The message.
    pub message: Message,
    /// Where it stands.
    pub status: NotificationStatus,
    /// Whom it goes to; masked for viewers. Null until it is rendered.
    pub recipient: Option<String>,
    /// The locale it was rendered in.
    pub locale: Option<String>,
    /// The rendered subject.
    pub subject: Option<String>,
    /// The rendered text.
    pub body_text: Option<String>,
    /// The rendered HTML.
    pub body_html: Option<String>,
    /// When it was queued.
    pub queued_at: Instant,
    /// When it is sent, or sent again; null once it ended.
    pub next_at: Option<Instant>,
    /// When it ended.
    pub ended_at: Option<Instant>,
    /// How often it was handed to the mail server.
    pub tries: u32,
    /// Why it stands as it does, where there is more to say.
    pub reason: Option<String>,
}

impl CourtesyJson {
    /// The message as a holder of `role` may see it.
    pub fn of(row: &CourtesyRow, role: Role) -> Self {
        Self {
            id: row.id.to_string(),
            connection: row.connection.clone(),
            customer_id: row.customer_id.clone(),
            subscription_id: row.subscription_id.clone(),
            charge_at: Instant(row.facts.charge_at),
            amount: row.facts.amount.into(),
            message: row.message,
            status: row.status,
            recipient: row.recipient.as_deref().map(|address| shown_address(address, role)),
            locale: row.locale.clone(),
            subject: row.subject.clone(),
            body_text: row.body_text.clone(),
            body_html: row.body_html.clone(),
            queued_at: Instant(row.queued_at),
            next_at: row.ended_at.is_none().then_some(Instant(row.next_at)),
            ended_at: row.ended_at.map(Instant),
            tries: row.tries,
            reason: row.reason.clone(),
        }
    }
}

/// The digest of one week to one address of staff.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = WeeklyDigest)]
pub struct DigestJson {
    /// Its id.
    pub id: String,
    /// The week, as ISO 8601 names it: `2026-W10`.
    pub week: String,
    /// Where it stands.
    pub status: NotificationStatus,
    /// Whom it goes to; masked, unless the caller is of billing staff.
    pub recipient: String,
    /// The locale it was rendered in. Null until it is rendered.
    pub locale: Option<String>,
    /// The rendered subject.
    pub subject: Option<String>,
    /// The rendered text, which says all that the HTML and its pictures do.
    pub body_text: Option<String>,
    /// When it was made.
    pub queued_at: Instant,
    /// When it is sent, or sent again; null once it ended.
    pub next_at: Option<Instant>,
    /// When it ended.
    pub ended_at: Option<Instant>,
    /// How often it was handed to the mail server in vain.
    pub tries: u32,
    /// Why it stands as it does, where there is more to say.
    pub reason: Option<String>,
}

impl DigestJson {
    /// The digest as a holder of `role` may see it.
    pub fn of(row: &DigestRow, role: Role) -> Self {
        Self {
            id: row.id.to_string(),
            week: row.week.clone(),
            status: row.status,
            recipient: shown_address(&row.recipient, role),
            locale: row.locale.clone(),
            subject: row.subject.clone(),
            body_text: row.body_text.clone(),
            queued_at: Instant(row.queued_at),
            next_at: row.ended_at.is_none().then_some(Instant(row.next_at)),
            ended_at: row.ended_at.map(Instant),
            tries: row.tries,
            reason: row.reason.clone(),
        }
    }
}

/// One event of a provider, as received. Its body stays in the database.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = InboxEvent)]
pub struct InboxJson {
    /// Our id of it.
    pub id: String,
    /// The connection it came by.
    pub connection: String,
    /// The provider's id of it.
    pub event_id: String,
    /// The provider's type of it.
    pub kind: String,
    /// When it was received.
    pub received_at: Instant,
    /// Where it stands: `pending`, `processed`, `ignored` or `dead`.
    pub status: InboxStatus,
    /// How often it was tried.
    pub tries: u32,
    /// When it is tried next; null once it ended.
    pub next_at: Option<Instant>,
    /// Why it stands as it does.
    pub reason: Option<String>,
    /// When it ended.
    pub ended_at: Option<Instant>,
}

impl From<&InboxRow> for InboxJson {
    fn from(row: &InboxRow) -> Self {
        Self {
            id: row.id.to_string(),
            connection: row.connection.clone(),
            event_id: row.event_id.clone(),
            kind: row.kind.clone(),
            received_at: Instant(row.received_at),
            status: row.status,
            tries: row.tries,
            next_at: row.ended_at.is_none().then_some(Instant(row.next_at)),
            reason: row.reason.clone(),
            ended_at: row.ended_at.map(Instant),
        }
    }
}

/// One act of a person or a program with a key.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AuditEntry)]
pub struct AuditJson {
    /// Its id.
    pub id: String,
    /// When.
    pub at: Instant,
    /// Who: the name of the API key.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// To what.
    pub object: String,
    /// The remark given with it.
    pub comment: Option<String>,
}

impl From<&AuditRow> for AuditJson {
    fn from(row: &AuditRow) -> Self {
        Self {
            id: row.id.to_string(),
            at: Instant(row.at),
            actor: row.actor.clone(),
            action: row.action.clone(),
            object: row.object.clone(),
            comment: row.comment.clone(),
        }
    }
}
