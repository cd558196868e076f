//! Subscriptions and invoices over time, and what people other than the card issuer do to them.

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::books::ChargedBy;
use super::charging::Outcome;
use super::events::Snapshot;
use super::issuer::Session;
use super::objects::{Charge, Dispute, Intent, Invoice, InvoiceStatus, Subscription, SubscriptionStatus};
use super::world::{Due, World, months_after};
use crate::domain::money::Money;

impl World {
    /// The next period of a subscription: an invoice, and its first charge.
    pub(super) fn renew(&mut self, subscription_id: &str) {
        let now = self.now;
        let Some(subscription) = self.subscriptions.get_mut(subscription_id) else {
            return;
        };
        if subscription.status == SubscriptionStatus::Canceled {
            return;
        }
        subscription.months += 1;
        subscription.period_start = now;
        subscription.period_end = months_after(subscription.anchor, subscription.months);
        let (next, status) = (subscription.period_end, subscription.status);
        let behavior = subscription.pause_behavior.clone();
        self.plan(next, Due::Renewal(subscription_id.to_owned()));
        self.plan_announcement(subscription_id, next);
        if status == SubscriptionStatus::Paused {
            return;
        }
        let invoice = self.new_invoice(subscription_id);
        match behavior.as_deref() {
            None => drop(self.charge(&invoice, None, ChargedBy::Renewal, Session::Off)),
            Some("mark_uncollectible") => drop(self.mark_uncollectible(&invoice)),
            Some(_) => drop(self.void(&invoice)),
        }
    }

    /// Makes an invoice for the subscription's present period now and charges it at once; the first charge is refused with
    /// `decline_code`. Gives the invoice's id, or nothing for an unknown subscription.
    pub fn open_invoice(&mut self, subscription_id: &str, decline_code: &str) -> Option<String> {
        self.subscriptions.get(subscription_id)?;
        let invoice = self.new_invoice(subscription_id);
        self.script(&invoice, [Outcome::decline(decline_code)]);
        self.charge(&invoice, None, ChargedBy::Renewal, Session::Off).ok()?;
        Some(invoice)
    }

    /// Tells of the invoice that a subscription will get with its next period.
    pub(super) fn announce(&mut self, subscription_id: &str) {
        let Some(subscription) = self.subscriptions.get(subscription_id) else {
            return;
        };
        let runs = matches!(
            subscription.status,
            SubscriptionStatus::Active | SubscriptionStatus::PastDue
        );
        if !runs || subscription.pause_behavior.is_some() {
            return;
        }
        let next = Subscription {
            period_start: subscription.period_end,
            period_end: months_after(subscription.anchor, subscription.months + 1),
            ..subscription.clone()
        };
        let mut invoice = self.invoice_of(&next, String::new(), String::new());
        invoice.next_payment_attempt = Some(next.period_start);
        let tail = &subscription_id["sub_1S".len()..];
        let id = format!("evt_1U{:04}{tail}", next.months);
        self.emit_as(id, "invoice.upcoming", Snapshot::Upcoming(Box::new(invoice)), None);
    }

    fn new_invoice(&mut self, subscription_id: &str) -> String {
        let (id, intent) = (self.id("in"), self.id("pi"));
        let subscription = self
            .subscriptions
            .get_mut(subscription_id)
            .expect("the caller looked it up");
        subscription.latest_invoice = Some(id.clone());
        let subscription = subscription.clone();
        let invoice = self.invoice_of(&subscription, id.clone(), intent.clone());
        self.intents.insert(intent, id.clone());
        self.invoices.insert(id.clone(), invoice);
        id
    }

    /// An invoice for the present period of a subscription.
    fn invoice_of(&self, subscription: &Subscription, id: String, intent: String) -> Invoice {
        let customer = &self.customers[&subscription.customer];
        Invoice {
            number: format!("SBX-{:05}", self.invoices.len() + 1),
            customer: customer.id.clone(),
            customer_email: customer.email.clone(),
            customer_name: customer.name.clone(),
            customer_country: customer.country.clone(),
            subscription: subscription.id.clone(),
            first: subscription.created == subscription.period_start,
            description: format!("1 × {}", subscription.product),
            amount: subscription.price,
            paid_minor: 0,
            created: self.now,
            period_start: subscription.period_start,
            period_end: subscription.period_end,
            status: InvoiceStatus::Open,
            attempt_count: 0,
            next_payment_attempt: None,
            closed_at: None,
            paid_out_of_band: false,
            auto_advance: true,
            hosted_invoice_url: format!("{}/i/{id}", self.base_url),
            intent: Intent {
                id: intent,
                status: "requires_payment_method",
                latest_charge: None,
                last_error: None,
                payment_method: None,
            },
            id,
        }
    }

    pub(super) fn provider_retry(&mut self, invoice_id: &str) {
        let due = |invoice: &Invoice| invoice.status == InvoiceStatus::Open && invoice.auto_advance;
        if self.invoices.get(invoice_id).is_some_and(due) {
            drop(self.charge(invoice_id, None, ChargedBy::Provider, Session::Off));
        }
    }

    /// Voids an open or written-off invoice; says whether it could.
    pub fn void(&mut self, invoice_id: &str) -> bool {
        self.close(invoice_id, InvoiceStatus::Void, "invoice.voided", Invoice::is_payable)
    }

    /// Writes an open invoice off; says whether it could.
    pub fn mark_uncollectible(&mut self, invoice_id: &str) -> bool {
        let open = |invoice: &Invoice| invoice.status == InvoiceStatus::Open;
        self.close(
            invoice_id,
            InvoiceStatus::Uncollectible,
            "invoice.marked_uncollectible",
            open,
        )
    }

    fn close(
        &mut self,
        invoice_id: &str,
        status: InvoiceStatus,
        kind: &'static str,
        may: impl Fn(&Invoice) -> bool,
    ) -> bool {
        let now = self.now;
        let Some(invoice) = self.invoices.get_mut(invoice_id).filter(|invoice| may(invoice)) else {
            return false;
        };
        let previous = json!({ "status": invoice.status.as_str() });
        invoice.status = status;
        invoice.closed_at = Some(now);
        invoice.next_payment_attempt = None;
        if status == InvoiceStatus::Void {
            invoice.intent.status = "canceled";
        }
        let invoice = invoice.clone();
        self.emit(
            "invoice.updated",
            Snapshot::Invoice(Box::new(invoice.clone())),
            Some(previous),
        );
        self.emit(kind, Snapshot::Invoice(Box::new(invoice)), None);
        true
    }

    /// Settles an invoice outside of the provider (a bank transfer, say); says whether it could.
    pub fn pay_out_of_band(&mut self, invoice_id: &str) -> bool {
        let Some(invoice) = self.invoices.get(invoice_id).filter(|invoice| invoice.is_payable()) else {
            return false;
        };
        let minor = invoice.remaining_minor();
        *self.books.out_of_band_minor.entry(invoice_id.to_owned()).or_default() += minor;
        self.settle(invoice_id, true);
        true
    }

    /// Gives the money of a paid invoice back, `minor` units or all of it; says whether there was such money.
    pub fn refund(&mut self, invoice_id: &str, minor: Option<i64>) -> bool {
        let Some(charge) = self.paid_charge(invoice_id) else {
            return false;
        };
        let left = charge.amount.amount_minor - charge.refunded_minor;
        let minor = minor.unwrap_or(left).min(left);
        let account = charge.card.account;
        let previous = json!({ "amount_refunded": charge.refunded_minor, "refunded": false });
        charge.refunded_minor += minor;
        let snapshot = Snapshot::Charge(Box::new(charge.clone()));
        self.accounts[account].give(minor);
        *self.books.refunded_minor.entry(invoice_id.to_owned()).or_default() += minor;
        self.emit("charge.refunded", snapshot, Some(previous));
        true
    }

    /// Opens a dispute about the charge that paid an invoice, and gives its id.
    pub fn dispute(&mut self, invoice_id: &str) -> Option<String> {
        let (id, now) = (self.id("dp"), self.now);
        let charge = self.paid_charge(invoice_id)?;
        charge.disputed = true;
        let dispute = Dispute {
            id: id.clone(),
            charge: charge.id.clone(),
            intent: charge.intent.clone(),
            amount: charge.amount,
            created: now,
        };
        self.emit("charge.dispute.created", Snapshot::Dispute(Box::new(dispute)), None);
        Some(id)
    }

    fn paid_charge(&mut self, invoice_id: &str) -> Option<&mut Charge> {
        let id = self.invoices.get(invoice_id)?.intent.latest_charge.clone()?;
        self.charges.get_mut(&id).filter(|charge| charge.refusal.is_none())
    }

    /// Cancels a subscription now, with the feedback the customer gave; says whether there was one to cancel. Open invoices stay
    /// open, but the provider collects them no more.
    pub fn cancel_subscription(&mut self, subscription_id: &str, feedback: Option<&'static str>) -> bool {
        let now = self.now;
        let Some(subscription) = self.live_subscription(subscription_id) else {
            return false;
        };
        subscription.status = SubscriptionStatus::Canceled;
        subscription.canceled_at = Some(now);
        subscription.cancellation = Some(("cancellation_requested", feedback));
        let subscription = subscription.clone();
        for invoice in self
            .invoices
            .values_mut()
            .filter(|invoice| invoice.subscription == subscription_id)
        {
            invoice.auto_advance = false;
            invoice.next_payment_attempt = None;
        }
        self.emit(
            "customer.subscription.deleted",
            Snapshot::Subscription(Box::new(subscription)),
            None,
        );
        true
    }

    /// Pauses the collection of a subscription's invoices, or resumes it with nothing; says whether there was one.
    pub fn pause_collection(&mut self, subscription_id: &str, behavior: Option<&str>) -> bool {
        let Some(subscription) = self.live_subscription(subscription_id) else {
            return false;
        };
        let previous = json!({ "pause_collection": pause_json(subscription) });
        subscription.pause_behavior = behavior.map(str::to_owned);
        let snapshot = Snapshot::Subscription(Box::new(subscription.clone()));
        self.emit("customer.subscription.updated", snapshot, Some(previous));
        true
    }

    /// Pauses a subscription itself, as Stripe does after a trial without a payment method; says whether there was one.
    pub fn pause_subscription(&mut self, subscription_id: &str) -> bool {
        let Some(subscription) = self.live_subscription(subscription_id) else {
            return false;
        };
        subscription.status = SubscriptionStatus::Paused;
        let snapshot = Snapshot::Subscription(Box::new(subscription.clone()));
        self.emit("customer.subscription.paused", snapshot, None);
        true
    }

    fn live_subscription(&mut self, id: &str) -> Option<&mut Subscription> {
        self.subscriptions
            .get_mut(id)
            .filter(|subscription| subscription.status != SubscriptionStatus::Canceled)
    }

    /// Moves a subscription between `active` and `past_due`, with the event where it changes.
    pub(super) fn set_subscription_status(&mut self, subscription_id: &str, status: SubscriptionStatus) {
        let changes = |s: &&mut Subscription| {
            matches!(s.status, SubscriptionStatus::Active | SubscriptionStatus::PastDue) && s.status != status
        };
        if let Some(subscription) = self.subscriptions.get_mut(subscription_id).filter(changes) {
            let previous = json!({ "status": subscription.status.as_str() });
            subscription.status = status;
            let snapshot = Snapshot::Subscription(Box::new(subscription.clone()));
            self.emit("customer.subscription.updated", snapshot, Some(previous));
        }
    }

    pub(super) fn set_delinquent(&mut self, customer_id: &str, delinquent: bool) {
        let changes = |customer: &&mut super::objects::Customer| customer.delinquent != delinquent;
        if let Some(customer) = self.customers.get_mut(customer_id).filter(changes) {
            customer.delinquent = delinquent;
            let snapshot = Snapshot::Customer(Box::new(customer.clone()));
            self.emit("customer.updated", snapshot, Some(json!({ "delinquent": !delinquent })));
        }
    }

    pub(super) fn set_default(&mut self, customer_id: &str, card_id: &str) {
        let Some(customer) = self.customers.get_mut(customer_id) else {
            return;
        };
        let former = customer.default_payment_method.replace(card_id.to_owned());
        if former.as_deref() != Some(card_id) {
            let previous = json!({ "invoice_settings": { "default_payment_method": former } });
            let snapshot = Snapshot::Customer(Box::new(customer.clone()));
            self.emit("customer.updated", snapshot, Some(previous));
        }
    }

    /// The network tells the provider the new expiry of a card: three more years.
    pub(super) fn update_automatically(&mut self, card_id: &str) {
        let Some(card) = self.cards.get_mut(card_id) else {
            return;
        };
        let previous = json!({ "card": { "exp_month": card.exp_month, "exp_year": card.exp_year } });
        card.exp_year += 3;
        let snapshot = Snapshot::PaymentMethod(Box::new(card.clone()));
        self.emit("payment_method.automatically_updated", snapshot, Some(previous));
    }

    /// Changes the price of the subscription from its next invoice on; says whether there is such a subscription.
    pub fn set_price(&mut self, subscription_id: &str, price: Money) -> bool {
        self.live_subscription(subscription_id)
            .map(|subscription| subscription.price = price)
            .is_some()
    }

    /// Makes the provider itself try an open invoice again `hours` from now, and says so on the invoice.
    pub fn plan_provider_retry(&mut self, invoice_id: &str, hours: i64) -> bool {
        let at = self.now + SignedDuration::from_hours(hours);
        let open = |invoice: &&mut Invoice| invoice.status == InvoiceStatus::Open;
        let found = self
            .invoices
            .get_mut(invoice_id)
            .filter(open)
            .map(|i| i.next_payment_attempt = Some(at))
            .is_some();
        if found {
            self.plan(at, Due::ProviderRetry(invoice_id.to_owned()));
        }
        found
    }
}

/// The `pause_collection` of a subscription as Stripe writes it.
pub(super) fn pause_json(subscription: &Subscription) -> Value {
    match &subscription.pause_behavior {
        Some(behavior) => json!({ "behavior": behavior, "resumes_at": null }),
        None => Value::Null,
    }
}
