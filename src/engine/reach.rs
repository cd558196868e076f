//! Who can be written to, and where: the list of addresses that are not written to is asked just before a message leaves.

use jiff::Timestamp;

use super::handle::{ENGINE, end_notice, handle, learn_fate};
use super::{Engine, Inner, detached};
use crate::domain::case::Case;
use crate::domain::decide::reach::step_of;
use crate::domain::event::Event;
use crate::domain::ids::{CaseId, NotificationId, SuppressionId};
use crate::domain::suppression::{SuppressionScope, SuppressionWhy};
use crate::mailer::report::{Fate, Report};
use crate::store::StoreError;
use crate::store::notifications::{NotificationRow, NotificationStatus};
use crate::store::suppressions::NewSuppression;

/// The longest status code that is kept, in characters.
const CODE_CHARS_MAX: usize = 40;

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reported {
    /// It is about a message of ours; what it says is durable.
    Taken,
    /// Nothing follows from it, and why.
    Ignored(&'static str),
}

impl Engine {
    /// Takes in what became of a message after the relay took it, and when, where that is told. The same again changes nothing.
    pub async fn report(
        &self,
        id: &NotificationId,
        report: &Report,
        at: Option<Timestamp>,
    ) -> Result<Reported, StoreError> {
        let (engine, id, report) = (self.clone(), id.clone(), report.clone());
        // Whoever reports may go away; then it is sent again, and what was done is done.
        let work = async move { learn(&engine.inner, &id, &report, at).await };
        detached(&self.inner.clock, work).await
    }

    /// Puts the addresses of a case on the list of those that get no invitations: its customer asks for it.
    pub async fn unsubscribe(&self, case: &Case) -> Result<(), StoreError> {
        let contact = &case.contact;
        for address in [&contact.email, &contact.alternate].into_iter().flatten() {
            let scope = SuppressionScope::Promotional;
            suppress(&self.inner, address, scope, SuppressionWhy::Unsubscribed).await?;
        }
        Ok(())
    }

    /// Tells the cases that staff took an address off the list of those that are not written to.
    pub async fn reachable(&self, cases: &[CaseId], address: &str, actor: &str) -> Result<(), StoreError> {
        let (engine, cases) = (self.clone(), cases.to_vec());
        let (address, actor) = (address.to_owned(), actor.to_owned());
        let work = async move {
            for id in &cases {
                let address = address.clone();
                handle(&engine.inner, id, Event::Reachable { address }, &actor).await?;
            }
            Ok(())
        };
        detached(&self.inner.clock, work).await
    }
}

async fn learn(
    inner: &Inner,
    id: &NotificationId,
    report: &Report,
    at: Option<Timestamp>,
) -> Result<Reported, StoreError> {
    let Some(row) = inner.storage.notification(id).await? else {
        return Ok(Reported::Ignored("there is no such message"));
    };
    let Some(to) = row.recipient.clone() else {
        return Ok(Reported::Ignored("the message never left"));
    };
    let for_other = |one: &String| one.trim().to_lowercase() != to.trim().to_lowercase();
    if report.is_exact && report.recipient.as_ref().is_some_and(for_other) {
        return Ok(Reported::Ignored("it is about another recipient"));
    }
    let Some(case) = inner.storage.case(&row.case_id).await? else {
        return Ok(Reported::Ignored("there is no such case"));
    };
    let detail = report.detail.as_deref().map(code).filter(|code| !code.is_empty());
    let reason = detail.map_or_else(|| report.fate.to_string(), |code| format!("{} {code}", report.fate));
    let at = serde_json::json!(at);
    let failed = NotificationStatus::Failed;
    match report.fate {
        Fate::Bounced => {
            learn_fate(inner, &row, failed, &reason, at).await?;
            bounced(inner, &row, &case, &to).await?;
        }
        Fate::Refused => {
            learn_fate(inner, &row, failed, &reason, at).await?;
            inner.storage.untouch(&row.id).await?;
        }
        Fate::Delayed => learn_fate(inner, &row, row.status, &reason, at).await?,
        Fate::Complained => {
            learn_fate(inner, &row, row.status, &reason, at).await?;
            suppress(inner, &to, SuppressionScope::All, SuppressionWhy::Complained).await?;
        }
        // Now it is known to have left; of the others it was known before.
        Fate::Delivered if row.status == NotificationStatus::Unknown => {
            learn_fate(inner, &row, NotificationStatus::Sent, &reason, at).await?;
        }
        Fate::Delivered => {}
    }
    Ok(Reported::Taken)
}

/// What of a detail can be a status code: whatever else a mail server wrote may hold somebody's address.
fn code(detail: &str) -> String {
    let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    detail.chars().take_while(plain).take(CODE_CHARS_MAX).collect()
}

/// Ends a message that its address does not get, and says whether it did.
pub async fn hold_back(inner: &Inner, row: &NotificationRow, case: &Case, to: &str) -> Result<bool, StoreError> {
    let scope = if row.message.is_promotional() {
        SuppressionScope::Promotional
    } else {
        SuppressionScope::All
    };
    let Some(why) = inner.storage.suppressed(to, scope).await? else {
        return Ok(false);
    };
    let reason = format!("suppressed_{why}");
    end_notice(inner, row, NotificationStatus::Suppressed, Some(&reason)).await?;
    inner.storage.untouch(&row.id).await?;
    if why == SuppressionWhy::Bounced {
        // Another case learned that the address is no good, or another customer's: this one turns to its second address.
        tell(inner, row, case, to).await?;
    }
    Ok(true)
}

/// The address refused a message for good: so it does for the customer's other cases, and for everybody's messages. Of an address of
/// staff the message alone tells.
pub async fn bounced(inner: &Inner, row: &NotificationRow, case: &Case, address: &str) -> Result<(), StoreError> {
    if row.message.is_for_staff() {
        return Ok(());
    }
    suppress(inner, address, SuppressionScope::All, SuppressionWhy::Bounced).await?;
    inner.storage.untouch(&row.id).await?;
    tell(inner, row, case, address).await
}

/// Puts an address on the list of those that are not written to.
pub async fn suppress(
    inner: &Inner,
    address: &str,
    scope: SuppressionScope,
    why: SuppressionWhy,
) -> Result<(), StoreError> {
    let id = SuppressionId::new(inner.now_ms(), inner.clock.entropy());
    let new = NewSuppression {
        id: &id,
        address,
        scope,
        why,
        at: inner.now(),
    };
    inner.storage.suppress(new).await
}

/// Tells the customer's cases of a bounce; the one of the message also which message it was.
async fn tell(inner: &Inner, row: &NotificationRow, case: &Case, address: &str) -> Result<(), StoreError> {
    let event = |notice| Event::Bounced {
        address: address.to_owned(),
        notice,
    };
    let notice = (row.message, step_of(&row.step).to_owned());
    handle(inner, &case.id, event(Some(notice)), ENGINE).await?;
    let cases = inner
        .storage
        .cases_of_customer(&case.connection, &case.customer_id)
        .await?;
    for id in cases.iter().filter(|id| **id != case.id) {
        handle(inner, id, event(None), ENGINE).await?;
    }
    Ok(())
}
