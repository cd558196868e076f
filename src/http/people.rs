//! What can be done about the people who sign in, whoever does it: the dashboard, the API or the command line. Each act is audited.

use std::fmt;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::HttpState;
use super::error::Problem;
use super::keys;
use super::page;
use crate::clock;
use crate::domain::ids::{AuditId, PersonId};
use crate::domain::role::Role;
use crate::store::audit::{self, AuditRow};
use crate::store::identities;
use crate::store::invitations::{self, Invited};
use crate::store::people::{self, PersonRow};
use crate::store::sessions::{self, Holder};
use crate::store::{Store, StoreError, Tx};

/// For how many hours the link of the first admin is good.
pub const FIRST_LINK_HOURS: i64 = 24;
/// For how many hours the link of an invited person is good.
pub const LINK_HOURS: i64 = 72;
/// The longest name, in characters.
const NAME_CHARS_MAX: usize = 100;
/// The longest address, in characters.
const ADDRESS_CHARS_MAX: usize = 254;

/// Who is to be invited.
#[derive(Clone, Debug)]
pub struct NewPerson {
    /// Their name.
    pub name: String,
    /// Their mail address.
    pub email: String,
    /// What they may do.
    pub role: Role,
}

/// A link that lets a person choose a password, once.
pub struct Link {
    token: SecretString,
    /// Until when it is good.
    pub until: Timestamp,
}

impl Link {
    fn new(now: Timestamp, hours: i64) -> Self {
        let until = now.saturating_add(SignedDuration::from_hours(hours));
        Self {
            token: format!("{:032x}{:032x}", clock::entropy(), clock::entropy()).into(),
            until: until.unwrap_or(Timestamp::MAX),
        }
    }

    fn hash(&self) -> keys::Digest {
        keys::digest_of(&self.token)
    }

    /// The link itself, below the address that we are reached by.
    pub fn url(&self, base: &str) -> String {
        let base = base.trim_end_matches('/');
        format!("{base}/dashboard/welcome/{}", self.token.expose_secret())
    }
}

/// Why something about a person was not done.
#[derive(Debug)]
pub enum Refused {
    /// The name is no name.
    BadName,
    /// The address is no address.
    BadEmail,
    /// Somebody has that address.
    EmailTaken,
    /// There is no such person, or they are let in no more.
    Unknown,
    /// Nobody takes their own access away, so that an admin always remains.
    Yourself,
    /// The link is not good, or not any more.
    BadLink,
    /// The database refused.
    Store(StoreError),
}

impl Refused {
    /// A word that programs and templates may rely on.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::BadName => "bad_name",
            Self::BadEmail => "bad_email",
            Self::EmailTaken => "email_taken",
            Self::Unknown => "not_found",
            Self::Yourself => "yourself",
            Self::BadLink => "bad_link",
            Self::Store(_) => "database",
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadName => "name must be 1 to 100 printable characters",
            Self::BadEmail => "email must be one mail address, without a name",
            Self::EmailTaken => "somebody has this address already",
            Self::Unknown => "there is no such person, or they are let in no more",
            Self::Yourself => "nobody takes their own access away",
            Self::BadLink => "the link is not good, or not any more",
            Self::Store(error) => return error.fmt(f),
        })
    }
}

impl std::error::Error for Refused {}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let told = refused.to_string();
        match refused {
            Refused::BadName | Refused::BadEmail => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_field", told),
            Refused::EmailTaken | Refused::Yourself => Self::new(StatusCode::CONFLICT, refused.as_str(), told),
            Refused::Unknown | Refused::BadLink => Self::not_found("there is no such thing"),
            Refused::Store(error) => error.into(),
        }
    }
}

/// The link for the first admin, in place of every earlier one; nothing once there is anybody.
pub async fn first_link(store: &Store, now: Timestamp) -> Result<Option<Link>, StoreError> {
    let tx = store.begin().await?;
    if people::any(tx.conn()).await? {
        return Ok(None);
    }
    let link = Link::new(now, FIRST_LINK_HOURS);
    invitations::put(tx.conn(), &Invited::First, &link.hash(), now, link.until).await?;
    tx.commit().await?;
    Ok(Some(link))
}

/// Invites a person. Who was let in no more can be invited again, and keeps their id.
pub async fn invite(store: &Store, by: &str, new: NewPerson, now: Timestamp) -> Result<(PersonRow, Link), Refused> {
    let (name, email) = checked(&new.name, &new.email)?;
    let tx = store.begin().await?;
    let before = people::find_by_email(tx.conn(), &email).await?;
    let row = PersonRow {
        id: before.as_ref().map_or_else(
            || PersonId::new(now.as_millisecond(), clock::entropy()),
            |row| row.id.clone(),
        ),
        name,
        email,
        role: new.role,
        password_hash: None,
        created_at: now,
        disabled_at: None,
        bound: false,
    };
    match before {
        Some(before) if before.disabled_at.is_none() => return Err(Refused::EmailTaken),
        Some(_) => people::update(tx.conn(), &row).await?,
        None => people::insert(tx.conn(), &row).await.map_err(taken)?,
    }
    let link = linked(&tx, &row.id, now).await?;
    let entry = AuditRow {
        comment: Some(format!("as {}", row.role)),
        ..entry(by, "people.invite", row.id.as_str(), now)
    };
    audit::append(&tx, &entry).await?;
    tx.commit().await?;
    Ok((row, link))
}

/// A link for a person to choose a new password; the old one is good until then.
pub async fn reset(store: &Store, by: &str, id: &PersonId, now: Timestamp) -> Result<(PersonRow, Link), Refused> {
    let tx = store.begin().await?;
    let row = enabled(&tx, id).await?;
    let link = linked(&tx, id, now).await?;
    audit::append(&tx, &entry(by, "people.reset", id.as_str(), now)).await?;
    tx.commit().await?;
    Ok((row, link))
}

/// Lets a person in no more, from now on. Doing it again changes nothing.
pub async fn disable(
    store: &Store,
    by: (&str, Option<&PersonId>),
    id: &PersonId,
    now: Timestamp,
) -> Result<PersonRow, Refused> {
    let tx = store.begin().await?;
    let mut row = people::find_locked(&tx, id).await?.ok_or(Refused::Unknown)?;
    if by.1 == Some(id) {
        return Err(Refused::Yourself);
    }
    if row.disabled_at.is_none() {
        row.disabled_at = Some(now);
        people::update(tx.conn(), &row).await?;
        invitations::withdraw(tx.conn(), id).await?;
        // Who is invited again begins anew, with whichever account is theirs then.
        identities::release(tx.conn(), id).await?;
        sessions::end_all(tx.conn(), &Holder::Person(id.clone())).await?;
        audit::append(&tx, &entry(by.0, "people.disable", id.as_str(), now)).await?;
        tx.commit().await?;
    }
    Ok(row)
}

/// Gives a person another role, and ends what was begun under the old one.
pub async fn set_role(
    store: &Store,
    by: (&str, Option<&PersonId>),
    id: &PersonId,
    role: Role,
    now: Timestamp,
) -> Result<PersonRow, Refused> {
    let tx = store.begin().await?;
    let mut row = enabled(&tx, id).await?;
    if by.1 == Some(id) {
        return Err(Refused::Yourself);
    }
    if row.role != role {
        row.role = role;
        people::update(tx.conn(), &row).await?;
        sessions::end_all(tx.conn(), &Holder::Person(id.clone())).await?;
        let entry = AuditRow {
            comment: Some(format!("to {role}")),
            ..entry(by.0, "people.role", id.as_str(), now)
        };
        audit::append(&tx, &entry).await?;
        tx.commit().await?;
    }
    Ok(row)
}

/// Who is let in by a link: nothing where it is not good, the person where there is one already.
pub(crate) async fn invited(store: &Store, token: &str, now: Timestamp) -> Result<Option<Option<PersonRow>>, Refused> {
    match invitations::find(store.conn(), &keys::digest(token.as_bytes()), now).await? {
        None => Ok(None),
        Some(Invited::First) => Ok(Some(None)),
        Some(Invited::Person(id)) => {
            let row = people::find(store.conn(), &id).await?;
            Ok(row.filter(|row| row.disabled_at.is_none()).map(Some))
        }
    }
}

/// Uses a link up: makes the first admin of `first`, or gives the invited person their password. All their sessions end.
pub(crate) async fn join(
    tx: &Tx,
    token: &str,
    first: Option<(&str, &str)>,
    password_hash: String,
    now: Timestamp,
) -> Result<PersonRow, Refused> {
    let token_hash = keys::digest(token.as_bytes());
    let invited = invitations::find(tx.conn(), &token_hash, now).await?;
    if !invitations::use_up(tx.conn(), &token_hash, now).await? {
        return Err(Refused::BadLink);
    }
    let (row, action) = match (invited, first) {
        (Some(Invited::First), Some((name, email))) if !people::any(tx.conn()).await? => {
            let (name, email) = checked(name, email)?;
            let row = PersonRow {
                id: PersonId::new(now.as_millisecond(), clock::entropy()),
                name,
                email,
                role: Role::Admin,
                password_hash: Some(password_hash),
                created_at: now,
                disabled_at: None,
                bound: false,
            };
            people::insert(tx.conn(), &row).await.map_err(taken)?;
            (row, "people.first")
        }
        (Some(Invited::Person(id)), None) => {
            let row = chosen(tx, &id, password_hash).await?;
            (row, "people.join")
        }
        _ => return Err(Refused::BadLink),
    };
    audit::append(tx, &entry(&row.name, action, row.id.as_str(), now)).await?;
    Ok(row)
}

/// Gives a person another password. All their sessions end.
pub(crate) async fn set_password(
    tx: &Tx,
    id: &PersonId,
    password_hash: String,
    now: Timestamp,
) -> Result<PersonRow, Refused> {
    let row = chosen(tx, id, password_hash).await?;
    invitations::withdraw(tx.conn(), id).await?;
    audit::append(tx, &entry(&row.name, "people.password", id.as_str(), now)).await?;
    Ok(row)
}

async fn chosen(tx: &Tx, id: &PersonId, password_hash: String) -> Result<PersonRow, Refused> {
    let row = PersonRow {
        password_hash: Some(password_hash),
        ..enabled(tx, id).await?
    };
    people::update(tx.conn(), &row).await?;
    sessions::end_all(tx.conn(), &Holder::Person(id.clone())).await?;
    Ok(row)
}

async fn enabled(tx: &Tx, id: &PersonId) -> Result<PersonRow, Refused> {
    let row = people::find_locked(tx, id).await?;
    row.filter(|row| row.disabled_at.is_none()).ok_or(Refused::Unknown)
}

async fn linked(tx: &Tx, id: &PersonId, now: Timestamp) -> Result<Link, StoreError> {
    let link = Link::new(now, LINK_HOURS);
    invitations::put(tx.conn(), &Invited::Person(id.clone()), &link.hash(), now, link.until).await?;
    Ok(link)
}

/// Name and address as they are kept.
pub(crate) fn checked(name: &str, email: &str) -> Result<(String, String), Refused> {
    let (name, email) = (name.trim().to_owned(), normal(email));
    if !page::is_plain(&name) || name.chars().count() > NAME_CHARS_MAX {
        return Err(Refused::BadName);
    }
    if !is_address(&email) {
        return Err(Refused::BadEmail);
    }
    Ok((name, email))
}

/// An address as it is kept: capitals and blanks around it make no other address.
pub(crate) fn normal(email: &str) -> String {
    email.trim().to_lowercase()
}

/// Whether a text is one mail address, without a name.
pub(crate) fn is_address(text: &str) -> bool {
    let parts: Vec<&str> = text.split('@').collect();
    let plain = |text: &&str| !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    parts.len() == 2 && parts.iter().all(plain) && text.chars().count() <= ADDRESS_CHARS_MAX
}

fn taken(error: StoreError) -> Refused {
    match error {
        StoreError::Conflict(_) => Refused::EmailTaken,
        error => Refused::Store(error),
    }
}

/// An entry of the audit log.
pub(crate) fn entry(actor: &str, action: &str, object: &str, now: Timestamp) -> AuditRow {
    AuditRow {
        id: AuditId::new(now.as_millisecond(), clock::entropy()),
        at: now,
        actor: actor.to_owned(),
        action: action.to_owned(),
        object: object.to_owned(),
        comment: None,
    }
}

/// The address that links begin with: the configured one, or that of the request.
pub(crate) fn base(state: &HttpState, request: &HttpRequest) -> String {
    state.public_url.as_ref().map_or_else(
        || {
            let info = request.connection_info();
            format!("{}://{}", info.scheme(), info.host())
        },
        Url::to_string,
    )
}
