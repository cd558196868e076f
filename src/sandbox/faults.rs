//! Faults that a test can order: the server is away, cuts the line, answers nonsense or too late.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// One way to fail a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 503, nothing done.
    Unavailable,
    /// The connection is cut, nothing done.
    Refuse,
    /// The request is carried out, then the connection is cut before a byte of the answer.
    CutAnswer,
    /// 500, nothing done; like Stripe's, it is replayed under the same idempotency key.
    Error,
    /// The request is carried out, but the answer is a 500, which is replayed under the same idempotency key.
    ErrorAfter,
    /// 429 with this Retry-After in seconds, nothing done and nothing saved under the key.
    TooMany(u64),
    /// The request is carried out after this wait of real time; a second one with its key meanwhile gets a 409.
    Slow(Duration),
    /// The connection is cut, and the request is carried out so much later in world time; its key is in use until then.
    Late(SignedDuration),
}

#[derive(Clone, Debug)]
struct Plan {
    fault: Fault,
    /// A part of the path it applies to; empty for every path.
    path: String,
    /// How many requests it still hits; nothing for no limit.
    left: Option<u32>,
    /// The world time in which it applies, the end not included.
    between: Option<(Timestamp, Timestamp)>,
}

/// The orders and what came of them.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    plans: Vec<Plan>,
    counts: BTreeMap<&'static str, u64>,
}

impl Faults {
    /// The next `times` requests whose path contains `path` meet `fault`.
    pub fn next(&mut self, path: &str, fault: Fault, times: u32) {
        self.plans.push(Plan {
            fault,
            path: path.to_owned(),
            left: Some(times),
            between: None,
        });
    }

    /// Every request from `from` until before `to` (world time) whose path contains `path` meets `fault`.
    pub fn between(&mut self, path: &str, fault: Fault, from: Timestamp, to: Timestamp) {
        self.plans.push(Plan {
            fault,
            path: path.to_owned(),
            left: None,
            between: Some((from, to)),
        });
    }

    /// Forgets every order.
    pub fn clear(&mut self) {
        self.plans.clear();
    }

    /// How often something happened: `requests`, `charges` (calls of pay), `faults`, `replays`, `unauthorized`.
    pub fn count(&self, what: &str) -> u64 {
        self.counts.get(what).copied().unwrap_or(0)
    }

    pub(super) fn counted(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// The first order that applies to this request, used up by one.
    pub(super) fn pick(&mut self, path: &str, now: Timestamp) -> Option<Fault> {
        let applies = |plan: &&mut Plan| {
            path.contains(&plan.path)
                && plan.left != Some(0)
                && plan.between.is_none_or(|(from, to)| from <= now && now < to)
        };
        let plan = self.plans.iter_mut().find(applies)?;
        if let Some(left) = plan.left.as_mut() {
            *left -= 1;
        }
        let fault = plan.fault;
        self.counted("faults");
        Some(fault)
    }
}
