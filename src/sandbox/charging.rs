//! Charging an invoice: what the issuer says, and everything that follows from it.

use serde_json::json;

use super::books::{ChargeEntry, ChargedBy};
use super::events::Snapshot;
use super::issuer::{self, Refusal, Session};
use super::objects::{Card, Charge, Invoice, InvoiceStatus, Standing, SubscriptionStatus};
use super::world::{Due, World};

/// What a story wants the next charge to end in, whatever the state of the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The money is taken.
    Success,
    /// The issuer refuses.
    Decline(Refusal),
}

impl Outcome {
    /// A refusal with Stripe's decline code, such as `insufficient_funds`.
    pub fn decline(code: &str) -> Self {
        Self::Decline(Refusal::of(code))
    }
}

/// Why no charge was even tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotCharged {
    /// There is no such invoice.
    NoInvoice,
    /// The invoice is paid.
    Paid,
    /// The invoice is void.
    Void,
    /// There is no card to charge, or it belongs to somebody else.
    NoCard,
}

impl World {
    /// Tries to take the remaining amount of an invoice from `card_id`, or else from the customer's default card. `Ok` holds the
    /// id of the charge that was made, whether it succeeded or not.
    pub fn charge(
        &mut self,
        invoice_id: &str,
        card_id: Option<&str>,
        by: ChargedBy,
        session: Session,
    ) -> Result<String, NotCharged> {
        let invoice = self.invoices.get(invoice_id).ok_or(NotCharged::NoInvoice)?.clone();
        match invoice.status {
            InvoiceStatus::Paid => return Err(NotCharged::Paid),
            InvoiceStatus::Void => return Err(NotCharged::Void),
            InvoiceStatus::Open | InvoiceStatus::Uncollectible => {}
        }
        let customer = &self.customers[&invoice.customer];
        let card_id = card_id
            .or(customer.default_payment_method.as_deref())
            .ok_or(NotCharged::NoCard)?
            .to_owned();
        let owned = self
            .cards
            .get(&card_id)
            .is_some_and(|card| card.customer == invoice.customer);
        if !owned {
            return Err(NotCharged::NoCard);
        }
        let refusal = self.answer(&invoice, &card_id, session).err();
        let charge = self.enter(&invoice, &card_id, refusal.clone(), by);
        match refusal {
            None => self.charge_succeeded(&charge),
            Some(refusal) => self.charge_failed(&charge, &refusal, by),
        }
        Ok(charge.id)
    }

    /// Takes the whole amount of a paid invoice once more, as a faulty integration beside ours would; gives the charge's id,
    /// and nothing where the invoice is not paid.
    pub fn charge_again(&mut self, invoice_id: &str) -> Option<String> {
        let mut invoice = self.invoices.get(invoice_id)?.clone();
        if invoice.status != InvoiceStatus::Paid {
            return None;
        }
        let card = self.customers[&invoice.customer].default_payment_method.clone()?;
        invoice.paid_minor = 0;
        let charge = self.enter(&invoice, &card, None, ChargedBy::Api);
        self.emit("charge.succeeded", Snapshot::Charge(Box::new(charge.clone())), None);
        Some(charge.id)
    }

    /// Sets what the next charges end in. `key` is the id of an invoice, a subscription or a customer; the narrower one wins.
    pub fn script(&mut self, key: &str, outcomes: impl IntoIterator<Item = Outcome>) {
        self.scripts.entry(key.to_owned()).or_default().extend(outcomes);
    }

    /// The issuer's answer: the story's, if it wrote one, else the truth.
    fn answer(&mut self, invoice: &Invoice, card_id: &str, session: Session) -> Result<(), Refusal> {
        for key in [&invoice.id, &invoice.subscription, &invoice.customer] {
            match self
                .scripts
                .get_mut(key)
                .and_then(std::collections::VecDeque::pop_front)
            {
                Some(Outcome::Success) => return Ok(()),
                Some(Outcome::Decline(refusal)) => return Err(refusal),
                None => {}
            }
        }
        let card = self.cards.get_mut(card_id).expect("the caller looked the card up");
        let (account, bank) = (&mut self.accounts[card.account], self.issuers[card.issuer]);
        issuer::authorize(
            card,
            account,
            bank,
            (invoice.remaining_minor(), self.now, session),
            &mut self.rng,
        )?;
        // A confirmed payment is also the permission for the next ones.
        if session == Session::On && card.standing == Standing::NeedsAuthentication {
            card.standing = Standing::Good;
        }
        Ok(())
    }

    /// Writes the charge into the world and the books.
    fn enter(&mut self, invoice: &Invoice, card_id: &str, refusal: Option<Refusal>, by: ChargedBy) -> Charge {
        let charge = Charge {
            id: self.id("ch"),
            invoice: invoice.id.clone(),
            intent: invoice.intent.id.clone(),
            customer: invoice.customer.clone(),
            email: invoice.customer_email.clone(),
            name: invoice.customer_name.clone(),
            card: self.cards[card_id].clone(),
            amount: crate::domain::money::Money::new(invoice.remaining_minor(), invoice.amount.currency),
            created: self.now,
            refusal,
            refunded_minor: 0,
            disputed: false,
        };
        self.books.enter(ChargeEntry {
            charge: charge.id.clone(),
            invoice: charge.invoice.clone(),
            fingerprint: charge.card.fingerprint.clone(),
            at: self.now,
            amount: charge.amount,
            declined: charge.refusal.as_ref().map(|refusal| refusal.decline_code.clone()),
            by,
            idempotency_key: self.calling.clone(),
        });
        self.charges.insert(charge.id.clone(), charge.clone());
        charge
    }

    fn charge_failed(&mut self, charge: &Charge, refusal: &Refusal, by: ChargedBy) {
        let now = self.now;
        let own_retries = self.own_retries.clone();
        let invoice = self
            .invoices
            .get_mut(&charge.invoice)
            .expect("a charge has its invoice");
        invoice.intent.status = if refusal.needs_holder() {
            "requires_action"
        } else {
            "requires_payment_method"
        };
        invoice.intent.latest_charge = Some(charge.id.clone());
        invoice.intent.payment_method = Some(charge.card.id.clone());
        invoice.intent.last_error = Some((Box::new(charge.card.clone()), refusal.clone()));
        let before = (invoice.attempt_count, invoice.next_payment_attempt);
        if before.0 == 0 || by == ChargedBy::Provider || by == ChargedBy::Renewal {
            invoice.attempt_count += 1;
            let wait = own_retries.get(invoice.attempt_count as usize - 1);
            invoice.next_payment_attempt = wait.map(|days| now + jiff::SignedDuration::from_hours(24 * days));
        }
        let invoice = invoice.clone();
        self.emit("charge.failed", Snapshot::Charge(Box::new(charge.clone())), None);
        self.emit(
            "payment_intent.payment_failed",
            Snapshot::PaymentIntent(Box::new(invoice.clone())),
            None,
        );
        if before != (invoice.attempt_count, invoice.next_payment_attempt) {
            let previous = json!({
                "attempt_count": before.0, "attempted": before.0 > 0, "next_payment_attempt": before.1.map(jiff::Timestamp::as_second),
            });
            self.emit(
                "invoice.updated",
                Snapshot::Invoice(Box::new(invoice.clone())),
                Some(previous),
            );
        }
        if refusal.needs_holder() {
            self.emit(
                "invoice.payment_action_required",
                Snapshot::Invoice(Box::new(invoice.clone())),
                None,
            );
        }
        self.emit(
            "invoice.payment_failed",
            Snapshot::Invoice(Box::new(invoice.clone())),
            None,
        );
        if let Some(at) = invoice
            .next_payment_attempt
            .filter(|_| by != ChargedBy::Api && by != ChargedBy::Customer)
        {
            self.plan(at, Due::ProviderRetry(invoice.id.clone()));
        }
        self.set_subscription_status(&invoice.subscription, SubscriptionStatus::PastDue);
        self.set_delinquent(&invoice.customer, true);
    }

    fn charge_succeeded(&mut self, charge: &Charge) {
        let invoice = self
            .invoices
            .get_mut(&charge.invoice)
            .expect("a charge has its invoice");
        invoice.intent.status = "succeeded";
        invoice.intent.latest_charge = Some(charge.id.clone());
        invoice.intent.payment_method = Some(charge.card.id.clone());
        invoice.intent.last_error = None;
        invoice.attempt_count = invoice.attempt_count.max(1);
        let snapshot = Snapshot::PaymentIntent(Box::new(invoice.clone()));
        self.emit("charge.succeeded", Snapshot::Charge(Box::new(charge.clone())), None);
        self.emit("payment_intent.succeeded", snapshot, None);
        self.settle(&charge.invoice, false);
    }

    /// Closes an invoice as paid and makes the subscription good again.
    pub(super) fn settle(&mut self, invoice_id: &str, out_of_band: bool) {
        let now = self.now;
        let invoice = self
            .invoices
            .get_mut(invoice_id)
            .expect("the caller looked the invoice up");
        let was = invoice.status;
        invoice.paid_minor = invoice.amount.amount_minor;
        invoice.paid_out_of_band = out_of_band;
        invoice.status = InvoiceStatus::Paid;
        invoice.closed_at = Some(now);
        invoice.next_payment_attempt = None;
        if out_of_band {
            invoice.intent.status = "canceled";
        }
        let invoice = invoice.clone();
        if invoice.attempt_count > 1 || invoice.intent.last_error.is_some() || was == InvoiceStatus::Uncollectible {
            let previous =
                json!({ "status": was.as_str(), "amount_paid": 0, "amount_remaining": invoice.amount.amount_minor });
            self.emit(
                "invoice.updated",
                Snapshot::Invoice(Box::new(invoice.clone())),
                Some(previous),
            );
        }
        self.emit("invoice.paid", Snapshot::Invoice(Box::new(invoice.clone())), None);
        self.emit(
            "invoice.payment_succeeded",
            Snapshot::Invoice(Box::new(invoice.clone())),
            None,
        );
        let latest = self
            .subscriptions
            .get(&invoice.subscription)
            .and_then(|s| s.latest_invoice.clone());
        if latest.as_deref() == Some(invoice_id) {
            self.set_subscription_status(&invoice.subscription, SubscriptionStatus::Active);
        }
        let owes = |other: &Invoice| {
            other.customer == invoice.customer && other.status == InvoiceStatus::Open && other.attempt_count > 0
        };
        if self.customers[&invoice.customer].delinquent && !self.invoices.values().any(owes) {
            self.set_delinquent(&invoice.customer, false);
        }
    }

    /// The card of the last refused charge of an invoice, and the refusal.
    pub(super) fn trouble_of(invoice: &Invoice) -> Option<(&Card, &Refusal)> {
        invoice
            .intent
            .last_error
            .as_ref()
            .map(|(card, refusal)| (&**card, refusal))
    }
}
