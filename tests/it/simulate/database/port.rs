//! The engine's line to the model of the database: it may be slow, away, or silent about what it did.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use async_trait::async_trait;
use jiff::Timestamp;
use recoup::domain::campaign::{Campaign, Touches};
use recoup::domain::case::{CampaignRef, Case};
use recoup::domain::event::Subscribed;
use recoup::domain::ids::{CaseId, EvidenceId, NotificationId};
use recoup::domain::instrument::History;
use recoup::domain::mutant::alive;
use recoup::store::cases::Claim;
use recoup::store::changes::{Asker, Decider, Found, Locked, Written};
use recoup::store::inbox::{InboxRow, InboxStatus, NewInbox, Received};
use recoup::store::learning::{Posterior, Waiting};
use recoup::store::notifications::{NotificationRow, Rendered};
use recoup::store::{Lease, Storage, Store, StoreError, touches::Touch};

use super::mirror::lease_span;
use super::{CaseRow, Mirror};
use crate::simulate::faults::Class;
use crate::simulate::judge;
use crate::simulate::run::CONNECTION;
use crate::simulate::state::{Line, SECOND, State};

/// The line of one worker, and the database that does the same, where there is one.
#[derive(Debug)]
pub struct Port(pub Line);

/// Whether a call only reads: then a lost answer is a failure like any other.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Read,
    Write,
}

fn away(state: &State, what: &str) -> StoreError {
    StoreError::Unavailable(format!("{what} at {}", state.now))
}

impl Port {
    fn wait(&self) -> i64 {
        let mut state = self.0.world.lock();
        match state.strikes(Class::DbSlow) {
            Some(mut dice) => dice.between(100, 4 * SECOND),
            None => state.dice.between(1, 8),
        }
    }

    fn fails(state: &mut State) -> Result<(), StoreError> {
        if state.now < state.db_down {
            return Err(away(state, "the database is down"));
        }
        match state.strikes(Class::DbError) {
            Some(_) => Err(away(state, "the connection broke")),
            None => Ok(()),
        }
    }

    async fn call<R>(&self, kind: Kind, work: impl FnOnce(&mut State) -> R) -> Result<R, StoreError> {
        let wait = self.wait();
        self.0.pass(wait).await;
        let done = {
            let mut state = self.0.world.lock();
            Self::fails(&mut state)?;
            let done = work(&mut state);
            state.expect_dues();
            if kind == Kind::Write && state.strikes(Class::DbUncertain).is_some() {
                // Of a single statement the driver only says that the line broke, done or not.
                return Err(away(&state, "the answer was lost"));
            }
            done
        };
        if kind == Kind::Write {
            self.0.pass(1).await;
        }
        Ok(done)
    }

    pub(super) async fn read<R>(&self, work: impl FnOnce(&mut State) -> R) -> Result<R, StoreError> {
        self.call(Kind::Read, work).await
    }

    pub(super) async fn write<R>(&self, work: impl FnOnce(&mut State) -> R) -> Result<R, StoreError> {
        self.call(Kind::Write, work).await
    }

    /// Reads what nobody decides over: that it takes no time, and is no place to die at, changes nothing.
    pub(super) fn glance<R>(&self, work: impl FnOnce(&State) -> R) -> Result<R, StoreError> {
        let mut state = self.0.world.lock();
        Self::fails(&mut state)?;
        Ok(work(&state))
    }

    /// A queue in which nothing is due is not worth a journey.
    fn is_idle(&self, now: Timestamp) -> bool {
        let state = self.0.world.lock();
        let at = state.now;
        let due = |(next, lease): (i64, i64)| next <= now.as_millisecond() && (lease <= at || alive("no_lease"));
        at >= state.db_down && !state.db.claimable().any(due)
    }

    fn find(state: &State, ids: &[CaseId], ask: Asker<'_>) -> Found {
        let found = ids.iter().filter_map(|id| state.db.cases.get(id));
        let cases: Locked = found.map(|row| (row.case.id.clone(), Ok(row.case.clone()))).collect();
        let mut histories: HashMap<String, History> = HashMap::new();
        let asked = ask(&cases);
        let keys: BTreeSet<(&String, &String)> = asked.iter().map(|ask| (&ask.connection, &ask.instrument)).collect();
        for (connection, key) in keys {
            state.db.history(key, histories.entry(connection.clone()).or_default());
        }
        for ask in &asked {
            if let Some(group) = &ask.bank_group {
                let answers = state.db.bank(group, ask.at);
                let history = histories.entry(ask.connection.clone()).or_default();
                history.know_bank(group.clone(), answers);
            }
        }
        Found { cases, histories }
    }

    fn commit(
        state: &mut State,
        ids: &[CaseId],
        ask: Asker<'_>,
        pieces: Vec<Written>,
    ) -> Result<Vec<bool>, StoreError> {
        state.db.check(&pieces)?;
        judge::before_commit(state, &pieces);
        let now = state.now;
        if state.mirror.is_some() {
            let found = Self::find(state, ids, ask);
            let copy = pieces.clone();
            let written = state.db.write(pieces, now);
            if let Some(mirror) = &state.mirror {
                mirror.change(ids, ask, &found, &copy, &written);
            }
            judge::after_commit(state);
            state.expect_dues();
            return Ok(written);
        }
        let written = state.db.write(pieces, now);
        judge::after_commit(state);
        state.expect_dues();
        Ok(written)
    }
}

fn ids<'a>(rows: impl Iterator<Item = &'a CaseRow>) -> Vec<CaseId> {
    rows.map(|row| row.case.id.clone()).collect()
}

pub(super) fn count(limit: u64) -> usize {
    usize::try_from(limit).unwrap()
}

#[async_trait]
impl Storage for Port {
    async fn take_in(&self, event: &NewInbox) -> Result<Received, StoreError> {
        self.write(|state| {
            let done = state.db.take_in(event);
            if let Some(mirror) = &state.mirror {
                mirror.does("take_in", &done, async |store| store.take_in(event).await);
            }
            done
        })
        .await
    }

    async fn claim_events(&self, now: Timestamp, limit: u64, lease: Lease<'_>) -> Result<Vec<InboxRow>, StoreError> {
        if self.is_idle(now) {
            return Ok(Vec::new());
        }
        self.write(|state| {
            let span = lease_span(state, lease);
            let claimed = state.db.claim_events(now, count(limit), span);
            if let Some(mirror) = &state.mirror {
                let lease = Mirror::lease(lease);
                mirror.does("claim_events", &claimed, async |store| {
                    store.claim_events(now, limit, lease).await
                });
            }
            claimed
        })
        .await
    }

    async fn claim_cases(&self, now: Timestamp, limit: u64, lease: Lease<'_>) -> Result<Vec<Claim>, StoreError> {
        if self.is_idle(now) {
            return Ok(Vec::new());
        }
        self.write(|state| {
            let span = lease_span(state, lease);
            let claimed = state.db.claim_cases(now, count(limit), span);
            if let Some(mirror) = &state.mirror {
                let lease = Mirror::lease(lease);
                mirror.does("claim_cases", &claimed, async |store| {
                    store.claim_cases(now, limit, lease).await
                });
            }
            claimed
        })
        .await
    }

    async fn release(&self, claim: &Claim) -> Result<(), StoreError> {
        self.write(|state| {
            state.db.release(&claim.id, claim.fence);
            if let Some(mirror) = &state.mirror {
                mirror.does("release", &(), async |store| Storage::release(store, claim).await);
            }
        })
        .await
    }

    async fn history(&self, _: &str, keys: &[String]) -> Result<History, StoreError> {
        self.read(|state| {
            let mut history = History::default();
            for key in keys {
                state.db.history(key, &mut history);
            }
            if let Some(mirror) = &state.mirror {
                let real = async |store: &Store| store.history(CONNECTION, keys).await;
                mirror.does("history", &history, real);
            }
            history
        })
        .await
    }

    async fn change(&self, ids: &[CaseId], ask: Asker<'_>, decide: Decider<'_>) -> Result<Vec<bool>, StoreError> {
        let early = alive("no_row_lock").then(|| Self::find(&self.0.world.lock(), ids, ask));
        let wait = self.wait();
        self.0.pass(wait).await;
        let written = {
            let mut state = self.0.world.lock();
            if let Err(error) = Self::fails(&mut state) {
                state.unwritten(ids);
                return Err(error);
            }
            let found = early.unwrap_or_else(|| Self::find(&state, ids, ask));
            let pieces = decide(found);
            if pieces.is_empty() {
                return Ok(Vec::new());
            }
            if state.strikes(Class::DbError).is_some() {
                state.unwritten(ids);
                return Err(away(&state, "a deadlock"));
            }
            if let Some(mut dice) = state.strikes(Class::DbUncertain) {
                if dice.happens(600_000) {
                    Self::commit(&mut state, ids, ask, pieces)?;
                } else {
                    state.unwritten(ids);
                }
                return Err(StoreError::Uncertain("the answer to the commit was lost".to_owned()));
            }
            Self::commit(&mut state, ids, ask, pieces)?
        };
        self.0.pass(1).await;
        Ok(written)
    }

    async fn case(&self, id: &CaseId) -> Result<Option<Case>, StoreError> {
        self.read(|state| state.db.cases.get(id).map(|row| row.case.clone()))
            .await
    }

    async fn case_of_invoice(&self, _: &str, invoice_id: &str) -> Result<Option<CaseId>, StoreError> {
        self.read(|state| {
            let found = state.db.case_of_invoice(invoice_id).map(|row| row.case.id.clone());
            if let Some(mirror) = &state.mirror {
                let real = async |store: &Store| store.case_of_invoice(CONNECTION, invoice_id).await;
                mirror.does("case_of_invoice", &found, real);
            }
            found
        })
        .await
    }

    async fn cases_of_customer(&self, _: &str, customer_id: &str) -> Result<Vec<CaseId>, StoreError> {
        self.read(|state| {
            let found = state.db.open_cases(|row| row.case.customer_id == customer_id);
            let found = ids(found);
            if let Some(mirror) = &state.mirror {
                let real = async |store: &Store| store.cases_of_customer(CONNECTION, customer_id).await;
                mirror.does("cases_of_customer", &found, real);
            }
            found
        })
        .await
    }

    async fn cases_to_win_back(&self, _: &str, _: &Subscribed, _: Timestamp) -> Result<Vec<CaseId>, StoreError> {
        unreachable!("nobody of the model comes back")
    }

    async fn cases_of_subscription(&self, _: &str, subscription_id: &str) -> Result<Vec<CaseId>, StoreError> {
        let of = |row: &CaseRow| row.case.subscription_id.as_deref() == Some(subscription_id);
        self.read(|state| {
            let found = ids(state.db.open_cases(of));
            if let Some(mirror) = &state.mirror {
                let real = async |store: &Store| store.cases_of_subscription(CONNECTION, subscription_id).await;
                mirror.does("cases_of_subscription", &found, real);
            }
            found
        })
        .await
    }

    async fn next_due(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let now = now.as_millisecond();
        let next = self
            .read(|state| state.db.claimable().map(|(at, _)| at).filter(|at| *at > now).min())
            .await?;
        Ok(next.map(crate::simulate::state::instant))
    }

    async fn claim_mails(
        &self,
        now: Timestamp,
        limit: u64,
        lease: Lease<'_>,
    ) -> Result<Vec<NotificationRow>, StoreError> {
        if self.is_idle(now) {
            return Ok(Vec::new());
        }
        self.write(|state| {
            let span = lease_span(state, lease);
            let claimed = state.db.claim_mails(now, count(limit), span);
            if let Some(mirror) = &state.mirror {
                let lease = Mirror::lease(lease);
                mirror.mails("claim_mails", &claimed, async |store| {
                    store.claim_mails(now, limit, lease).await
                });
            }
            claimed
        })
        .await
    }

    async fn stranded_mails(&self, limit: u64) -> Result<Vec<NotificationRow>, StoreError> {
        let rows = {
            let state = self.0.world.lock();
            state.db.stranded(count(limit), state.now)
        };
        if rows.is_empty() {
            return Ok(rows);
        }
        self.read(|state| {
            let rows = state.db.stranded(count(limit), state.now);
            if let Some(mirror) = &state.mirror {
                mirror.expire(&state.db, state.now);
                mirror.mails("stranded_mails", &rows, async |store| store.stranded_mails(limit).await);
            }
            rows
        })
        .await
    }

    async fn touch(&self, _: Touch<'_>, _: Touches) -> Result<Option<Timestamp>, StoreError> {
        unreachable!("its campaign sets no limit")
    }

    async fn start_mail(&self, id: &NotificationId, rendered: Rendered<'_>) -> Result<bool, StoreError> {
        self.write(|state| {
            let now = state.now;
            if let Some(mirror) = &state.mirror {
                mirror.expire(&state.db, now);
            }
            let ours = state.db.start_mail(id, now);
            if let Some(mirror) = &state.mirror {
                mirror.does("start_mail", &ours, async |store| store.start_mail(id, rendered).await);
            }
            if ours {
                judge::mail_starts(state, id);
            }
            ours
        })
        .await
    }

    async fn put_mail_back(
        &self,
        id: &NotificationId,
        next_at: Timestamp,
        reason: &str,
        tried: bool,
    ) -> Result<(), StoreError> {
        self.write(|state| {
            state.db.put_mail_back(id, next_at, reason, tried);
            if let Some(mirror) = &state.mirror {
                mirror.does("put_mail_back", &(), async |store| {
                    store.put_mail_back(id, next_at, reason, tried).await
                });
            }
        })
        .await
    }

    async fn campaign(&self, name: &str, version: u32) -> Result<Option<Campaign>, StoreError> {
        let of = |one: &&Campaign| one.name == name && one.version == version;
        self.read(|state| state.db.campaigns.iter().find(of).cloned()).await
    }

    async fn campaign_versions(&self) -> Result<Vec<CampaignRef>, StoreError> {
        self.read(|state| state.db.versions()).await
    }

    async fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.glance(|state| state.db.settings.get(name).cloned())
    }

    async fn set_setting(&self, name: &str, value: &str) -> Result<(), StoreError> {
        let (name, value) = (name.to_owned(), value.to_owned());
        self.write(|state| {
            if name.starts_with("sweep:") {
                state.db.swept_since.get_or_insert(state.now);
            }
            state.db.settings.insert(name, value);
        })
        .await
    }

    async fn newest_posterior_version(&self) -> Result<u64, StoreError> {
        self.glance(|state| state.db.posteriors.last().map_or(0, |posterior| posterior.version))
    }

    async fn newest_posterior(&self) -> Result<Option<Posterior>, StoreError> {
        self.read(|state| state.db.posteriors.last().cloned()).await
    }

    async fn waiting_evidence(&self, limit: u64) -> Result<Vec<Waiting>, StoreError> {
        if self.glance(|state| state.db.evidence.is_empty())? {
            return Ok(Vec::new());
        }
        self.read(|state| {
            let mut waiting = state.db.evidence.clone();
            waiting.sort_by(|a, b| a.id.cmp(&b.id));
            waiting.truncate(count(limit));
            if let Some(mirror) = &state.mirror {
                let real = async |store: &Store| store.waiting_evidence(limit).await;
                mirror.does("waiting_evidence", &waiting, real);
            }
            waiting
        })
        .await
    }

    async fn keep_posterior(&self, posterior: &Posterior, holds: &[EvidenceId]) -> Result<bool, StoreError> {
        self.write(|state| {
            let newest = state.db.posteriors.last().map_or(0, |newest| newest.version);
            let kept = newest < posterior.version;
            if kept {
                state.db.posteriors.push(posterior.clone());
                state.db.evidence.retain(|waiting| !holds.contains(&waiting.id));
            }
            if let Some(mirror) = &state.mirror {
                let real = async |store: &Store| store.keep_posterior(posterior, holds).await;
                mirror.does("keep_posterior", &kept, real);
            }
            kept
        })
        .await
    }

    async fn swap_setting(&self, name: &str, read: Option<&str>, value: &str) -> Result<bool, StoreError> {
        let (name, value) = (name.to_owned(), value.to_owned());
        let read = read.map(str::to_owned);
        self.write(|state| {
            let same = state.db.settings.get(&name) == read.as_ref();
            if same {
                state.db.settings.insert(name, value);
            }
            same
        })
        .await
    }

    async fn end_leases(&self) -> Result<(), StoreError> {
        unreachable!("only a process on a test clock ends leases")
    }

    async fn count_events(&self) -> Result<Vec<(InboxStatus, u64)>, StoreError> {
        unreachable!("only a gauge asks")
    }

    async fn count_open(&self) -> Result<Vec<(String, u64)>, StoreError> {
        self.glance(|state| {
            let mut counts = BTreeMap::new();
            for row in state.db.open_cases(|_| true) {
                *counts.entry(row.case.state_word().to_owned()).or_insert(0) += 1;
            }
            counts.into_iter().collect()
        })
    }
}
