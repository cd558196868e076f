//! Which account at an identity provider belongs to which person.

use jiff::Timestamp;
use sea_orm::{ConnectionTrait, Statement};

use super::StoreError;
use super::people::run;
use crate::domain::ids::PersonId;

/// An account at an identity provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account<'a> {
    /// The provider.
    pub issuer: &'a str,
    /// What the provider calls the account, for ever.
    pub subject: &'a str,
}

/// Whose account it is.
pub async fn holder<C: ConnectionTrait>(conn: &C, account: Account<'_>) -> Result<Option<PersonId>, StoreError> {
    let sql = "SELECT person_id FROM identities WHERE issuer = $1 AND subject = $2";
    let values = [account.issuer.into(), account.subject.into()];
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    let row = conn.query_one_raw(statement).await?;
    Ok(match row {
        Some(row) => Some(row.try_get_by_index::<String>(0)?.into()),
        None => None,
    })
}

/// Binds an account to a person, for good. Where either is bound at that issuer already it is a `Conflict`.
pub async fn bind<C: ConnectionTrait>(
    conn: &C,
    account: Account<'_>,
    person: &PersonId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO identities (issuer, subject, person_id, created_at) VALUES ($1, $2, $3, $4)";
    let values = vec![
        account.issuer.into(),
        account.subject.into(),
        person.as_str().into(),
        now.as_millisecond().into(),
    ];
    run(conn, sql, values).await?;
    Ok(())
}

/// Lets go of every account of a person.
pub async fn release<C: ConnectionTrait>(conn: &C, person: &PersonId) -> Result<(), StoreError> {
    let sql = "DELETE FROM identities WHERE person_id = $1";
    run(conn, sql, vec![person.as_str().into()]).await?;
    Ok(())
}
