//! A row of `cases`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "cases")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub connection: String,
    pub invoice_id: String,
    pub subscription_id: Option<String>,
    pub customer_id: String,
    pub amount_minor: i64,
    pub currency: String,
    pub status: String,
    pub state: String,
    pub decline_kind: String,
    pub decline_disposition: String,
    pub provider_code: Option<String>,
    pub network_code: Option<String>,
    pub advice_code: Option<String>,
    pub campaign_name: String,
    pub campaign_version: i64,
    pub collector: String,
    pub opened_at: i64,
    pub closed_at: Option<i64>,
    pub outcome_kind: Option<String>,
    pub outcome_detail: Option<String>,
    pub outcome_then: Option<String>,
    pub next_action_at: Option<i64>,
    pub next_action_kind: Option<String>,
    pub next_action_why: Option<String>,
    pub attempts: i64,
    pub notifications: i64,
    pub zone: String,
    pub contact_email: Option<String>,
    pub contact_alternate: Option<String>,
    pub contact_name: Option<String>,
    pub contact_locale: Option<String>,
    pub card_last4: Option<String>,
    pub reversal_of: Option<String>,
    pub report_zone: Option<String>,
    pub cohort_day: Option<String>,
    pub first_kind: Option<String>,
    pub first_disposition: Option<String>,
    pub first_code: Option<String>,
    pub network: Option<String>,
    pub bank_country: Option<String>,
    pub funding: Option<String>,
    pub plan: Option<String>,
    pub tenure_days: Option<i64>,
    pub monthly_minor: Option<i64>,
    pub warnings: String,
    pub memory: String,
    pub updated_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
