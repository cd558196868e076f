//! Stripe's endpoints over the world, without a network: a call in, a status and a body out.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::books::ChargedBy;
use super::charging::NotCharged;
use super::issuer::Session;
use super::render;
use super::world::World;

mod lists;

/// One request, its form or query decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// `GET`, `POST` or `DELETE`.
    pub method: String,
    /// The path, such as `/v1/invoices/in_1/pay`.
    pub path: String,
    /// The parameters by name, such as `pause_collection[behavior]`.
    pub params: BTreeMap<String, String>,
    /// The Idempotency-Key.
    pub key: Option<String>,
}

impl Call {
    fn param(&self, name: &str) -> Option<&str> {
        self.params.get(name).map(String::as_str)
    }
}

/// What the server answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The JSON.
    pub body: Value,
}

impl Answer {
    fn ok(body: Value) -> Self {
        Self { status: 200, body }
    }

    /// An error in Stripe's form.
    pub fn error(status: u16, kind: &str, code: Option<&str>, message: &str) -> Self {
        let mut error = json!({ "type": kind, "message": message });
        if let Some(code) = code {
            error["code"] = json!(code);
            error["doc_url"] = json!(format!(
                "https://stripe.com/docs/error-codes/{}",
                code.replace('_', "-")
            ));
        }
        Self {
            status,
            body: json!({ "error": error }),
        }
    }

    fn invalid(message: &str) -> Self {
        Self::error(400, "invalid_request_error", None, message)
    }

    fn missing(what: &str, id: &str) -> Self {
        let mut answer = Self::error(
            404,
            "invalid_request_error",
            Some("resource_missing"),
            &format!("No such {what}: '{id}'"),
        );
        answer.body["error"]["param"] = json!("id");
        answer
    }
}

/// Carries a call out.
pub fn answer(world: &mut World, call: &Call) -> Answer {
    world.calling.clone_from(&call.key);
    let segments: Vec<&str> = call.path.trim_matches('/').split('/').skip(1).collect();
    let answer = match (call.method.as_str(), segments.as_slice()) {
        ("GET", ["invoice_payments"]) => invoice_payments(world, call),
        ("GET", ["events"]) => lists::events(world, call),
        ("GET", ["invoices"]) => lists::invoices(world, call),
        ("GET", ["charges"]) => lists::charges(world, call),
        ("GET", ["subscriptions"]) => lists::subscriptions(world, call),
        ("GET", [kind, id]) => read(world, kind, id),
        ("POST", ["invoices", id, verb]) => change_invoice(world, id, verb, call),
        ("POST", ["subscriptions", id]) => change_subscription(world, id, call),
        ("DELETE", ["subscriptions", id]) => cancel_subscription(world, id),
        ("POST", ["billing_portal", "sessions"]) => portal_session(world, call),
        (method, _) => Answer::error(
            404,
            "invalid_request_error",
            None,
            &format!("Unrecognized request URL ({method}: {}).", call.path),
        ),
    };
    world.calling = None;
    answer
}

fn read(world: &World, kind: &str, id: &str) -> Answer {
    let shape = world.shape();
    let (what, found) = match kind {
        "invoices" => (
            "invoice",
            world.invoices.get(id).map(|invoice| render::invoice(invoice, shape)),
        ),
        "customers" => ("customer", world.customers.get(id).map(render::customer)),
        "charges" => (
            "charge",
            world.charges.get(id).map(|charge| render::charge(charge, shape)),
        ),
        "subscriptions" => (
            "subscription",
            world
                .subscriptions
                .get(id)
                .map(|subscription| render::subscription(subscription, shape)),
        ),
        "payment_intents" => {
            let invoice = world.intents.get(id).and_then(|invoice| world.invoices.get(invoice));
            (
                "payment_intent",
                invoice.map(|invoice| render::payment_intent(invoice, shape)),
            )
        }
        "payment_methods" => ("PaymentMethod", world.cards.get(id).map(render::payment_method)),
        "events" => {
            let event = world.events().iter().find(|event| event.id == id);
            ("event", event.map(|event| event.body(shape, 0)))
        }
        _ => (kind, None),
    };
    found.map_or_else(|| Answer::missing(what, id), Answer::ok)
}

fn change_invoice(world: &mut World, id: &str, verb: &str, call: &Call) -> Answer {
    if world.invoice(id).is_none() {
        return Answer::missing("invoice", id);
    }
    match verb {
        "pay" => pay(world, id, call),
        "void" if world.void(id) => read(world, "invoices", id),
        "void" => Answer::invalid("This invoice can no longer be voided: only open and uncollectible invoices can."),
        "mark_uncollectible" if world.mark_uncollectible(id) => read(world, "invoices", id),
        "mark_uncollectible" => Answer::invalid("Only open invoices can be marked uncollectible."),
        _ => Answer::error(404, "invalid_request_error", None, "Unrecognized request URL."),
    }
}

fn pay(world: &mut World, id: &str, call: &Call) -> Answer {
    if call.param("paid_out_of_band") == Some("true") && world.pay_out_of_band(id) {
        return read(world, "invoices", id);
    }
    let session = if call.param("off_session") == Some("false") {
        Session::On
    } else {
        Session::Off
    };
    match world.charge(id, call.param("payment_method"), ChargedBy::Api, session) {
        Ok(charge) if world.charges[&charge].refusal.is_some() => Answer {
            status: 402,
            body: render::card_error(&world.invoices[id], world.shape()),
        },
        Ok(_) => read(world, "invoices", id),
        Err(NotCharged::NoInvoice) => Answer::missing("invoice", id),
        Err(NotCharged::Paid) => Answer::invalid("Invoice is already paid"),
        Err(NotCharged::Void) => Answer::invalid("Voided invoices cannot be paid."),
        Err(NotCharged::NoCard) if call.param("payment_method").is_none() => Answer::error(
            400,
            "invalid_request_error",
            Some("missing"),
            "There is no `default_payment_method` set on this customer or invoice.",
        ),
        Err(NotCharged::NoCard) => Answer::error(
            400,
            "invalid_request_error",
            Some("resource_missing"),
            "This customer has no such payment method.",
        ),
    }
}

fn change_subscription(world: &mut World, id: &str, call: &Call) -> Answer {
    let behavior = call.param("pause_collection[behavior]");
    let resumes = call.param("pause_collection") == Some("");
    if behavior.is_some_and(|word| !["void", "keep_as_draft", "mark_uncollectible"].contains(&word)) {
        return Answer::invalid("Invalid pause_collection[behavior]: it is void, keep_as_draft or mark_uncollectible.");
    }
    if (behavior.is_some() || resumes) && !world.pause_collection(id, behavior) {
        return Answer::missing("subscription", id);
    }
    read(world, "subscriptions", id)
}

fn cancel_subscription(world: &mut World, id: &str) -> Answer {
    if world.cancel_subscription(id, None) {
        read(world, "subscriptions", id)
    } else {
        Answer::missing("subscription", id)
    }
}

fn portal_session(world: &mut World, call: &Call) -> Answer {
    let Some(customer) = call.param("customer") else {
        return Answer::error(
            400,
            "invalid_request_error",
            Some("parameter_missing"),
            "Missing required param: customer.",
        );
    };
    if world.customer(customer).is_none() {
        return Answer::error(
            400,
            "invalid_request_error",
            Some("resource_missing"),
            &format!("No such customer: '{customer}'"),
        );
    }
    let id = world.id("bps");
    Answer::ok(render::portal_session(
        &id,
        customer,
        &world.base_url,
        call.param("return_url"),
        world.now(),
    ))
}

fn invoice_payments(world: &World, call: &Call) -> Answer {
    let by_intent = call
        .param("payment[payment_intent]")
        .and_then(|intent| world.intents.get(intent));
    let id = call.param("invoice").or(by_intent.map(String::as_str));
    // An invoice that nobody ever tried to charge has no payment yet.
    let found = id
        .and_then(|id| world.invoices.get(id))
        .filter(|invoice| !invoice.paid_out_of_band || invoice.intent.latest_charge.is_some());
    let data: Vec<Value> = found.map(render::invoice_payment).into_iter().collect();
    Answer::ok(render::list("/v1/invoice_payments", &data, false))
}
