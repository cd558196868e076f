//! Which person an account at the identity provider belongs to.
//!
//! Nobody comes to be by signing in: an admin invited them by their mail address. The first time, the address finds the person, where the
//! provider says that it is verified; from then on the account is theirs by what the provider calls it. So an address that passes to
//! somebody else there opens nobody's account here.

use jiff::Timestamp;

use super::Vouched;
use crate::domain::ids::PersonId;
use crate::http::people;
use crate::store::audit::{self, AuditRow};
use crate::store::identities::{self, Account};
use crate::store::invitations;
use crate::store::people::{self as stored, PersonRow};
use crate::store::{StoreError, Tx};

/// Why somebody for whom the provider vouches is not let in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Denied {
    /// Nobody has the account, and the provider tells no address that could find them.
    #[error("the account is bound to nobody, and the provider tells no verified address")]
    Unverified,
    /// Nobody has the address.
    #[error("the account is bound to nobody, and nobody was invited with its address")]
    Unknown,
    /// The person is let in no more.
    #[error("the person is let in no more")]
    Disabled(PersonId),
    /// The address is that of a person who has another account.
    #[error("the person with its address is bound to another account")]
    OtherAccount(PersonId),
    /// The database refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Denied {
    /// Whom it concerns, where it is somebody.
    pub(crate) const fn whom(&self) -> Option<&PersonId> {
        match self {
            Self::Disabled(id) | Self::OtherAccount(id) => Some(id),
            Self::Unverified | Self::Unknown | Self::Store(_) => None,
        }
    }
}

/// The person of an account, to whom it is bound where it was nobody's yet.
pub(crate) async fn of(tx: &Tx, issuer: &str, vouched: &Vouched, now: Timestamp) -> Result<PersonRow, Denied> {
    let account = Account {
        issuer,
        subject: &vouched.subject,
    };
    if let Some(id) = identities::holder(tx.conn(), account).await? {
        return enabled(tx, id).await;
    }
    // Capitals of ASCII alone: of other alphabets some small letters are those of another address.
    let email = vouched.email.as_ref().map(|email| email.trim().to_ascii_lowercase());
    let email = email
        .filter(|email| people::is_address(email))
        .ok_or(Denied::Unverified)?;
    let row = stored::find_by_email(tx.conn(), &email).await?.ok_or(Denied::Unknown)?;
    let row = enabled(tx, row.id).await?;
    identities::bind(tx.conn(), account, &row.id, now)
        .await
        .map_err(|error| match error {
            StoreError::Conflict(_) => Denied::OtherAccount(row.id.clone()),
            error => Denied::Store(error),
        })?;
    // It let them in, one way or the other; whoever else has the link is not to choose a password by it.
    invitations::withdraw(tx.conn(), &row.id).await?;
    let entry = AuditRow {
        comment: Some(format!("to an account at {issuer}")),
        ..people::entry(&row.name, "people.bind", row.id.as_str(), now)
    };
    audit::append(tx, &entry).await?;
    Ok(row)
}

async fn enabled(tx: &Tx, id: PersonId) -> Result<PersonRow, Denied> {
    let row = stored::find_locked(tx, &id).await?;
    row.filter(|row| row.disabled_at.is_none()).ok_or(Denied::Disabled(id))
}
