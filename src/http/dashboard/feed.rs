//! The live feed of the overview: new lines of the timelines of all cases, by server-sent events.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, get, web};
use futures_util::stream;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::language::Language;
use super::{Stop, session, show};
use crate::domain::ids::TimelineId;
use crate::domain::role::Role;
use crate::http::HttpState;
use crate::http::error::Problem;
use crate::store::StoreError;
use crate::store::timeline::{self, Placed};

/// How many feeds one process keeps open.
const FEEDS_MAX: usize = 32;
/// How often it is looked for new lines.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After so many looks without a line something is sent, so that whoever is gone is noticed.
const QUIET_LOOKS_MAX: u32 = 15;
/// A feed ends after so long; the browser opens it again, and with that it is asked again who looks.
const LIFE: Duration = Duration::from_mins(5);
/// How many lines are sent at most after one look, and shown when the page opens.
const LINES_MAX: usize = 12;
/// How many lines one look reads at most. Many may be of one instant, all the more where the clock stands, as in the demo; among them
/// they are in no order, and a new one may come behind all that are known.
const READ_MAX: u64 = 500;
/// From how long ago on the page shows lines when it opens.
const SHOWN_SINCE: SignedDuration = SignedDuration::from_hours(7 * 24);
/// A feed begins so long before it is opened, so that nothing is missed between the page and its feed; what the page has already, its
/// script knows.
const OVERLAP: SignedDuration = SignedDuration::from_secs(5);
/// When the browser opens a feed again that ended, in milliseconds.
const AGAIN_MS: u32 = 3_000;

const SCRIPT: &str = include_str!("feed.js");

/// The feeds that are open.
pub(crate) struct Feeds(Arc<Semaphore>);

impl Default for Feeds {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(FEEDS_MAX)))
    }
}

/// A line as the page shows it. Lines tell nothing about persons, and the case stands by its id.
#[derive(Serialize)]
pub(super) struct Told {
    /// By it the page knows a line that it shows already.
    id: String,
    at: String,
    case: String,
    kind: String,
    text: String,
}

impl Told {
    fn of(line: &Placed, language: Language) -> Self {
        Self {
            id: line.row.id.to_string(),
            at: show::when_in(language, &line.row.at.to_string()),
            case: line.case_id.to_string(),
            kind: language.word_of("line", line.row.kind.as_str()),
            text: show::prose(&line.row.text),
        }
    }
}

/// The newest lines, for the page as it opens.
pub(super) async fn newest(state: &HttpState, language: Language, now: Timestamp) -> Result<Vec<Told>, StoreError> {
    let since = now.saturating_sub(SHOWN_SINCE).unwrap_or(Timestamp::MIN);
    let lines = timeline::newest(state.store.conn(), since, LINES_MAX as u64).await?;
    Ok(lines.iter().map(|line| Told::of(line, language)).collect())
}

/// The one script of the dashboard. Pages are whole without it.
#[get("/dashboard/feed.js")]
pub(super) async fn script() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/javascript; charset=utf-8")
        .body(SCRIPT)
}

#[get("/dashboard/feed")]
pub(super) async fn follow(state: web::Data<HttpState>, request: HttpRequest) -> Result<HttpResponse, Stop> {
    let visitor = session::looking_on(&state, &request, Role::Viewer).await?;
    let Ok(seat) = Arc::clone(&state.feeds.0).try_acquire_owned() else {
        let detail = "as many people follow the feed as can; the page shows the newest lines when it is loaded again";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "feed_full", detail).into());
    };
    let since = state
        .engine
        .clock()
        .now()
        .saturating_sub(OVERLAP)
        .unwrap_or(Timestamp::MIN);
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let feed = Feed {
        state,
        language: visitor.language,
        since,
        known: HashSet::new(),
        looks,
        quiet: 0,
        until: tokio::time::Instant::now() + LIFE,
        greeted: false,
        _seat: seat,
    };
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((CACHE_CONTROL, "no-store"))
        .streaming(stream::unfold(feed, next)))
}

/// One open feed.
struct Feed {
    state: web::Data<HttpState>,
    language: Language,
    /// When the newest line was written that was sent; at first, when the feed began.
    since: Timestamp,
    /// The lines of that instant that were sent.
    known: HashSet<TimelineId>,
    looks: Interval,
    quiet: u32,
    until: Instant,
    greeted: bool,
    _seat: OwnedSemaphorePermit,
}

/// What is sent next; nothing once the process stops or the feed has lasted long enough.
async fn next(mut feed: Feed) -> Option<(Result<Bytes, Infallible>, Feed)> {
    if !feed.greeted {
        feed.greeted = true;
        let hello = Bytes::from(format!("retry: {AGAIN_MS}\n\n"));
        return Some((Ok(hello), feed));
    }
    loop {
        feed.looks.tick().await;
        if feed.state.draining.load(Ordering::SeqCst) || tokio::time::Instant::now() >= feed.until {
            return None;
        }
        // A database that is away is looked at again; the feed is no place to say so.
        let lines = feed.look().await.unwrap_or_default();
        feed.quiet += 1;
        if !lines.is_empty() || feed.quiet >= QUIET_LOOKS_MAX {
            feed.quiet = 0;
            let text = if lines.is_empty() {
                ": quiet\n\n".to_owned()
            } else {
                lines
            };
            return Some((Ok(Bytes::from(text)), feed));
        }
    }
}

impl Feed {
    /// The lines since the last look as events, oldest first.
    async fn look(&mut self) -> Result<String, StoreError> {
        let mut lines = timeline::newest(self.state.store.conn(), self.since, READ_MAX).await?;
        lines.retain(|line| !self.known.contains(&line.row.id));
        lines.reverse();
        for line in &lines {
            if line.row.at > self.since {
                self.since = line.row.at;
                self.known.clear();
            }
            self.known.insert(line.row.id.clone());
        }
        let mut text = String::new();
        for line in &lines[lines.len().saturating_sub(LINES_MAX)..] {
            let json = serde_json::to_string(&Told::of(line, self.language));
            let json = json.map_err(|error| StoreError::Other(error.to_string()))?;
            text.extend(["data: ", &json, "\n\n"]);
        }
        Ok(text)
    }
}
