//! The campaigns that cases are pinned to. A version never changes once it is stored.

use jiff::Timestamp;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};

use super::StoreError;
use super::entity::campaigns::{ActiveModel, Column, Entity, Model};
use super::row::{Row, to_json};
use crate::domain::campaign::Campaign;

/// Stores a campaign. The same content again changes nothing; other content under the same name and version is a
/// `Conflict`.
pub async fn put<C: ConnectionTrait>(conn: &C, campaign: &Campaign, now: Timestamp) -> Result<(), StoreError> {
    let row = ActiveModel {
        name: Set(campaign.name.clone()),
        version: Set(campaign.version.into()),
        content: Set(to_json(campaign)?),
        created_at: Set(now.as_millisecond()),
    };
    let written = Entity::insert(row)
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .exec_without_returning(conn)
        .await?;
    if written == 1 || get(conn, &campaign.name, campaign.version).await?.as_ref() == Some(campaign) {
        return Ok(());
    }
    Err(StoreError::Conflict(format!(
        "campaign {} version {} has other content: give it a new version",
        campaign.name, campaign.version
    )))
}

/// One version of a campaign.
pub async fn get<C: ConnectionTrait>(conn: &C, name: &str, version: u32) -> Result<Option<Campaign>, StoreError> {
    let key = (name.to_owned(), i64::from(version));
    let row = Entity::find_by_id(key).one(conn).await?;
    row.map(|row| decode(&row)).transpose()
}

/// The newest version of a campaign.
pub async fn newest<C: ConnectionTrait>(conn: &C, name: &str) -> Result<Option<Campaign>, StoreError> {
    let row = Entity::find()
        .filter(Column::Name.eq(name))
        .order_by_desc(Column::Version)
        .one(conn)
        .await?;
    row.map(|row| decode(&row)).transpose()
}

/// Every version of every campaign, by name, oldest version first.
pub async fn list<C: ConnectionTrait>(conn: &C) -> Result<Vec<Campaign>, StoreError> {
    let rows = Entity::find()
        .order_by_asc(Column::Name)
        .order_by_asc(Column::Version)
        .all(conn)
        .await?;
    rows.iter().map(decode).collect()
}

fn decode(model: &Model) -> Result<Campaign, StoreError> {
    let row = Row {
        table: "campaigns",
        id: &model.name,
    };
    let campaign: Campaign = row.json("content", &model.content)?;
    if campaign.name != model.name || i64::from(campaign.version) != model.version {
        return Err(row.corrupt("its content bears another name or version"));
    }
    Ok(campaign)
}
