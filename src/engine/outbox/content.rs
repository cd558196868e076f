//! What a message says: which of its kind it is, where its links lead, and the facts of its case.

use super::gates;
use crate::domain::campaign::MessageStep;
use crate::domain::case::Case;
use crate::domain::decide::reach::step_of;
use crate::domain::message::Message;
use crate::domain::outcome::Status;
use crate::engine::{Connection, Inner};
use crate::links::Purpose;
use crate::mailer::MailContext;
use crate::mailer::context::Card;
use crate::store::StoreError;
use crate::store::notifications::NotificationRow;

/// How many steps of the case's campaign before this one send the same message: so no subject comes twice in a case.
pub(super) async fn nth_of_its_kind(inner: &Inner, row: &NotificationRow, case: &Case) -> Result<usize, StoreError> {
    let own = |nth: &usize| row.message.own_step(*nth) == step_of(&row.step);
    if let Some(nth) = (0..row.message.times()).find(own) {
        return Ok(nth);
    }
    let campaign = inner.campaigns.pinned(&*inner.storage, &case.campaign).await?;
    let alike = |step: &&MessageStep| step.message == row.message;
    let here = campaign
        .messages
        .iter()
        .filter(alike)
        .take_while(|step| step.key != step_of(&row.step));
    let here = here.count();
    let Some(first) = &case.memory.opened_with else {
        return Ok(here);
    };
    // What was sent before the case was moved, and is no step of the campaign it has now.
    let first = inner.campaigns.pinned(&*inner.storage, first).await?;
    let done = first
        .messages
        .iter()
        .filter(alike)
        .filter(|step| case.memory.steps_done.contains(&step.key));
    let gone = done.filter(|step| campaign.messages.iter().all(|other| other.key != step.key));
    Ok(here + gone.count())
}

pub(super) async fn context(inner: &Inner, connection: &Connection, row: &NotificationRow, case: &Case) -> MailContext {
    if row.message.is_for_staff() {
        return gates::staff_context(inner, connection, row.message, case);
    }
    let link = |purpose| inner.brand.links.as_ref()?.url(purpose, &case.id, inner.now());
    let facts = facts(inner, connection, case);
    // On our own page the customer sees the truth of that moment; a page of the provider for payment data ends minutes after it
    // was made, so it is made when it is asked for.
    let action_url = match row.message {
        Message::PaymentReceived => facts.action_url,
        message if message.is_of_open_invoice() && link(Purpose::Page).is_some() => link(Purpose::Page),
        Message::UpdatePaymentMethod | Message::CardExpired => {
            let key = format!("{}-link", row.id);
            let made = connection.provider.update_link(&case.customer_id, &key).await;
            // Where the provider has none, the page of the invoice serves as well.
            made.ok().flatten().or(facts.action_url)
        }
        _ => facts.action_url,
    };
    let context = MailContext {
        action_url,
        stop_url: link(Purpose::Stop),
        unsubscribe_url: link(Purpose::Unsubscribe).filter(|_| row.message.is_promotional()),
        ..facts
    };
    gates::told(row.message, context)
}

/// What a message, or our page for the customer, tells of a case.
pub fn facts(inner: &Inner, connection: &Connection, case: &Case) -> MailContext {
    let memory = &case.memory;
    MailContext {
        customer_name: case.contact.name.clone(),
        company_name: inner.brand.company.clone(),
        support_contact: inner.brand.support.clone(),
        look: inner.brand.look.clone(),
        amount: case.amount_due,
        plan: memory.description.clone(),
        wording: Some(connection.provider.codes().wording(&case.decline)),
        card: memory.card.as_ref().map(|card| Card {
            brand: card.brand.clone(),
            last4: card.last4.clone(),
            expires: None,
        }),
        next_retry_at: case.timers.charge_at,
        ends_at: case
            .timers
            .final_at
            .or(case.closed_at.filter(|_| case.status() == Status::Exhausted)),
        paid_at: case.closed_at.filter(|_| case.status() == Status::Recovered),
        action_url: memory.pay_url.clone(),
        attempts: case.attempts,
        due_at: None,
        written_at: Some(inner.now()),
        time_zone: Some(case.zone.clone()),
        stop_url: None,
        unsubscribe_url: None,
        staff: None,
        digest: None,
    }
}
