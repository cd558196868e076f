//! Stripe's events, in any API version, as hints at what to read again.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::instrument;
use super::pruned::Pruned;
use super::read::description;
use super::wire::{self, Card, Invoice, MethodDetails};
use crate::domain::event::Subscribed;
use crate::domain::money::Money;
use crate::domain::renewal::Upcoming;
use crate::providers::{EventLabel, Hint, Malformed, NormalizedEvent, PaymentHint};

/// The longest identifier or type text that is taken, in bytes.
const TEXT_BYTES_MAX: usize = 255;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Event {
    id: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    created: Option<i64>,
    livemode: Option<bool>,
    /// What made the event happen: an id, or in every newer version an object with the key.
    request: Pruned,
    data: Option<Data>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Label {
    id: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Data {
    object: Pruned,
    previous_attributes: Pruned,
}

/// Reads an event's raw bytes. The error names the fault, and nothing of the body.
pub(super) fn normalize(body: &[u8]) -> Result<NormalizedEvent, Malformed> {
    let event: Event = read(body)?;
    let EventLabel { event_id, kind } = named(event.id.as_deref(), event.kind.as_deref())?;
    let hint = match kind.as_str() {
        "invoice.upcoming" => upcoming(body)?,
        kind => hint(kind, &event.data.unwrap_or_default())?,
    };
    let tells_of_money = matches!(kind.as_str(), "invoice.paid" | "invoice.payment_succeeded");
    let key = event.request.0.get("idempotency_key").and_then(Value::as_str);
    let subscribed = tells_of_money.then(|| subscribed(body)).flatten();
    let paid_by_key = key.filter(|_| tells_of_money).and_then(usable);
    Ok(NormalizedEvent {
        event_id,
        kind,
        created_at: event.created.and_then(|secs| Timestamp::from_second(secs).ok()),
        livemode: event.livemode,
        paid_by_key,
        subscribed,
        hint,
    })
}

/// Reads an event's id and type. The rest is passed over, and its faults are found by whoever reads it.
pub(super) fn label(body: &[u8]) -> Result<EventLabel, Malformed> {
    let event: Label = read(body)?;
    named(event.id.as_deref(), event.kind.as_deref())
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Malformed> {
    // Checked at once: else each text of it is checked on its own, which takes a sixth of the whole reading.
    let body = std::str::from_utf8(body).map_err(|_| Malformed("no event in JSON (it is no UTF-8)".to_owned()))?;
    serde_json::from_str(body).map_err(|error| {
        Malformed(format!(
            "no event in JSON (line {}, column {})",
            error.line(),
            error.column()
        ))
    })
}

fn named(id: Option<&str>, kind: Option<&str>) -> Result<EventLabel, Malformed> {
    Ok(EventLabel {
        event_id: id.and_then(usable).ok_or_else(|| missing("id"))?,
        kind: kind.and_then(usable).ok_or_else(|| missing("type"))?,
    })
}

fn hint(kind: &str, data: &Data) -> Result<Hint, Malformed> {
    let id = || id_of(&data.object.0).ok_or_else(|| missing("data.object.id"));
    Ok(match kind {
        "invoice.payment_failed" | "invoice.payment_action_required" => Hint::Invoice {
            invoice_id: id()?,
            failure: true,
        },
        "invoice.paid"
        | "invoice.payment_succeeded"
        | "invoice.voided"
        | "invoice.marked_uncollectible"
        | "invoice.updated" => Hint::Invoice {
            invoice_id: id()?,
            failure: false,
        },
        "payment_intent.payment_failed" => Hint::Payment {
            invoice_id: field_id(data, "invoice"),
            payment_id: Some(id()?),
            charge_id: field_id(data, "latest_charge"),
            what: PaymentHint::Failed,
        },
        "charge.failed" => charge(data, id()?, PaymentHint::Failed),
        "charge.refunded" => charge(data, id()?, PaymentHint::Refunded),
        "charge.dispute.created" => {
            id()?;
            Hint::Payment {
                invoice_id: data
                    .object
                    .0
                    .get("charge")
                    .and_then(|charge| id_of(charge.get("invoice")?)),
                payment_id: field_id(data, "payment_intent"),
                charge_id: field_id(data, "charge"),
                what: PaymentHint::Disputed,
            }
        }
        "customer.subscription.updated" | "customer.subscription.deleted" | "customer.subscription.paused" => {
            Hint::Subscription { subscription_id: id()? }
        }
        "payment_method.attached" => payment_method(data, id()?, false),
        "payment_method.automatically_updated" | "customer.source.updated" => payment_method(data, id()?, true),
        "customer.updated" => customer(data, id()?),
        _ => Hint::Unhandled,
    })
}

fn charge(data: &Data, charge_id: String, what: PaymentHint) -> Hint {
    Hint::Payment {
        invoice_id: field_id(data, "invoice"),
        payment_id: field_id(data, "payment_intent"),
        charge_id: Some(charge_id),
        what,
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct InvoiceEvent {
    data: InvoiceData,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct InvoiceData {
    object: Invoice,
}

/// The subscription whose first invoice an event of money tells of. Where nothing was to be paid, as at the beginning of a trial,
/// nobody has paid yet. An invoice that is no such invoice as we know still has an id to read it by, so its event is good.
fn subscribed(body: &[u8]) -> Option<Subscribed> {
    let InvoiceEvent {
        data: InvoiceData { object },
    } = read(body).ok()?;
    if object.billing_reason.as_deref() != Some("subscription_create") || object.amount_paid.unwrap_or(0) <= 0 {
        return None;
    }
    Some(Subscribed {
        customer_id: wire::id_of(object.customer.as_ref()).as_deref().and_then(usable)?,
        subscription_id: object.subscription_id().as_deref().and_then(usable)?,
    })
}

/// An invoice that is not there yet has no id to read it by, so the event itself tells what is due.
fn upcoming(body: &[u8]) -> Result<Hint, Malformed> {
    let InvoiceEvent {
        data: InvoiceData { mut object },
    } = read(body)?;
    let Some(subscription_id) = object.subscription_id().as_deref().and_then(usable) else {
        return Ok(Hint::Unhandled);
    };
    let customer_id = wire::id_of(object.customer.as_ref()).as_deref().and_then(usable);
    let instant = |secs: Option<i64>| Timestamp::from_second(secs?).ok();
    let ends_at = instant(object.period_end);
    let charge_at = instant(object.next_payment_attempt).or(ends_at);
    let amount = object.amount_remaining.or(object.amount_due);
    let currency = object.currency.as_deref().and_then(|code| code.parse().ok());
    let charge_at = charge_at.ok_or_else(|| missing("data.object.next_payment_attempt"))?;
    Ok(Hint::Upcoming(Box::new(Upcoming {
        subscription_id,
        customer_id: customer_id.ok_or_else(|| missing("data.object.customer"))?,
        period_ends_at: ends_at.unwrap_or(charge_at),
        charge_at,
        amount: Money::new(
            amount.ok_or_else(|| missing("data.object.amount_due"))?,
            currency.ok_or_else(|| missing("data.object.currency"))?,
        ),
        automatic: object.collection_method.as_deref() != Some("send_invoice"),
        description: description(&mut object),
    })))
}

/// A payment method that belongs to nobody (any more) helps no one.
fn payment_method(data: &Data, id: String, renewed: bool) -> Hint {
    let Some(customer_id) = field_id(data, "customer") else {
        return Hint::Unhandled;
    };
    let object = &data.object.0;
    // A payment method keeps its card in a field, an older source is the card.
    let details = MethodDetails::deserialize(object).unwrap_or_default();
    let source = details.card.is_none() && details.kind.is_none();
    let card = source.then(|| Card::deserialize(object).ok()).flatten();
    let instrument = match &card {
        Some(card) => instrument::of_card(Some(&id), card),
        None => instrument::of_method(Some(&id), &details),
    };
    let fingerprint = card.or(details.card).and_then(|card| card.fingerprint);
    Hint::PaymentMethod {
        customer_id,
        payment_method: Some(id),
        fingerprint: fingerprint.as_deref().and_then(usable),
        instrument: instrument.filter(|known| usable(&known.key).is_some()),
        renewed,
    }
}

/// A customer with another default payment method may pay at once; other changes only concern mails.
fn customer(data: &Data, customer_id: String) -> Hint {
    let changed = ["/invoice_settings/default_payment_method", "/default_source"]
        .iter()
        .find_map(|path| {
            data.previous_attributes.0.pointer(path)?;
            data.object.0.pointer(path).and_then(id_of)
        });
    match changed {
        Some(payment_method) => Hint::PaymentMethod {
            customer_id,
            payment_method: Some(payment_method),
            fingerprint: None,
            instrument: None,
            renewed: false,
        },
        None => Hint::Customer { customer_id },
    }
}

/// The id in a field of the event's object, which may hold the id or the whole object.
fn field_id(data: &Data, field: &str) -> Option<String> {
    id_of(data.object.0.get(field)?)
}

fn id_of(value: &Value) -> Option<String> {
    value.as_str().or_else(|| value.get("id")?.as_str()).and_then(usable)
}

/// Takes visible ASCII of sane length: all that the provider's names and types are made of, and all that every database
/// can keep.
pub(super) fn usable(text: &str) -> Option<String> {
    let fits = !text.is_empty() && text.len() <= TEXT_BYTES_MAX && text.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| text.to_owned())
}

fn missing(field: &str) -> Malformed {
    Malformed(format!("no usable {field}"))
}
