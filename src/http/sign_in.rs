//! Whether somebody is who they say: by address and password, or by an API key. An address that nobody has takes the same work.

use std::net::IpAddr;
use std::time::Duration;

use secrecy::SecretString;

use super::auth::{self, Caller};
use super::error::Problem;
use super::keys::{self, Digest};
use super::limiter::{self, Limiter};
use super::passwords::Passwords;
use super::{HttpState, people};
use crate::store;
use crate::store::people::PersonRow;

/// Who a failed sign-in is recorded under, and what it was about where that is nobody.
const NOBODY: &str = "nobody";

/// What is remembered of those who try to sign in, in this process.
pub(crate) struct SignIns {
    by_address: Limiter,
    by_account: Limiter<Digest>,
    by_provider: Limiter,
    audited: Limiter<()>,
    /// Works on passwords.
    pub(crate) passwords: Passwords,
}

impl Default for SignIns {
    fn default() -> Self {
        Self {
            by_address: Limiter::new(limiter::SIGN_INS_OF_ADDRESS),
            by_account: Limiter::new(limiter::SIGN_INS_OF_ACCOUNT),
            by_provider: Limiter::new(limiter::SIGN_INS_OF_ADDRESS),
            audited: Limiter::new(limiter::AUDITED_FAILURES),
            passwords: Passwords::default(),
        }
    }
}

/// One try, which counts as wrong from its beginning: so many at once are no more than so many one after the other.
struct Try {
    peer: Option<IpAddr>,
    account: Option<Digest>,
}

impl Try {
    fn begin(sign_ins: &SignIns, peer: Option<IpAddr>, account: Option<Digest>) -> Result<Self, Problem> {
        let now = tokio::time::Instant::now();
        let closed = [
            peer.and_then(|peer| sign_ins.by_address.closed_for(peer, now)),
            account.and_then(|account| sign_ins.by_account.closed_for(account, now)),
        ];
        if let Some(left) = closed.into_iter().flatten().max() {
            return Err(too_many(left));
        }
        if let Some(peer) = peer {
            sign_ins.by_address.bad(peer, now);
        }
        if let Some(account) = account {
            sign_ins.by_account.bad(account, now);
        }
        Ok(Self { peer, account })
    }

    fn was_right(&self, sign_ins: &SignIns) {
        let now = tokio::time::Instant::now();
        if let Some(peer) = self.peer {
            sign_ins.by_address.good(peer, now);
        }
        if let Some(account) = self.account {
            sign_ins.by_account.good(account, now);
        }
    }
}

fn too_many(left: Duration) -> Problem {
    Problem::too_many("too many sign-ins failed", left.as_secs() + 1)
}

/// The person of an address and a password; nothing where they do not fit, or where the person is let in no more.
pub(crate) async fn person(
    state: &HttpState,
    peer: Option<IpAddr>,
    email: &str,
    password: SecretString,
) -> Result<Option<PersonRow>, Problem> {
    let email = people::normal(email);
    let tried = Try::begin(&state.sign_ins, peer, Some(keys::digest(email.as_bytes())))?;
    // A text that no address can be is looked up all the same, so that it takes as long.
    let email = if people::is_address(&email) { &*email } else { NOBODY };
    let row = store::people::find_by_email(state.store.conn(), email).await?;
    let kept = row.as_ref().and_then(|row| row.password_hash.clone());
    let fits = state.sign_ins.passwords.fits(password, kept).await?;
    let id = row.as_ref().map(|row| row.id.to_string());
    let row = row.filter(|row| fits && row.disabled_at.is_none());
    match &row {
        Some(_) => tried.was_right(&state.sign_ins),
        None => failed(state, "people.sign_in_failed", id).await?,
    }
    Ok(row)
}

/// The holder of a key's text; nothing where the key is unknown or revoked.
pub(crate) async fn key(state: &HttpState, peer: Option<IpAddr>, text: &str) -> Result<Option<Caller>, Problem> {
    let tried = Try::begin(&state.sign_ins, peer, None)?;
    let caller = auth::caller_of(state, text).await?;
    match &caller {
        Some(_) => tried.was_right(&state.sign_ins),
        None => failed(state, "keys.sign_in_failed", None).await?,
    }
    Ok(caller)
}

/// Whether a password is that of a person who is signed in.
pub(crate) async fn again(
    state: &HttpState,
    peer: Option<IpAddr>,
    person: &PersonRow,
    password: SecretString,
) -> Result<bool, Problem> {
    let tried = Try::begin(&state.sign_ins, peer, Some(keys::digest(person.email.as_bytes())))?;
    let fits = state
        .sign_ins
        .passwords
        .fits(password, person.password_hash.clone())
        .await?;
    if fits {
        tried.was_right(&state.sign_ins);
    } else {
        failed(state, "people.sign_in_failed", Some(person.id.to_string())).await?;
    }
    Ok(fits)
}

/// Lets an answer of the identity provider be looked at, which costs a call there: it counts as wrong until it was right. These are
/// counted apart, so that the way of passwords stays open while the provider is out of order.
pub(crate) fn begin_answer(state: &HttpState, peer: Option<IpAddr>) -> Result<(), Problem> {
    let now = tokio::time::Instant::now();
    if let Some(left) = peer.and_then(|peer| state.sign_ins.by_provider.closed_for(peer, now)) {
        return Err(too_many(left));
    }
    if let Some(peer) = peer {
        state.sign_ins.by_provider.bad(peer, now);
    }
    Ok(())
}

/// Notes that an answer of the identity provider let somebody in.
pub(crate) fn answer_was_right(state: &HttpState, peer: Option<IpAddr>) {
    if let Some(peer) = peer {
        state.sign_ins.by_provider.good(peer, tokio::time::Instant::now());
    }
}

/// Records that an answer of the identity provider let nobody in.
pub(crate) async fn answer_was_wrong(state: &HttpState, whom: Option<String>) -> Result<(), Problem> {
    failed(state, "people.sign_in_failed", whom).await
}

/// Records that somebody was not let in. Anybody can cause it, and the audit log only grows: beyond its limit it is in the log alone.
async fn failed(state: &HttpState, action: &str, whom: Option<String>) -> Result<(), Problem> {
    tracing::warn!(
        action,
        whom = whom.as_deref().unwrap_or(NOBODY),
        "a sign-in was refused"
    );
    let now = tokio::time::Instant::now();
    if state.sign_ins.audited.closed_for((), now).is_some() {
        return Ok(());
    }
    state.sign_ins.audited.bad((), now);
    let tx = state.store.begin().await?;
    let entry = people::entry(
        NOBODY,
        action,
        whom.as_deref().unwrap_or(NOBODY),
        state.engine.clock().now(),
    );
    store::audit::append(&tx, &entry).await?;
    Ok(tx.commit().await?)
}
