//! Who came back after a subscription was cancelled for a failed payment, and the figures of that.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use super::m20261130_000021_rollups as before;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let sqlite = manager.get_database_backend() == DbBackend::Sqlite;
        crate::run(manager, &COLUMNS).await?;
        crate::run(manager, &[&won_back(sqlite)]).await?;
        crate::run(manager, &FIGURES).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(
            manager,
            &[
                "DROP VIEW involuntary_churn_net_rate",
                "DROP VIEW monthly_revenue_won_back",
                "DROP VIEW involuntary_churn_won_back",
                "DROP VIEW report_won_back",
                "DROP INDEX cases_won_back",
                "ALTER TABLE cases DROP COLUMN won_back_by",
                "ALTER TABLE cases DROP COLUMN won_back_at",
            ],
        )
        .await
    }
}

/// When the customer of a case that lost its subscription first paid for another one, and which that is. The index is small: few come
/// back.
const COLUMNS: [&str; 3] = [
    "ALTER TABLE cases ADD COLUMN won_back_at {int}",
    "ALTER TABLE cases ADD COLUMN won_back_by TEXT",
    "CREATE INDEX cases_won_back ON cases (closed_at) WHERE won_back_at IS NOT NULL",
];

/// The cases whose customers came back.
fn won_back(sqlite: bool) -> String {
    let place = |name: &str| {
        let place = before::PLACES.iter().find(|(place, _)| *place == name);
        let (name, expression) = place.expect("it is a place of the roll-ups");
        format!("{} AS {name}", before::over("c", expression, sqlite))
    };
    let places = ["connection", "closed_day", "currency"].map(place).join(", ");
    format!(
        "CREATE VIEW report_won_back AS SELECT c.id AS case_id, {places}, COALESCE(c.monthly_minor, 0) AS monthly_minor,
        c.won_back_at FROM cases c WHERE c.won_back_at IS NOT NULL AND c.reversal_of IS NULL"
    )
}

const FIGURES: [&str; 3] = [
    "CREATE VIEW involuntary_churn_won_back AS SELECT substr(f.closed_day, 1, 7) AS month, f.connection, f.currency,
    CAST(SUM(CASE WHEN c.won_back_at IS NULL THEN 0 ELSE 1 END) AS {int}) AS numerator, CAST(1 AS {int}) AS denominator
    FROM report_cases f JOIN cases c ON c.id = f.case_id WHERE f.closed_day <> ''
    GROUP BY substr(f.closed_day, 1, 7), f.connection, f.currency",
    "CREATE VIEW monthly_revenue_won_back AS SELECT substr(f.closed_day, 1, 7) AS month, f.connection, f.currency,
    CAST(SUM(CASE WHEN c.won_back_at IS NULL THEN 0 ELSE f.monthly_minor END) AS {int}) AS numerator,
    CAST(1 AS {int}) AS denominator FROM report_cases f JOIN cases c ON c.id = f.case_id WHERE f.closed_day <> ''
    GROUP BY substr(f.closed_day, 1, 7), f.connection, f.currency",
    // All currencies together, as in the rate before anybody came back.
    "CREATE VIEW involuntary_churn_net_rate AS SELECT gross.month, gross.connection, gross.currency,
    CAST(gross.numerator - COALESCE(back.numerator, 0) AS {int}) AS numerator, gross.denominator
    FROM involuntary_churn_rate AS gross LEFT JOIN (SELECT month, connection, SUM(numerator) AS numerator
    FROM involuntary_churn_won_back GROUP BY month, connection) AS back
    ON back.month = gross.month AND back.connection = gross.connection",
];
