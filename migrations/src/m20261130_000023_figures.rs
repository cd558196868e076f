//! What the second half of the reports reads: how far each case got (`report_funnel`, which stays when the history of a case is let
//! go of), the rates of exchange that staff upload, and a view for each further figure that is a number by month.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(manager, &[RATES, FUNNEL]).await?;
        let sqlite = manager.get_database_backend() == DbBackend::Sqlite;
        let triggers = if sqlite { sqlite_triggers() } else { postgres_triggers() };
        for trigger in triggers {
            manager.get_connection().execute_unprepared(&trigger).await?;
        }
        crate::run(manager, &[&written_so_far(), DONE_SO_FAR, STAGES]).await?;
        for (name, sql) in views() {
            crate::run(manager, &[&format!("CREATE VIEW {name} AS {sql}")]).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (name, _) in views().iter().rev() {
            crate::run(manager, &[&format!("DROP VIEW {name}")]).await?;
        }
        match manager.get_database_backend() {
            DbBackend::Sqlite => crate::run(manager, &SQLITE_DOWN).await?,
            _ => crate::run(manager, &POSTGRES_DOWN).await?,
        }
        crate::run(
            manager,
            &[
                "DROP VIEW report_stages",
                "DROP TABLE report_funnel",
                "DROP TABLE exchange_rates",
            ],
        )
        .await
    }
}

/// The rate is a decimal number as it was uploaded: no database type holds it alike on both.
const RATES: &str = "CREATE TABLE exchange_rates (
    day TEXT NOT NULL CHECK (length(day) = 10),
    from_currency TEXT NOT NULL CHECK (length(from_currency) = 3),
    to_currency TEXT NOT NULL CHECK (length(to_currency) = 3),
    rate TEXT NOT NULL CHECK (rate <> ''),
    source TEXT NOT NULL CHECK (source <> ''),
    uploaded_at {int} NOT NULL,
    PRIMARY KEY (day, from_currency, to_currency),
    CONSTRAINT two_currencies CHECK (from_currency <> to_currency)
){strict}";

/// When a case first got so far; a case that got nowhere has no row.
const FUNNEL: &str = "CREATE TABLE report_funnel (
    case_id TEXT PRIMARY KEY NOT NULL,
    written_at {int},
    delivered_at {int},
    clicked_at {int},
    changed_at {int}
){strict}";

/// The messages that ask customers for money while the invoice is chased.
const REMINDERS: &str =
    "('payment_failed', 'update_payment_method', 'confirm_payment', 'card_expired', 'reminder', 'final_notice')";
/// Where a message stands that was given to the mail server, or may have been. One that failed before, for it could not be rendered, has
/// no recipient.
const LEFT: &str = "('sent', 'failed', 'unknown')";
/// The lines of a timeline that tell of a stage: the customer used the page, the payment method changed.
const TOLD: &str = "('customer', 'method_changed')";

/// When the reminders of cases left and were taken; `of` narrows it down.
fn written(of: &str) -> String {
    format!(
        "SELECT case_id, MIN(ended_at), MIN(CASE WHEN status = 'sent' THEN ended_at END) FROM notifications
        WHERE {of} message IN {REMINDERS} AND status IN {LEFT} AND (status <> 'failed' OR recipient IS NOT NULL) GROUP BY case_id"
    )
}

fn written_so_far() -> String {
    format!(
        "INSERT INTO report_funnel (case_id, written_at, delivered_at) {}",
        written("")
    )
}

const DONE_SO_FAR: &str = "INSERT INTO report_funnel (case_id, clicked_at, changed_at)
    SELECT case_id, MIN(CASE WHEN kind = 'customer' THEN at END), MIN(CASE WHEN kind = 'method_changed' THEN at END)
    FROM timeline WHERE kind IN ('customer', 'method_changed') GROUP BY case_id
    ON CONFLICT (case_id) DO UPDATE SET clicked_at = excluded.clicked_at, changed_at = excluded.changed_at";

/// A message that comes back was written, and is not delivered any more.
fn write() -> String {
    format!(
        "INSERT INTO report_funnel (case_id, written_at, delivered_at) {}
        ON CONFLICT (case_id) DO UPDATE SET written_at = excluded.written_at, delivered_at = excluded.delivered_at",
        written("case_id = NEW.case_id AND")
    )
}

const TELL: &str = "INSERT INTO report_funnel (case_id, clicked_at, changed_at) VALUES (NEW.case_id,
        CASE WHEN NEW.kind = 'customer' THEN NEW.at END, CASE WHEN NEW.kind = 'method_changed' THEN NEW.at END)
    ON CONFLICT (case_id) DO UPDATE SET clicked_at = COALESCE(report_funnel.clicked_at, excluded.clicked_at),
        changed_at = COALESCE(report_funnel.changed_at, excluded.changed_at)";

fn sqlite_triggers() -> Vec<String> {
    let write = write();
    vec![
        format!(
            "CREATE TRIGGER notifications_written AFTER INSERT ON notifications
            WHEN NEW.status IN {LEFT} AND NEW.message IN {REMINDERS} BEGIN {write}; END"
        ),
        format!(
            "CREATE TRIGGER notifications_fate AFTER UPDATE OF status ON notifications
            WHEN NEW.message IN {REMINDERS} AND NEW.status IN {LEFT} AND NEW.status <> OLD.status BEGIN {write}; END"
        ),
        format!("CREATE TRIGGER timeline_told AFTER INSERT ON timeline WHEN NEW.kind IN {TOLD} BEGIN {TELL}; END"),
    ]
}

fn postgres_triggers() -> Vec<String> {
    let function = |name: &str, body: &str| {
        format!("CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $do$ BEGIN {body}; RETURN NULL; END $do$")
    };
    vec![
        function("report_written", &write()),
        format!(
            "CREATE TRIGGER notifications_written AFTER INSERT ON notifications FOR EACH ROW
            WHEN (NEW.status IN {LEFT} AND NEW.message IN {REMINDERS}) EXECUTE FUNCTION report_written()"
        ),
        format!(
            "CREATE TRIGGER notifications_fate AFTER UPDATE OF status ON notifications FOR EACH ROW
            WHEN (NEW.message IN {REMINDERS} AND NEW.status IN {LEFT} AND NEW.status <> OLD.status)
            EXECUTE FUNCTION report_written()"
        ),
        function("report_told", TELL),
        format!(
            "CREATE TRIGGER timeline_told AFTER INSERT ON timeline FOR EACH ROW WHEN (NEW.kind IN {TOLD})
            EXECUTE FUNCTION report_told()"
        ),
    ]
}

const SQLITE_DOWN: [&str; 3] = [
    "DROP TRIGGER timeline_told",
    "DROP TRIGGER notifications_fate",
    "DROP TRIGGER notifications_written",
];

const POSTGRES_DOWN: [&str; 5] = [
    "DROP TRIGGER timeline_told ON timeline",
    "DROP TRIGGER notifications_fate ON notifications",
    "DROP TRIGGER notifications_written ON notifications",
    "DROP FUNCTION report_told()",
    "DROP FUNCTION report_written()",
];

/// Each case with the stages that it reached while it was open: 1 or 0.
const STAGES: &str = "CREATE VIEW report_stages AS SELECT f.*,
    CASE WHEN f.status = 'recovered' AND (j.written_at IS NULL OR j.written_at > f.closed_at) THEN 1 ELSE 0 END AS silent,
    CASE WHEN j.written_at <= COALESCE(f.closed_at, j.written_at) THEN 1 ELSE 0 END AS written,
    CASE WHEN j.delivered_at <= COALESCE(f.closed_at, j.delivered_at) THEN 1 ELSE 0 END AS delivered,
    CASE WHEN j.clicked_at <= COALESCE(f.closed_at, j.clicked_at) THEN 1 ELSE 0 END AS clicked,
    CASE WHEN j.changed_at <= COALESCE(f.closed_at, j.changed_at) THEN 1 ELSE 0 END AS changed
    FROM report_cases AS f LEFT JOIN report_funnel AS j ON j.case_id = f.case_id";

/// Each customer of a month, with whether all and whether any of the cases were recovered.
const CUSTOMERS: &str = "(SELECT substr(f.day, 1, 7) AS month, f.connection, f.currency,
    MIN(CASE WHEN f.status = 'recovered' THEN 1 ELSE 0 END) AS wholly,
    MAX(CASE WHEN f.status = 'recovered' THEN 1 ELSE 0 END) AS partly
    FROM report_cases AS f JOIN cases AS c ON c.id = f.case_id
    GROUP BY substr(f.day, 1, 7), f.connection, f.currency, c.customer_id) AS customers";

/// Each case with the charges that it counted.
const CHARGED: &str = "(SELECT substr(f.day, 1, 7) AS month, f.connection, f.currency, f.status, c.attempts AS made
    FROM report_cases AS f JOIN cases AS c ON c.id = f.case_id) AS charged";

/// Each charge of a case.
const CHARGES: &str = "(SELECT substr(f.day, 1, 7) AS month, f.connection, f.currency, a.status
    FROM report_cases AS f JOIN attempts AS a ON a.case_id = f.case_id) AS charges";

const CASES: &str =
    "(SELECT substr(day, 1, 7) AS month, connection, currency, status, outcome_detail, message, recovered_minor
    FROM report_cases) AS cases_by_month";

const REACHED: &str =
    "(SELECT substr(day, 1, 7) AS month, connection, currency, silent, written, delivered, clicked, changed
    FROM report_stages) AS reached";

const RECOVERED_MONEY: &str = "CASE WHEN status = 'recovered' THEN recovered_minor ELSE 0 END";

/// The views with what they say, each with the columns of those of the first half.
fn views() -> Vec<(&'static str, String)> {
    let of = |from: &str, numerator: &str, denominator: &str| {
        format!(
            "SELECT month, connection, currency, CAST(SUM({numerator}) AS {{int}}) AS numerator,
            CAST(SUM({denominator}) AS {{int}}) AS denominator FROM {from} GROUP BY month, connection, currency"
        )
    };
    vec![
        ("recovery_rate_customers", of(CUSTOMERS, "wholly", "1")),
        ("recovery_rate_customers_any", of(CUSTOMERS, "partly", "1")),
        ("funnel_recovered_silently", of(REACHED, "silent", "1")),
        ("funnel_written_to", of(REACHED, "written", "1")),
        ("funnel_delivered", of(REACHED, "delivered", "1")),
        ("funnel_clicked", of(REACHED, "clicked", "1")),
        ("funnel_card_changed", of(REACHED, "changed", "1")),
        (
            "attempt_success_rate",
            of(
                CHARGES,
                "CASE WHEN status = 'succeeded' THEN 1 ELSE 0 END",
                "CASE WHEN status IN ('succeeded', 'declined') THEN 1 ELSE 0 END",
            ),
        ),
        (
            "cohort_attempts_per_recovery",
            of(CHARGED, "made", "CASE WHEN status = 'recovered' THEN 1 ELSE 0 END"),
        ),
        (
            "attributed_by_mechanism",
            of(
                CASES,
                "CASE WHEN status = 'recovered' AND outcome_detail IN ('retry', 'card_update') THEN recovered_minor ELSE 0 END",
                RECOVERED_MONEY,
            ),
        ),
        (
            "attributed_by_last_touch",
            of(
                CASES,
                "CASE WHEN status = 'recovered' AND message <> '' THEN recovered_minor ELSE 0 END",
                RECOVERED_MONEY,
            ),
        ),
        ("recovery_rate_by_age", BY_AGE.to_owned()),
    ]
}

/// It has one column more: within how many days.
const BY_AGE: &str = "WITH RECURSIVE ages (days) AS (SELECT 1 UNION ALL SELECT days + 1 FROM ages WHERE days < 90)
    SELECT substr(f.day, 1, 7) AS month, f.connection, f.currency,
    CAST(SUM(CASE WHEN f.status = 'recovered' AND (f.closed_at - f.opened_at) / 3600000 < ages.days * 24 THEN 1 ELSE 0 END)
        AS {int}) AS numerator,
    CAST(COUNT(*) AS {int}) AS denominator, ages.days
    FROM report_cases AS f CROSS JOIN ages GROUP BY substr(f.day, 1, 7), f.connection, f.currency, ages.days";
