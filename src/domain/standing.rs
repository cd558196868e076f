//! How a customer's account stands, so that a merchant's own app can say so, or close the door, with one question.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::case::{Case, State};
use super::outcome::{ExhaustedThen, Outcome};
use super::words::words;

words! {
    /// How an account stands.
    Standing {
        /// Nothing is owed that Recoup knows of.
        Good = "good",
        /// A payment failed and is chased; access goes on meanwhile.
        Grace = "grace",
        /// A subscription ended, was paused or stands unpaid for want of payment.
        Suspended = "suspended",
    }
}

/// How an account stands, and the case that says so.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Account<'a> {
    /// How it stands: by the worst of its subscriptions.
    pub standing: Standing,
    /// Until when the grace lasts, or since when it is suspended.
    pub at: Option<Timestamp>,
    /// The case behind it.
    pub case: Option<&'a Case>,
}

/// How the account stands whose cases these are, newest first. Of each subscription the newest case counts, for a payment of a later
/// invoice makes up for an earlier end.
pub fn standing(cases: &[Case]) -> Account<'_> {
    let mut seen = BTreeSet::new();
    let mut worst = Account {
        standing: Standing::Good,
        at: None,
        case: None,
    };
    for case in cases {
        let of = case.subscription_id.as_ref().unwrap_or(&case.invoice_id);
        if !seen.insert((&case.connection, of)) {
            continue;
        }
        let (standing, at) = of_case(case);
        let sooner = at.is_some_and(|at| worst.at.is_none_or(|worst| at < worst));
        if standing > worst.standing || (standing == worst.standing && standing != Standing::Good && sooner) {
            worst = Account {
                standing,
                at,
                case: Some(case),
            };
        }
    }
    worst
}

fn of_case(case: &Case) -> (Standing, Option<Timestamp>) {
    let State::Closed { outcome } = &case.state else {
        return (Standing::Grace, case.timers.final_at);
    };
    match outcome {
        Outcome::Exhausted {
            then: ExhaustedThen::Cancelled | ExhaustedThen::Paused | ExhaustedThen::Unpaid,
            ..
        } if !case.memory.late_money => (Standing::Suspended, case.closed_at),
        Outcome::Exhausted { .. } | Outcome::Recovered { .. } | Outcome::Stopped { .. } => (Standing::Good, None),
    }
}
