//! How the service is: its version and database, its connections and their webhooks, its queues.

use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, get, web};
use jiff::{SignedDuration, Timestamp};
use minijinja::context;

use super::{Stop, session, shown};
use crate::domain::role::Role;
use crate::engine::{HEARTBEAT, silent_since};
use crate::http::HttpState;
use crate::http::error::Problem;
use crate::store::inbox::{self, InboxStatus};
use crate::store::{Dialect, Oversight, Store, queues, settings};

/// What is due for longer stands still: no worker is there, or it cannot keep up.
const STUCK: SignedDuration = SignedDuration::from_mins(15);
/// The heartbeat is written each minute; one that is older says that nobody works.
const SILENCE: SignedDuration = SignedDuration::from_mins(5);
/// How long the database may take to say its time.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

#[get("/dashboard/health")]
pub(super) async fn health(state: web::Data<HttpState>, request: HttpRequest) -> Result<HttpResponse, Stop> {
    let visitor = session::visitor(&state, &request, Role::Viewer).await?;
    let now = state.engine.clock().now();
    let store = &state.store;
    let heartbeat = settings::get(store.conn(), HEARTBEAT).await?;
    let heartbeat: Option<Timestamp> = heartbeat.and_then(|text| text.parse().ok());
    let dead = inbox::counts(store.conn()).await?;
    let dead = dead.iter().find(|(status, _)| *status == InboxStatus::Dead);
    let (put_back, relay_said) = queues::put_back(store).await?;
    let context = context! {
        section => "health",
        now => now.to_string(),
        version => env!("CARGO_PKG_VERSION"),
        state => standing(&state),
        database => match store.dialect() {
            Dialect::Sqlite => "SQLite",
            Dialect::Postgres => "PostgreSQL",
        },
        answers_in_ms => answers_in_ms(store).await,
        migrations_pending => store.migrations_pending().await?,
        heartbeat => heartbeat.map(|at| at.to_string()),
        works => heartbeat.is_some_and(|at| now.duration_since(at) < SILENCE),
        connections => connections(&state).await?,
        queues => lengths(&state, now).await?,
        dead => dead.map_or(0, |(_, count)| *count),
        put_back,
        relay_said,
    };
    Ok(shown("health.html", &visitor, &context))
}

/// The word with which `/readyz` would answer.
fn standing(state: &HttpState) -> &'static str {
    if state.draining.load(Ordering::SeqCst) {
        "stopping"
    } else if state.engine.is_reconciling() {
        "reconciling"
    } else {
        "ready"
    }
}

async fn answers_in_ms(store: &Store) -> Option<u64> {
    let began = tokio::time::Instant::now();
    let asked = tokio::time::timeout(ANSWER_TIMEOUT, store.database_now()).await;
    let answered = matches!(asked, Ok(Ok(_)));
    answered.then(|| u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX))
}

async fn connections(state: &HttpState) -> Result<Vec<minijinja::Value>, Problem> {
    let mut all = Vec::new();
    for (name, zone) in state.engine.zones() {
        let last = queues::last_event(&state.store, &name).await?;
        let silent = silent_since(&state.store, &name).await?;
        all.push(context! {
            name,
            zone,
            last_event => last.map(|at| at.to_string()),
            silent_since => silent.map(|at| at.to_string()),
        });
    }
    Ok(all)
}

async fn lengths(state: &HttpState, now: Timestamp) -> Result<Vec<minijinja::Value>, Problem> {
    let lengths = queues::lengths(&state.store, now).await?;
    let one = |queue: queues::QueueLength| {
        context! {
            name => queue.name,
            due => queue.due,
            later => queue.later,
            since => queue.since.map(|at| at.to_string()),
            stuck => queue.since.is_some_and(|at| now.duration_since(at) > STUCK),
        }
    };
    Ok(lengths.into_iter().map(one).collect())
}
