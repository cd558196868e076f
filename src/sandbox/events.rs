//! The log of events. An event keeps its object as it was; the JSON is made when somebody asks for it.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::objects::{Card, Charge, Customer, Dispute, Invoice, Subscription};
use super::render;
use super::world::Shape;

/// The object of an event at the instant of the event.
#[derive(Clone, Debug)]
pub enum Snapshot {
    /// An invoice.
    Invoice(Box<Invoice>),
    /// An invoice that will be made.
    Upcoming(Box<Invoice>),
    /// The payment intent of an invoice.
    PaymentIntent(Box<Invoice>),
    /// A charge.
    Charge(Box<Charge>),
    /// A dispute.
    Dispute(Box<Dispute>),
    /// A subscription.
    Subscription(Box<Subscription>),
    /// A customer.
    Customer(Box<Customer>),
    /// A payment method.
    PaymentMethod(Box<Card>),
}

/// One event.
#[derive(Clone, Debug)]
pub struct Event {
    /// Stripe's id, `evt_...`.
    pub id: String,
    /// Stripe's type, such as `invoice.paid`.
    pub kind: &'static str,
    /// When it happened.
    pub created: Timestamp,
    /// What it is about.
    pub snapshot: Snapshot,
    /// The former values of what changed, where Stripe tells them.
    pub previous: Option<Value>,
    /// The Idempotency-Key of the call that caused it.
    pub idempotency_key: Option<String>,
}

impl Event {
    /// The event as Stripe sends it, in `shape`; `pending` tells how many endpoints still wait for it.
    pub fn body(&self, shape: Shape, pending: u32) -> Value {
        let object = match &self.snapshot {
            Snapshot::Invoice(invoice) => render::invoice(invoice, shape),
            Snapshot::Upcoming(invoice) => render::upcoming(invoice, shape),
            Snapshot::PaymentIntent(invoice) => render::payment_intent(invoice, shape),
            Snapshot::Charge(charge) => render::charge(charge, shape),
            Snapshot::Dispute(dispute) => render::dispute(dispute),
            Snapshot::Subscription(subscription) => render::subscription(subscription, shape),
            Snapshot::Customer(customer) => render::customer(customer),
            Snapshot::PaymentMethod(card) => render::payment_method(card),
        };
        let mut data = json!({ "object": object });
        if let Some(previous) = &self.previous {
            data["previous_attributes"] = previous.clone();
        }
        let request = self.idempotency_key.as_ref().map(|_| format!("req_{}", &self.id[4..]));
        json!({
            "id": self.id, "object": "event", "api_version": shape.api_version(), "created": self.created.as_second(),
            "type": self.kind, "livemode": false, "pending_webhooks": pending, "data": data,
            "request": { "id": request, "idempotency_key": self.idempotency_key },
        })
    }
}

/// Every event, and which of them still wait for delivery.
#[derive(Debug)]
pub struct Log {
    shape: Shape,
    events: Vec<Event>,
    /// Indices of the events that no endpoint has taken yet, oldest first.
    waiting: Vec<usize>,
    /// The types that the endpoint is subscribed to.
    sent: Vec<&'static str>,
}

/// What the sandbox's webhook endpoint is subscribed to at the start. The log holds more than is sent.
pub const SENT: [&str; 18] = [
    "charge.dispute.created",
    "charge.failed",
    "charge.refunded",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.updated",
    "customer.updated",
    "invoice.marked_uncollectible",
    "invoice.paid",
    "invoice.payment_action_required",
    "invoice.payment_failed",
    "invoice.payment_succeeded",
    "invoice.upcoming",
    "invoice.updated",
    "invoice.voided",
    "payment_intent.payment_failed",
    "payment_method.attached",
    "payment_method.automatically_updated",
];

impl Log {
    pub(super) fn new(shape: Shape) -> Self {
        Self {
            shape,
            events: Vec::new(),
            waiting: Vec::new(),
            sent: SENT.to_vec(),
        }
    }

    pub(super) fn shape(&self) -> Shape {
        self.shape
    }

    pub(super) fn events(&self) -> &[Event] {
        &self.events
    }

    pub(super) fn push(&mut self, event: Event) {
        if self.sent.contains(&event.kind) {
            self.waiting.push(self.events.len());
        }
        self.events.push(event);
    }

    /// The events that still wait, oldest first.
    pub(super) fn waiting(&self) -> impl Iterator<Item = (usize, &Event)> {
        self.waiting.iter().map(|index| (*index, &self.events[*index]))
    }

    pub(super) fn delivered(&mut self, index: usize) {
        self.waiting.retain(|waiting| *waiting != index);
    }

    /// Sends only these types from now on; what waits goes on waiting.
    pub(super) fn subscribe(&mut self, kinds: &[&'static str]) {
        self.sent = kinds.to_vec();
    }

    /// Forgets what waits, and says how many those were.
    pub(super) fn lose(&mut self) -> usize {
        std::mem::take(&mut self.waiting).len()
    }

    /// Puts an event that was delivered back into the queue; says whether it exists.
    pub(super) fn send_again(&mut self, id: &str) -> bool {
        let found = self.events.iter().position(|event| event.id == id);
        self.waiting.extend(found);
        found.is_some()
    }
}
