//! A row of `attempts`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "attempts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub connection: String,
    pub case_id: String,
    pub origin: String,
    pub trigger: Option<String>,
    pub status: String,
    pub amount_minor: i64,
    pub currency: String,
    pub payment_method: Option<String>,
    pub charge_id: Option<String>,
    pub decline_kind: Option<String>,
    pub decline_disposition: Option<String>,
    pub provider_code: Option<String>,
    pub network_code: Option<String>,
    pub advice_code: Option<String>,
    pub started_at: i64,
    pub ended_at: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
