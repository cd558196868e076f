//! The world's things as Stripe's JSON. What never varies stands in `shapes.json`, by object; the rest is filled in here.

use std::sync::LazyLock;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::billing::pause_json;
use super::issuer::Refusal;
use super::objects::{Card, Charge, Customer, Dispute, Invoice, InvoiceStatus, Subscription};
use super::world::Shape;

static SHAPES: LazyLock<Map<String, Value>> =
    LazyLock::new(|| serde_json::from_str(include_str!("shapes.json")).expect("shapes.json is an object of objects"));

/// The constant part of an object with `parts` laid over it.
fn filled(name: &str, parts: impl IntoIterator<Item = Value>) -> Value {
    let mut object = SHAPES[name].as_object().expect("each shape is an object").clone();
    for part in parts {
        if let Value::Object(part) = part {
            object.extend(part);
        }
    }
    Value::Object(object)
}

fn secs(at: Option<Timestamp>) -> Option<i64> {
    at.map(Timestamp::as_second)
}

/// The currency as Stripe writes it, in lower case.
fn currency(money: crate::domain::money::Money) -> String {
    money.currency.code().to_ascii_lowercase()
}

/// A list object holding `data`.
pub fn list(url: &str, data: &[Value], has_more: bool) -> Value {
    json!({ "object": "list", "url": url, "has_more": has_more, "data": data })
}

/// An invoice.
pub fn invoice(invoice: &Invoice, shape: Shape) -> Value {
    let total = invoice.amount.amount_minor;
    let closed = |status| secs(invoice.closed_at.filter(|_| invoice.status == status));
    let amounts = json!({
        "amount_due": total, "amount_paid": invoice.paid_minor, "amount_remaining": invoice.remaining_minor(), "subtotal": total,
        "subtotal_excluding_tax": total, "total": total, "total_excluding_tax": total, "currency": currency(invoice.amount),
    });
    let state = json!({
        "id": invoice.id, "number": invoice.number, "status": invoice.status.as_str(), "attempt_count": invoice.attempt_count,
        "attempted": invoice.attempt_count > 0, "auto_advance": invoice.auto_advance && invoice.status == InvoiceStatus::Open,
        "next_payment_attempt": secs(invoice.next_payment_attempt), "hosted_invoice_url": invoice.hosted_invoice_url,
        "status_transitions": {
            "finalized_at": invoice.created.as_second(), "marked_uncollectible_at": closed(InvoiceStatus::Uncollectible),
            "paid_at": closed(InvoiceStatus::Paid), "voided_at": closed(InvoiceStatus::Void),
        },
    });
    let payer = json!({
        "customer": invoice.customer, "customer_email": invoice.customer_email, "customer_name": invoice.customer_name,
        "created": invoice.created.as_second(), "effective_at": invoice.created.as_second(),
        "webhooks_delivered_at": invoice.created.as_second(), "period_start": invoice.period_start.as_second(),
        "period_end": invoice.created.as_second(),
        "billing_reason": if invoice.first { "subscription_create" } else { "subscription_cycle" },
    });
    let ties = match shape {
        Shape::Old => json!({
            "subscription": invoice.subscription, "charge": invoice.intent.latest_charge, "payment_intent": invoice.intent.id,
            "subscription_details": { "metadata": {} }, "paid": invoice.status == InvoiceStatus::Paid,
            "paid_out_of_band": invoice.paid_out_of_band, "tax": null, "total_tax_amounts": [], "discount": null, "quote": null,
            "transfer_data": null, "application_fee_amount": null,
        }),
        Shape::New => json!({
            "parent": {
                "type": "subscription_details", "quote_details": null,
                "subscription_details": { "metadata": {}, "subscription": invoice.subscription },
            },
            "amount_overpaid": 0, "total_taxes": [], "total_pretax_credit_amounts": [],
        }),
    };
    let lines = list(
        &format!("/v1/invoices/{}/lines", invoice.id),
        &[line(invoice, shape)],
        false,
    );
    let mut value = filled("invoice", [amounts, state, payer, ties, json!({ "lines": lines })]);
    value["customer_address"]["country"] = json!(invoice.customer_country);
    if shape == Shape::Old
        && let Some(object) = value.as_object_mut()
    {
        for newer in ["parent", "amount_overpaid", "total_taxes", "customer_account"] {
            object.remove(newer);
        }
    }
    value
}

/// An invoice that is not there yet: it has no name, and no page to pay on.
pub fn upcoming(invoice: &Invoice, shape: Shape) -> Value {
    let mut value = self::invoice(invoice, shape);
    for none in ["id", "number", "hosted_invoice_url", "effective_at"] {
        value[none] = Value::Null;
    }
    if shape == Shape::Old {
        value["payment_intent"] = Value::Null;
    }
    value["status"] = json!("draft");
    value["period_end"] = json!(secs(invoice.next_payment_attempt));
    value["status_transitions"]["finalized_at"] = Value::Null;
    value
}

fn line(invoice: &Invoice, shape: Shape) -> Value {
    let item = invoice.subscription.replacen("sub", "si", 1);
    let part = json!({
        "id": invoice.id.replacen("in", "il", 1), "amount": invoice.amount.amount_minor, "currency": currency(invoice.amount),
        "description": invoice.description, "invoice": invoice.id, "subtotal": invoice.amount.amount_minor,
        "period": { "start": invoice.period_start.as_second(), "end": invoice.period_end.as_second() },
    });
    let tie = match shape {
        Shape::Old => {
            json!({ "type": "subscription", "subscription": invoice.subscription, "subscription_item": item })
        }
        Shape::New => json!({
            "subscription": invoice.subscription,
            "parent": { "type": "subscription_item_details", "invoice_item_details": null,
                "subscription_item_details": { "invoice_item": null, "proration": false, "proration_details": null,
                    "subscription": invoice.subscription, "subscription_item": item } },
            "pricing": { "type": "price_details", "unit_amount_decimal": invoice.amount.amount_minor.to_string() },
        }),
    };
    filled("line", [part, tie])
}

/// What an error, a payment intent and an outcome say about a refusal.
fn refusal_error(card: &Card, refusal: &Refusal, charge: Option<&str>) -> Value {
    let mut error = json!({
        "type": "card_error", "code": refusal.error_code(), "decline_code": refusal.decline_code,
        "advice_code": refusal.advice_code(), "network_decline_code": refusal.network_code,
        "network_advice_code": refusal.network_advice, "message": refusal.message(), "charge": charge,
        "doc_url": format!("https://stripe.com/docs/error-codes/{}", refusal.error_code().replace('_', "-")),
        "payment_method": payment_method(card),
    });
    // Stripe leaves out of an error what it does not know.
    if let Some(error) = error.as_object_mut() {
        error.retain(|_, value| !value.is_null());
    }
    error
}

/// The body of a 402: why the newest charge of the invoice was refused.
pub fn card_error(invoice: &Invoice, shape: Shape) -> Value {
    let Some((card, refusal)) = &invoice.intent.last_error else {
        return json!({ "error": { "type": "api_error" } });
    };
    let mut error = refusal_error(card, refusal, invoice.intent.latest_charge.as_deref());
    error["payment_intent"] = payment_intent(invoice, shape);
    json!({ "error": error })
}

/// The payment intent of an invoice.
pub fn payment_intent(invoice: &Invoice, shape: Shape) -> Value {
    let intent = &invoice.intent;
    let error = intent.last_error.as_ref();
    let received = if intent.status == "succeeded" {
        invoice.amount.amount_minor
    } else {
        0
    };
    let part = json!({
        "id": intent.id, "amount": invoice.amount.amount_minor, "amount_received": received, "currency": currency(invoice.amount),
        "created": invoice.created.as_second(), "customer": invoice.customer, "status": intent.status,
        "client_secret": format!("{}_secret_sandbox", intent.id), "description": invoice.description,
        "latest_charge": intent.latest_charge, "setup_future_usage": "off_session",
        "payment_method": intent.payment_method.as_ref().filter(|_| intent.status != "requires_payment_method"),
        "last_payment_error": error.map(|(card, refusal)| refusal_error(card, refusal, intent.latest_charge.as_deref())),
        "next_action": (intent.status == "requires_action").then(|| json!({ "type": "use_stripe_sdk", "use_stripe_sdk": {} })),
    });
    let tie = if shape == Shape::Old {
        json!({ "invoice": invoice.id })
    } else {
        Value::Null
    };
    filled("payment_intent", [part, tie])
}

/// The tie between an invoice and its payment intent.
pub fn invoice_payment(invoice: &Invoice) -> Value {
    let paid = invoice.intent.status == "succeeded";
    let paid_at = secs(invoice.closed_at.filter(|_| paid));
    let status = match (paid, invoice.is_payable()) {
        (true, _) => "paid",
        (false, true) => "open",
        (false, false) => "canceled",
    };
    filled(
        "invoice_payment",
        [json!({
            "id": invoice.id.replacen("in", "inpay", 1), "invoice": invoice.id, "status": status,
            "amount_requested": invoice.amount.amount_minor, "amount_paid": paid.then_some(invoice.amount.amount_minor),
            "currency": currency(invoice.amount), "created": invoice.created.as_second(),
            "payment": { "type": "payment_intent", "payment_intent": invoice.intent.id },
            "status_transitions": { "paid_at": paid_at, "canceled_at": secs(invoice.closed_at.filter(|_| status == "canceled")) },
        })],
    )
}

/// A charge.
pub fn charge(charge: &Charge, shape: Shape) -> Value {
    let taken = if charge.refusal.is_none() {
        charge.amount.amount_minor
    } else {
        0
    };
    let refusal = charge.refusal.as_ref();
    let part = json!({
        "id": charge.id, "amount": charge.amount.amount_minor, "amount_captured": taken, "amount_refunded": charge.refunded_minor,
        "currency": currency(charge.amount), "created": charge.created.as_second(), "customer": charge.customer,
        "paid": refusal.is_none(), "captured": refusal.is_none(), "refunded": taken > 0 && charge.refunded_minor == taken,
        "disputed": charge.disputed, "status": if refusal.is_none() { "succeeded" } else { "failed" },
        "failure_code": refusal.map(Refusal::error_code), "failure_message": refusal.map(Refusal::message),
        "description": "Subscription update", "payment_intent": charge.intent, "payment_method": charge.card.id,
        "balance_transaction": refusal.is_none().then(|| charge.id.replacen("ch", "txn", 1)), "outcome": outcome(refusal),
        "payment_method_details": { "type": "card", "card": filled("charged_card", [card_json(&charge.card), json!({
            "amount_authorized": charge.refusal.is_none().then_some(charge.amount.amount_minor), "network": charge.card.brand,
        })]) },
    });
    let tie = if shape == Shape::Old {
        json!({ "invoice": charge.invoice })
    } else {
        Value::Null
    };
    let mut value = filled("charge", [part, tie]);
    value["billing_details"]["email"] = json!(charge.email);
    value["billing_details"]["name"] = json!(charge.name);
    value
}

fn outcome(refusal: Option<&Refusal>) -> Value {
    let told = match refusal {
        None => "Payment complete.",
        Some(_) => "The bank returned a decline.",
    };
    json!({
        "type": if refusal.is_some() { "issuer_declined" } else { "authorized" }, "seller_message": told,
        "network_status": if refusal.is_some() { "declined_by_network" } else { "approved_by_network" },
        "reason": refusal.map(|refusal| &refusal.decline_code), "advice_code": refusal.and_then(Refusal::advice_code),
        "network_decline_code": refusal.and_then(|refusal| refusal.network_code.as_ref()),
        "network_advice_code": refusal.and_then(|refusal| refusal.network_advice.as_ref()),
        "risk_level": "normal",
    })
}

fn card_json(card: &Card) -> Value {
    json!({
        "brand": card.brand, "country": card.country, "exp_month": card.exp_month, "exp_year": card.exp_year,
        "fingerprint": card.fingerprint, "funding": card.funding, "last4": card.last4,
    })
}

/// A payment method.
pub fn payment_method(card: &Card) -> Value {
    let networks = json!({ "display_brand": card.brand, "networks": { "available": [card.brand], "preferred": null } });
    filled(
        "payment_method",
        [json!({
            "id": card.id, "created": card.created.as_second(), "customer": card.customer,
            "card": filled("card", [card_json(card), networks]),
        })],
    )
}

/// A customer.
pub fn customer(customer: &Customer) -> Value {
    let named = [
        ("timezone", &customer.zone_name),
        ("billing_email_alternate", &customer.alternate),
    ];
    let named = named
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value.as_deref()?.into())));
    let metadata: Map<String, Value> = named.collect();
    let mut value = filled(
        "customer",
        [json!({
            "id": customer.id, "created": customer.created.as_second(), "name": customer.name, "email": customer.email,
            "delinquent": customer.delinquent, "preferred_locales": [customer.locale],
            "invoice_prefix": customer.id[customer.id.len() - 8..].to_ascii_uppercase(),
            "metadata": metadata,
        })],
    );
    value["address"]["country"] = json!(customer.country);
    value["invoice_settings"]["default_payment_method"] = json!(customer.default_payment_method);
    value
}

/// A subscription.
pub fn subscription(subscription: &Subscription, shape: Shape) -> Value {
    let (start, end) = (
        subscription.period_start.as_second(),
        subscription.period_end.as_second(),
    );
    let price = json!({
        "id": subscription.id.replacen("sub", "price", 1), "object": "price", "active": true, "billing_scheme": "per_unit",
        "currency": currency(subscription.price), "livemode": false, "metadata": {}, "nickname": subscription.product,
        "product": subscription.id.replacen("sub", "prod", 1), "type": "recurring", "unit_amount": subscription.price.amount_minor,
        "recurring": { "interval": "month", "interval_count": 1, "usage_type": "licensed" },
    });
    let item = filled(
        "subscription_item",
        [json!({
            "id": subscription.id.replacen("sub", "si", 1), "created": subscription.created.as_second(), "price": price,
            "subscription": subscription.id, "current_period_start": start, "current_period_end": end,
        })],
    );
    let (reason, feedback) = subscription.cancellation.unzip();
    let periods = match shape {
        Shape::Old => json!({ "current_period_start": start, "current_period_end": end }),
        Shape::New => Value::Null,
    };
    filled(
        "subscription",
        [
            periods,
            json!({
                "id": subscription.id, "created": subscription.created.as_second(), "start_date": subscription.created.as_second(),
                "billing_cycle_anchor": subscription.anchor.as_second(), "customer": subscription.customer,
                "currency": currency(subscription.price), "status": subscription.status.as_str(),
                "latest_invoice": subscription.latest_invoice, "canceled_at": secs(subscription.canceled_at),
                "ended_at": secs(subscription.canceled_at), "pause_collection": pause_json(subscription),
                "cancellation_details": { "comment": null, "feedback": feedback.flatten(), "reason": reason },
                "items": list(&format!("/v1/subscription_items?subscription={}", subscription.id), &[item], false),
            }),
        ],
    )
}

/// A dispute.
pub fn dispute(dispute: &Dispute) -> Value {
    let due = dispute.created + jiff::SignedDuration::from_hours(14 * 24);
    filled(
        "dispute",
        [json!({
            "id": dispute.id, "charge": dispute.charge, "payment_intent": dispute.intent, "amount": dispute.amount.amount_minor,
            "currency": currency(dispute.amount), "created": dispute.created.as_second(),
            "evidence_details": { "due_by": due.as_second(), "has_evidence": false, "past_due": false, "submission_count": 0 },
        })],
    )
}

/// A session of the billing portal.
pub fn portal_session(id: &str, customer: &str, base_url: &str, return_url: Option<&str>, now: Timestamp) -> Value {
    filled(
        "portal_session",
        [json!({
            "id": id, "created": now.as_second(), "customer": customer, "return_url": return_url,
            "url": format!("{base_url}/p/{customer}"),
        })],
    )
}
