//! The world: customers, banks, cards, subscriptions and invoices, moved by an explicit clock value and one seed. It knows
//! no network and no wall clock.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use jiff::{RoundMode, SignedDuration, Span, Timestamp, TimestampRound, Unit, tz::TimeZone};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::account::{Account, Means, mix};
use super::books::Books;
use super::events::{Event, Log, Snapshot};
use super::issuer::Issuer;
use super::objects::{Card, Charge, Customer, Habits, Invoice, Standing, Subscription, SubscriptionStatus};
use super::people::Deed;
use crate::domain::money::Money;

/// How many days before a renewal Stripe announces it, unless its settings say otherwise.
const UPCOMING_DAYS: i64 = 7;

/// The two shapes of Stripe's invoice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Before API version 2025-03-31: the invoice names its subscription, charge and payment intent.
    Old,
    /// Since then: a `parent`, and invoice payments as the only tie.
    New,
}

impl Shape {
    /// The API version that events of this shape carry.
    pub const fn api_version(self) -> &'static str {
        match self {
            Self::Old => "2024-06-20",
            Self::New => "2025-03-31.basil",
        }
    }
}

/// A new customer, for [`World::add_customer`].
#[derive(Clone, Debug)]
pub struct NewCustomer {
    /// The full name.
    pub name: String,
    /// The mail address.
    pub email: String,
    /// The language, such as `de`.
    pub locale: String,
    /// The country, such as `DE`.
    pub country: String,
    /// The IANA time zone; an unknown one counts as UTC and is still reported as given. Nothing counts as UTC too, and the
    /// metadata do not name any.
    pub zone: Option<String>,
    /// How the customer treats mail.
    pub habits: Habits,
}

/// A new card, for [`World::attach_card`].
#[derive(Clone, Copy, Debug)]
pub struct NewCard {
    /// `visa`, `mastercard` or `amex`.
    pub brand: &'static str,
    /// `credit`, `debit` or `prepaid`.
    pub funding: &'static str,
    /// Year and month of expiry.
    pub expires: (i16, i8),
    /// What the issuer holds against it.
    pub standing: Standing,
    /// The probability that a charge meets a spell of bad temper.
    pub moody: f64,
    /// Whether the network's updater renews it after its expiry.
    pub updater: bool,
    /// The money behind it; nothing for the same account as the customer's other cards.
    pub means: Option<Means>,
    /// The bank, an index below 16; bank 0 never fails.
    pub issuer: usize,
}

impl Default for NewCard {
    /// A good Visa debit card with ample money behind it, of the bank that never fails.
    fn default() -> Self {
        Self {
            brand: "visa",
            funding: "debit",
            expires: (2099, 12),
            standing: Standing::Good,
            moody: 0.0,
            updater: false,
            means: Some(Means::AMPLE),
            issuer: 0,
        }
    }
}

/// What the world does by itself at an instant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// The next period of a subscription begins.
    Renewal(String),
    /// A customer acts.
    Deed(Deed),
    /// The network's updater renews an expired card.
    Updater(String),
    /// The provider itself tries again.
    ProviderRetry(String),
    /// The issuer begins to hold something against a card.
    Trouble(String, Standing),
    /// The next period of a subscription is announced.
    Upcoming(String),
}

/// The sandbox's world. All its randomness comes from the one seed; the same calls give the same world.
#[derive(Debug)]
pub struct World {
    pub(super) seed: u64,
    pub(super) rng: StdRng,
    pub(super) now: Timestamp,
    pub(super) base_url: String,
    pub(super) agenda: BinaryHeap<Reverse<(Timestamp, u64, Due)>>,
    pub(super) customers: BTreeMap<String, Customer>,
    /// Mail address in lower case to customer.
    pub(super) addresses: BTreeMap<String, String>,
    pub(super) accounts: Vec<Account>,
    pub(super) issuers: Vec<Issuer>,
    pub(super) cards: BTreeMap<String, Card>,
    pub(super) subscriptions: BTreeMap<String, Subscription>,
    pub(super) invoices: BTreeMap<String, Invoice>,
    pub(super) charges: BTreeMap<String, Charge>,
    /// Payment intent to invoice.
    pub(super) intents: BTreeMap<String, String>,
    /// Outcomes set by a story, by the id of an invoice, subscription or customer.
    pub(super) scripts: BTreeMap<String, VecDeque<super::charging::Outcome>>,
    /// Days between the provider's own retries; empty where they are off.
    pub(super) own_retries: Vec<i64>,
    pub(super) log: Log,
    pub(super) books: Books,
    /// The Idempotency-Key of the call being served, which its events name.
    pub(super) calling: Option<String>,
    counter: u64,
}

impl World {
    /// An empty world at `now`, with sixteen banks.
    pub fn new(seed: u64, shape: Shape, now: Timestamp) -> Self {
        let issuer = |n: u64| Issuer {
            seed: (n > 0).then(|| mix(seed ^ mix(n))),
        };
        Self {
            seed,
            rng: StdRng::seed_from_u64(seed),
            now,
            base_url: "http://127.0.0.1".to_owned(),
            agenda: BinaryHeap::new(),
            customers: BTreeMap::new(),
            addresses: BTreeMap::new(),
            accounts: Vec::new(),
            issuers: (0..16).map(issuer).collect(),
            cards: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            invoices: BTreeMap::new(),
            charges: BTreeMap::new(),
            intents: BTreeMap::new(),
            scripts: BTreeMap::new(),
            own_retries: Vec::new(),
            log: Log::new(shape),
            books: Books::default(),
            calling: None,
            counter: 0,
        }
    }

    /// Where the world stands.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The next instant at which the world does something by itself.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.agenda.peek().map(|Reverse((at, _, _))| *at)
    }

    /// Lets everything happen that is due up to `to`, in the order of time, and gives the events of it. An earlier `to` does
    /// nothing.
    pub fn advance(&mut self, to: Timestamp) -> &[Event] {
        let first = self.log.events().len();
        while self.next_due().is_some_and(|at| at <= to) {
            let Some(Reverse((at, _, due))) = self.agenda.pop() else {
                break;
            };
            self.now = self.now.max(at);
            self.happen(due);
        }
        self.now = self.now.max(to);
        &self.log.events()[first..]
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Renewal(subscription) => self.renew(&subscription),
            Due::Deed(deed) => self.act(&deed),
            Due::Updater(card) => self.update_automatically(&card),
            Due::ProviderRetry(invoice) => self.provider_retry(&invoice),
            Due::Upcoming(subscription) => self.announce(&subscription),
            Due::Trouble(card, standing) => {
                if let Some(card) = self.cards.get_mut(&card) {
                    card.standing = standing;
                }
            }
        }
    }

    /// Every charge and payment, as the world itself counts them.
    pub fn books(&self) -> &Books {
        &self.books
    }

    /// Every event so far, oldest first.
    pub fn events(&self) -> &[Event] {
        self.log.events()
    }

    /// The shape of the invoices.
    pub fn shape(&self) -> Shape {
        self.log.shape()
    }

    /// Adds a customer without a card, silently, and gives the id.
    pub fn add_customer(&mut self, new: NewCustomer) -> String {
        let id = self.id("cus");
        let customer = Customer {
            id: id.clone(),
            name: new.name,
            email: new.email,
            alternate: None,
            locale: new.locale,
            country: new.country,
            zone: new
                .zone
                .as_deref()
                .and_then(|zone| TimeZone::get(zone).ok())
                .unwrap_or(TimeZone::UTC),
            zone_name: new.zone,
            created: self.now,
            default_payment_method: None,
            delinquent: false,
            habits: new.habits,
        };
        self.addresses.insert(customer.email.to_lowercase(), id.clone());
        self.customers.insert(id.clone(), customer);
        id
    }

    /// Attaches a card and makes it the default, with the events of both, and gives its id; nothing for an unknown customer.
    pub fn attach_card(&mut self, customer_id: &str, new: NewCard) -> Option<String> {
        let id = self.add_card(customer_id, new)?;
        self.emit(
            "payment_method.attached",
            Snapshot::PaymentMethod(Box::new(self.cards[&id].clone())),
            None,
        );
        self.set_default(customer_id, &id);
        Some(id)
    }

    /// Adds a card silently, as it was before the story began; the first one becomes the default.
    pub fn add_card(&mut self, customer_id: &str, new: NewCard) -> Option<String> {
        let (zone, country) = self
            .customers
            .get(customer_id)
            .map(|c| (c.zone.clone(), c.country.clone()))?;
        let id = self.id("pm");
        let draw = mix(self.seed ^ mix(self.counter));
        let own = || {
            self.cards
                .values()
                .find(|card| card.customer == customer_id)
                .map(|card| card.account)
        };
        let shared = if new.means.is_none() { own() } else { None };
        let account = shared.unwrap_or_else(|| {
            self.accounts
                .push(Account::new(new.means.unwrap_or(Means::AMPLE), zone, self.now, draw));
            self.accounts.len() - 1
        });
        let card = Card {
            id: id.clone(),
            customer: customer_id.to_owned(),
            account,
            issuer: new.issuer % self.issuers.len(),
            brand: new.brand,
            last4: format!("{:04}", draw % 10_000),
            fingerprint: format!("fp{:014x}", draw >> 8),
            funding: new.funding,
            country,
            exp_year: new.expires.0,
            exp_month: new.expires.1,
            standing: new.standing,
            moody: new.moody,
            spell: None,
            updater: new.updater,
            created: self.now,
        };
        if new.updater {
            self.plan_updater(&card, draw);
        }
        self.cards.insert(id.clone(), card);
        let customer = self.customers.get_mut(customer_id)?;
        customer.default_payment_method.get_or_insert_with(|| id.clone());
        Some(id)
    }

    /// Adds a monthly subscription that is paid up to `renews_at`, silently, and gives its id; nothing for an unknown customer.
    pub fn add_subscription(
        &mut self,
        customer_id: &str,
        product: &str,
        price: Money,
        renews_at: Timestamp,
    ) -> Option<String> {
        self.customers.get(customer_id)?;
        let id = self.id("sub");
        let subscription = Subscription {
            id: id.clone(),
            customer: customer_id.to_owned(),
            product: product.to_owned(),
            price,
            anchor: renews_at,
            months: 0,
            period_start: months_after(renews_at, -1),
            period_end: renews_at,
            status: SubscriptionStatus::Active,
            latest_invoice: None,
            pause_behavior: None,
            created: self.now,
            canceled_at: None,
            cancellation: None,
        };
        self.subscriptions.insert(id.clone(), subscription);
        self.plan(renews_at, Due::Renewal(id.clone()));
        self.plan_announcement(&id, renews_at);
        Some(id)
    }

    /// Sets the days between the provider's own retries; an empty list turns them off.
    pub fn set_own_retries(&mut self, days: &[i64]) {
        self.own_retries = days.to_vec();
    }

    /// Sets the address of the pages that invoices and portal sessions link to, without a trailing slash.
    pub fn set_base_url(&mut self, base_url: String) {
        self.base_url = base_url;
    }

    /// The customer, where there is one.
    pub fn customer(&self, id: &str) -> Option<&Customer> {
        self.customers.get(id)
    }

    /// The invoice, where there is one.
    pub fn invoice(&self, id: &str) -> Option<&Invoice> {
        self.invoices.get(id)
    }

    /// The subscription, where there is one.
    pub fn subscription(&self, id: &str) -> Option<&Subscription> {
        self.subscriptions.get(id)
    }

    /// The card, where there is one.
    pub fn card(&self, id: &str) -> Option<&Card> {
        self.cards.get(id)
    }

    /// Every subscription, in the order of ids.
    pub fn subscriptions(&self) -> impl Iterator<Item = &Subscription> {
        self.subscriptions.values()
    }

    /// Every invoice, in the order of ids.
    pub fn invoices(&self) -> impl Iterator<Item = &Invoice> {
        self.invoices.values()
    }

    /// Puts something on the agenda, at a whole millisecond: a clock that keeps no more would never reach what lies between.
    pub(super) fn plan(&mut self, at: Timestamp, due: Due) {
        let whole = TimestampRound::new().smallest(Unit::Millisecond).mode(RoundMode::Ceil);
        let at = at.round(whole).expect("the world ends long before the calendar");
        self.counter += 1;
        self.agenda.push(Reverse((at.max(self.now), self.counter, due)));
    }

    /// Plans to announce a renewal, unless it is too late for that. It takes no number, so that nothing else becomes another by it.
    pub(super) fn plan_announcement(&mut self, subscription_id: &str, renews_at: Timestamp) {
        let at = renews_at - SignedDuration::from_hours(24 * UPCOMING_DAYS);
        if at > self.now {
            self.agenda
                .push(Reverse((at, 0, Due::Upcoming(subscription_id.to_owned()))));
        }
    }

    /// Lets `standing` come over a card at `at`.
    pub fn plan_trouble(&mut self, card_id: &str, standing: Standing, at: Timestamp) {
        self.plan(at, Due::Trouble(card_id.to_owned(), standing));
    }

    /// A new id of Stripe's look: the prefix, a digit that counts and letters that scatter.
    pub(super) fn id(&mut self, prefix: &str) -> String {
        self.counter += 1;
        format!(
            "{prefix}_1S{:08}{:012x}",
            self.counter,
            mix(self.seed ^ self.counter) >> 16
        )
    }

    pub(super) fn emit(&mut self, kind: &'static str, snapshot: Snapshot, previous: Option<serde_json::Value>) {
        let id = self.id("evt");
        self.emit_as(id, kind, snapshot, previous);
    }

    pub(super) fn emit_as(
        &mut self,
        id: String,
        kind: &'static str,
        snapshot: Snapshot,
        previous: Option<serde_json::Value>,
    ) {
        let event = Event {
            id,
            kind,
            created: self.now,
            snapshot,
            previous,
            idempotency_key: self.calling.clone(),
        };
        self.log.push(event);
    }

    fn plan_updater(&mut self, card: &Card, draw: u64) {
        let first_day = jiff::civil::Date::new(card.exp_year, card.exp_month, 1)
            .and_then(|date| date.checked_add(Span::new().months(1)))
            .and_then(|date| date.to_zoned(TimeZone::UTC));
        if let Ok(first_day) = first_day {
            let hours = i64::try_from(draw % 144).expect("a number below 144 fits");
            let at = first_day.timestamp() + SignedDuration::from_hours(hours);
            self.plan(at, Due::Updater(card.id.clone()));
        }
    }
}

/// `months` months after `anchor` (UTC), the day clamped to the month's end.
pub(super) fn months_after(anchor: Timestamp, months: i32) -> Timestamp {
    anchor
        .to_zoned(TimeZone::UTC)
        .checked_add(Span::new().months(months))
        .expect("the world ends long before the calendar")
        .timestamp()
}
