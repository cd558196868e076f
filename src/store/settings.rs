//! Small values by name that must survive a restart, such as how far a sweep came.

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ConnectionTrait, EntityTrait, Statement};

use super::StoreError;
use super::entity::settings::{ActiveModel, Column, Entity};
use super::row::Row;
use crate::clock::entropy;

/// The value of a name.
pub async fn get<C: ConnectionTrait>(conn: &C, name: &str) -> Result<Option<String>, StoreError> {
    let row = Entity::find_by_id(name).one(conn).await?;
    Ok(row.map(|row| row.value))
}

/// The key of that name, which is made once for a database.
pub async fn key<C: ConnectionTrait>(conn: &C, name: &str) -> Result<[u8; 32], StoreError> {
    let fresh = [entropy(), entropy()].map(u128::to_be_bytes).concat();
    swap(conn, name, None, &hex::encode(fresh)).await?;
    let kept = get(conn, name).await?.unwrap_or_default();
    let mut key = [0; 32];
    let row = Row {
        table: "settings",
        id: name,
    };
    hex::decode_to_slice(&kept, &mut key).map_err(|_| row.corrupt("value: no key"))?;
    Ok(key)
}

/// Gives a name a value.
pub async fn set<C: ConnectionTrait>(conn: &C, name: &str, value: &str) -> Result<(), StoreError> {
    let row = ActiveModel {
        name: Set(name.to_owned()),
        value: Set(value.to_owned()),
    };
    Entity::insert(row)
        .on_conflict(OnConflict::column(Column::Name).update_column(Column::Value).to_owned())
        .exec_without_returning(conn)
        .await?;
    Ok(())
}

/// Gives a name a value where it still has the one that was read, or none where it had none; says whether it did.
pub async fn swap<C: ConnectionTrait>(
    conn: &C,
    name: &str,
    read: Option<&str>,
    value: &str,
) -> Result<bool, StoreError> {
    let (sql, values) = match read {
        Some(read) => (
            "UPDATE settings SET value = $2 WHERE name = $1 AND value = $3",
            vec![name.into(), value.into(), read.into()],
        ),
        None => (
            "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
            vec![name.into(), value.into()],
        ),
    };
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    Ok(conn.execute_raw(statement).await?.rows_affected() == 1)
}
