//! The port of the engine to its database. What stands behind it in production is `Store`; the simulation brings its own.

use async_trait::async_trait;
use jiff::Timestamp;

use super::changes::{self, Asker, Decider};
use super::inbox::{self, InboxRow, InboxStatus, NewInbox, Received};
use super::learning::{self, Posterior, Waiting};
use super::notifications::{self, NotificationRow, Rendered};
use super::touches::{self, Touch};
use super::{
    Courtesies, Digests, Letters, Oversight, Reach, Store, StoreError, campaigns, cases, instruments, settings,
    win_back,
};
use crate::domain::campaign::{Campaign, Touches};
use crate::domain::case::{CampaignRef, Case};
use crate::domain::event::Subscribed;
use crate::domain::ids::{CaseId, EvidenceId, NotificationId};
use crate::domain::instrument::History;
use crate::store::cases::Claim;

/// Whose lease, and how long.
#[derive(Clone, Copy, Debug)]
pub struct Lease<'a> {
    /// Who claims.
    pub owner: &'a str,
    /// For how many seconds, by the database's time.
    pub secs: u32,
}

/// What the engine asks of a database. Each call is atomic; one that fails has done nothing, unless its error is
/// `Uncertain`.
#[async_trait]
pub trait Storage: Oversight + Reach + Letters + Courtesies + Digests {
    /// Takes an event in, once.
    async fn take_in(&self, event: &NewInbox) -> Result<Received, StoreError>;

    /// Claims at most `limit` pending events that are due at `now`, longest due first.
    async fn claim_events(&self, now: Timestamp, limit: u64, lease: Lease<'_>) -> Result<Vec<InboxRow>, StoreError>;

    /// Claims at most `limit` open cases that are due at `now`, most overdue first.
    async fn claim_cases(&self, now: Timestamp, limit: u64, lease: Lease<'_>) -> Result<Vec<Claim>, StoreError>;

    /// Gives a claim back. A claim that somebody else holds by now stays as it is.
    async fn release(&self, claim: &Claim) -> Result<(), StoreError>;

    /// Locks the cases, and the instruments that may be charged; lets `decide` decide over them and what was tried on the
    /// instruments that `ask` names, writes what it says and commits, all or nothing. Says for each piece whether it was
    /// written.
    async fn change(&self, ids: &[CaseId], ask: Asker<'_>, decide: Decider<'_>) -> Result<Vec<bool>, StoreError>;

    /// What was tried on instruments of a connection.
    async fn history(&self, connection: &str, keys: &[String]) -> Result<History, StoreError>;

    /// The case of that id.
    async fn case(&self, id: &CaseId) -> Result<Option<Case>, StoreError>;

    /// The case of an invoice: the open one, else the newest.
    async fn case_of_invoice(&self, connection: &str, invoice_id: &str) -> Result<Option<CaseId>, StoreError>;

    /// The open cases of a customer, oldest first.
    async fn cases_of_customer(&self, connection: &str, customer_id: &str) -> Result<Vec<CaseId>, StoreError>;

    /// The open cases of a subscription, oldest first.
    async fn cases_of_subscription(&self, connection: &str, subscription_id: &str) -> Result<Vec<CaseId>, StoreError>;

    /// The cases that a customer's subscription, paid for the first time at `at`, wins back.
    async fn cases_to_win_back(
        &self,
        connection: &str,
        subscribed: &Subscribed,
        at: Timestamp,
    ) -> Result<Vec<CaseId>, StoreError>;

    /// The earliest instant after `now` at which something falls due. Leases do not count.
    async fn next_due(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError>;

    /// Claims at most `limit` messages that are due at `now`, longest due first.
    async fn claim_mails(
        &self,
        now: Timestamp,
        limit: u64,
        lease: Lease<'_>,
    ) -> Result<Vec<NotificationRow>, StoreError>;

    /// At most `limit` messages that were being sent when the lease of their sender ran out.
    async fn stranded_mails(&self, limit: u64) -> Result<Vec<NotificationRow>, StoreError>;

    /// Notes that a customer is written to now, unless the limits say later: then it gives when.
    async fn touch(&self, touch: Touch<'_>, limits: Touches) -> Result<Option<Timestamp>, StoreError>;

    /// Commits the words of a claimed message and that it is about to leave. Says no where it is not ours to send any more.
    async fn start_mail(&self, id: &NotificationId, rendered: Rendered<'_>) -> Result<bool, StoreError>;

    /// Puts a message off that was not sent; `tried` says whether the mail server was asked.
    async fn put_mail_back(
        &self,
        id: &NotificationId,
        next_at: Timestamp,
        reason: &str,
        tried: bool,
    ) -> Result<(), StoreError>;

    /// One version of a campaign.
    async fn campaign(&self, name: &str, version: u32) -> Result<Option<Campaign>, StoreError>;

    /// The names of all versions of all campaigns.
    async fn campaign_versions(&self) -> Result<Vec<CampaignRef>, StoreError>;

    /// A small value by its name.
    async fn setting(&self, name: &str) -> Result<Option<String>, StoreError>;

    /// Keeps a small value.
    async fn set_setting(&self, name: &str, value: &str) -> Result<(), StoreError>;

    /// Gives a name a value where it still has the one that was read, or none where it had none; says whether it did.
    async fn swap_setting(&self, name: &str, read: Option<&str>, value: &str) -> Result<bool, StoreError>;

    /// The version of the newest posterior; 0 where there is none yet.
    async fn newest_posterior_version(&self) -> Result<u64, StoreError>;

    /// The newest posterior.
    async fn newest_posterior(&self) -> Result<Option<Posterior>, StoreError>;

    /// At most `limit` pieces of evidence that no posterior holds yet, oldest first.
    async fn waiting_evidence(&self, limit: u64) -> Result<Vec<Waiting>, StoreError>;

    /// Stores a posterior and says of the evidence that it is in it. Says no where somebody else made that version first.
    async fn keep_posterior(&self, posterior: &Posterior, holds: &[EvidenceId]) -> Result<bool, StoreError>;

    /// Ends every lease now, whoever holds it. Only for a process that knows itself to be alone on the database.
    async fn end_leases(&self) -> Result<(), StoreError>;

    /// How many events stand how.
    async fn count_events(&self) -> Result<Vec<(InboxStatus, u64)>, StoreError>;

    /// How many open cases are in which state.
    async fn count_open(&self) -> Result<Vec<(String, u64)>, StoreError>;
}

#[async_trait]
impl Storage for Store {
    async fn take_in(&self, event: &NewInbox) -> Result<Received, StoreError> {
        inbox::insert(self, event).await
    }

    async fn claim_events(&self, now: Timestamp, limit: u64, lease: Lease<'_>) -> Result<Vec<InboxRow>, StoreError> {
        inbox::claim(self, now, limit, lease.secs, lease.owner).await
    }

    async fn claim_cases(&self, now: Timestamp, limit: u64, lease: Lease<'_>) -> Result<Vec<Claim>, StoreError> {
        cases::claim_due(self, now, limit, lease.secs, lease.owner).await
    }

    async fn release(&self, claim: &Claim) -> Result<(), StoreError> {
        cases::release(self, claim).await
    }

    async fn change(&self, ids: &[CaseId], ask: Asker<'_>, decide: Decider<'_>) -> Result<Vec<bool>, StoreError> {
        changes::commit(self, ids, ask, decide).await
    }

    async fn history(&self, connection: &str, keys: &[String]) -> Result<History, StoreError> {
        instruments::history(self.conn(), connection, keys).await
    }

    async fn case(&self, id: &CaseId) -> Result<Option<Case>, StoreError> {
        cases::find(self.conn(), id).await
    }

    async fn case_of_invoice(&self, connection: &str, invoice_id: &str) -> Result<Option<CaseId>, StoreError> {
        cases::by_invoice(self.conn(), connection, invoice_id).await
    }

    async fn cases_of_customer(&self, connection: &str, customer_id: &str) -> Result<Vec<CaseId>, StoreError> {
        cases::open_by_customer(self.conn(), connection, customer_id).await
    }

    async fn cases_of_subscription(&self, connection: &str, subscription_id: &str) -> Result<Vec<CaseId>, StoreError> {
        cases::open_by_subscription(self.conn(), connection, subscription_id).await
    }

    async fn cases_to_win_back(
        &self,
        connection: &str,
        subscribed: &Subscribed,
        at: Timestamp,
    ) -> Result<Vec<CaseId>, StoreError> {
        let whose = [&*subscribed.customer_id, &*subscribed.subscription_id];
        win_back::due(self.conn(), connection, whose, at).await
    }

    async fn next_due(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        cases::next_due(self, now).await
    }

    async fn claim_mails(
        &self,
        now: Timestamp,
        limit: u64,
        lease: Lease<'_>,
    ) -> Result<Vec<NotificationRow>, StoreError> {
        notifications::claim_due(self, now, limit, lease.secs, lease.owner).await
    }

    async fn stranded_mails(&self, limit: u64) -> Result<Vec<NotificationRow>, StoreError> {
        notifications::stranded(self, limit).await
    }

    async fn touch(&self, touch: Touch<'_>, limits: Touches) -> Result<Option<Timestamp>, StoreError> {
        touches::touch(self, touch, limits).await
    }

    async fn start_mail(&self, id: &NotificationId, rendered: Rendered<'_>) -> Result<bool, StoreError> {
        notifications::start(self.conn(), id, rendered).await
    }

    async fn put_mail_back(
        &self,
        id: &NotificationId,
        next_at: Timestamp,
        reason: &str,
        tried: bool,
    ) -> Result<(), StoreError> {
        if tried {
            notifications::retry(self.conn(), id, next_at, reason).await?;
        } else {
            notifications::put_back(self.conn(), id, next_at, reason).await?;
        }
        Ok(())
    }

    async fn campaign(&self, name: &str, version: u32) -> Result<Option<Campaign>, StoreError> {
        campaigns::get(self.conn(), name, version).await
    }

    async fn campaign_versions(&self) -> Result<Vec<CampaignRef>, StoreError> {
        campaigns::versions(self.conn()).await
    }

    async fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        settings::get(self.conn(), name).await
    }

    async fn set_setting(&self, name: &str, value: &str) -> Result<(), StoreError> {
        settings::set(self.conn(), name, value).await
    }

    async fn swap_setting(&self, name: &str, read: Option<&str>, value: &str) -> Result<bool, StoreError> {
        settings::swap(self.conn(), name, read, value).await
    }

    async fn newest_posterior_version(&self) -> Result<u64, StoreError> {
        learning::newest_version(self.conn()).await
    }

    async fn newest_posterior(&self) -> Result<Option<Posterior>, StoreError> {
        learning::newest(self.conn()).await
    }

    async fn waiting_evidence(&self, limit: u64) -> Result<Vec<Waiting>, StoreError> {
        learning::waiting(self.conn(), limit).await
    }

    async fn keep_posterior(&self, posterior: &Posterior, holds: &[EvidenceId]) -> Result<bool, StoreError> {
        learning::keep(self, posterior, holds).await
    }

    async fn end_leases(&self) -> Result<(), StoreError> {
        Store::end_leases(self).await
    }

    async fn count_events(&self) -> Result<Vec<(InboxStatus, u64)>, StoreError> {
        inbox::counts(self.conn()).await
    }

    async fn count_open(&self) -> Result<Vec<(String, u64)>, StoreError> {
        cases::open_by_state(self.conn()).await
    }
}
