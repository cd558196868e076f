//! Addresses that are not written to any more. None of them stands here: an address is known by its HMAC-SHA256 under a key of this
//! database, so that who reads the list learns nobody's address from it.

use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sea_orm::{ConnectionTrait, FromQueryResult, Statement};
use sha2::Sha256;

use super::notifications::{self, NotificationRow};
use super::row::Row;
use super::{Store, StoreError, exclusions, settings, touches};
use crate::domain::ids::{CaseId, NotificationId, SuppressionId};
use crate::domain::suppression::{SuppressionScope, SuppressionWhy};

/// The setting that holds the key of the list, as the migration made it.
const KEY: &str = "suppressions.key";
const COLUMNS: &str = "id, address_key, scope, why, at";

/// An entry of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuppressionRow {
    /// Its id.
    pub id: SuppressionId,
    /// The keyed address.
    pub address_key: String,
    /// Which messages the address gets no more.
    pub scope: SuppressionScope,
    /// Why.
    pub why: SuppressionWhy,
    /// Since when.
    pub at: Timestamp,
}

/// An address that is not to be written to any more.
#[derive(Clone, Copy)]
pub struct NewSuppression<'a> {
    /// The id of a new entry.
    pub id: &'a SuppressionId,
    /// The address.
    pub address: &'a str,
    /// Which messages it gets no more.
    pub scope: SuppressionScope,
    /// Why.
    pub why: SuppressionWhy,
    /// The present instant.
    pub at: Timestamp,
}

/// The part of the engine's port to its database that is about who can be written to.
#[async_trait]
pub trait Reach: Send + Sync {
    /// Why an address gets no message of that scope, where it gets none.
    async fn suppressed(&self, address: &str, scope: SuppressionScope) -> Result<Option<SuppressionWhy>, StoreError>;

    /// Whether a customer is excluded: neither charged nor written to.
    async fn is_excluded(&self, connection: &str, customer_id: &str) -> Result<bool, StoreError>;

    /// Whether the customer of a case is excluded.
    async fn excludes(&self, case: &CaseId) -> Result<bool, StoreError>;

    /// Puts an address on the list. A complaint stays one, whatever comes after it.
    async fn suppress(&self, new: NewSuppression<'_>) -> Result<(), StoreError>;

    /// Forgets that a customer was written to by a message: it did not arrive.
    async fn untouch(&self, id: &NotificationId) -> Result<(), StoreError>;

    /// The message of that id.
    async fn notification(&self, id: &NotificationId) -> Result<Option<NotificationRow>, StoreError>;
}

#[async_trait]
impl Reach for Store {
    async fn suppressed(&self, address: &str, scope: SuppressionScope) -> Result<Option<SuppressionWhy>, StoreError> {
        let key = address_key(self.conn(), address).await?;
        let rows = of_address(self.conn(), &key).await?;
        let stands = |row: &&SuppressionRow| row.scope == SuppressionScope::All || row.scope == scope;
        Ok(rows.iter().find(stands).map(|row| row.why))
    }

    async fn is_excluded(&self, connection: &str, customer_id: &str) -> Result<bool, StoreError> {
        Ok(exclusions::find(self.conn(), connection, customer_id).await?.is_some())
    }

    async fn excludes(&self, case: &CaseId) -> Result<bool, StoreError> {
        exclusions::holds_case(self.conn(), case).await
    }

    async fn suppress(&self, new: NewSuppression<'_>) -> Result<(), StoreError> {
        put(self.conn(), new).await
    }

    async fn untouch(&self, id: &NotificationId) -> Result<(), StoreError> {
        touches::forget(self.conn(), id).await
    }

    async fn notification(&self, id: &NotificationId) -> Result<Option<NotificationRow>, StoreError> {
        notifications::find(self.conn(), id).await
    }
}

/// Puts an address on the list. A complaint stays one, whatever comes after it.
pub async fn put<C: ConnectionTrait>(conn: &C, new: NewSuppression<'_>) -> Result<(), StoreError> {
    let sql = "INSERT INTO suppressions (id, address_key, scope, why, at) VALUES ($1, $2, $3, $4, $5) \
               ON CONFLICT (address_key, scope) DO UPDATE SET why = excluded.why, at = excluded.at \
               WHERE suppressions.why <> 'complained' AND suppressions.why <> excluded.why";
    let values = [
        new.id.as_str().into(),
        address_key(conn, new.address).await?.into(),
        new.scope.as_str().into(),
        new.why.as_str().into(),
        new.at.as_millisecond().into(),
    ];
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    conn.execute_raw(statement).await?;
    Ok(())
}

/// Takes an address off the list; gives the entries that it had.
pub async fn lift<C: ConnectionTrait>(conn: &C, address: &str) -> Result<Vec<SuppressionRow>, StoreError> {
    let key = address_key(conn, address).await?;
    let lifted = of_address(conn, &key).await?;
    let sql = "DELETE FROM suppressions WHERE address_key = $1";
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, [key.into()]);
    conn.execute_raw(statement).await?;
    Ok(lifted)
}

/// The entries of an address.
pub async fn find<C: ConnectionTrait>(conn: &C, address: &str) -> Result<Vec<SuppressionRow>, StoreError> {
    let key = address_key(conn, address).await?;
    of_address(conn, &key).await
}

/// Entries, newest first: at most `limit` after `cursor`.
pub async fn list<C: ConnectionTrait>(
    conn: &C,
    cursor: Option<&SuppressionId>,
    limit: u64,
) -> Result<Vec<SuppressionRow>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let (after, values) = match cursor {
        Some(cursor) => ("WHERE id < $2", vec![limit.into(), cursor.as_str().into()]),
        None => ("", vec![limit.into()]),
    };
    let sql = format!("SELECT {COLUMNS} FROM suppressions {after} ORDER BY id DESC LIMIT $1");
    rows(conn, &sql, values).await
}

/// An address as the list knows it. Capitals and blanks around it make no other address.
pub async fn address_key<C: ConnectionTrait>(conn: &C, address: &str) -> Result<String, StoreError> {
    let key = settings::get(conn, KEY).await?.unwrap_or_default();
    let corrupt = |what: &dyn std::fmt::Display| StoreError::Corrupt {
        table: "settings",
        id: KEY.to_owned(),
        what: what.to_string(),
    };
    let mut bytes = [0; 32];
    hex::decode_to_slice(&key, &mut bytes).map_err(|error| corrupt(&error))?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&bytes).expect("HMAC takes a key of any length");
    mac.update(address.trim().to_lowercase().as_bytes());
    Ok(hex::encode(mac.finalize().into_bytes()))
}

/// What stands for everything stands first.
async fn of_address<C: ConnectionTrait>(conn: &C, key: &str) -> Result<Vec<SuppressionRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM suppressions WHERE address_key = $1 ORDER BY scope");
    rows(conn, &sql, vec![key.into()]).await
}

#[derive(FromQueryResult)]
struct Found {
    id: String,
    address_key: String,
    scope: String,
    why: String,
    at: i64,
}

async fn rows<C: ConnectionTrait>(
    conn: &C,
    sql: &str,
    values: Vec<sea_orm::Value>,
) -> Result<Vec<SuppressionRow>, StoreError> {
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    let found = Found::find_by_statement(statement).all(conn).await?;
    found.into_iter().map(decode).collect()
}

fn decode(found: Found) -> Result<SuppressionRow, StoreError> {
    let row = Row {
        table: "suppressions",
        id: &found.id,
    };
    Ok(SuppressionRow {
        address_key: found.address_key,
        scope: row.word("scope", &found.scope)?,
        why: row.word("why", &found.why)?,
        at: row.instant("at", found.at)?,
        id: SuppressionId::from(found.id.clone()),
    })
}
