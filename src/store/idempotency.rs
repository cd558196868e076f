//! The answers to POSTs under an `Idempotency-Key`, so that the same request again gets the same answer.

use std::fmt;

use jiff::Timestamp;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::entity::idempotency::{ActiveModel, Column, Entity};
use super::row::Row;
use super::{Store, StoreError};
use crate::domain::ids::KeyId;

/// What is known of a request.
#[derive(Clone, PartialEq, Eq)]
pub enum Begun {
    /// Nothing: it is this caller's to carry out, and to `finish` or `abandon`.
    Fresh,
    /// It is being carried out, or its carrier died with it.
    InFlight,
    /// The key was used for another request.
    Mismatch,
    /// It was answered.
    Replay {
        /// The status of the answer.
        status: u16,
        /// The body of the answer.
        body: Vec<u8>,
    },
}

impl fmt::Debug for Begun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fresh => f.write_str("Fresh"),
            Self::InFlight => f.write_str("InFlight"),
            Self::Mismatch => f.write_str("Mismatch"),
            Self::Replay { status, .. } => write!(f, "Replay({status})"),
        }
    }
}

/// Takes a request in hand, unless it was seen before. `request_hash` is over all that makes it this request.
pub async fn begin(
    store: &Store,
    key: &KeyId,
    idem_key: &str,
    route: &str,
    request_hash: &[u8],
    now: Timestamp,
) -> Result<Begun, StoreError> {
    let row = ActiveModel {
        key_id: Set(key.to_string()),
        idem_key: Set(idem_key.to_owned()),
        route: Set(route.to_owned()),
        request_hash: Set(request_hash.to_vec()),
        created_at: Set(now.as_millisecond()),
        ..ActiveModel::default()
    };
    let written = Entity::insert(row)
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .exec_without_returning(store.conn())
        .await?;
    if written == 1 {
        return Ok(Begun::Fresh);
    }
    let known = Entity::find_by_id((key.to_string(), idem_key.to_owned()))
        .one(store.conn())
        .await?;
    // Abandoned between the two statements: the caller may ask again.
    let Some(known) = known else {
        return Ok(Begun::InFlight);
    };
    if known.route != route || known.request_hash != request_hash {
        return Ok(Begun::Mismatch);
    }
    match (known.status, known.body) {
        (Some(status), Some(body)) => {
            let row = Row {
                table: "idempotency",
                id: &known.key_id,
            };
            Ok(Begun::Replay {
                status: row.count("status", status)?,
                body,
            })
        }
        (None, _) | (_, None) => Ok(Begun::InFlight),
    }
}

/// The body of the answer that a request to `route` got, while it is kept.
pub async fn answer(store: &Store, key: &KeyId, idem_key: &str, route: &str) -> Result<Option<Vec<u8>>, StoreError> {
    let known = Entity::find_by_id((key.to_string(), idem_key.to_owned()))
        .one(store.conn())
        .await?;
    Ok(known.filter(|known| known.route == route).and_then(|known| known.body))
}

/// Keeps the answer of a request in hand.
pub async fn finish(store: &Store, key: &KeyId, idem_key: &str, status: u16, body: &[u8]) -> Result<(), StoreError> {
    Entity::update_many()
        .set(ActiveModel {
            status: Set(Some(status.into())),
            body: Set(Some(body.to_vec())),
            ..ActiveModel::default()
        })
        .filter(Column::KeyId.eq(key.as_str()))
        .filter(Column::IdemKey.eq(idem_key))
        .filter(Column::Status.is_null())
        .exec(store.conn())
        .await?;
    Ok(())
}

/// Forgets a request in hand that certainly did nothing.
pub async fn abandon(store: &Store, key: &KeyId, idem_key: &str) -> Result<(), StoreError> {
    Entity::delete_many()
        .filter(Column::KeyId.eq(key.as_str()))
        .filter(Column::IdemKey.eq(idem_key))
        .filter(Column::Status.is_null())
        .exec(store.conn())
        .await?;
    Ok(())
}

/// Forgets every request from before `before`; says how many.
pub async fn purge(store: &Store, before: Timestamp) -> Result<u64, StoreError> {
    let done = Entity::delete_many()
        .filter(Column::CreatedAt.lt(before.as_millisecond()))
        .exec(store.conn())
        .await?;
    Ok(done.rows_affected)
}
