//! A story: the whole service over its real protocols, a sandboxed provider, a mail server, and one clock for all.

use std::fmt::Write as _;

use jiff::Timestamp;
use recoup::app::{App, Role, Setting};
use recoup::clock::Clock;
use recoup::config::Config;
use recoup::domain::case::Case;
use recoup::domain::ids::CaseId;
use recoup::domain::money::Money;
use recoup::sandbox::events::Event;
use recoup::sandbox::hooks::signature;
use recoup::sandbox::{API_KEY, Letter, Mailbox, Sandbox, SandboxConfig, Shape};
use recoup::store::{attempts, cases, notifications, timeline};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::campaigns::FOLDER;
use super::databases::each_url;

/// The key that the stories act with.
pub const ADMIN_KEY: &str = "story-admin-key-0123456789";
const WEBHOOK_SECRET: &str = "whsec_story_secret";
/// More rounds than this at one instant mean that something never comes to rest.
const ROUNDS_MAX: u32 = 1000;

/// Everything that a story plays with.
pub struct Story {
    /// The service.
    pub app: App,
    /// The provider and its customers.
    pub sandbox: Sandbox,
    /// Where mails arrive.
    pub mailbox: Mailbox,
    /// The time of all of them.
    pub clock: Clock,
    /// The address of the service.
    pub url: String,
    config: Config,
}

/// Plays a story on SQLite and on PostgreSQL, in both shapes of the provider's invoices.
pub fn tell(start: &str, play: &impl AsyncFn(&mut Story)) {
    for shape in [Shape::Old, Shape::New] {
        tell_in(shape, start, &[], play);
    }
}

/// Plays a story with more configuration, in one shape.
pub fn tell_in(shape: Shape, start: &str, settings: &[(&str, &str)], play: &impl AsyncFn(&mut Story)) {
    each_url(&async |url: &str| {
        let mut story = Story::begin(url, shape, start, settings).await;
        play(&mut story).await;
        story.end().await;
    });
}

impl Story {
    /// Starts everything at `start`.
    pub async fn begin(database: &str, shape: Shape, start: &str, settings: &[(&str, &str)]) -> Self {
        let clock = Clock::test(start.parse().unwrap());
        let sandbox = Sandbox::start(SandboxConfig {
            seed: 7,
            shape,
            listen: ([127, 0, 0, 1], 0).into(),
            webhook_url: None,
            webhook_secret: SecretString::from(WEBHOOK_SECRET),
            clock: clock.clone(),
        })
        .await
        .unwrap();
        let mailbox = Mailbox::start().await.unwrap();
        let smtp = format!("smtp://{}", mailbox.addr);
        let base = sandbox.url();
        let mut variables = vec![
            ("RECOUP__DATABASE__URL", database),
            ("RECOUP__HTTP__LISTEN", "127.0.0.1:0"),
            ("RECOUP__CLOCK__MODE", "test"),
            ("RECOUP__STRIPE__API_BASE", &base),
            ("RECOUP__STRIPE__API_KEY", API_KEY),
            ("RECOUP__STRIPE__WEBHOOK_SECRETS", WEBHOOK_SECRET),
            ("RECOUP__MAIL__SMTP_URL", &smtp),
            ("RECOUP__MAIL__FROM", "Acme Billing <billing@acme.example>"),
            ("RECOUP__MAIL__BRAND", "Acme"),
            ("RECOUP__ADMIN__BOOTSTRAP_KEY", ADMIN_KEY),
            ("RECOUP__CAMPAIGNS__DIR", FOLDER),
        ];
        variables.retain(|(name, _)| settings.iter().all(|(set, _)| set != name));
        variables.extend(settings);
        let variables = variables
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let config = Config::load(None, variables).unwrap();
        let app = Self::start_app(&config, &clock).await;
        let url = format!("http://{}", app.address);
        sandbox
            .send_webhooks_to(format!("{url}/webhooks/stripe"))
            .await
            .unwrap();
        Self {
            app,
            sandbox,
            mailbox,
            clock,
            url,
            config,
        }
    }

    async fn start_app(config: &Config, clock: &Clock) -> App {
        // Without a worker of its own the service does only what the story advances it to.
        App::start(
            config,
            Role::Web,
            Setting {
                clock: Some(clock.clone()),
                demo: false,
            },
        )
        .await
        .unwrap()
    }

    /// One more process of the service on the same database.
    pub async fn replica(&self) -> App {
        Self::start_app(&self.config, &self.clock).await
    }

    /// A process of the service on another database, with all else alike.
    pub async fn on_database(&self, url: &str) -> App {
        let mut config = self.config.clone();
        config.database.url = SecretString::from(url);
        Self::start_app(&config, &self.clock).await
    }

    /// The database's address.
    pub fn database(&self) -> String {
        self.config.database.url.expose_secret().to_owned()
    }

    /// The variables with which the binary would be this service.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("RECOUP__DATABASE__URL", self.database()),
            ("RECOUP__CLOCK__MODE", "test".to_owned()),
            ("RECOUP__STRIPE__API_BASE", self.sandbox.url()),
            ("RECOUP__STRIPE__API_KEY", API_KEY.to_owned()),
            ("RECOUP__STRIPE__WEBHOOK_SECRETS", WEBHOOK_SECRET.to_owned()),
            ("RECOUP__MAIL__SMTP_URL", format!("smtp://{}", self.mailbox.addr)),
            ("RECOUP__MAIL__FROM", "billing@acme.example".to_owned()),
        ]
    }

    /// Ends everything and checks that no work was left over.
    pub async fn end(self) {
        assert_eq!(self.sandbox.pending_webhooks(), 0, "webhooks were left over");
        self.sandbox.stop().await;
        self.app.stop().await.unwrap();
    }

    /// The present instant.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Delivers webhooks and does what is due now, until all is at rest.
    pub async fn settle(&self) {
        for _ in 0..ROUNDS_MAX {
            let delivered = self.sandbox.deliver_webhooks().await;
            let done = self.app.engine.advance(self.now()).await.unwrap();
            if done.ticks == 0 && delivered.pending == 0 && self.sandbox.pending_webhooks() == 0 {
                return;
            }
        }
        panic!("the story does not come to rest at {}", self.now());
    }

    /// Moves all clocks to `to`, stopping wherever something is due on the way.
    pub async fn advance(&self, to: &str) {
        let to: Timestamp = to.parse().unwrap();
        loop {
            self.settle().await;
            if self.now() >= to {
                return;
            }
            let ours = cases::next_due(&self.app.store, self.now()).await.unwrap();
            let next = ours
                .into_iter()
                .chain(self.sandbox.next_due())
                .filter(|at| *at > self.now())
                .min();
            let next = next.filter(|at| *at < to).unwrap_or(to);
            self.app.engine.advance(next).await.unwrap();
        }
    }

    /// A German customer with a subscription of 19.99 EUR, and its invoice whose first charge fails with `code` now.
    pub fn failed_invoice(&self, code: &str) -> Failed {
        let number = self.sandbox.books().charges.len();
        let customer = self
            .sandbox
            .add_customer("Erika Beispiel", &format!("erika{number}@kunde.example"));
        let price = Money::new(1999, "EUR".parse().unwrap());
        let renews = "2030-01-01T00:00:00Z".parse().unwrap();
        let subscription = self.sandbox.add_subscription(&customer, price, renews);
        let invoice = self.sandbox.open_invoice(&subscription, code);
        Failed {
            customer,
            subscription,
            invoice,
        }
    }

    /// The case of an invoice.
    pub async fn case(&self, invoice: &str) -> Case {
        let conn = self.app.store.conn();
        let id = cases::by_invoice(conn, "stripe", invoice).await.unwrap();
        cases::find(conn, &id.expect("the invoice has a case"))
            .await
            .unwrap()
            .unwrap()
    }

    /// Whether the invoice has a case.
    pub async fn has_case(&self, invoice: &str) -> bool {
        let conn = self.app.store.conn();
        cases::by_invoice(conn, "stripe", invoice).await.unwrap().is_some()
    }

    /// The whole story of an invoice's case, one line an event, in order; then the charges that the provider made.
    pub async fn diary(&self, invoice: &str) -> String {
        let case = self.case(invoice).await;
        let conn = self.app.store.conn();
        let mut diary = String::from("\n");
        for line in timeline::by_case(conn, &case.id, 200, None).await.unwrap() {
            let what = brief(line.kind.as_str(), &line.data);
            writeln!(diary, "{} {:<16} {what}", short(line.at), line.kind.as_str()).unwrap();
        }
        for entry in self.sandbox.books().charges_of(invoice) {
            let result = entry.declined.as_deref().unwrap_or("paid");
            writeln!(diary, "{} the provider: {:?} {result}", short(entry.at), entry.by).unwrap();
        }
        diary
    }

    /// The subjects of the mails to the customer of a case, in order.
    pub async fn subjects(&self, case: &CaseId) -> Vec<String> {
        let rows = notifications::by_case(self.app.store.conn(), case).await.unwrap();
        rows.into_iter().filter_map(|row| row.subject).collect()
    }

    /// The mails that arrived.
    pub fn letters(&self) -> Vec<Letter> {
        self.mailbox.messages()
    }

    /// The attempts of a case as `origin status` pairs.
    pub async fn attempts(&self, case: &CaseId) -> Vec<String> {
        let rows = attempts::by_case(self.app.store.conn(), case).await.unwrap();
        rows.iter()
            .map(|row| format!("{} {}", row.origin, row.status))
            .collect()
    }

    /// Posts one event of the sandbox to the service, signed now.
    pub async fn deliver(&self, event: &Event) {
        let body = event.body(self.sandbox.world(|world| world.shape()), 1).to_string();
        assert_eq!(self.webhook(&reqwest::Client::new(), body).await, 200);
    }

    /// Posts a body to the service, signed now; the status of the answer.
    pub async fn webhook(&self, client: &reqwest::Client, body: String) -> u16 {
        let sign = signature(&SecretString::from(WEBHOOK_SECRET), self.now(), &body);
        let request = client.post(format!("{}/webhooks/stripe", self.url));
        let answer = request.header("Stripe-Signature", sign).body(body).send().await;
        answer.unwrap().status().as_u16()
    }

    /// Asks the service with the admin key; the status and the JSON of the answer.
    pub async fn get(&self, path: &str) -> (u16, Value) {
        let request = reqwest::Client::new()
            .get(format!("{}{path}", self.url))
            .bearer_auth(ADMIN_KEY);
        Self::answer(request).await
    }

    /// Posts JSON to the service with the admin key; the status and the JSON of the answer.
    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = reqwest::Client::new()
            .post(format!("{}{path}", self.url))
            .bearer_auth(ADMIN_KEY)
            .json(body);
        Self::answer(request).await
    }

    async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.json().await.unwrap_or(Value::Null))
    }
}

/// What a failed renewal is made of.
pub struct Failed {
    /// The customer.
    pub customer: String,
    /// The subscription.
    pub subscription: String,
    /// The invoice.
    pub invoice: String,
}

/// Month, day, hour and minute in UTC.
fn short(at: Timestamp) -> String {
    at.strftime("%m-%d %H:%M").to_string()
}

/// The part of a line's data that a story asserts.
fn brief(kind: &str, data: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let at = |value: &Value| {
        value
            .as_str()
            .map_or("never".to_owned(), |at| short(at.parse().unwrap()))
    };
    match kind {
        "opened" => text(&data["decline"]["kind"]),
        "planned" if data["charges"].is_array() => {
            let charges: Vec<String> = data["charges"].as_array().unwrap().iter().map(at).collect();
            let notice = data["notice"]
                .as_array()
                .map(|pair| format!("{} {}", text(&pair[0]), at(&pair[1])));
            format!(
                "charges [{}] notice {}",
                charges.join(", "),
                notice.unwrap_or("none".to_owned())
            )
        }
        "attempt_seen" => format!("{} {}", text(&data["origin"]), text(&data["decline"]["kind"])),
        "attempt_started" => text(&data["trigger"]),
        "attempt_answered" => format!(
            "{} {}",
            text(&data["status"]),
            data["decline"]["kind"].as_str().unwrap_or("")
        )
        .trim_end()
        .to_owned(),
        "notice_queued" => text(&data["step"]),
        "notice_skipped" => match data["steps"].as_array() {
            Some(steps) => steps.iter().map(text).collect::<Vec<_>>().join(" "),
            None => format!("{} {}", text(&data["step"]), text(&data["reason"])),
        },
        "notice_ended" => text(&data["status"]),
        "closed" => ["kind", "by", "reason", "why", "then"]
            .iter()
            .filter_map(|word| data["outcome"][word].as_str())
            .collect::<Vec<_>>()
            .join(" "),
        "final_action" | "staff" => text(&data["action"]),
        "customer" => match data["answer"].as_str() {
            Some(answer) => format!("answer {answer}"),
            None => text(&data["action"]),
        },
        "warned" => text(&data["warning"]),
        "stood_back" if data["rule"].is_string() && data["action"].is_string() => {
            format!("{} {}", text(&data["action"]), text(&data["rule"]))
        }
        _ => String::new(),
    }
    .trim_end()
    .to_owned()
}
