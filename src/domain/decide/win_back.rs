//! Customers who come back after they were lost.

use jiff::Timestamp;
use serde_json::json;

use super::Draft;
use crate::domain::command::{Command, Decision, EntryKind, Reason};

/// The customer has a new subscription and paid for it. Only what was lost to a failed payment can be won back, and only once.
pub fn subscribed(mut draft: Draft<'_>, subscription_id: &str, at: Timestamp) -> Decision {
    let lost_before = draft.case.closed_at.is_some_and(|closed_at| closed_at <= at);
    if !draft.case.lost_its_subscription() || !lost_before || draft.case.memory.won_back {
        return Decision::Ignored(Reason::NothingNew);
    }
    draft.case.memory.won_back = true;
    draft.say(
        EntryKind::WonBack,
        "The customer is back with another subscription; the outcome stays.",
        json!({ "subscription": subscription_id, "paid_at": at }),
    );
    draft.commands.push(Command::WinBack {
        subscription_id: subscription_id.to_owned(),
        at,
    });
    draft.done()
}
