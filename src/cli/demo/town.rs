//! The stage of the demo: a sandboxed provider with a town of customers, a mail catcher and the service, on one clock.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::progress::Progress;
use super::trial;
use crate::app::{App, Role, Setting};
use crate::clock::{Clock, entropy};
use crate::config::Config;
use crate::providers::stripe::events::TYPES;
use crate::sandbox::{API_KEY, Mailbox, Sandbox, SandboxConfig, Shape};
use crate::store::cases;

/// More rounds than this at one instant mean that something never comes to rest.
const ROUNDS_MAX: u32 = 1000;
/// How often the town is looked after once the play is over.
const PULSE: Duration = Duration::from_secs(1);

/// What is played.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed of the customers' lives.
    pub seed: u64,
    /// How many customers there are.
    pub customers: usize,
    /// The first instant.
    pub start: Timestamp,
    /// Where the service listens.
    pub listen: SocketAddr,
    /// A folder of campaigns to play by; without it the one that is built in, beside a new version of it for half of the customers.
    pub campaigns: Option<PathBuf>,
}

/// The running stage.
pub struct Town {
    /// The service.
    pub app: App,
    /// The provider and its customers.
    pub sandbox: Sandbox,
    /// The time of all of them.
    pub clock: Clock,
    /// The address of the service.
    pub url: String,
    /// A key for its API.
    pub admin_key: SecretString,
    mailbox: Mailbox,
}

impl Town {
    /// Starts everything at the plan's first instant. All that is written goes into `folder`.
    pub async fn start(folder: &Path, plan: &Plan) -> anyhow::Result<Self> {
        let clock = Clock::test(plan.start);
        let webhook_secret = SecretString::from(format!("whsec_{:032x}", entropy()));
        let sandbox = Sandbox::start(SandboxConfig {
            seed: plan.seed,
            shape: Shape::New,
            listen: ([127, 0, 0, 1], 0).into(),
            webhook_url: None,
            webhook_secret: webhook_secret.clone(),
            clock: clock.clone(),
        })
        .await?;
        sandbox.world(|world| world.settle_town(plan.customers));
        sandbox.subscribe_webhooks(&TYPES);
        let mailbox = Mailbox::start().await.context("the mail catcher cannot listen")?;
        let admin_key = SecretString::from(format!("demo-{:032x}", entropy()));
        let config = configuration(folder, plan, &sandbox, &mailbox, [&webhook_secret, &admin_key])?;
        // Without a worker of its own the service does only what the play moves it to.
        let setting = Setting {
            clock: Some(clock.clone()),
            demo: true,
        };
        let app = App::start(&config, Role::Web, setting).await?;
        let url = format!("http://{}", app.address);
        sandbox.send_webhooks_to(format!("{url}/webhooks/stripe")).await?;
        Ok(Self {
            app,
            sandbox,
            clock,
            url,
            admin_key,
            mailbox,
        })
    }

    /// Moves all clocks to `to`, stopping wherever something is due on the way.
    pub async fn play(&self, to: Timestamp, progress: &mut Progress) -> anyhow::Result<()> {
        loop {
            self.settle().await?;
            progress.show(self).await?;
            let now = self.clock.now();
            if now >= to {
                return Ok(());
            }
            let ours = cases::next_due(&self.app.store, now).await?;
            let dues = [ours, self.sandbox.next_due()];
            let next = dues
                .into_iter()
                .flatten()
                .filter(|at| *at > now)
                .fold(to, Timestamp::min);
            self.clock.advance_to(next)?;
        }
    }

    /// Lets what visitors do have its consequences: they may pay on the provider's pages, or act with the API key. It ends
    /// only with an error.
    pub async fn live_on(&self) -> anyhow::Result<()> {
        let mut pulse = tokio::time::interval(PULSE);
        loop {
            pulse.tick().await;
            self.settle().await?;
        }
    }

    /// How many mails arrived.
    pub fn letters(&self) -> usize {
        self.mailbox.messages().len()
    }

    /// Stops everything in order.
    pub async fn stop(self) -> anyhow::Result<()> {
        let stopped = self.app.stop().await;
        self.sandbox.stop().await;
        stopped
    }

    /// Delivers webhooks and mails and does what is due now, until all is at rest.
    async fn settle(&self) -> anyhow::Result<()> {
        for _ in 0..ROUNDS_MAX {
            self.sandbox.deliver_webhooks().await;
            self.app.engine.tick().await?;
            self.sandbox.read_mail(&self.mailbox).await;
            // A tick ends when nothing is due, so only what its calls made the provider tell is left.
            if self.sandbox.pending_webhooks() == 0 {
                return Ok(());
            }
        }
        anyhow::bail!("the demo does not come to rest at {}", self.clock.now())
    }
}

/// A whole configuration: neither a file nor the environment of whoever runs the demo has a say in it.
fn configuration(
    folder: &Path,
    plan: &Plan,
    sandbox: &Sandbox,
    mailbox: &Mailbox,
    [webhook_secret, admin_key]: [&SecretString; 2],
) -> anyhow::Result<Config> {
    let file = folder.join("recoup.toml");
    std::fs::write(&file, "").context("the temporary folder cannot be written to")?;
    let database = Url::from_file_path(folder.join("recoup.db"))
        .map_err(|()| anyhow::anyhow!("the temporary folder {} is no absolute path", folder.display()))?;
    // On a port that is only known later, mails lead to the provider's pages.
    let public_url = (plan.listen.port() != 0).then(|| ("HTTP__PUBLIC_URL", format!("http://{}", plan.listen)));
    let variables = [
        ("DATABASE__URL", database.as_str().replacen("file:", "sqlite:", 1)),
        ("HTTP__LISTEN", plan.listen.to_string()),
        ("CLOCK__MODE", "test".to_owned()),
        ("STRIPE__API_BASE", sandbox.url()),
        ("STRIPE__API_KEY", API_KEY.to_owned()),
        ("STRIPE__WEBHOOK_SECRETS", webhook_secret.expose_secret().to_owned()),
        ("MAIL__SMTP_URL", format!("smtp://{}", mailbox.addr)),
        ("MAIL__FROM", "Acme Billing <billing@acme.example>".to_owned()),
        ("MAIL__BRAND", "Acme".to_owned()),
        ("MAIL__SUPPORT", "help@acme.example".to_owned()),
        ("ADMIN__BOOTSTRAP_KEY", admin_key.expose_secret().to_owned()),
    ];
    let campaigns = match &plan.campaigns {
        Some(dir) => dir.clone(),
        None => trial::write(folder)?,
    };
    let campaigns = campaigns.to_str().context("--campaigns is no text")?.to_owned();
    let variables = variables
        .into_iter()
        .chain(public_url)
        .chain([("CAMPAIGNS__DIR", campaigns)])
        .map(|(name, value)| (format!("RECOUP__{name}"), value));
    Ok(Config::load(Some(&file), variables)?)
}
