//! How a case begins: because an event told of a failed charge, or because staff put the invoice in.

use serde_json::json;

use super::{Done, Request, desk};
use crate::domain::ceiling::Grounds;
use crate::domain::command::{Entry, EntryKind, Moment};
use crate::domain::decide::{NoCase, facts, open, open_excluded};
use crate::domain::event::Opening;
use crate::domain::ids::{AttemptId, CaseId};
use crate::domain::snapshot::Snapshot;
use crate::engine::{Connection, Inner};
use crate::store::StoreError;

/// What became of an invoice that may get a case.
#[derive(Debug)]
pub enum Opened {
    /// It has one now.
    New,
    /// It had one already, opened by somebody else in the meantime.
    Exists,
    /// It gets none, and why.
    None(NoCase),
}

/// Who of the staff put an invoice in.
#[derive(Clone, Debug)]
pub struct Hand {
    /// Their name.
    pub actor: String,
    /// The remark given with it.
    pub comment: Option<String>,
}

/// Opens a case for an invoice whose charge failed, unless it has one or needs none.
pub async fn open_case(inner: &Inner, connection: &Connection, snapshot: &Snapshot) -> Result<Opened, StoreError> {
    begin(inner, connection, snapshot, None).await
}

/// Opens a case for an invoice that staff puts in.
pub async fn put_in(
    inner: &Inner,
    connection: &Connection,
    snapshot: &Snapshot,
    by: Hand,
) -> Result<Opened, StoreError> {
    begin(inner, connection, snapshot, Some(by)).await
}

async fn begin(
    inner: &Inner,
    connection: &Connection,
    snapshot: &Snapshot,
    by: Option<Hand>,
) -> Result<Opened, StoreError> {
    let learned = inner.knowledge.newest();
    let facts = facts(snapshot, inner.now());
    let customer = (connection.name.as_str(), snapshot.customer_id.as_str());
    let is_excluded = inner.storage.is_excluded(customer.0, customer.1).await?;
    let campaign = inner.campaigns.for_new_case(&*inner.storage, &facts, customer).await?;
    let shadow = inner.campaigns.shadow_of(&campaign.name);
    let instrument = snapshot.instrument().map(|instrument| instrument.key.clone());
    let keys: Vec<String> = instrument.into_iter().collect();
    let history = inner.storage.history(&connection.name, &keys).await?;
    let fresh_attempt = AttemptId::new(inner.now_ms(), inner.clock.entropy());
    let moment = Moment {
        now: inner.now(),
        campaign: &campaign,
        shadow: shadow.as_deref(),
        fresh_attempt: &fresh_attempt,
        grounds: Grounds {
            codes: connection.provider.codes(),
            learned: &learned,
            rules: &inner.rules,
            history: &history,
        },
        resend_secs: resend_secs(connection),
    };
    let opening = Opening {
        connection: connection.name.clone(),
        collector: connection.collector,
        default_zone: connection.default_zone.clone(),
    };
    let id = CaseId::new(inner.now_ms(), inner.clock.entropy());
    let opened = if is_excluded {
        open_excluded(id, &opening, snapshot, &moment)
    } else {
        open(id, &opening, snapshot, &moment)
    };
    let mut change = match opened {
        Ok(change) => change,
        Err(reason) => return Ok(Opened::None(reason)),
    };
    change.entries.extend(by.as_ref().map(put_in_by));
    crate::failpoint!("case_before_open");
    let change = Box::new(change);
    let done = desk::submit(inner, Request::Open { change, by }).await?;
    crate::failpoint!("case_opened");
    Ok(match done {
        Done::Written(true) => Opened::New,
        Done::Written(false) | Done::Handled(_) | Done::NeedsCampaign(_) => Opened::Exists,
    })
}

fn put_in_by(by: &Hand) -> Entry {
    let Hand { actor, comment } = by;
    Entry {
        kind: EntryKind::Staff,
        text: format!("{actor} put the invoice in by hand."),
        data: json!({"action": "open", "actor": actor, "comment": comment}),
    }
}

/// How long an idempotency key is sent again: 0.8 of its life at the provider.
pub fn resend_secs(connection: &Connection) -> i64 {
    let ttl = connection.provider.capabilities().idempotency_ttl.as_secs();
    i64::try_from(ttl / 5 * 4).unwrap_or(i64::MAX)
}
