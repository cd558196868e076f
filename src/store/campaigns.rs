//! The campaigns that cases are pinned to. A version never changes once it is stored.

use jiff::Timestamp;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::StoreError;
use super::entity::campaigns::{ActiveModel, Column, Entity, Model};
use super::row::{Row, to_json};
use crate::domain::campaign::Campaign;
use crate::domain::case::CampaignRef;

/// Stores a campaign as it is, in the shape that [`Campaign::to_text`] gives it; else like [`publish`].
pub async fn put<C: ConnectionTrait>(conn: &C, campaign: &Campaign, now: Timestamp) -> Result<(), StoreError> {
    publish(conn, campaign, &campaign.to_text(), now).await
}

/// Stores a campaign with the text that a person wrote. The same content again changes nothing. A `Conflict` is other content under
/// the same name and version, or a split against a version that is not there.
pub async fn publish<C: ConnectionTrait>(
    conn: &C,
    campaign: &Campaign,
    text: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let name = &campaign.name;
    if let Some(split) = campaign.split
        && get(conn, name, split.against).await?.is_none()
    {
        return Err(StoreError::Conflict(format!(
            "campaign {name} version {} is compared with version {}, which is not there: publish that one first",
            campaign.version, split.against
        )));
    }
    let row = ActiveModel {
        name: Set(name.clone()),
        version: Set(campaign.version.into()),
        content: Set(to_json(campaign)?),
        created_at: Set(now.as_millisecond()),
        source: Set(Some(text.to_owned())),
    };
    let written = Entity::insert(row)
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .exec_without_returning(conn)
        .await?;
    if written == 1 || get(conn, name, campaign.version).await?.as_ref() == Some(campaign) {
        return Ok(());
    }
    Err(StoreError::Conflict(format!(
        "campaign {name} version {} has other content: give it a new version",
        campaign.version
    )))
}

/// One version of a campaign.
pub async fn get<C: ConnectionTrait>(conn: &C, name: &str, version: u32) -> Result<Option<Campaign>, StoreError> {
    let key = (name.to_owned(), i64::from(version));
    let row = Entity::find_by_id(key).one(conn).await?;
    row.map(|row| decode(&row)).transpose()
}

/// One version of a campaign as text: as a person wrote it, where that was kept.
pub async fn text<C: ConnectionTrait>(conn: &C, of: &CampaignRef) -> Result<Option<String>, StoreError> {
    let key = (of.name.clone(), i64::from(of.version));
    let row = Entity::find_by_id(key).one(conn).await?;
    row.map(|row| match row.source {
        Some(ref text) => Ok(text.clone()),
        None => Ok(decode(&row)?.to_text()),
    })
    .transpose()
}

/// The names of all versions.
pub async fn versions<C: ConnectionTrait>(conn: &C) -> Result<Vec<CampaignRef>, StoreError> {
    let published = published(conn).await?;
    Ok(published.into_iter().map(|(version, _)| version).collect())
}

/// The names of all versions, and since when they are there.
pub async fn published<C: ConnectionTrait>(conn: &C) -> Result<Vec<(CampaignRef, Timestamp)>, StoreError> {
    let columns = [Column::Name, Column::Version, Column::CreatedAt];
    let rows: Vec<(String, i64, i64)> = Entity::find()
        .select_only()
        .columns(columns)
        .into_tuple()
        .all(conn)
        .await?;
    let version = |(name, version, at): (String, i64, i64)| {
        let row = Row {
            table: "campaigns",
            id: &name,
        };
        let (version, at) = (row.count("version", version)?, row.instant("created_at", at)?);
        Ok((CampaignRef { name, version }, at))
    };
    rows.into_iter().map(version).collect()
}

/// The newest version of a campaign that is no shadow.
pub async fn newest<C: ConnectionTrait>(conn: &C, name: &str) -> Result<Option<Campaign>, StoreError> {
    let rows = Entity::find()
        .filter(Column::Name.eq(name))
        .order_by_desc(Column::Version)
        .all(conn)
        .await?;
    for row in &rows {
        let campaign = decode(row)?;
        if !campaign.shadow {
            return Ok(Some(campaign));
        }
    }
    Ok(None)
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
