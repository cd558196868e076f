//! What customers do: they read their mail, or not, and mend what is broken, or leave.

use jiff::SignedDuration;
use rand::RngExt;
use serde_json::json;

use super::account::Means;
use super::books::ChargedBy;
use super::events::Snapshot;
use super::issuer::{Session, has_expired};
use super::objects::{Card, Invoice, InvoiceStatus, Standing, Subscription, SubscriptionStatus};
use super::world::{Due, NewCard, World};

/// How many of those who act after their subscription ended come back, instead of looking at the old invoice.
const RETURNS: f64 = 0.6;

/// A customer is about to act on a mail.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Deed {
    /// Who.
    customer: String,
}

impl World {
    /// A mail arrives now. Whether its reader acts, and when, is decided at once; what the reader does, when the time has come
    /// and from the state of things then. Says whether a customer has this address.
    pub fn mail_arrives(&mut self, email: &str) -> bool {
        let Some(customer) = self.addresses.get(&email.to_lowercase()).map(|id| &self.customers[id]) else {
            return false;
        };
        let (id, habits) = (customer.id.clone(), customer.habits);
        if habits.reads > 0.0 && self.rng.random_bool(habits.reads) {
            let draw: f64 = self.rng.random();
            let seconds = -habits.delay_hours * 3600.0 * (1.0 - draw).ln();
            let delay = SignedDuration::try_from_secs_f64(seconds.clamp(60.0, 1_209_600.0));
            let at = self.now + delay.expect("two weeks at most fit");
            self.plan(at, Due::Deed(Deed { customer: id }));
        }
        true
    }

    /// The deed itself: the oldest unpaid invoice is looked at, and what stands in its way is removed, or the customer leaves.
    pub(super) fn act(&mut self, deed: &Deed) {
        let Some(habits) = self.customers.get(&deed.customer).map(|customer| customer.habits) else {
            return;
        };
        let unpaid = |invoice: &&Invoice| {
            invoice.customer == deed.customer && invoice.status == InvoiceStatus::Open && invoice.attempt_count > 0
        };
        let Some(invoice) = self.invoices.values().find(unpaid).cloned() else {
            return;
        };
        if self.is_lost(&invoice) && self.rng.random_bool(RETURNS) {
            self.subscribe_again(&invoice);
        } else if self.rng.random_bool(habits.mends) {
            self.mend(&invoice);
        } else if self.rng.random_bool(habits.cancels) {
            self.cancel_subscription(&invoice.subscription, Some("too_expensive"));
        }
    }

    /// Whether its payer has no subscription any more.
    fn is_lost(&self, invoice: &Invoice) -> bool {
        let its = |subscription: &&Subscription| subscription.customer == invoice.customer;
        let mut all = self.subscriptions.values().filter(its);
        all.all(|subscription| subscription.status == SubscriptionStatus::Canceled)
    }

    /// The customer takes out the same subscription again, from now on and with another card.
    fn subscribe_again(&mut self, invoice: &Invoice) {
        let Some(before) = self.subscriptions.get(&invoice.subscription).cloned() else {
            return;
        };
        self.attach_card(&invoice.customer, NewCard::default());
        self.add_subscription(&invoice.customer, &before.product, before.price, self.now);
    }

    fn mend(&mut self, invoice: &Invoice) {
        let Some((card, refusal)) = Self::trouble_of(invoice).map(|(card, refusal)| (card.clone(), refusal.clone()))
        else {
            return;
        };
        match refusal.decline_code.as_str() {
            "authentication_required" => {
                drop(self.charge(&invoice.id, Some(&card.id), ChargedBy::Customer, Session::On));
            }
            // The money may have come meanwhile; if not, the customer waits for it like everybody else.
            "insufficient_funds" => drop(self.charge(&invoice.id, None, ChargedBy::Customer, Session::On)),
            _ => {
                let fresh = self.replacement_of(&card);
                let attached = self.attach_card(&invoice.customer, fresh);
                if self.rng.random_bool(0.4) {
                    drop(self.charge(&invoice.id, attached.as_deref(), ChargedBy::Customer, Session::On));
                }
            }
        }
    }

    /// The card a customer gives in place of a broken one: of the same account where the account is not to blame.
    fn replacement_of(&self, card: &Card) -> NewCard {
        let same_account = has_expired(card, self.now) || card.standing != Standing::Good;
        NewCard {
            brand: card.brand,
            funding: card.funding,
            means: (!same_account).then_some(Means::AMPLE),
            issuer: card.issuer,
            ..NewCard::default()
        }
    }

    /// The customer gives an address in another country; says whether there is such a customer.
    pub fn move_customer(&mut self, customer_id: &str, country: &str) -> bool {
        let Some(customer) = self.customers.get_mut(customer_id) else {
            return false;
        };
        let former = std::mem::replace(&mut customer.country, country.to_owned());
        let snapshot = Snapshot::Customer(Box::new(customer.clone()));
        let previous = json!({ "address": { "country": former } });
        self.emit("customer.updated", snapshot, Some(previous));
        true
    }

    /// The customer names a second address for bills; says whether there is such a customer.
    pub fn name_alternate(&mut self, customer_id: &str, address: &str) -> bool {
        let Some(customer) = self.customers.get_mut(customer_id) else {
            return false;
        };
        customer.alternate = Some(address.to_owned());
        let snapshot = Snapshot::Customer(Box::new(customer.clone()));
        let previous = json!({ "metadata": { "billing_email_alternate": null } });
        self.emit("customer.updated", snapshot, Some(previous));
        true
    }

    /// The customer pays an open invoice on the hosted page with another, working card; says whether the money was taken.
    pub fn pay_by_customer(&mut self, invoice_id: &str) -> bool {
        let Some(invoice) = self.invoices.get(invoice_id).filter(|invoice| invoice.is_payable()) else {
            return false;
        };
        let customer = invoice.customer.clone();
        let Some(card) = self.attach_card(&customer, NewCard::default()) else {
            return false;
        };
        let charge = self.charge(invoice_id, Some(&card), ChargedBy::Customer, Session::On);
        charge.is_ok_and(|id| self.charges[&id].refusal.is_none())
    }

    /// The customer confirms the payment of an invoice with the card that asked for it (3-D Secure); says whether it went through.
    pub fn confirm_by_customer(&mut self, invoice_id: &str) -> bool {
        let charge = self.charge(invoice_id, None, ChargedBy::Customer, Session::On);
        charge.is_ok_and(|id| self.charges[&id].refusal.is_none())
    }
}
