//! F4: a Stripe-shaped provider over real HTTP, with customers behind it. The demo, the tests and integrators use it in place of
//! the real one. The [`World`] is a pure model; around it stand an HTTP server, webhooks and a mail catcher.

pub mod account;
pub mod api;
pub mod billing;
pub mod books;
pub mod charging;
pub mod events;
pub mod faults;
pub mod hooks;
pub mod issuer;
pub mod mailbox;
pub mod objects;
mod pages;
pub mod people;
pub mod population;
pub mod render;
mod server;
pub mod world;

use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::dev::ServerHandle;
use jiff::Timestamp;
use secrecy::SecretString;

pub use self::account::Means;
pub use self::books::{Books, ChargedBy};
pub use self::charging::Outcome;
pub use self::faults::{Fault, Faults};
use self::hooks::Endpoint;
pub use self::hooks::{Delivered, Delivery};
pub use self::issuer::Refusal;
pub use self::mailbox::{Letter, Mailbox};
pub use self::objects::{Habits, Standing};
pub use self::server::API_KEY;
use self::server::Shared;
pub use self::world::{NewCard, NewCustomer, Shape, World};
use crate::clock::Clock;
use crate::domain::money::Money;

/// How a sandbox is to be.
#[derive(Debug)]
pub struct SandboxConfig {
    /// The seed of everything that is random.
    pub seed: u64,
    /// The shape of the invoices.
    pub shape: Shape,
    /// Where to listen; port 0 picks one.
    pub listen: SocketAddr,
    /// Where webhooks go; nothing keeps them waiting.
    pub webhook_url: Option<String>,
    /// What webhooks are signed with.
    pub webhook_secret: SecretString,
    /// The clock that the world follows.
    pub clock: Clock,
}

/// Why a sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be bound.
    #[error("the sandbox cannot listen: {0}")]
    Listen(#[from] std::io::Error),
    /// The HTTP client for webhooks cannot be built.
    #[error("the sandbox cannot send webhooks: {0}")]
    Client(#[from] reqwest::Error),
}

/// A running sandbox; copies are handles on the same one.
#[derive(Clone)]
pub struct Sandbox {
    shared: Arc<Shared>,
    address: SocketAddr,
    server: ServerHandle,
    /// Held during a delivery, so that two of them never send the same event at once.
    endpoint: Arc<tokio::sync::Mutex<Option<Endpoint>>>,
    secret: SecretString,
    /// How many messages of the mailbox the customers have looked at.
    read: Arc<tokio::sync::Mutex<usize>>,
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sandbox({})", self.address)
    }
}

impl Sandbox {
    /// Starts a sandbox with an empty world at the clock's now. It serves until [`Sandbox::stop`] or the end of the runtime.
    pub async fn start(config: SandboxConfig) -> Result<Self, StartError> {
        let world = World::new(config.seed, config.shape, config.clock.now());
        let shared = Arc::new(Shared::new(config.clock, world));
        let (address, server) = server::start(Arc::clone(&shared), config.listen)?;
        shared.state().world.set_base_url(format!("http://{address}"));
        let sandbox = Self {
            shared,
            address,
            server,
            endpoint: Arc::default(),
            secret: config.webhook_secret,
            read: Arc::default(),
        };
        if let Some(url) = config.webhook_url {
            sandbox.send_webhooks_to(url).await?;
        }
        Ok(sandbox)
    }

    /// Stops serving, without waiting for open connections.
    pub async fn stop(&self) {
        self.server.stop(false).await;
    }

    /// The base of the API and of the pages, such as `http://127.0.0.1:12345`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sends webhooks to `url` from now on; fails where no HTTP client can be built.
    pub async fn send_webhooks_to(&self, url: String) -> Result<(), StartError> {
        let endpoint = Endpoint::new(url, self.secret.clone())?;
        *self.endpoint.lock().await = Some(endpoint);
        Ok(())
    }

    /// Runs `story` on the world, brought up to the clock's now. The world is locked meanwhile: the story must not wait.
    pub fn world<T>(&self, story: impl FnOnce(&mut World) -> T) -> T {
        story(&mut self.shared.state().world)
    }

    /// Runs `order` on the orders for faults, or reads their counts.
    pub fn faults<T>(&self, order: impl FnOnce(&mut Faults) -> T) -> T {
        order(&mut self.shared.state().faults)
    }

    /// A copy of the world's books.
    pub fn books(&self) -> Books {
        self.world(|world| world.books().clone())
    }

    /// The next instant at which the world does something by itself.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.shared.state().next_due()
    }

    /// How many events wait for the endpoint.
    pub fn pending_webhooks(&self) -> usize {
        self.world(|world| world.log.waiting().count())
    }

    /// Sends only events of these types from now on.
    pub fn subscribe_webhooks(&self, kinds: &[&'static str]) {
        self.world(|world| world.log.subscribe(kinds));
    }

    /// Loses every waiting event for ever, as networks and outages do; gives how many.
    pub fn lose_webhooks(&self) -> usize {
        self.world(|world| world.log.lose())
    }

    /// Puts an event that was delivered back into the queue; says whether there is one with this id.
    pub fn send_again(&self, event_id: &str) -> bool {
        self.world(|world| world.log.send_again(event_id))
    }

    /// Posts every waiting event once, in order; refused ones go on waiting. Without an endpoint all of them do.
    pub async fn deliver_webhooks(&self) -> Delivered {
        self.deliver_webhooks_as(Delivery::default()).await
    }

    /// As [`Sandbox::deliver_webhooks`], with duplicates or out of order.
    pub async fn deliver_webhooks_as(&self, how: Delivery) -> Delivered {
        match &*self.endpoint.lock().await {
            Some(endpoint) => endpoint.deliver(&self.shared, how).await,
            None => Delivered {
                pending: self.pending_webhooks(),
                ..Delivered::default()
            },
        }
    }

    /// Lets the customers find what came into the mailbox since the last call; gives how many messages found a customer.
    pub async fn read_mail(&self, mailbox: &Mailbox) -> usize {
        let mut read = self.read.lock().await;
        let letters = mailbox.messages_from(*read);
        *read += letters.len();
        let addresses = letters.iter().flat_map(|letter| &letter.envelope_to);
        self.world(|world| addresses.filter(|address| world.mail_arrives(address)).count())
    }

    /// Adds a customer in Germany with a good card and ample money who never acts by himself, and gives the id.
    pub fn add_customer(&self, name: &str, email: &str) -> String {
        let new = NewCustomer {
            name: name.to_owned(),
            email: email.to_owned(),
            locale: "de".to_owned(),
            country: "DE".to_owned(),
            zone: Some("Europe/Berlin".to_owned()),
            habits: Habits::DEAF,
        };
        self.world(|world| {
            let id = world.add_customer(new);
            world.add_card(&id, NewCard::default());
            id
        })
    }

    /// Adds a monthly subscription that renews for the first time at `renews_at`, and gives the id.
    ///
    /// # Panics
    /// Where there is no such customer, as do the other stories for what they name.
    pub fn add_subscription(&self, customer: &str, price: Money, renews_at: Timestamp) -> String {
        self.world(|world| world.add_subscription(customer, "Team plan", price, renews_at))
            .expect("the story names a customer that exists")
    }

    /// Makes an invoice now; its first charge is refused with `decline_code`. Gives the invoice's id.
    pub fn open_invoice(&self, subscription: &str, decline_code: &str) -> String {
        self.world(|world| world.open_invoice(subscription, decline_code))
            .expect("the story names a subscription that exists, of a customer with a card")
    }

    /// Sets what the next charges of an invoice, a subscription or a customer end in, over the world's own truth.
    pub fn script_outcomes(&self, key: &str, outcomes: impl IntoIterator<Item = Outcome>) {
        self.world(|world| world.script(key, outcomes));
    }

    /// The next charge of an invoice, a subscription or a customer is refused with `decline_code`.
    pub fn fail_next(&self, key: &str, decline_code: &str) {
        self.script_outcomes(key, [Outcome::decline(decline_code)]);
    }

    /// The customer gives a new card, which becomes the default; gives its id.
    pub fn attach_card(&self, customer: &str, card: NewCard) -> String {
        self.world(|world| world.attach_card(customer, card))
            .expect("the story names a customer that exists")
    }

    /// The customer pays an invoice on the hosted page; says whether the money was taken.
    pub fn pay_by_customer(&self, invoice: &str) -> bool {
        self.world(|world| world.pay_by_customer(invoice))
    }

    /// The invoice is settled outside of the provider; says whether it could be.
    pub fn pay_out_of_band(&self, invoice: &str) -> bool {
        self.world(|world| world.pay_out_of_band(invoice))
    }

    /// The customer cancels; says whether there was something to cancel.
    pub fn cancel_subscription(&self, subscription: &str) -> bool {
        self.world(|world| world.cancel_subscription(subscription, Some("unused")))
    }

    /// An invoice is voided; says whether it could be.
    pub fn void(&self, invoice: &str) -> bool {
        self.world(|world| world.void(invoice))
    }

    /// The whole payment of an invoice is given back; says whether there was one.
    pub fn refund(&self, invoice: &str) -> bool {
        self.world(|world| world.refund(invoice, None))
    }

    /// The holder disputes the payment of an invoice; gives the dispute's id where there was a payment.
    pub fn dispute(&self, invoice: &str) -> Option<String> {
        self.world(|world| world.dispute(invoice))
    }
}
