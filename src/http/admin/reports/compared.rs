//! The comparison of arms and versions for pages. It reads each case, so among many cases a page shows what was worked out before, says of
//! when that is, and has it worked out anew meanwhile.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::web;
use futures_util::FutureExt;
use jiff::{SignedDuration, Timestamp, ToSpan};

use super::uplift;
use crate::domain::report::uplift::{SplitCompared, Uplift};
use crate::http::HttpState;
use crate::http::error::Problem;
use crate::store::reports;

/// Up to how many cases are compared while somebody waits: a tenth of a second.
const WAITED_FOR_MAX: u64 = 4_000;
/// How long a comparison of more is good for.
const GOOD_FOR: SignedDuration = SignedDuration::from_mins(10);
/// The most spans whose comparisons are kept.
const SPANS_MAX: usize = 16;

/// A comparison, and of when it is.
pub(in crate::http) struct Compared {
    /// When it was worked out.
    pub at: Timestamp,
    /// The arms and the holdout.
    pub uplift: Uplift,
    /// The versions of campaigns.
    pub splits: Vec<SplitCompared>,
}

/// The cases opened from an instant on, and before another one or up to now.
type Span = (Timestamp, Option<Timestamp>);

#[derive(Default)]
struct Kept {
    told: Option<Arc<Compared>>,
    is_worked_on: bool,
}

/// The comparisons that were worked out last.
#[derive(Default)]
pub(crate) struct Comparisons(Mutex<HashMap<Span, Kept>>);

impl Comparisons {
    fn with<T>(&self, span: Span, work: impl FnOnce(&mut Kept) -> T) -> T {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= SPANS_MAX && !kept.contains_key(&span) {
            kept.retain(|_, one| one.is_worked_on);
        }
        work(kept.entry(span).or_default())
    }
}

/// The comparison of a span for a page; none where it is being worked out for the first time.
pub(in crate::http) async fn shown(state: &web::Data<HttpState>, span: Span) -> Result<Option<Arc<Compared>>, Problem> {
    let now = state.engine.clock().now();
    let until = span.1.unwrap_or_else(|| now.saturating_add(1.second()).unwrap_or(now));
    if !reports::are_more(state.reports.conn(), [span.0, until], WAITED_FOR_MAX).await? {
        return Ok(Some(Arc::new(work_out(state, [span.0, until], now).await?)));
    }
    let (told, begins) = state.comparisons.with(span, |kept| {
        let good = |told: &Arc<Compared>| (SignedDuration::ZERO..GOOD_FOR).contains(&now.duration_since(told.at));
        let begins = !kept.is_worked_on && !kept.told.as_ref().is_some_and(good);
        kept.is_worked_on |= begins;
        (kept.told.clone(), begins)
    });
    if begins {
        let state = state.clone();
        tokio::spawn(async move {
            // A panic would leave the page waiting for good.
            let made = AssertUnwindSafe(work_out(&state, [span.0, until], now))
                .catch_unwind()
                .await;
            state.comparisons.with(span, |kept| {
                kept.is_worked_on = false;
                match made {
                    Ok(Ok(made)) => kept.told = Some(Arc::new(made)),
                    Ok(Err(problem)) => tracing::error!(code = %problem.code, "the arms could not be compared"),
                    Err(_) => tracing::error!("comparing the arms panicked"),
                }
            });
        });
    }
    Ok(told)
}

async fn work_out(state: &HttpState, [from, until]: [Timestamp; 2], now: Timestamp) -> Result<Compared, Problem> {
    let (uplift, splits) = uplift::compare(state, from, until, now).await?;
    Ok(Compared {
        at: now,
        uplift,
        splits,
    })
}
