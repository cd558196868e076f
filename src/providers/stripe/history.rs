//! Events that Stripe told of in the past, in any order and both shapes, as invoices whose end is known.
//!
//! Since 2025-03-31 a failed charge does not name its invoice any more. What ties them then is the payment intent, once one of its
//! charges has paid the invoice; else the one failed charge of the same customer and amount within a minute of the event.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::payment::{Charged, decline};
use super::webhook::usable;
use super::wire::{Charge, Invoice, InvoicePayment, Subscription, id_of};
use super::{read, traits};
use crate::domain::decide::past::PastInvoice;
use crate::domain::decline::Decline;
use crate::domain::money::Money;
use crate::domain::snapshot::{CancelReason, Traits};

mod invoices;

/// Why an event of a file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadEvent {
    /// It is no event at all.
    #[error("no event of Stripe: it has no {0}")]
    Missing(&'static str),
    /// What it tells of has another form.
    #[error("a {0} of a form that is not known")]
    Form(String),
    /// Test events and live ones are in one file.
    #[error("events of the test mode and of the live mode together: give one of both")]
    Modes,
}

/// What became of invoices that failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Those whose end is known, oldest first.
    pub invoices: Vec<PastInvoice>,
    /// Those that are still charged at the end of the file.
    pub under_way: Vec<String>,
    /// Those whose first failure is older than the file.
    pub begun_before: Vec<String>,
    /// How many charges failed for a reason that the file does not tell.
    pub without_reason: u64,
}

/// What a file told so far.
#[derive(Default)]
pub struct History {
    livemode: Option<bool>,
    invoices: BTreeMap<String, Known>,
    subscriptions: HashMap<String, Subscribed>,
    failed: Vec<FailedCharge>,
    /// The charges that came through, by their payment intent and by their invoice.
    paying: HashMap<String, String>,
    /// Which payment intent belongs to which invoice.
    intents: HashMap<String, String>,
}

/// What was told of an invoice.
#[derive(Default)]
struct Known {
    failures: Vec<Failure>,
    paid: Option<Paid>,
    voided_at: Option<Timestamp>,
    uncollectible_at: Option<Timestamp>,
}

/// A failed charge as the invoice tells of it.
struct Failure {
    at: Timestamp,
    invoice: Invoice,
    /// Whether the customer has to confirm it.
    confirm: bool,
}

struct Paid {
    at: Timestamp,
    /// Whether the money came outside the provider; the newer shape does not say.
    out_of_band: Option<bool>,
    charge_id: Option<String>,
}

/// A charge that failed, as it tells of itself.
struct FailedCharge {
    id: String,
    at: Timestamp,
    customer_id: Option<String>,
    amount: Option<Money>,
    invoice_id: Option<String>,
    intent_id: Option<String>,
    decline: Decline,
    charged: Charged,
}

/// What was told of a subscription.
#[derive(Default)]
struct Subscribed {
    traits: Traits,
    ended: Option<(Timestamp, Option<CancelReason>)>,
    /// Since when nobody charges its invoices any more.
    unpaid_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: Option<String>,
    created: Option<i64>,
    livemode: Option<bool>,
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    object: Value,
}

impl History {
    /// Takes in an event. What it does not concern is passed over.
    pub fn take(&mut self, event: Value) -> Result<(), BadEvent> {
        let event = Event::deserialize(event).map_err(|_| BadEvent::Form("event".to_owned()))?;
        let kind = event.kind.ok_or(BadEvent::Missing("type"))?;
        let at = event.created.and_then(|secs| Timestamp::from_second(secs).ok());
        let at = at.ok_or(BadEvent::Missing("created"))?;
        if let Some(livemode) = event.livemode
            && *self.livemode.get_or_insert(livemode) != livemode
        {
            return Err(BadEvent::Modes);
        }
        let object = event.data.ok_or(BadEvent::Missing("data.object"))?.object;
        match kind.as_str() {
            "invoice.payment_failed" => self.failed(at, form("invoice", object)?, false),
            "invoice.payment_action_required" => self.failed(at, form("invoice", object)?, true),
            "invoice.paid" | "invoice.payment_succeeded" => self.paid(at, &form("invoice", object)?),
            "invoice.voided" => self.ended(&form("invoice", object)?, |known| &mut known.voided_at, at),
            "invoice.marked_uncollectible" => {
                self.ended(&form("invoice", object)?, |known| &mut known.uncollectible_at, at)
            }
            "invoice_payment.paid" => self.tie(&form("invoice payment", object)?),
            "charge.failed" => self.charge_failed(at, &form("charge", object)?),
            "charge.succeeded" => self.charge_succeeded(&form("charge", object)?),
            "customer.subscription.created"
            | "customer.subscription.updated"
            | "customer.subscription.deleted"
            | "customer.subscription.paused" => self.subscription(at, &kind, form("subscription", object)?),
            _ => Ok(()),
        }
    }

    /// What all of it comes to.
    pub fn told(mut self) -> Told {
        let mut ties = self.tie_charges();
        let mut told = Told::default();
        for (id, mut known) in std::mem::take(&mut self.invoices) {
            // An invoice that was paid at once has no failure to tell of.
            if known.failures.is_empty() {
                continue;
            }
            known.settle();
            self.judge(id, known, &mut ties, &mut told);
        }
        told.invoices
            .sort_by(|a, b| (a.failed_at, &a.first.invoice_id).cmp(&(b.failed_at, &b.first.invoice_id)));
        told
    }

    fn failed(&mut self, at: Timestamp, invoice: Invoice, confirm: bool) -> Result<(), BadEvent> {
        let id = name(invoice.id.as_deref(), "data.object.id")?;
        name(id_of(invoice.customer.as_ref()).as_deref(), "data.object.customer")?;
        invoices::amount(&invoice).ok_or(BadEvent::Missing("amount in a currency that is known"))?;
        if let Some(intent) = id_of(invoice.payment_intent.as_ref()) {
            self.intents.insert(intent, id.clone());
        }
        let known = self.invoices.entry(id).or_default();
        known.failures.push(Failure { at, invoice, confirm });
        Ok(())
    }

    fn paid(&mut self, at: Timestamp, invoice: &Invoice) -> Result<(), BadEvent> {
        let id = name(invoice.id.as_deref(), "data.object.id")?;
        if let Some(intent) = id_of(invoice.payment_intent.as_ref()) {
            self.intents.insert(intent, id.clone());
        }
        let told = invoice.status_transitions.as_ref().and_then(|times| times.paid_at);
        let paid = Paid {
            at: told.and_then(|secs| Timestamp::from_second(secs).ok()).unwrap_or(at),
            out_of_band: invoice.paid_out_of_band,
            charge_id: id_of(invoice.charge.as_ref()),
        };
        let known = self.invoices.entry(id).or_default();
        // `invoice.paid` and `invoice.payment_succeeded` tell of the same money; the earlier one counts.
        if known.paid.as_ref().is_none_or(|before| paid.at < before.at) {
            known.paid = Some(paid);
        }
        Ok(())
    }

    fn ended(
        &mut self,
        invoice: &Invoice,
        field: fn(&mut Known) -> &mut Option<Timestamp>,
        at: Timestamp,
    ) -> Result<(), BadEvent> {
        let id = name(invoice.id.as_deref(), "data.object.id")?;
        let field = field(self.invoices.entry(id).or_default());
        *field = Some(field.map_or(at, |before| before.min(at)));
        Ok(())
    }

    fn tie(&mut self, payment: &InvoicePayment) -> Result<(), BadEvent> {
        let invoice = id_of(payment.invoice.as_ref());
        let invoice = name(invoice.as_deref(), "data.object.invoice")?;
        let through = payment.payment.as_ref();
        if let Some(intent) = through.and_then(|payment| id_of(payment.payment_intent.as_ref())) {
            self.intents.insert(intent, invoice.clone());
        }
        if let Some(charge) = through.and_then(|payment| id_of(payment.charge.as_ref())) {
            self.paying.insert(invoice, charge);
        }
        Ok(())
    }

    fn charge_failed(&mut self, told_at: Timestamp, charge: &Charge) -> Result<(), BadEvent> {
        let id = name(charge.id.as_deref(), "data.object.id")?;
        let at = charge.created.and_then(|secs| Timestamp::from_second(secs).ok());
        let currency = charge.currency.as_deref().and_then(|code| code.parse().ok());
        self.failed.push(FailedCharge {
            id,
            at: at.unwrap_or(told_at),
            customer_id: id_of(charge.customer.as_ref()),
            amount: charge
                .amount
                .zip(currency)
                .map(|(minor, currency)| Money::new(minor, currency)),
            invoice_id: id_of(charge.invoice.as_ref()),
            intent_id: id_of(charge.payment_intent.as_ref()),
            decline: decline(None, Some(charge)),
            charged: Charged::of(None, None, Some(charge)),
        });
        Ok(())
    }

    fn charge_succeeded(&mut self, charge: &Charge) -> Result<(), BadEvent> {
        let id = name(charge.id.as_deref(), "data.object.id")?;
        let of = [id_of(charge.payment_intent.as_ref()), id_of(charge.invoice.as_ref())];
        self.paying.extend(of.into_iter().flatten().map(|of| (of, id.clone())));
        Ok(())
    }

    fn subscription(&mut self, at: Timestamp, kind: &str, mut found: Subscription) -> Result<(), BadEvent> {
        let id = name(found.id.as_deref(), "data.object.id")?;
        let known = self.subscriptions.entry(id).or_default();
        if kind == "customer.subscription.deleted" {
            let reason = found.cancellation_details.take().and_then(|details| details.reason);
            known.ended = Some((at, read::cancel_reason(reason.as_deref())));
        }
        if found.status.as_deref() == Some("unpaid") {
            known.unpaid_at = Some(known.unpaid_at.map_or(at, |before| before.min(at)));
        }
        known.traits = traits::of_subscription(&mut found).with_metadata([None, None]);
        Ok(())
    }
}

/// An object of an event in our form.
fn form<T: for<'a> Deserialize<'a>>(what: &str, object: Value) -> Result<T, BadEvent> {
    T::deserialize(object).map_err(|_| BadEvent::Form(what.to_owned()))
}

fn name(id: Option<&str>, field: &'static str) -> Result<String, BadEvent> {
    id.and_then(usable).ok_or(BadEvent::Missing(field))
}
