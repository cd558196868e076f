//! A row of `inbox`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "inbox")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub connection: String,
    pub event_id: String,
    pub kind: String,
    pub body: Option<Vec<u8>>,
    pub unpacked_bytes: Option<i64>,
    pub received_at: i64,
    pub status: String,
    pub tries: i64,
    pub next_at: i64,
    pub reason: Option<String>,
    pub ended_at: Option<i64>,
    pub lease_owner: Option<String>,
    pub lease_until: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
