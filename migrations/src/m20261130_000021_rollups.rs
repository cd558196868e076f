//! What reports read. A case gains what it is reported by; each change of that leaves two rows in `report_deltas`, what it was
//! (taken off) and what it is (added), in the transaction that made it, whichever binary did. Whoever merges moves them into
//! `report_rollup`, so roll-up and deltas together say at any moment what a scan of all cases would say, and no row is written by
//! everybody.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let sqlite = manager.get_database_backend() == DbBackend::Sqlite;
        for (column, kind) in NEW_COLUMNS {
            crate::run(manager, &[&format!("ALTER TABLE cases ADD COLUMN {column} {kind}")]).await?;
        }
        crate::run(manager, &MONEY_SO_FAR).await?;
        let rowless = if sqlite { " STRICT, WITHOUT ROWID" } else { "" };
        let key = if sqlite {
            "INTEGER"
        } else {
            "BIGINT GENERATED ALWAYS AS IDENTITY"
        };
        let measures = listed(&MEASURES, |(name, _)| format!("{name} {{int}} NOT NULL"));
        let places = listed(&PLACES, |(name, _)| format!("{name} TEXT NOT NULL"));
        let tables = [
            format!("CREATE TABLE report_deltas (id {key} PRIMARY KEY, {places}, {measures}){{strict}}"),
            format!("CREATE TABLE report_rollup ({ROLLUP_KEYS}, {measures}, PRIMARY KEY ({ROLLUP_KEY})){rowless}"),
            format!("CREATE TABLE report_ages ({AGES}, PRIMARY KEY (month, currency, status, hours)){rowless}"),
            format!(
                "CREATE VIEW report_cases AS {} WHERE c.reversal_of IS NULL",
                facts(sqlite)
            ),
            format!(
                "INSERT INTO report_deltas ({0}) SELECT {0} FROM report_cases",
                columns()
            ),
        ];
        crate::run(manager, &tables.each_ref().map(String::as_str)).await?;
        let triggers = if sqlite { sqlite_triggers() } else { postgres_triggers() };
        for trigger in triggers {
            manager.get_connection().execute_unprepared(&trigger).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        match manager.get_database_backend() {
            DbBackend::Sqlite => crate::run(manager, &SQLITE_DOWN).await?,
            _ => crate::run(manager, &POSTGRES_DOWN).await?,
        }
        crate::run(
            manager,
            &[
                "DROP VIEW report_cases",
                "DROP TABLE report_ages",
                "DROP TABLE report_rollup",
                "DROP TABLE report_deltas",
            ],
        )
        .await?;
        for (column, _) in NEW_COLUMNS.iter().rev() {
            crate::run(manager, &[&format!("ALTER TABLE cases DROP COLUMN {column}")]).await?;
        }
        Ok(())
    }
}

/// A case without what the binary before does not know is reported by what it has.
const NEW_COLUMNS: [(&str, &str); 22] = [
    ("report_zone", "TEXT"),
    ("cohort_day", "TEXT"),
    ("closed_day", "TEXT"),
    ("first_kind", "TEXT"),
    ("first_disposition", "TEXT"),
    ("first_code", "TEXT"),
    ("network", "TEXT"),
    ("bank_country", "TEXT"),
    ("funding", "TEXT"),
    ("plan", "TEXT"),
    ("tenure_days", "{int}"),
    ("monthly_minor", "{int}"),
    ("arm", "TEXT"),
    ("touch_message", "TEXT"),
    ("touch_step", "TEXT"),
    ("recovered_weekday", "TEXT"),
    ("recovered_hour", "TEXT"),
    ("recovered_minor", "{int} NOT NULL DEFAULT 0"),
    ("late_payments", "{int} NOT NULL DEFAULT 0"),
    ("late_minor", "{int} NOT NULL DEFAULT 0"),
    ("reversals", "{int} NOT NULL DEFAULT 0"),
    ("reversed_minor", "{int} NOT NULL DEFAULT 0"),
];

const MONEY_SO_FAR: [&str; 2] = [
    "UPDATE cases SET recovered_minor = paid.minor FROM (SELECT case_id, SUM(amount_minor) AS minor FROM ledger
    WHERE kind = 'payment' AND account <> 'receivable' GROUP BY case_id) AS paid WHERE paid.case_id = cases.id",
    "UPDATE cases SET late_payments = late.payments, late_minor = late.minor, reversals = late.reversals,
    reversed_minor = late.reversed FROM (SELECT case_id,
        SUM(CASE kind WHEN 'late_recovery' THEN 1 ELSE 0 END) AS payments,
        SUM(CASE kind WHEN 'late_recovery' THEN amount_minor ELSE 0 END) AS minor,
        SUM(CASE kind WHEN 'late_recovery' THEN 0 ELSE 1 END) AS reversals,
        SUM(CASE kind WHEN 'late_recovery' THEN 0 ELSE amount_minor END) AS reversed
    FROM late_money GROUP BY case_id) AS late WHERE late.case_id = cases.id",
];

/// Where a case is counted. `{day:column}` is the day of an instant in UTC; hours are those from the hour of the opening to that of the
/// end, and while the case is open, the hour of its opening itself: so its age is known at any time from a sum.
pub(crate) const PLACES: [(&str, &str); 25] = [
    ("connection", "c.connection"),
    ("day", "COALESCE(c.cohort_day, {day:c.opened_at})"),
    (
        "closed_day",
        "CASE WHEN c.closed_at IS NULL THEN '' ELSE COALESCE(c.closed_day, {day:c.closed_at}) END",
    ),
    (
        "hours",
        "CAST(CASE WHEN c.closed_at IS NULL THEN c.opened_at / 3600000 ELSE c.closed_at / 3600000 - c.opened_at / 3600000 END AS TEXT)",
    ),
    ("currency", "c.currency"),
    ("status", "c.status"),
    ("outcome_detail", "COALESCE(c.outcome_detail, '')"),
    ("outcome_then", "COALESCE(c.outcome_then, '')"),
    ("collector", "c.collector"),
    ("decline_kind", "COALESCE(c.first_kind, c.decline_kind)"),
    (
        "decline_code",
        "COALESCE(CASE WHEN c.first_kind IS NULL THEN c.provider_code ELSE c.first_code END, '')",
    ),
    ("network", "COALESCE(c.network, '')"),
    ("country", "COALESCE(c.bank_country, '')"),
    ("funding", "COALESCE(c.funding, '')"),
    ("plan", "COALESCE(c.plan, '')"),
    ("amount", AMOUNT),
    ("tenure", TENURE),
    (
        "campaign",
        "c.campaign_name || ' v' || CAST(c.campaign_version AS TEXT)",
    ),
    ("arm", "COALESCE(c.arm, '')"),
    ("message", "COALESCE(c.touch_message, '')"),
    ("step", "COALESCE(c.touch_step, '')"),
    ("weekday", "COALESCE(c.recovered_weekday, '')"),
    ("hour", "COALESCE(c.recovered_hour, '')"),
    (
        "attempt",
        "CASE WHEN c.status = 'recovered' THEN CAST(c.attempts AS TEXT) ELSE '' END",
    ),
    (
        "retryable",
        "CASE WHEN COALESCE(c.first_disposition, c.decline_disposition) = 'retry' THEN 'yes' ELSE 'no' END",
    ),
];

const AMOUNT: &str = "CASE WHEN c.amount_minor < 1000 THEN '0-999' WHEN c.amount_minor < 2500 THEN '1000-2499'
    WHEN c.amount_minor < 5000 THEN '2500-4999' WHEN c.amount_minor < 10000 THEN '5000-9999'
    WHEN c.amount_minor < 25000 THEN '10000-24999' WHEN c.amount_minor < 100000 THEN '25000-99999' ELSE '100000+' END";

const TENURE: &str = "CASE WHEN c.tenure_days IS NULL THEN '' WHEN c.tenure_days < 30 THEN '0-29'
    WHEN c.tenure_days < 90 THEN '30-89' WHEN c.tenure_days < 365 THEN '90-364'
    WHEN c.tenure_days < 1095 THEN '365-1094' ELSE '1095+' END";

/// What is counted of it.
pub(crate) const MEASURES: [(&str, &str); 10] = [
    ("cases", "1"),
    ("amount_minor", "c.amount_minor"),
    ("recovered_minor", "c.recovered_minor"),
    ("late_payments", "c.late_payments"),
    ("late_minor", "c.late_minor"),
    ("reversals", "c.reversals"),
    ("reversed_minor", "c.reversed_minor"),
    ("monthly_minor", "COALESCE(c.monthly_minor, 0)"),
    ("attempts", "CASE WHEN c.closed_at IS NULL THEN 0 ELSE c.attempts END"),
    (
        "messages",
        "CASE WHEN c.closed_at IS NULL THEN 0 ELSE c.notifications END",
    ),
];

const ROLLUP_KEYS: &str = "dimension TEXT NOT NULL, day TEXT NOT NULL, value TEXT NOT NULL, connection TEXT NOT NULL,
    currency TEXT NOT NULL, status TEXT NOT NULL, outcome_detail TEXT NOT NULL, outcome_then TEXT NOT NULL,
    retryable TEXT NOT NULL";
const ROLLUP_KEY: &str = "dimension, day, value, connection, currency, status, outcome_detail, outcome_then, retryable";

const AGES: &str = "month TEXT NOT NULL, currency TEXT NOT NULL, status TEXT NOT NULL, hours {int} NOT NULL,
    cases {int} NOT NULL, amount_minor {int} NOT NULL, recovered_minor {int} NOT NULL";

/// What changes without a report's noticing until the case is closed: every step of a case changes these.
pub(crate) const ONCE_CLOSED: [&str; 2] = ["attempts", "notifications"];

/// What a case is counted by; a change of anything else is no change to a report.
pub(crate) const COUNTED: [&str; 22] = [
    "closed_at",
    "closed_day",
    "currency",
    "status",
    "outcome_detail",
    "outcome_then",
    "decline_kind",
    "decline_disposition",
    "provider_code",
    "campaign_name",
    "campaign_version",
    "arm",
    "touch_message",
    "touch_step",
    "recovered_weekday",
    "recovered_hour",
    "amount_minor",
    "recovered_minor",
    "late_payments",
    "late_minor",
    "reversals",
    "reversed_minor",
];

pub(crate) fn listed<T>(items: &[T], each: impl Fn(&T) -> String) -> String {
    items.iter().map(each).collect::<Vec<_>>().join(", ")
}

pub(crate) fn columns() -> String {
    [
        listed(&PLACES, |(name, _)| (*name).to_owned()),
        listed(&MEASURES, |(name, _)| (*name).to_owned()),
    ]
    .join(", ")
}

/// An expression over a case that is named `row`.
pub(crate) fn over(row: &str, expression: &str, sqlite: bool) -> String {
    let mut text = expression.replace("c.", &format!("{row}."));
    for instant in ["opened_at", "closed_at"] {
        let at = format!("{row}.{instant}");
        let day = if sqlite {
            format!("date({at} / 1000, 'unixepoch')")
        } else {
            format!("to_char(to_timestamp({at} / 1000.0) AT TIME ZONE 'UTC', 'YYYY-MM-DD')")
        };
        text = text.replace(&format!("{{day:{at}}}"), &day);
    }
    text
}

/// What is counted of a case that is named `row`, `sign` times.
pub(crate) fn counted(row: &str, sign: &str, sqlite: bool) -> String {
    let places = listed(&PLACES, |(_, expression)| over(row, expression, sqlite));
    let measures = listed(&MEASURES, |(_, expression)| {
        format!("{sign}({})", over(row, expression, sqlite))
    });
    [places, measures].join(", ")
}

/// Each case with its places, its measures and what else an analyst asks for; nobody is named.
fn facts(sqlite: bool) -> String {
    let places = listed(&PLACES, |(name, expression)| {
        format!("{} AS {name}", over("c", expression, sqlite))
    });
    let measures = listed(&MEASURES, |(name, expression)| {
        format!("{} AS {name}", over("c", expression, sqlite))
    });
    format!(
        "SELECT c.id AS case_id, c.opened_at, c.closed_at, c.tenure_days, {places}, {measures}
        FROM cases c"
    )
}

pub(crate) fn sqlite_triggers() -> Vec<String> {
    let columns = columns();
    let always = COUNTED.map(|column| format!("OLD.{column} IS NOT NEW.{column}"));
    let once = ONCE_CLOSED.map(|column| format!("(NEW.closed_at IS NOT NULL AND OLD.{column} <> NEW.{column})"));
    let differs = [always.join(" OR "), once.join(" OR ")].join(" OR ");
    vec![
        format!(
            "CREATE TRIGGER cases_opened_delta AFTER INSERT ON cases WHEN NEW.reversal_of IS NULL BEGIN
            INSERT INTO report_deltas ({columns}) SELECT {}; END",
            counted("NEW", "", true)
        ),
        format!(
            "CREATE TRIGGER cases_changed_delta AFTER UPDATE OF {}, attempts, notifications ON cases WHEN NEW.reversal_of IS NULL AND ({differs}) BEGIN
            INSERT INTO report_deltas ({columns}) SELECT {} UNION ALL SELECT {}; END",
            COUNTED.join(", "),
            counted("OLD", "-", true),
            counted("NEW", "", true)
        ),
        format!("CREATE TRIGGER ledger_paid_case AFTER INSERT ON ledger WHEN {PAID} BEGIN {PAY}; END"),
        format!("CREATE TRIGGER late_money_case AFTER INSERT ON late_money BEGIN {LATE}; END"),
    ]
}

const PAID: &str = "NEW.kind = 'payment' AND NEW.account <> 'receivable'";
const PAY: &str = "UPDATE cases SET recovered_minor = recovered_minor + NEW.amount_minor WHERE id = NEW.case_id";
const LATE: &str = "UPDATE cases SET
    late_payments = late_payments + CASE NEW.kind WHEN 'late_recovery' THEN 1 ELSE 0 END,
    late_minor = late_minor + CASE NEW.kind WHEN 'late_recovery' THEN NEW.amount_minor ELSE 0 END,
    reversals = reversals + CASE NEW.kind WHEN 'late_recovery' THEN 0 ELSE 1 END,
    reversed_minor = reversed_minor + CASE NEW.kind WHEN 'late_recovery' THEN 0 ELSE NEW.amount_minor END
    WHERE id = NEW.case_id";

/// New cases come many at once; a change is looked at row by row, because most change nothing that is counted.
pub(crate) fn postgres_triggers() -> Vec<String> {
    let columns = columns();
    let [old, new] = ["OLD", "NEW"].map(|row| {
        let always = COUNTED.map(|column| format!("{row}.{column}"));
        // Both sides ask the new row whether it is closed, so an open case has the same on both.
        let once = ONCE_CLOSED.map(|column| format!("CASE WHEN NEW.closed_at IS NULL THEN 0 ELSE {row}.{column} END"));
        [always.join(", "), once.join(", ")].join(", ")
    });
    let function = |name: &str, body: &str| {
        format!("CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $do$ BEGIN {body}; RETURN NULL; END $do$")
    };
    vec![
        function(
            "report_opened",
            &format!(
                "INSERT INTO report_deltas ({columns}) SELECT {} FROM fresh c WHERE c.reversal_of IS NULL",
                counted("c", "", false)
            ),
        ),
        "CREATE TRIGGER cases_opened_delta AFTER INSERT ON cases REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT
        EXECUTE FUNCTION report_opened()"
            .to_owned(),
        function(
            "report_changed",
            &format!(
                "INSERT INTO report_deltas ({columns}) VALUES ({}), ({})",
                counted("OLD", "-", false),
                counted("NEW", "", false)
            ),
        ),
        format!(
            "CREATE TRIGGER cases_changed_delta AFTER UPDATE OF {}, attempts, notifications ON cases FOR EACH ROW
            WHEN (NEW.reversal_of IS NULL AND ({old}) IS DISTINCT FROM ({new})) EXECUTE FUNCTION report_changed()",
            COUNTED.join(", ")
        ),
        function("report_paid", PAY),
        format!(
            "CREATE TRIGGER ledger_paid_case AFTER INSERT ON ledger FOR EACH ROW WHEN ({PAID}) EXECUTE FUNCTION report_paid()"
        ),
        function("report_late", LATE),
        "CREATE TRIGGER late_money_case AFTER INSERT ON late_money FOR EACH ROW EXECUTE FUNCTION report_late()"
            .to_owned(),
        "ALTER TABLE report_deltas SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0)"
            .to_owned(),
    ]
}

const SQLITE_DOWN: [&str; 4] = [
    "DROP TRIGGER late_money_case",
    "DROP TRIGGER ledger_paid_case",
    "DROP TRIGGER cases_changed_delta",
    "DROP TRIGGER cases_opened_delta",
];

const POSTGRES_DOWN: [&str; 8] = [
    "DROP TRIGGER late_money_case ON late_money",
    "DROP TRIGGER ledger_paid_case ON ledger",
    "DROP TRIGGER cases_changed_delta ON cases",
    "DROP TRIGGER cases_opened_delta ON cases",
    "DROP FUNCTION report_late()",
    "DROP FUNCTION report_paid()",
    "DROP FUNCTION report_changed()",
    "DROP FUNCTION report_opened()",
];
