//! The provider's own books: customers, subscriptions, invoices, charges, keys and events. The judge believes these.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use recoup::domain::campaign::FinalAction;
use recoup::domain::decline::{Decline, DeclineKind};
use recoup::domain::instrument::Instrument;
use recoup::domain::money::{Currency, Money};
use recoup::domain::network::Network;
use recoup::domain::snapshot::{
    CardShown, CustomerSeen, InvoiceStatus, MethodSeen, PaymentSeen, PaymentStatus, Snapshot, SubscriptionSeen,
    SubscriptionStatus, Traits,
};
use recoup::providers::{ChargeOutcome, ChargeSeen};

use super::dice::Dice;
use super::state::{DAY, HOUR, instant};
use crate::decide::desk::{code, disposition};

/// How an issuer treats a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Issuer {
    /// Every charge works.
    Works,
    /// Declined for this until then, and then it works.
    Heals(DeclineKind, i64),
    /// Always declined for this.
    Refuses(DeclineKind),
    /// It takes so long, and then it works or not.
    Slow(i64, bool),
}

/// Who made a charge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    Renewal,
    Key(String),
    Customer,
    Provider,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    Succeeded,
    Declined(DeclineKind),
    Processing,
}

#[derive(Clone, Debug)]
pub struct Charge {
    pub id: String,
    pub at: i64,
    pub minor: i64,
    pub method: String,
    pub by: By,
    pub fate: Fate,
    /// Its fate was not known for days.
    pub was_slow: bool,
    pub refunded: i64,
    pub disputed: bool,
}

#[derive(Clone, Debug)]
pub struct Method {
    pub id: String,
    pub card: String,
    pub issuer: Issuer,
}

#[derive(Debug)]
pub struct Customer {
    pub seen: CustomerSeen,
    pub methods: Vec<Method>,
    pub default: usize,
}

#[derive(Debug)]
pub struct Invoice {
    pub id: String,
    pub customer: usize,
    pub subscription: usize,
    pub minor: i64,
    pub paid: i64,
    pub status: InvoiceStatus,
    pub paid_at: Option<i64>,
    pub out_of_band: bool,
    pub next_attempt: Option<i64>,
    pub charges: Vec<Charge>,
    /// What a read showed since when, oldest first.
    pub shown: Vec<(i64, Snapshot)>,
    /// Since when it is void, given up, or its subscription was ended by the customer.
    pub dead_at: Option<i64>,
}

/// What is kept of a request under its key.
#[derive(Clone, Debug)]
pub struct Key {
    pub first_at: i64,
    pub busy_until: i64,
    pub params: (String, i64, Option<String>),
    pub answer: Option<ChargeOutcome>,
}

/// One event, as its bytes and as what became of it.
#[derive(Debug)]
pub struct Told {
    pub body: Vec<u8>,
    pub at: i64,
    pub listed: bool,
    pub acknowledged: bool,
    pub malformed: bool,
}

#[derive(Debug)]
pub struct Books {
    pub customers: Vec<Customer>,
    pub subscriptions: Vec<SubscriptionSeen>,
    pub invoices: Vec<Invoice>,
    pub by_name: BTreeMap<String, usize>,
    pub keys: BTreeMap<String, Key>,
    pub events: Vec<Told>,
    /// Whether a paid invoice refuses to be paid again.
    pub conditional: bool,
    pub dice: Dice,
    pub currency: Currency,
}

pub fn decline(kind: DeclineKind) -> Decline {
    Decline {
        kind,
        disposition: disposition(kind),
        provider_code: Some(code(kind).to_owned()),
        network_code: None,
        advice_code: None,
    }
}

impl Issuer {
    fn says(self, now: i64) -> Fate {
        match self {
            Self::Works => Fate::Succeeded,
            Self::Heals(_, until) if now >= until => Fate::Succeeded,
            Self::Heals(kind, _) | Self::Refuses(kind) => Fate::Declined(kind),
            Self::Slow(..) => Fate::Processing,
        }
    }
}

impl Books {
    pub fn new(seed: u64) -> Self {
        Self {
            customers: Vec::new(),
            subscriptions: Vec::new(),
            invoices: Vec::new(),
            by_name: BTreeMap::new(),
            keys: BTreeMap::new(),
            events: Vec::new(),
            conditional: true,
            dice: Dice::new(seed, 2),
            currency: "EUR".parse().unwrap(),
        }
    }

    pub fn money(&self, minor: i64) -> Money {
        Money::new(minor, self.currency)
    }

    pub fn add_customer(&mut self, zone: Option<&str>, issuer: Issuer) -> usize {
        let number = self.customers.len();
        let seen = CustomerSeen {
            email: Some(format!("c{number}@kunde.example")),
            name: Some(format!("Customer {number}")),
            alternate: None,
            locale: Some(["en", "de"][number % 2].to_owned()),
            zone: zone.map(str::to_owned),
            country: [None, Some("JP"), Some("US")][number % 3].map(str::to_owned),
        };
        self.customers.push(Customer {
            seen,
            methods: Vec::new(),
            default: 0,
        });
        self.add_method(number, issuer);
        number
    }

    pub fn add_method(&mut self, customer: usize, issuer: Issuer) -> usize {
        let methods = &mut self.customers[customer].methods;
        let number = methods.len();
        methods.push(Method {
            id: format!("pm_{customer}_{number}"),
            card: format!("fp_{customer}_{number}"),
            issuer,
        });
        number
    }

    pub fn add_subscription(&mut self) -> usize {
        self.subscriptions.push(SubscriptionSeen {
            status: SubscriptionStatus::Active,
            canceled_at: None,
            cancel_at_period_end: false,
            cancel_reason: None,
            collection_paused: false,
        });
        self.subscriptions.len() - 1
    }

    pub fn add_invoice(&mut self, customer: usize, subscription: usize, minor: i64) -> usize {
        let number = self.invoices.len();
        let id = format!("in_{number}");
        self.by_name.insert(id.clone(), number);
        self.invoices.push(Invoice {
            id,
            customer,
            subscription,
            minor,
            paid: 0,
            status: InvoiceStatus::Open,
            paid_at: None,
            out_of_band: false,
            next_attempt: None,
            charges: Vec::new(),
            shown: Vec::new(),
            dead_at: None,
        });
        number
    }

    /// Keeps what a read of the invoice shows from now on.
    pub fn touch(&mut self, invoice: usize, now: i64) {
        let snapshot = self.look(invoice);
        self.invoices[invoice].shown.push((now, snapshot));
    }

    /// The same for each invoice that shares something.
    pub fn touch_all(&mut self, now: i64, of: impl Fn(&Invoice) -> bool) {
        for number in 0..self.invoices.len() {
            if of(&self.invoices[number]) && !self.invoices[number].shown.is_empty() {
                self.touch(number, now);
            }
        }
    }

    /// What a read shows, as it was at `at`.
    pub fn read(&self, invoice: usize, at: i64) -> &Snapshot {
        let shown = &self.invoices[invoice].shown;
        let found = shown.iter().rev().find(|(since, _)| *since <= at);
        &found.unwrap_or(&shown[0]).1
    }

    fn look(&self, number: usize) -> Snapshot {
        let invoice = &self.invoices[number];
        let customer = &self.customers[invoice.customer];
        let default = &customer.methods[customer.default];
        Snapshot {
            invoice_id: invoice.id.clone(),
            customer_id: format!("cus_{}", invoice.customer),
            subscription_id: Some(format!("sub_{}", invoice.subscription)),
            status: invoice.status,
            amount_remaining: self.money((invoice.minor - invoice.paid).max(0)),
            // What came beyond the total is not the invoice's.
            amount_paid: self.money(invoice.paid.min(invoice.minor)),
            paid_at: invoice.paid_at.map(instant),
            paid_out_of_band: invoice.out_of_band,
            automatic: true,
            attempted: !invoice.charges.is_empty(),
            provider_next_attempt_at: invoice.next_attempt.map(instant),
            pay_url: Some(format!("https://pay.example/{}", invoice.id)),
            description: None,
            payment: invoice.charges.last().map(|charge| payment(customer, charge)),
            subscription: Some(self.subscriptions[invoice.subscription].clone()),
            customer: customer.seen.clone(),
            default_method: Some(MethodSeen {
                id: default.id.clone(),
                fingerprint: Some(default.card.clone()),
                instrument: Some(instrument(&default.card)),
            }),
            traits: Traits::default(),
        }
    }

    /// The invoices that are owed and whose charge failed.
    pub fn failed(&self) -> Vec<String> {
        let owed = |invoice: &&Invoice| {
            let open = invoice.status == InvoiceStatus::Open && invoice.minor > invoice.paid;
            open && !invoice.charges.is_empty()
        };
        self.invoices
            .iter()
            .filter(owed)
            .map(|invoice| invoice.id.clone())
            .collect()
    }

    /// The charges of a time that took money and kept some of it, newest first.
    pub fn takings(&self, span: &RangeInclusive<i64>) -> Vec<ChargeSeen> {
        let mut takings = Vec::new();
        for invoice in &self.invoices {
            let took = |charge: &&Charge| charge.fate == Fate::Succeeded && charge.refunded < charge.minor;
            let charges = invoice.charges.iter().filter(took);
            takings.extend(
                charges
                    .filter(|charge| span.contains(&charge.at))
                    .map(|charge| ChargeSeen {
                        charge_id: charge.id.clone(),
                        customer_id: format!("cus_{}", invoice.customer),
                        invoice_id: Some(invoice.id.clone()),
                        payment_id: Some(format!("pi_{}", charge.id)),
                        amount: self.money(charge.minor - charge.refunded),
                        made_at: instant(charge.at),
                    }),
            );
        }
        takings.sort_by_key(|charge| Reverse(charge.made_at));
        takings
    }

    /// Charges what is owed of an invoice, and books it.
    pub fn charge(&mut self, number: usize, method: Option<&str>, by: By, now: i64) -> Charge {
        let customer = &self.customers[self.invoices[number].customer];
        let named = method.and_then(|name| customer.methods.iter().find(|one| one.id == name));
        let method = named.unwrap_or(&customer.methods[customer.default]).clone();
        let fate = match by {
            By::Customer => Fate::Succeeded,
            By::Renewal if method.issuer == Issuer::Works => Fate::Declined(DeclineKind::DoNotHonor),
            By::Renewal | By::Key(_) | By::Provider => method.issuer.says(now),
        };
        let invoice = &mut self.invoices[number];
        let owed = invoice.minor - invoice.paid;
        let charge = Charge {
            id: format!("ch_{number}_{}", invoice.charges.len()),
            at: now,
            minor: if owed > 0 { owed } else { invoice.minor },
            method: method.id,
            by,
            was_slow: fate == Fate::Processing,
            fate,
            refunded: 0,
            disputed: false,
        };
        invoice.charges.push(charge.clone());
        if charge.fate == Fate::Succeeded {
            self.settle(number, charge.minor, now);
        }
        self.touch(number, now);
        charge
    }

    /// Money came for an invoice.
    pub fn settle(&mut self, number: usize, minor: i64, now: i64) {
        let invoice = &mut self.invoices[number];
        invoice.paid += minor;
        invoice.status = InvoiceStatus::Paid;
        invoice.paid_at = Some(invoice.paid_at.unwrap_or(now));
        invoice.next_attempt = None;
    }

    /// How a slow payment ends; says whether money came.
    pub fn end_slow(&mut self, number: usize, charge: usize, now: i64) -> Option<bool> {
        let invoice = &self.invoices[number];
        let slow = &invoice.charges[charge];
        if slow.fate != Fate::Processing {
            return None;
        }
        let methods = &self.customers[invoice.customer].methods;
        let issuer = methods.iter().find(|one| one.id == slow.method).unwrap().issuer;
        let works = matches!(issuer, Issuer::Slow(_, true));
        let minor = slow.minor;
        self.invoices[number].charges[charge].fate = if works {
            Fate::Succeeded
        } else {
            Fate::Declined(DeclineKind::InsufficientFunds)
        };
        if works {
            self.settle(number, minor, now);
        }
        self.touch(number, now);
        Some(works)
    }

    /// Carries out a final action; says whether it could.
    pub fn finish(&mut self, action: FinalAction, number: usize, now: i64) -> bool {
        let subscription = self.invoices[number].subscription;
        let sub = &mut self.subscriptions[subscription];
        match action {
            FinalAction::LeaveOpen => {}
            FinalAction::Cancel => {
                if sub.status != SubscriptionStatus::Canceled {
                    sub.status = SubscriptionStatus::Canceled;
                    sub.canceled_at = Some(instant(now));
                }
            }
            FinalAction::Pause => sub.collection_paused = true,
            FinalAction::MarkUncollectible => {
                if self.invoices[number].status != InvoiceStatus::Open {
                    return self.invoices[number].status == InvoiceStatus::Uncollectible;
                }
                self.invoices[number].status = InvoiceStatus::Uncollectible;
            }
        }
        self.touch_all(now, |invoice| invoice.subscription == subscription);
        true
    }

    /// An issuer for a card that was just declined.
    pub fn some_issuer(dice: &mut Dice, now: i64) -> Issuer {
        let soft = *dice.pick(&[
            DeclineKind::InsufficientFunds,
            DeclineKind::Limit,
            DeclineKind::DoNotHonor,
        ]);
        let hard = *dice.pick(&[DeclineKind::LostStolen, DeclineKind::Fraud, DeclineKind::Revoked]);
        match dice.below(10) {
            0..=3 => Issuer::Heals(soft, now + dice.between(HOUR, 16 * DAY)),
            4 => Issuer::Refuses(soft),
            5 => Issuer::Refuses(hard),
            6 => Issuer::Refuses(*dice.pick(&[DeclineKind::Expired, DeclineKind::InvalidAccount])),
            7 => Issuer::Heals(DeclineKind::IssuerDown, now + dice.between(HOUR, 2 * DAY)),
            8 => Issuer::Refuses(DeclineKind::AuthenticationRequired),
            _ => Issuer::Heals(soft, now + dice.between(HOUR, 3 * DAY)),
        }
    }
}

/// The card of a name: a customer's cards are all of one network.
pub fn instrument(card: &str) -> Instrument {
    const NETWORKS: [Network; 4] = [Network::Visa, Network::Mastercard, Network::Amex, Network::Discover];
    let customer: usize = card
        .split('_')
        .nth(1)
        .and_then(|number| number.parse().ok())
        .unwrap_or(0);
    Instrument {
        key: card.to_owned(),
        network: NETWORKS[customer % NETWORKS.len()],
        country: None,
        funding: None,
        bank: None,
    }
}

fn payment(customer: &Customer, charge: &Charge) -> PaymentSeen {
    let method = customer.methods.iter().find(|one| one.id == charge.method);
    let (status, refused) = match charge.fate {
        Fate::Succeeded => (PaymentStatus::Succeeded, None),
        Fate::Processing => (PaymentStatus::Processing, None),
        Fate::Declined(DeclineKind::AuthenticationRequired) => {
            (PaymentStatus::RequiresAction, Some(DeclineKind::AuthenticationRequired))
        }
        Fate::Declined(kind) => (PaymentStatus::Failed, Some(kind)),
    };
    PaymentSeen {
        charge_id: Some(charge.id.clone()),
        payment_id: Some(format!("pi_{}", charge.id)),
        status,
        charged_at: Some(instant(charge.at)),
        decline: refused.map(decline),
        payment_method: Some(charge.method.clone()),
        fingerprint: method.map(|one| one.card.clone()),
        instrument: method.map(|one| instrument(&one.card)),
        card: Some(CardShown {
            brand: "visa".to_owned(),
            last4: "4242".to_owned(),
        }),
        disputed: charge.disputed,
        refunded_minor: charge.refunded,
    }
}
