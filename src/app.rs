//! F5: the composition root. The only place that names concrete types: it builds the adapters, wires the floors, and
//! shuts them down in order.

use std::net::{SocketAddr, TcpListener};
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use anyhow::Context;
use futures_util::FutureExt;
use secrecy::ExposeSecret;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::config::Config;
use crate::config::clock::Mode;
use crate::domain::campaign::segment::DEFAULT;
use crate::domain::campaign::{BadCampaign, Campaign, EMBEDDED};
use crate::engine::{Brand, Connection, Engine, Parts};
use crate::http::oidc::Oidc;
use crate::http::{self, HttpState};
use crate::links::Links;
use crate::mailer::{Dkim, Mailer, MailerError, Templates};
use crate::providers::stripe::{Stripe, StripeSettings};
use crate::return_path::ReturnPath;
use crate::scheduler::Doorbell;
use crate::store::{Store, campaigns, settings};
use crate::telemetry::metric;

/// The most database connections of one process.
const CONNECTIONS_MAX: u32 = 16;
/// The setting that holds the key of links for customers.
const LINKS_KEY: &str = "links.key";
/// The setting that holds the key of the addresses to which mails come back.
const RETURN_PATH_KEY: &str = "return_path.key";
/// The pause before work begins again that an error cut short.
const AGAIN: Duration = Duration::from_secs(1);
/// The most database connections that reports take.
const REPORT_CONNECTIONS_MAX: u32 = 3;
/// How often the metrics are swept.
const UPKEEP: Duration = Duration::from_secs(5);

/// Which part of the work a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    /// Serve and work.
    All,
    /// Serve: take webhooks in, answer the API and the dashboard.
    Web,
    /// Work: charge, write, finish. Health and metrics are served, too.
    Worker,
}

/// A running process.
pub struct App {
    /// The engine inside it.
    pub engine: Engine,
    /// The database.
    pub store: Store,
    /// The connections that only reports use.
    pub reports: Store,
    /// Where it listens.
    pub address: SocketAddr,
    draining: Arc<AtomicBool>,
    server: ServerHandle,
    serving: JoinHandle<std::io::Result<()>>,
    stop: watch::Sender<bool>,
    worker: Option<JoinHandle<()>>,
    doorbell: Option<Doorbell>,
    upkeep: JoinHandle<()>,
}

/// What a caller may set besides the configuration.
#[derive(Clone, Debug, Default)]
pub struct Setting {
    /// The clock, where it is not to come from the configuration.
    pub clock: Option<Clock>,
    /// Whether the dashboard opens without a key for readers on this machine.
    pub demo: bool,
}

/// Connects to the database and brings its schema up to date, unless the configuration says otherwise.
pub async fn open_store(config: &Config) -> anyhow::Result<Store> {
    let store = Store::connect(config.database.url.expose_secret(), CONNECTIONS_MAX)
        .await
        .context("database.url: the database cannot be opened")?
        .keeping(config.retention);
    if config.database.migrate {
        store
            .migrate()
            .await
            .context("the schema cannot be brought up to date")?;
        crate::failpoint!("schema_ready");
    }
    Ok(store)
}

/// Builds the engine from the configuration.
pub async fn build_engine(config: &Config, store: &Store, clock: Option<Clock>) -> anyhow::Result<Engine> {
    // Another part of the process may have chosen the same provider before; both are the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let clock = clock.unwrap_or_else(|| match config.clock.mode {
        Mode::System => Clock::System,
        Mode::Test => Clock::test(config.clock.start.unwrap_or_else(|| Clock::System.now())),
    });
    if let Err(error) = store.make_months(clock.now()).await {
        // What has no month of its own yet lies in a partition for the rest.
        tracing::warn!(%error, "the partitions of the next months are not there yet");
    }
    for (campaign, text) in load_campaigns(config.campaigns.dir.as_deref())? {
        campaigns::publish(store.conn(), &campaign, &text, clock.now())
            .await
            .with_context(|| format!("campaign {} version {}", campaign.name, campaign.version))?;
    }
    let mut mailer = mailer(config)?;
    if let Some(path) = return_path(config, store).await? {
        mailer = mailer.returning_to(path);
    }
    let parts = Parts {
        storage: Arc::new(store.clone()),
        clock,
        connections: connections(config)?,
        mailer: Arc::new(mailer),
        templates: Templates::new()?,
        brand: Brand {
            company: config.mail.brand.clone(),
            support: config.mail.support.clone(),
            look: config.mail.look.clone(),
            links: links(config, store).await?,
        },
        staff: config.mail.staff.clone(),
        // What is only kept is read here and bothers no domain.
        mails_per_domain_per_minute: config
            .mail
            .smtp_url
            .as_ref()
            .map_or(0, |_| config.mail.per_domain_per_minute),
        learning: config.learning,
        rules: config.rules.clone(),
    };
    parts.check()?;
    let engine = Engine::new(parts);
    engine.restore_test_clock().await?;
    Ok(engine)
}

/// The way out for mails that the configuration names, all but its return path.
pub fn mailer(config: &Config) -> Result<Mailer, MailerError> {
    let mail = &config.mail;
    let from = mail.from.as_ref().map(ToString::to_string);
    let mailer = Mailer::trusting(mail.smtp_ca_file.as_deref(), mail.smtp_url.as_ref(), from.as_deref())?;
    Ok(match &mail.dkim {
        Some(dkim) => mailer.signing(Dkim::new(&dkim.domain, &dkim.selector, &dkim.key)?),
        None => mailer,
    })
}

/// The connections that the configuration names.
pub fn connections(config: &Config) -> anyhow::Result<Vec<Connection>> {
    let Some(stripe) = &config.stripe else {
        return Ok(Vec::new());
    };
    let provider = Stripe::new(StripeSettings {
        api_base: stripe.api_base.clone(),
        api_key: stripe.api_key.clone(),
        webhook_secrets: stripe.webhook_secrets.clone(),
    })?;
    Ok(vec![Connection {
        name: "stripe".to_owned(),
        provider: Arc::new(provider),
        collector: stripe.collector,
        default_zone: stripe.timezone.iana_name().unwrap_or("UTC").to_owned(),
        default_locale: stripe.locale.clone(),
    }])
}

/// The identity provider that the configuration names.
pub fn identity_provider(config: &Config) -> anyhow::Result<Option<Oidc>> {
    // The configuration has no provider without an address for browsers to come back to.
    let named = config.oidc.as_ref().zip(config.http.public_url.as_ref());
    let provider = named.map(|(settings, public_url)| Oidc::new(settings, public_url));
    provider.transpose().context("oidc: HTTPS cannot be set up")
}

/// The campaigns that the service works by: those of a folder, or the embedded one.
pub fn load_campaigns(dir: Option<&Path>) -> anyhow::Result<Vec<(Campaign, String)>> {
    let Some(dir) = dir else {
        return Ok(vec![(Campaign::embedded(), EMBEDDED.to_owned())]);
    };
    let found = campaigns_of(dir).context("campaigns.dir")?;
    anyhow::ensure!(
        found.iter().any(|(campaign, _)| campaign.name == DEFAULT),
        "campaigns.dir: {}: no campaign is named `default`, which takes what no other does",
        dir.display()
    );
    Ok(found)
}

/// The campaigns of a folder with their texts, by name and version. Every fault of every file is told at once.
pub fn campaigns_of(dir: &Path) -> anyhow::Result<Vec<(Campaign, String)>> {
    let mut found = Vec::new();
    let mut faults = Vec::new();
    for (path, text) in campaign_files(dir)? {
        match Campaign::parse(&text) {
            Ok(campaign) => found.push((campaign, text)),
            Err(BadCampaign(all)) => faults.extend(all.iter().map(|fault| fault.in_file(&path))),
        }
    }
    anyhow::ensure!(faults.is_empty(), "{}", faults.join("\n"));
    found.sort_by(|(a, _), (b, _)| (&a.name, a.version).cmp(&(&b.name, b.version)));
    Ok(found)
}

/// The files of campaigns in a folder with their texts, by name.
pub fn campaign_files(dir: &Path) -> anyhow::Result<Vec<(PathBuf, String)>> {
    let entries = std::fs::read_dir(dir).with_context(|| format!("{} cannot be read", dir.display()))?;
    let mut paths: Vec<_> = entries
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .map(|entry| entry.path())
        .collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        Ok((path, text))
    };
    paths.into_iter().map(read).collect()
}

impl App {
    /// Starts a process: binds, then serves and works according to its role.
    pub async fn start(config: &Config, role: Role, setting: Setting) -> anyhow::Result<Self> {
        let store = open_store(config).await?;
        let reports = store.beside(REPORT_CONNECTIONS_MAX).await?;
        let engine = build_engine(config, &store, setting.clock).await?;
        let listener = TcpListener::bind(config.http.listen)
            .with_context(|| format!("http.listen: {} cannot be bound", config.http.listen))?;
        let address = listener.local_addr()?;
        let draining = Arc::new(AtomicBool::new(false));
        let recorder = metric::recorder();
        let options = http::Options {
            public_url: config.http.public_url.clone(),
            bootstrap_key: config.admin.bootstrap_key.clone(),
            approval_above: config.desk.approval_above.clone(),
            approval_to_publish: config.desk.approval_to_publish,
            demo: setting.demo,
            mail_events_secrets: config.mail.events_secrets.clone(),
            return_path: return_path(config, &store).await?,
            oidc: identity_provider(config)?.map(Arc::new),
        };
        let state = HttpState::new(
            engine.clone(),
            [store.clone(), reports.clone()],
            recorder.clone(),
            Arc::clone(&draining),
            &options,
        );
        let server = http::serve(listener, Arc::new(state), None)?;
        let (stop, stopped) = watch::channel(false);
        let works = role != Role::Web;
        let upkeep = tokio::spawn(async move {
            let mut turn = tokio::time::interval(UPKEEP);
            loop {
                turn.tick().await;
                recorder.run_upkeep();
            }
        });
        Ok(Self {
            address,
            draining,
            server: server.handle(),
            serving: tokio::spawn(server),
            doorbell: if works {
                Some(Doorbell::start(&engine, &reports).await?)
            } else {
                None
            },
            worker: works.then(|| tokio::spawn(work(engine.clone(), stopped))),
            stop,
            engine,
            store,
            reports,
            upkeep,
        })
    }

    /// Stops in order: not ready any more, no new work, what is in flight ends, then the server and the database.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.draining.store(true, Ordering::SeqCst);
        let _ = self.stop.send(true);
        self.engine.stop();
        if let Some(doorbell) = self.doorbell {
            doorbell.stop().await?;
        }
        if let Some(worker) = self.worker {
            worker.await?;
        }
        self.server.stop(true).await;
        self.serving.await??;
        self.upkeep.abort();
        self.reports.close().await?;
        self.store.close().await?;
        Ok(())
    }
}

/// Works until told to stop; what is under way then is finished. Neither an error nor a panic ends it.
async fn work(engine: Engine, mut stopped: watch::Receiver<bool>) {
    while !*stopped.borrow_and_update() {
        match AssertUnwindSafe(engine.work()).catch_unwind().await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::error!(%error, "work was cut short; it begins again");
                // The database may be away: no faster than the doorbell rings.
                tokio::time::sleep(AGAIN).await;
            }
            Err(_) => tracing::error!("work panicked; it begins again"),
        }
    }
}

/// The way to our page for customers, where the address is known that they reach us by. The key is made once, and is the same in every
/// process on the database.
async fn links(config: &Config, store: &Store) -> anyhow::Result<Option<Links>> {
    let Some(base) = config.http.public_url.clone() else {
        return Ok(None);
    };
    Ok(Some(Links::new(base, settings::key(store.conn(), LINKS_KEY).await?)))
}

/// Where mails come back that cannot be delivered, where an address for them is configured.
async fn return_path(config: &Config, store: &Store) -> anyhow::Result<Option<ReturnPath>> {
    let Some(address) = &config.mail.return_path else {
        return Ok(None);
    };
    let key = settings::key(store.conn(), RETURN_PATH_KEY).await?;
    Ok(Some(ReturnPath::new(address.user(), address.domain(), key)))
}
