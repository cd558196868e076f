//! F4: everything that is reached over HTTP: webhooks, the API, operations and the dashboard.
//!
//! Each request passes the [`gate`], which answers what the framework would answer without a problem document, checks the
//! key and the role by [`rules`], and keeps `Idempotency-Key` promises. Handlers behind it only do their work.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use metrics_exporter_prometheus::PrometheusHandle;
use secrecy::SecretString;
use url::Url;
use utoipa_actix_web::AppExt;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::domain::money::Money;
use crate::engine::Engine;
use crate::return_path::ReturnPath;
use crate::store::Store;
use crate::store::inbox::intake::Intake;

pub mod admin;
pub mod auth;
pub mod body;
pub mod customer;
mod dashboard;
mod docs;
pub mod error;
mod gate;
mod idempotency;
pub mod keys;
pub mod limiter;
pub mod mail_events;
pub mod oidc;
pub mod openapi;
pub mod ops;
pub mod page;
mod passwords;
pub mod people;
pub mod rules;
mod sign_in;
pub mod webhooks;
pub mod wire;

pub use dashboard::ROUTES as DASHBOARD_ROUTES;

/// How long a request's head may take to arrive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How many requests one connection may be idle between, in time.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// How many connections are open at once, per worker.
const CONNECTIONS_MAX: usize = 2_000;

/// What the floor above chooses.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The address that others reach us by; without it, the one of each request.
    pub public_url: Option<Url>,
    /// An admin key that exists from the start.
    pub bootstrap_key: Option<SecretString>,
    /// Whether the dashboard opens without a key for readers on this machine.
    pub demo: bool,
    /// What signs reports of what became of mails, newest first; without any, none are taken.
    pub mail_events_secrets: Vec<SecretString>,
    /// Where mails come back, where they have addresses of their own.
    pub return_path: Option<ReturnPath>,
    /// The amounts above which a second person has to approve an act.
    pub approval_above: Vec<Money>,
    /// Whether a second person has to approve each version of a campaign.
    pub approval_to_publish: bool,
    /// Who else vouches for people who sign in.
    pub oidc: Option<Arc<oidc::Oidc>>,
}

/// What every handler can reach.
pub struct HttpState {
    /// The engine.
    pub engine: Engine,
    /// The database behind it, for what is only read, and for what is no case.
    pub store: Store,
    /// Connections that only reports use, so that however many of them are asked for, webhooks still find one.
    pub reports: Store,
    /// Who sent bad signatures.
    pub(crate) limiter: limiter::Limiter,
    /// Who sent bad signatures of mail events.
    pub(crate) mail_limiter: limiter::Limiter,
    /// What signs mail events, newest first.
    pub(crate) mail_events_secrets: Vec<SecretString>,
    /// Where mails come back, where they have addresses of their own.
    pub(crate) return_path: Option<ReturnPath>,
    /// The amounts above which a second person has to approve an act.
    pub(crate) approval_above: Vec<Money>,
    pub(crate) approval_to_publish: bool,
    /// The metrics of this process.
    pub metrics: PrometheusHandle,
    /// The address that others reach us by, where configured.
    pub public_url: Option<Url>,
    /// Whether the process is shutting down; then it is not ready.
    pub draining: Arc<AtomicBool>,
    /// The digest of the bootstrap key, where there is one.
    pub(crate) bootstrap: Option<keys::Digest>,
    /// Whether the dashboard opens without a key for readers on this machine.
    pub demo: bool,
    /// Who else vouches for people who sign in.
    pub(crate) oidc: Option<Arc<oidc::Oidc>>,
    /// Who tries to sign in at the dashboard.
    pub(crate) sign_ins: sign_in::SignIns,
    /// What was compared for its pages.
    pub(crate) comparisons: admin::reports::compared::Comparisons,
    /// The feeds of the dashboard that are open.
    pub(crate) feeds: dashboard::Feeds,
    /// The routes with their methods, and the document about them.
    pub(crate) routes: openapi::Routes,
}

impl HttpState {
    /// The state for one process, on the present runtime. `draining` is set by whoever stops it.
    pub fn new(
        engine: Engine,
        [store, reports]: [Store; 2],
        metrics: PrometheusHandle,
        draining: Arc<AtomicBool>,
        options: &Options,
    ) -> Self {
        Self {
            limiter: limiter::Limiter::default(),
            mail_limiter: limiter::Limiter::default(),
            mail_events_secrets: options.mail_events_secrets.clone(),
            return_path: options.return_path.clone(),
            approval_above: options.approval_above.clone(),
            approval_to_publish: options.approval_to_publish,
            engine,
            store,
            reports,
            metrics,
            public_url: options.public_url.clone(),
            draining,
            bootstrap: options.bootstrap_key.as_ref().map(keys::digest_of),
            demo: options.demo,
            oidc: options.oidc.clone(),
            sign_ins: sign_in::SignIns::default(),
            comparisons: admin::reports::compared::Comparisons::default(),
            feeds: dashboard::Feeds::default(),
            routes: openapi::Routes::new(),
        }
    }

    /// Whether others reach us by TLS, as the configuration says.
    fn is_public_by_tls(&self) -> bool {
        self.public_url.as_ref().is_some_and(|url| url.scheme() == "https")
    }
}

/// Starts the server on a bound listener, with `workers` threads or one per core. It runs when awaited; its handle stops it. Signals are left to the floor above.
pub fn serve(listener: TcpListener, state: Arc<HttpState>, workers: Option<usize>) -> std::io::Result<Server> {
    let data = web::Data::from(state);
    let server = HttpServer::new(move || {
        let data = data.clone();
        // Each thread has its own way into the inbox, so that no event waits for another thread to wake up.
        let intake = web::Data::new(Intake::start(&data.store));
        App::new()
            .wrap(from_fn(gate::gate))
            .configure(move |config| configure(config, &data, intake))
    })
    .client_request_timeout(HEAD_TIMEOUT)
    .keep_alive(KEEP_ALIVE)
    .max_connections(CONNECTIONS_MAX)
    .shutdown_timeout(20)
    .disable_signals();
    let server = match workers {
        Some(workers) => server.workers(workers),
        None => server,
    };
    Ok(server.listen(listener)?.run())
}

/// Adds every route; the [`gate`] must be wrapped around them, as [`serve`] does.
fn configure(config: &mut web::ServiceConfig, data: &web::Data<HttpState>, intake: web::Data<Intake>) {
    config
        .app_data(data.clone())
        .app_data(intake)
        .app_data(
            web::PathConfig::default().error_handler(|_, _| error::Problem::not_found("there is no such thing").into()),
        )
        .app_data(web::QueryConfig::default().error_handler(|bad, _| page::bad_query(&bad).into()));
    documented(&mut ServiceConfig::new(config));
    docs::routes(config);
    dashboard::routes(config);
    customer::routes(config);
}

/// Adds the routes that the OpenAPI document tells of.
pub(crate) fn documented(config: &mut ServiceConfig) {
    webhooks::routes(config);
    mail_events::routes(config);
    ops::routes(config);
    admin::routes(config);
}

/// The OpenAPI document as it is served, printed and committed.
pub fn openapi_text() -> String {
    openapi::json_text(&openapi_document())
}

/// The OpenAPI document as built from the routes.
pub fn openapi_document() -> utoipa::openapi::OpenApi {
    let (_, document) = App::new().into_utoipa_app().configure(documented).split_for_parts();
    openapi::finish(document)
}
