//! The lists that can be paged through: events, invoices, charges and subscriptions, newest first.

use serde_json::Value;

use super::{Answer, Call};
use crate::sandbox::objects::{Invoice, Subscription, SubscriptionStatus};
use crate::sandbox::render;
use crate::sandbox::world::World;

/// Events.
pub(super) fn events(world: &World, call: &Call) -> Answer {
    let kinds: Vec<&str> = call
        .params
        .iter()
        .filter(|(name, _)| *name == "type" || name.starts_with("types["))
        .map(|(_, kind)| kind.as_str())
        .collect();
    let newest_first = world.events().iter().rev();
    let all = newest_first.map(|event| (event.id.as_str(), event.created, event));
    page("event", call, all, |event| {
        (kinds.is_empty() || kinds.contains(&event.kind)).then(|| event.body(world.shape(), 0))
    })
}

/// Invoices, by status and by how they are collected: here all of them are charged automatically.
pub(super) fn invoices(world: &World, call: &Call) -> Answer {
    let status = call.param("status");
    let sent = call.param("collection_method") == Some("send_invoice");
    let wanted = |invoice: &Invoice| !sent && status.is_none_or(|status| invoice.status.as_str() == status);
    let mut invoices: Vec<&Invoice> = world.invoices().collect();
    invoices.sort_by(|a, b| (b.created, &b.id).cmp(&(a.created, &a.id)));
    let all = invoices.into_iter();
    let all = all.map(|invoice| (invoice.id.as_str(), invoice.created, invoice));
    page("invoice", call, all, |invoice| {
        wanted(invoice).then(|| render::invoice(invoice, world.shape()))
    })
}

/// Charges.
pub(super) fn charges(world: &World, call: &Call) -> Answer {
    let charges = world.books().charges.iter().rev();
    let all = charges.filter_map(|entry| world.charges.get(&entry.charge));
    let all = all.map(|charge| (charge.id.as_str(), charge.created, charge));
    page("charge", call, all, |charge| {
        Some(render::charge(charge, world.shape()))
    })
}

/// Subscriptions, by customer and status; without a status, those that have not ended.
pub(super) fn subscriptions(world: &World, call: &Call) -> Answer {
    let (customer, status) = (call.param("customer"), call.param("status"));
    let wanted = |subscription: &Subscription| {
        customer.is_none_or(|customer| subscription.customer == customer)
            && match status {
                Some("all") => true,
                Some(status) => subscription.status.as_str() == status,
                None => subscription.status != SubscriptionStatus::Canceled,
            }
    };
    let mut subscriptions: Vec<&Subscription> = world.subscriptions().collect();
    subscriptions.sort_by(|a, b| (b.created, &b.id).cmp(&(a.created, &a.id)));
    let all = subscriptions.into_iter();
    let all = all.map(|subscription| (subscription.id.as_str(), subscription.created, subscription));
    page("subscription", call, all, |subscription| {
        wanted(subscription).then(|| render::subscription(subscription, world.shape()))
    })
}

/// One page of what is wanted, by the parameters that every list has.
fn page<'a, T>(
    what: &str,
    call: &Call,
    all: impl Iterator<Item = (&'a str, jiff::Timestamp, T)>,
    body: impl Fn(T) -> Option<Value>,
) -> Answer {
    let number = |name: &str| call.param(name).and_then(|text| text.parse::<i64>().ok());
    let limit = usize::try_from(number("limit").unwrap_or(10).clamp(1, 100)).expect("clamped to a hundred");
    let oldest = number("created[gte]")
        .or(number("created[gt]").map(|second| second + 1))
        .unwrap_or(i64::MIN);
    let newest = number("created[lte]")
        .or(number("created[lt]").map(|second| second - 1))
        .unwrap_or(i64::MAX);
    let mut all = all;
    if let Some(last) = call.param("starting_after")
        && !all.by_ref().any(|(id, _, _)| id == last)
    {
        return Answer::missing(what, last);
    }
    let mut wanted = all
        .filter(|(_, created, _)| (oldest..=newest).contains(&created.as_second()))
        .filter_map(|(_, _, item)| body(item));
    let data: Vec<Value> = wanted.by_ref().take(limit).collect();
    let more = wanted.next().is_some();
    Answer::ok(render::list(&format!("/v1/{what}s"), &data, more))
}
