//! A case as the API prints it.

use jiff::Timestamp;
use serde::Serialize;

use super::{Instant, MoneyJson};
use crate::domain::case::{CampaignRef, Case, Collector, NextAction, Undo, Warning};
use crate::domain::decline::Decline;
use crate::domain::outcome::{ExhaustedReason, ExhaustedThen, Outcome, RecoveredBy, Status, StoppedWhy};
use crate::domain::role::Role;
use crate::telemetry::mask_email;

/// One invoice being chased.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Case)]
pub struct CaseJson {
    /// Our id of the case.
    pub id: String,
    /// The connection it came by.
    pub connection: String,
    /// The provider's id of the invoice.
    pub invoice_id: String,
    /// The provider's id of the subscription.
    pub subscription_id: Option<String>,
    /// The provider's id of the customer.
    pub customer_id: String,
    /// Where it stands, in one word.
    pub status: Status,
    /// Where it stands, more closely: `scheduled`, `waiting`, `charging`, `in_doubt`, `processing`, `paused`,
    /// `needs_person`, `ending` or `closed`.
    #[schema(example = "scheduled")]
    pub state: &'static str,
    /// What is owed.
    pub amount_due: MoneyJson,
    /// The last decline.
    pub decline: Decline,
    /// The campaign it is pinned to.
    pub campaign: CampaignRef,
    /// Who may charge.
    pub collector: Collector,
    /// When the first failed charge was learned of.
    pub opened_at: Instant,
    /// When it ended.
    pub closed_at: Option<Instant>,
    /// What happens next; null once it is closed.
    pub next_action: Option<NextAction>,
    /// How it ended; null while it is open.
    pub outcome: Option<OutcomeJson>,
    /// Attempts known, whoever made them.
    pub attempts: u32,
    /// Messages queued.
    pub notifications: u32,
    /// What a person should see.
    pub warnings: Vec<Warning>,
    /// Since when staff holds it; null unless it is on hold, when its state is `paused`.
    pub held_since: Option<Instant>,
    /// The act of staff that can be taken back now; null where none can.
    pub undo: Option<UndoJson>,
    /// The customer's IANA time zone.
    pub zone: String,
    /// Whom messages go to.
    pub contact: ContactJson,
    /// The case whose recovery was taken back, where this one goes back to one.
    pub reversal_of: Option<String>,
}

/// An act of staff that can be taken back.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Undo)]
pub struct UndoJson {
    /// The act.
    pub act: String,
    /// Whose it was.
    pub actor: String,
    /// Until when it can be taken back, unless something follows from it before.
    pub until: Instant,
}

impl From<&Undo> for UndoJson {
    fn from(undo: &Undo) -> Self {
        Self {
            act: undo.act.clone(),
            actor: undo.actor.clone(),
            until: Instant(undo.until),
        }
    }
}

/// How a case ended.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Outcome)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum OutcomeJson {
    /// The invoice was paid.
    Recovered {
        /// Whose doing it was.
        by: RecoveredBy,
        /// When it ended.
        at: Option<Instant>,
    },
    /// The campaign ended without money.
    Exhausted {
        /// Why.
        reason: ExhaustedReason,
        /// What became of the subscription or invoice.
        then: ExhaustedThen,
        /// When it ended.
        at: Option<Instant>,
    },
    /// The chase became pointless or forbidden.
    Stopped {
        /// Why.
        why: StoppedWhy,
        /// When it ended.
        at: Option<Instant>,
    },
}

/// Whom messages go to. Viewers see a masked address and no name.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Contact)]
pub struct ContactJson {
    /// The address.
    pub email: Option<String>,
    /// The name.
    pub name: Option<String>,
    /// The locale that the provider gave.
    pub locale: Option<String>,
}

impl CaseJson {
    /// The case as a holder of `role` may see it.
    pub fn of(case: &Case, role: Role) -> Self {
        Self {
            id: case.id.to_string(),
            connection: case.connection.clone(),
            invoice_id: case.invoice_id.clone(),
            subscription_id: case.subscription_id.clone(),
            customer_id: case.customer_id.clone(),
            status: case.status(),
            state: case.state_word(),
            amount_due: case.amount_due.into(),
            decline: case.decline.clone(),
            campaign: case.campaign.clone(),
            collector: case.collector,
            opened_at: Instant(case.opened_at),
            closed_at: case.closed_at.map(Instant),
            next_action: case.next_action(),
            outcome: case.outcome().map(|outcome| OutcomeJson::of(outcome, case.closed_at)),
            attempts: case.attempts,
            notifications: case.notifications,
            warnings: case.warnings.clone(),
            held_since: case.held_since().map(Instant),
            undo: case.memory.undo.as_deref().map(UndoJson::from),
            zone: case.zone.clone(),
            contact: contact(case, role),
            reversal_of: case.reversal_of.as_ref().map(ToString::to_string),
        }
    }
}

fn contact(case: &Case, role: Role) -> ContactJson {
    let full = role.allows(Role::Billing);
    let contact = &case.contact;
    ContactJson {
        email: contact.email.as_deref().map(|address| shown_address(address, role)),
        name: contact.name.clone().filter(|_| full),
        locale: contact.locale.clone(),
    }
}

/// An address as a holder of `role` may see it.
pub(crate) fn shown_address(address: &str, role: Role) -> String {
    if role.allows(Role::Billing) {
        address.to_owned()
    } else {
        mask_email(address)
    }
}

impl OutcomeJson {
    fn of(outcome: Outcome, at: Option<Timestamp>) -> Self {
        let at = at.map(Instant);
        match outcome {
            Outcome::Recovered { by } => Self::Recovered { by, at },
            Outcome::Exhausted { reason, then } => Self::Exhausted { reason, then, at },
            Outcome::Stopped { why } => Self::Stopped { why, at },
        }
    }
}
