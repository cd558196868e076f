//! Small values by name that must survive a restart, such as how far a sweep came.

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ConnectionTrait, EntityTrait};

use super::StoreError;
use super::entity::settings::{ActiveModel, Column, Entity};

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
