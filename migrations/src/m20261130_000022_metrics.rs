//! Figures of the reports as views, one for each that is a number of something by month, so that finance recomputes any of them with
//! its own tools. Each has the columns `month`, `connection`, `currency`, `numerator` and `denominator`; a figure that is no rate has
//! the denominator 1. And the numbers of active subscriptions that staff upload, by which churn is reckoned.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(manager, &[ACTIVE]).await?;
        for (name, day, numerator, denominator) in METRICS {
            crate::run(manager, &[&view(name, day, numerator, denominator)]).await?;
        }
        crate::run(manager, &[INVOLUNTARY_RATE]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(manager, &["DROP VIEW involuntary_churn_rate"]).await?;
        for (name, ..) in METRICS.iter().rev() {
            crate::run(manager, &[&format!("DROP VIEW {name}")]).await?;
        }
        crate::run(manager, &["DROP TABLE active_subscriptions"]).await
    }
}

const ACTIVE: &str = "CREATE TABLE active_subscriptions (
    connection TEXT NOT NULL CHECK (connection <> ''),
    month TEXT NOT NULL CHECK (length(month) = 7),
    subscriptions {int} NOT NULL CHECK (subscriptions >= 0),
    source TEXT NOT NULL CHECK (source <> ''),
    uploaded_at {int} NOT NULL,
    PRIMARY KEY (connection, month)
){strict}";

/// The day by which a case has its month: that of its opening, or that of its end.
const OPENED: &str = "day";
const CLOSED: &str = "closed_day";

const RECOVERED: &str = "CASE WHEN status = 'recovered' THEN 1 ELSE 0 END";
const RECOVERED_MONEY: &str = "CASE WHEN status = 'recovered' THEN recovered_minor ELSE 0 END";
const CLOSED_ONES: &str = "CASE WHEN status = 'open' THEN 0 ELSE 1 END";

/// A figure: its name, its day, its numerator and its denominator, both over the rows of `report_cases`.
const METRICS: [(&str, &str, &str, &str); 23] = [
    ("failed_cases", OPENED, "1", ""),
    ("failed_amount", OPENED, "amount_minor", ""),
    ("open_cases", OPENED, "CASE WHEN status = 'open' THEN 1 ELSE 0 END", ""),
    (
        "open_amount",
        OPENED,
        "CASE WHEN status = 'open' THEN amount_minor ELSE 0 END",
        "",
    ),
    ("recovered_cases", OPENED, RECOVERED, ""),
    ("recovered_amount", OPENED, RECOVERED_MONEY, ""),
    (
        "net_recovered_amount",
        OPENED,
        "CASE WHEN status = 'recovered' THEN recovered_minor - reversed_minor ELSE 0 END",
        "",
    ),
    ("late_recovered_amount", OPENED, "late_minor", ""),
    ("reversed_amount", OPENED, "reversed_minor", ""),
    ("maturity", OPENED, CLOSED_ONES, "1"),
    ("recovery_rate_cases", OPENED, RECOVERED, "1"),
    ("recovery_rate_amount", OPENED, RECOVERED_MONEY, "amount_minor"),
    ("recovery_rate_cases_closed", OPENED, RECOVERED, CLOSED_ONES),
    (
        "recovery_rate_amount_closed",
        OPENED,
        RECOVERED_MONEY,
        "CASE WHEN status = 'open' THEN 0 ELSE amount_minor END",
    ),
    (
        "recovery_rate_cases_retryable",
        OPENED,
        "CASE WHEN status = 'recovered' AND retryable = 'yes' THEN 1 ELSE 0 END",
        "CASE WHEN retryable = 'yes' THEN 1 ELSE 0 END",
    ),
    (
        "recovery_rate_amount_retryable",
        OPENED,
        "CASE WHEN status = 'recovered' AND retryable = 'yes' THEN recovered_minor ELSE 0 END",
        "CASE WHEN retryable = 'yes' THEN amount_minor ELSE 0 END",
    ),
    (
        "net_recovery_rate_amount",
        OPENED,
        "CASE WHEN status = 'recovered' THEN recovered_minor - reversed_minor ELSE 0 END",
        "amount_minor",
    ),
    (
        "involuntary_churn",
        CLOSED,
        "CASE WHEN status = 'exhausted' AND outcome_then = 'cancelled' THEN 1 ELSE 0 END",
        "",
    ),
    (
        "voluntary_churn_in_dunning",
        CLOSED,
        "CASE WHEN status = 'stopped' AND outcome_detail = 'customer_cancelled' THEN 1 ELSE 0 END",
        "",
    ),
    (
        "monthly_revenue_lost",
        CLOSED,
        "CASE WHEN status = 'exhausted' AND outcome_then = 'cancelled' THEN monthly_minor ELSE 0 END",
        "",
    ),
    (
        "monthly_revenue_saved",
        CLOSED,
        "CASE WHEN status = 'recovered' THEN monthly_minor ELSE 0 END",
        "",
    ),
    ("attempts_per_recovery", CLOSED, "attempts", RECOVERED),
    ("messages_per_recovery", CLOSED, "messages", RECOVERED),
];

/// All currencies together: a subscription is counted, not its money.
const INVOLUNTARY_RATE: &str = "CREATE VIEW involuntary_churn_rate AS
    SELECT active.month, active.connection, '' AS currency, CAST(COALESCE(lost.numerator, 0) AS {int}) AS numerator,
    active.subscriptions AS denominator FROM active_subscriptions AS active LEFT JOIN (SELECT month, connection,
    SUM(numerator) AS numerator FROM involuntary_churn GROUP BY month, connection) AS lost
    ON lost.month = active.month AND lost.connection = active.connection";

fn view(name: &str, day: &str, numerator: &str, denominator: &str) -> String {
    let denominator = match denominator {
        "" => "CAST(1 AS {int})".to_owned(),
        denominator => format!("CAST(SUM({denominator}) AS {{int}})"),
    };
    format!(
        "CREATE VIEW {name} AS SELECT substr({day}, 1, 7) AS month, connection, currency,
        CAST(SUM({numerator}) AS {{int}}) AS numerator, {denominator} AS denominator FROM report_cases
        WHERE {day} <> '' GROUP BY substr({day}, 1, 7), connection, currency"
    )
}
