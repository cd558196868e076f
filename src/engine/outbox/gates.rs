//! Messages that ask for no money: when each may leave, and what it tells.

use super::content::facts;
use super::{Gate, UNDO};
use crate::domain::case::{Case, State, Warning};
use crate::domain::message::Message;
use crate::domain::outcome::Status;
use crate::engine::{Connection, Inner};
use crate::mailer::MailContext;
use crate::mailer::context::StaffFacts;
use crate::providers::ReadError;
use crate::store::StoreError;

/// Staff are not called to what has settled meanwhile.
pub(super) fn for_staff(message: Message, case: Case) -> Gate {
    let settled = match &case.state {
        State::Closed { .. } => true,
        State::NeedsPerson => false,
        State::Active
        | State::Charging { .. }
        | State::InDoubt { .. }
        | State::Processing { .. }
        | State::Paused { .. }
        | State::Ending { .. } => message == Message::StaffPersonNeeded,
    };
    if settled {
        Gate::Supersede("settled")
    } else {
        Gate::Send(Box::new(case))
    }
}

/// Whether the state of a case lets a message of it leave that asks for money, or tells how the case ended.
pub(super) fn by_state(message: Message, case: Case) -> Gate {
    let last_word = matches!(message, Message::SubscriptionEnded | Message::SubscriptionPaused);
    match &case.state {
        State::Active | State::NeedsPerson if !last_word => Gate::Send(Box::new(case)),
        State::Closed { .. } if last_word && case.status() == Status::Exhausted => Gate::Send(Box::new(case)),
        State::Charging { .. } | State::InDoubt { .. } | State::Processing { .. } => Gate::Later("a charge is open"),
        State::Paused { .. } => Gate::MuchLater("paused"),
        State::Ending { sent: 0, .. } => Gate::Later(UNDO),
        State::Active | State::NeedsPerson | State::Ending { .. } | State::Closed { .. } => {
            Gate::Supersede("case_closed")
        }
    }
}

/// That a new payment method was taken is true only while it is still to be charged.
pub(super) fn method_updated(case: Case) -> Gate {
    let planned = case.timers.charge_at.or(case.memory.provider_next_attempt_at);
    match &case.state {
        State::Active if planned.is_some() => Gate::Send(Box::new(case)),
        State::Active => Gate::Supersede("no_charge_planned"),
        State::Charging { .. } | State::InDoubt { .. } | State::Processing { .. } => {
            Gate::Supersede("a charge is open")
        }
        State::Paused { .. } => Gate::Supersede("paused"),
        State::NeedsPerson => Gate::Supersede("needs_person"),
        State::Ending { sent: 0, .. } => Gate::Later(UNDO),
        State::Ending { .. } | State::Closed { .. } => Gate::Supersede("case_closed"),
    }
}

/// Nobody is invited who is back already, or who wants to hear no more.
pub(super) async fn win_back(inner: &Inner, connection: &Connection, case: Case) -> Result<Gate, StoreError> {
    if inner.brand.links.is_none() {
        // Who gets an invitation must be able to say no to the next one.
        return Ok(Gate::Suppress("no_unsubscribe_link"));
    }
    if case.memory.reminders_stopped {
        return Ok(Gate::Suppress("reminders_stopped"));
    }
    if case.memory.disputed {
        return Ok(Gate::Suppress("disputed"));
    }
    if case.memory.late_money {
        return Ok(Gate::Supersede("paid"));
    }
    let back = {
        let _call = inner.call().await;
        connection.provider.is_subscribed(&case.customer_id).await
    };
    Ok(match back {
        Ok(false) => Gate::Send(Box::new(case)),
        Ok(true) => Gate::Supersede("subscribed_again"),
        Err(ReadError::NotFound) => Gate::Suppress("not_known_to_provider"),
        Err(ReadError::Refused(_) | ReadError::Unavailable { .. }) => {
            Gate::Later("the subscriptions could not be read")
        }
    })
}

/// The facts of a case, less those that a message must not tell: a card that was declined is not the new one, and who is invited to
/// come back is not sent to an old invoice.
pub(super) fn told(message: Message, context: MailContext) -> MailContext {
    match message {
        Message::PaymentMethodUpdated => MailContext { card: None, ..context },
        Message::WinBack => MailContext {
            action_url: None,
            ..context
        },
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
        | Message::StaffDigest => context,
    }
}

/// What staff are told: which case it is and why, and nothing of the person behind it.
pub(super) fn staff_context(inner: &Inner, connection: &Connection, message: Message, case: &Case) -> MailContext {
    let links = inner.brand.links.as_ref();
    MailContext {
        customer_name: None,
        support_contact: None,
        plan: None,
        wording: None,
        card: None,
        action_url: links.map(|links| links.of_staff(&case.id)),
        staff: Some(StaffFacts {
            customer_id: case.customer_id.clone(),
            invoice_id: case.invoice_id.clone(),
            warning: (message == Message::StaffPersonNeeded).then(|| calling(case)),
            tried_alternate: case.memory.address_bounced,
        }),
        ..facts(inner, connection, case)
    }
}

/// What called for a person: the newest warning of those that do.
fn calling(case: &Case) -> Warning {
    let calls = |warning: &&Warning| match warning {
        Warning::InvoiceMissing
        | Warning::AnswerMismatch
        | Warning::AttemptUnresolved
        | Warning::RefundSeen
        | Warning::BooksDisagree => true,
        Warning::ProviderRetriesOn
        | Warning::MerchantFault
        | Warning::NoAddress
        | Warning::ProviderRefuses
        | Warning::FinalActionRefused
        | Warning::MailBounced
        | Warning::Overpaid => false,
    };
    let newest = case.warnings.iter().rev().find(calls);
    newest.copied().unwrap_or(Warning::BooksDisagree)
}
