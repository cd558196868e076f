//! What a shadow version of a campaign would have planned, beside what was planned; and the text of a campaign as it was written.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let by_shadow = "CREATE INDEX shadow_plans_newest ON shadow_plans (campaign_name, shadow_version, at)";
        let by_age = "CREATE INDEX shadow_plans_age ON shadow_plans (at)";
        let text = "ALTER TABLE campaigns ADD COLUMN source TEXT";
        crate::run(manager, &[SHADOW_PLANS, by_shadow, by_age, text]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(
            manager,
            &["ALTER TABLE campaigns DROP COLUMN source", "DROP TABLE shadow_plans"],
        )
        .await
    }
}

const SHADOW_PLANS: &str = "CREATE TABLE shadow_plans (
    case_id TEXT NOT NULL,
    shadow_version {int} NOT NULL,
    at {int} NOT NULL,
    campaign_name TEXT NOT NULL CHECK (campaign_name <> ''),
    live_version {int} NOT NULL,
    live TEXT NOT NULL,
    shadow TEXT NOT NULL,
    PRIMARY KEY (case_id, shadow_version, at)
){strict}";
