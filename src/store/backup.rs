//! A copy of a SQLite database, made while it is in use.

use super::{Store, StoreError};
use sea_orm::ConnectionTrait;

/// Writes a whole and consistent copy to `file`, which must not be there yet.
pub async fn copy(store: &Store, file: &str) -> Result<(), StoreError> {
    let statement = store.statement("VACUUM INTO $1", [file.into()]);
    store.conn().execute_raw(statement).await?;
    Ok(())
}
