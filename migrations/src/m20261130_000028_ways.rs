//! Roll-ups of the rest: the stages that cases reached, the charges that they took, the days of their ends, and customers.
//!
//! `report_changes` takes the place of `report_deltas`: it says of a change also whose case it is, which way the case took and what it
//! was charged. A case has its way and its charges in `report_funnel`, which stays when histories are let go of. The binary before reads
//! the changes by a view of the old name, and cannot merge them, so that no change is merged by who does not know all roll-ups.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use super::m20261130_000021_rollups as before;

mod tries;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let sqlite = manager.get_database_backend() == DbBackend::Sqlite;
        drop_triggers(manager, &BEFORE).await?;
        crate::run(manager, &tries::COLUMNS).await?;
        crate::run(manager, &[&tries::so_far(sqlite)]).await?;
        let tables: Vec<String> = tables(sqlite);
        crate::run(manager, &tables.iter().map(String::as_str).collect::<Vec<_>>()).await?;
        let triggers = if sqlite { sqlite_triggers() } else { postgres_triggers() };
        for trigger in triggers {
            manager.get_connection().execute_unprepared(&trigger).await?;
        }
        // What was merged is counted anew, with all that is counted now.
        let fill = format!(
            "INSERT INTO report_changes ({0}) SELECT {0} FROM report_counted",
            columns()
        );
        crate::run(manager, &[&fill]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let sqlite = manager.get_database_backend() == DbBackend::Sqlite;
        drop_triggers(manager, &NOW).await?;
        let key = key(sqlite);
        let columns = before::columns();
        let deltas = format!(
            "CREATE TABLE report_deltas (id {key} PRIMARY KEY, {}){{strict}}",
            before_columns()
        );
        crate::run(
            manager,
            &[
                "DROP VIEW report_counted",
                "DROP VIEW report_deltas",
                &deltas,
                &format!("INSERT INTO report_deltas ({columns}) SELECT {columns} FROM report_changes"),
                "DROP TABLE report_changes",
                "DROP TABLE report_customers",
                "DROP TABLE report_ended",
                "DROP TABLE report_tries",
                "DROP TABLE report_paths",
                "ALTER TABLE report_funnel DROP COLUMN tried_id",
                "ALTER TABLE report_funnel DROP COLUMN tried_at",
                "ALTER TABLE report_funnel DROP COLUMN charged_minor",
                "ALTER TABLE report_funnel DROP COLUMN tries",
            ],
        )
        .await?;
        let triggers = if sqlite {
            before::sqlite_triggers()
        } else {
            before::postgres_triggers()
        };
        for trigger in triggers.into_iter().filter(|sql| sql.contains("report_deltas")) {
            manager.get_connection().execute_unprepared(&trigger).await?;
        }
        if !sqlite {
            for trigger in before::postgres_triggers() {
                if trigger.starts_with("CREATE TRIGGER cases_") {
                    manager.get_connection().execute_unprepared(&trigger).await?;
                }
            }
        }
        Ok(())
    }
}

/// A trigger: its name, its table, and its function on PostgreSQL.
type Trigger = (&'static str, &'static str, &'static str);

const BEFORE: [Trigger; 2] = [
    ("cases_opened_delta", "cases", "report_opened"),
    ("cases_changed_delta", "cases", "report_changed"),
];

const NOW: [Trigger; 6] = [
    ("attempts_fate", "attempts", "report_fate"),
    ("attempts_tried", "attempts", "report_tried"),
    ("funnel_changed", "report_funnel", ""),
    ("funnel_begun", "report_funnel", "report_moved"),
    ("cases_opened_change", "cases", "report_opened"),
    ("cases_counted_change", "cases", "report_changed"),
];

async fn drop_triggers(manager: &SchemaManager<'_>, triggers: &[Trigger]) -> Result<(), DbErr> {
    for (name, table, function) in triggers {
        if manager.get_database_backend() == DbBackend::Sqlite {
            crate::run(manager, &[&format!("DROP TRIGGER {name}")]).await?;
            continue;
        }
        crate::run(manager, &[&format!("DROP TRIGGER {name} ON {table}")]).await?;
        if !function.is_empty() {
            crate::run(manager, &[&format!("DROP FUNCTION {function}()")]).await?;
        }
    }
    Ok(())
}

/// The stages that a case reached while it was open, a digit each: recovered silently, written to, delivered, clicked, card changed.
const PATH: &str =
    "CASE WHEN c.status = 'recovered' AND (j.written_at IS NULL OR j.written_at > c.closed_at) THEN '1' ELSE '0' END
    || CASE WHEN j.written_at <= COALESCE(c.closed_at, j.written_at) THEN '1' ELSE '0' END
    || CASE WHEN j.delivered_at <= COALESCE(c.closed_at, j.delivered_at) THEN '1' ELSE '0' END
    || CASE WHEN j.clicked_at <= COALESCE(c.closed_at, j.clicked_at) THEN '1' ELSE '0' END
    || CASE WHEN j.changed_at <= COALESCE(c.closed_at, j.changed_at) THEN '1' ELSE '0' END";

/// What is counted of a case besides what was before, with its row of `report_funnel`, which is `j`.
const MORE: [(&str, &str); 4] = [
    ("customer", "c.customer_id"),
    ("path", PATH),
    ("tries", "COALESCE(j.tries, '')"),
    ("charged_minor", "COALESCE(j.charged_minor, 0)"),
];
/// The columns of `report_funnel` that it depends on.
const FUNNEL: [&str; 6] = [
    "written_at",
    "delivered_at",
    "clicked_at",
    "changed_at",
    "tries",
    "charged_minor",
];

fn columns() -> String {
    [before::columns(), before::listed(&MORE, |(name, _)| (*name).to_owned())].join(", ")
}

/// What is counted of the case `row` with the funnel `funnel`, `sign` times; without a funnel, as long as it has none.
fn counted(row: &str, funnel: Option<&str>, sign: &str, sqlite: bool) -> String {
    let more = before::listed(&MORE, |(name, expression)| {
        let mut text = expression.replace("c.", &format!("{row}."));
        for column in FUNNEL {
            let nothing = match column {
                "tries" => "CAST(NULL AS TEXT)",
                _ if sqlite => "CAST(NULL AS INTEGER)",
                _ => "CAST(NULL AS BIGINT)",
            };
            let of = funnel.map_or_else(|| nothing.to_owned(), |funnel| format!("{funnel}.{column}"));
            text = text.replace(&format!("j.{column}"), &of);
        }
        if *name == "charged_minor" {
            return format!("{sign}{text}");
        }
        text
    });
    [before::counted(row, sign, sqlite), more].join(", ")
}

const fn key(sqlite: bool) -> &'static str {
    if sqlite {
        "INTEGER"
    } else {
        "BIGINT GENERATED ALWAYS AS IDENTITY"
    }
}

fn before_columns() -> String {
    [
        before::listed(&before::PLACES, |(name, _)| format!("{name} TEXT NOT NULL")),
        before::listed(&before::MEASURES, |(name, _)| format!("{name} {{int}} NOT NULL")),
    ]
    .join(", ")
}

/// Each roll-up with its keys and its measures, besides dimension, day and value.
const ROLLUPS: [(&str, &str, &[&str]); 3] = [
    (
        "report_paths",
        "connection, currency, status, path",
        &["cases", "amount_minor", "recovered_minor"],
    ),
    (
        "report_tries",
        "connection, currency, status, tries",
        &["cases", "charged_minor", "attempts"],
    ),
    (
        "report_ended",
        "connection, currency, status, closed_day",
        &["cases", "recovered_minor", "reversed_minor"],
    ),
];

fn tables(sqlite: bool) -> Vec<String> {
    let rowless = if sqlite { " STRICT, WITHOUT ROWID" } else { "" };
    let places = before::listed(&before::PLACES, |(name, expression)| {
        format!("{} AS {name}", before::over("c", expression, sqlite))
    });
    let measures = before::listed(&before::MEASURES, |(name, expression)| {
        format!("{} AS {name}", before::over("c", expression, sqlite))
    });
    let more = before::listed(&MORE, |(name, expression)| format!("{expression} AS {name}"));
    let mut sql = vec![
        "DROP TABLE report_deltas".to_owned(),
        "DELETE FROM report_rollup".to_owned(),
        "DELETE FROM report_ages".to_owned(),
        format!(
            "CREATE TABLE report_changes (id {} PRIMARY KEY, {}, customer TEXT NOT NULL, path TEXT NOT NULL,
            tries TEXT NOT NULL, charged_minor {{int}} NOT NULL){{strict}}",
            key(sqlite),
            before_columns()
        ),
        // A view over two cannot be deleted from.
        format!(
            "CREATE VIEW report_deltas AS SELECT id, {0} FROM report_changes UNION ALL SELECT id, {0} FROM report_changes WHERE 1 = 0",
            before::columns()
        ),
        format!(
            "CREATE VIEW report_counted AS SELECT {places}, {measures}, {more} FROM cases c
            LEFT JOIN report_funnel j ON j.case_id = c.id WHERE c.reversal_of IS NULL"
        ),
        format!(
            "CREATE TABLE report_customers (kind TEXT NOT NULL, at TEXT NOT NULL, previous TEXT NOT NULL, length TEXT NOT NULL,
            connection TEXT NOT NULL, currency TEXT NOT NULL, customers {{int}} NOT NULL,
            PRIMARY KEY (length, at, previous, kind, connection, currency)){rowless}"
        ),
    ];
    for (table, keys, measures) in ROLLUPS {
        let named: Vec<String> = keys.split(", ").map(|key| format!("{key} TEXT NOT NULL")).collect();
        sql.push(format!(
            "CREATE TABLE {table} (dimension TEXT NOT NULL, day TEXT NOT NULL, value TEXT NOT NULL, {}, {},
            PRIMARY KEY (dimension, day, value, {keys})){rowless}",
            named.join(", "),
            before::listed(measures, |name| format!("{name} {{int}} NOT NULL"))
        ));
    }
    if !sqlite {
        sql.push(
            "ALTER TABLE report_changes SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0)"
                .to_owned(),
        );
    }
    sql
}

fn differs([old, new]: [&str; 2]) -> String {
    FUNNEL
        .map(|column| format!("{old}.{column} IS DISTINCT FROM {new}.{column}"))
        .join(" OR ")
}

/// Both sides of a case, each with the funnel that it has.
fn both(case: [&str; 2], funnel: [Option<&str>; 2], from: &str, sqlite: bool) -> String {
    format!(
        "INSERT INTO report_changes ({}) SELECT {} FROM {from} UNION ALL SELECT {} FROM {from}",
        columns(),
        counted(case[0], funnel[0], "-", sqlite),
        counted(case[1], funnel[1], "", sqlite)
    )
}

const OF_CASE: &str = "(SELECT 1 AS one) AS one LEFT JOIN report_funnel j ON j.case_id = NEW.id";
const OF_FUNNEL: &str = "cases c WHERE c.id = NEW.case_id AND c.reversal_of IS NULL";

fn sqlite_triggers() -> Vec<String> {
    let always = before::COUNTED.map(|column| format!("OLD.{column} IS NOT NEW.{column}"));
    let once =
        before::ONCE_CLOSED.map(|column| format!("(NEW.closed_at IS NOT NULL AND OLD.{column} <> NEW.{column})"));
    let changed = [always.join(" OR "), once.join(" OR ")].join(" OR ");
    let [made, changed_fate] = tries::sqlite();
    vec![
        format!(
            "CREATE TRIGGER cases_opened_change AFTER INSERT ON cases WHEN NEW.reversal_of IS NULL BEGIN
            INSERT INTO report_changes ({}) SELECT {} FROM {OF_CASE}; END",
            columns(),
            counted("NEW", Some("j"), "", true)
        ),
        format!(
            "CREATE TRIGGER cases_counted_change AFTER UPDATE OF {}, attempts, notifications ON cases
            WHEN NEW.reversal_of IS NULL AND ({changed}) BEGIN {}; END",
            before::COUNTED.join(", "),
            both(["OLD", "NEW"], [Some("j"); 2], OF_CASE, true)
        ),
        format!(
            "CREATE TRIGGER funnel_begun AFTER INSERT ON report_funnel BEGIN {}; END",
            both(["c", "c"], [None, Some("NEW")], OF_FUNNEL, true)
        ),
        format!(
            "CREATE TRIGGER funnel_changed AFTER UPDATE ON report_funnel WHEN {} BEGIN {}; END",
            differs(["OLD", "NEW"]),
            both(["c", "c"], [Some("OLD"), Some("NEW")], OF_FUNNEL, true)
        ),
        format!("CREATE TRIGGER attempts_tried AFTER INSERT ON attempts BEGIN {made}; END"),
        format!(
            "CREATE TRIGGER attempts_fate AFTER UPDATE OF status, amount_minor, started_at ON attempts WHEN {} BEGIN {changed_fate}; END",
            tries::settled(["OLD", "NEW"])
        ),
    ]
}

fn postgres_triggers() -> Vec<String> {
    let columns = columns();
    let [old, new] = ["OLD", "NEW"].map(|row| {
        let always = before::COUNTED.map(|column| format!("{row}.{column}"));
        let once =
            before::ONCE_CLOSED.map(|column| format!("CASE WHEN NEW.closed_at IS NULL THEN 0 ELSE {row}.{column} END"));
        [always.join(", "), once.join(", ")].join(", ")
    });
    let function = |name: &str, body: &str| {
        format!("CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $do$ BEGIN {body}; RETURN NULL; END $do$")
    };
    // The statements are long, and most write many rows: they are begun once for all of them.
    let begun = "fresh n JOIN cases c ON c.id = n.case_id WHERE c.reversal_of IS NULL";
    let moved = format!(
        "former o JOIN fresh n ON n.case_id = o.case_id JOIN cases c ON c.id = n.case_id WHERE c.reversal_of IS NULL AND ({})",
        differs(["o", "n"])
    );
    let [tried, fate] = tries::postgres();
    vec![
        function(
            "report_opened",
            &format!(
                "INSERT INTO report_changes ({columns}) SELECT {} FROM fresh c LEFT JOIN report_funnel j ON j.case_id = c.id
                WHERE c.reversal_of IS NULL",
                counted("c", Some("j"), "", false)
            ),
        ),
        "CREATE TRIGGER cases_opened_change AFTER INSERT ON cases REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT
        EXECUTE FUNCTION report_opened()"
            .to_owned(),
        function("report_changed", &both(["OLD", "NEW"], [Some("j"); 2], OF_CASE, false)),
        format!(
            "CREATE TRIGGER cases_counted_change AFTER UPDATE OF {}, attempts, notifications ON cases FOR EACH ROW
            WHEN (NEW.reversal_of IS NULL AND ({old}) IS DISTINCT FROM ({new})) EXECUTE FUNCTION report_changed()",
            before::COUNTED.join(", ")
        ),
        format!(
            "CREATE FUNCTION report_moved() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $do$ BEGIN
            IF TG_OP = 'INSERT' THEN {}; ELSE {}; END IF; RETURN NULL; END $do$",
            both(["c", "c"], [None, Some("n")], begun, false),
            both(["c", "c"], [Some("o"), Some("n")], &moved, false)
        ),
        "CREATE TRIGGER funnel_begun AFTER INSERT ON report_funnel REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT
        EXECUTE FUNCTION report_moved()"
            .to_owned(),
        "CREATE TRIGGER funnel_changed AFTER UPDATE ON report_funnel REFERENCING OLD TABLE AS former NEW TABLE AS fresh
        FOR EACH STATEMENT EXECUTE FUNCTION report_moved()"
            .to_owned(),
        tried,
        "CREATE TRIGGER attempts_tried AFTER INSERT ON attempts REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT
        EXECUTE FUNCTION report_tried()"
            .to_owned(),
        fate,
        "CREATE TRIGGER attempts_fate AFTER UPDATE ON attempts REFERENCING OLD TABLE AS former NEW TABLE AS fresh
        FOR EACH STATEMENT EXECUTE FUNCTION report_fate()"
            .to_owned(),
    ]
}
