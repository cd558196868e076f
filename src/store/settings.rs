//! Small values by name that must survive a restart, such as how far a sweep came.

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ConnectionTrait, EntityTrait, Statement};

use super::entity::settings::{ActiveModel, Column, Entity};
use super::{Dialect, Store, StoreError};

/// The value of a name.
pub async fn get<C: ConnectionTrait>(conn: &C, name: &str) -> Result<Option<String>, StoreError> {
    let row = Entity::find_by_id(name).one(conn).await?;
    Ok(row.map(|row| row.value))
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

/// Gives a name a value unless it has one that sorts after it, byte by byte, as a later instant does.
pub async fn raise(store: &Store, name: &str, value: &str) -> Result<(), StoreError> {
    let order = match store.dialect() {
        Dialect::Postgres => " COLLATE \"C\"",
        Dialect::Sqlite => " COLLATE BINARY",
    };
    let sql = format!(
        "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value \
         WHERE settings.value < excluded.value{order}"
    );
    let backend = store.conn().get_database_backend();
    let statement = Statement::from_sql_and_values(backend, sql, [name.into(), value.into()]);
    store.conn().execute_raw(statement).await?;
    Ok(())
}
