//! What grows with every case is kept by month on PostgreSQL, so that old months go by dropping them: the bodies of
//! events, and the timeline, attempts and notifications of cases. SQLite keeps plain tables.
//!
//! A row of a case lies in the month in which its case was opened, which the id of the case carries. So every law of one
//! case holds within one partition. A charge belongs to one attempt of any case: `attempt_charges` holds that law, and a
//! trigger fills it, so that the binary before holds it too. An event is taken in once for ever, which no partition by
//! month can say: the row that says so stays in `inbox`, and only its body moves out. The binary before writes bodies
//! into `inbox` still, and leaves a row alone whose body is elsewhere.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.get_database_backend() == DbBackend::Sqlite {
            return crate::run(manager, &SQLITE_UP).await;
        }
        crate::run(manager, &[MAKE_MONTH]).await?;
        crate::run(manager, &BODIES_UP).await?;
        for table in TABLES {
            crate::run(manager, &[&to_months(table)]).await?;
        }
        crate::run(manager, &[MONTHS]).await?;
        for table in TABLES {
            crate::run(manager, &[&refill(table)]).await?;
        }
        crate::run(manager, &LAWS_UP).await?;
        crate::run(manager, &CHARGES_UP).await?;
        crate::run(manager, &BODIES_MOVE).await?;
        crate::run(manager, &VACUUM).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.get_database_backend() == DbBackend::Sqlite {
            return crate::run(manager, &SQLITE_DOWN).await;
        }
        crate::run(manager, &DOWN_BEFORE).await?;
        for table in TABLES {
            crate::run(manager, &[&to_plain(table), &refill(table)]).await?;
        }
        crate::run(manager, &LAWS_DOWN).await?;
        crate::run(manager, &DOWN_AFTER).await
    }
}

/// The tables of a case's history.
const TABLES: [&str; 3] = ["timeline", "attempts", "notifications"];

/// On SQLite a line of a timeline may go once its case has been closed for longer than the operator keeps it, which stands
/// in the settings; a charge has one attempt by its index.
const SQLITE_UP: [&str; 3] = [
    "CREATE VIEW attempt_charges AS SELECT connection, charge_id, id AS attempt_id FROM attempts
    WHERE charge_id IS NOT NULL",
    "DROP TRIGGER timeline_no_delete",
    "CREATE TRIGGER IF NOT EXISTS timeline_no_delete BEFORE DELETE ON timeline WHEN NOT EXISTS (SELECT 1 FROM settings
    JOIN cases ON cases.closed_at < CAST(settings.value AS INTEGER)
    WHERE settings.name = 'retention:closed_before' AND cases.id = OLD.case_id)
    BEGIN SELECT RAISE(ABORT, 'timeline is append-only'); END",
];

const SQLITE_DOWN: [&str; 3] = [
    "DROP VIEW attempt_charges",
    "DROP TRIGGER timeline_no_delete",
    "CREATE TRIGGER IF NOT EXISTS timeline_no_delete BEFORE DELETE ON timeline
    BEGIN SELECT RAISE(ABORT, 'timeline is append-only'); END",
];

/// Makes the partition of a month where it is missing. What lies in `_other` of that month stays there, and so does what
/// follows it.
const MAKE_MONTH: &str =
    "CREATE FUNCTION make_month(stem TEXT, at_ms BIGINT) RETURNS BOOLEAN LANGUAGE plpgsql AS $make$
DECLARE
    month TIMESTAMP := date_trunc('month', to_timestamp(at_ms / 1000.0) AT TIME ZONE 'UTC');
    part TEXT := stem || '_' || to_char(month, 'YYYY_MM');
    key TEXT := CASE stem WHEN 'inbox_bodies' THEN 'id' ELSE 'case_id' END;
    prefix TEXT := CASE stem WHEN 'inbox_bodies' THEN 'inb_' ELSE 'case_' END;
    low TEXT := prefix || lpad(to_hex((extract(epoch FROM month) * 1000)::bigint), 12, '0');
    high TEXT := prefix || lpad(to_hex((extract(epoch FROM month + interval '1 month') * 1000)::bigint), 12, '0');
    strays BOOLEAN;
BEGIN
    IF EXISTS (SELECT 1 FROM pg_class WHERE relname = part AND relnamespace = current_schema()::regnamespace) THEN
        RETURN FALSE;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('recoup months ' || current_schema(), 0));
    IF EXISTS (SELECT 1 FROM pg_class WHERE relname = part AND relnamespace = current_schema()::regnamespace) THEN
        RETURN FALSE;
    END IF;
    EXECUTE format('SELECT EXISTS (SELECT 1 FROM %I WHERE %I >= %L AND %I < %L)', stem || '_other', key, low, key, high)
        INTO strays;
    IF strays THEN RETURN FALSE; END IF;
    EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', part, stem, low, high);
    IF stem = 'timeline' THEN
        EXECUTE format('CREATE TRIGGER timeline_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON %I
            FOR EACH STATEMENT EXECUTE FUNCTION timeline_is_append_only()', part);
    ELSIF stem = 'notifications' THEN
        EXECUTE format('ALTER TABLE %I SET (autovacuum_vacuum_scale_factor = 0.02,
            autovacuum_analyze_scale_factor = 0.02)', part);
    END IF;
    RETURN TRUE;
END $make$";

const BODIES_UP: [&str; 4] = [
    "CREATE TABLE inbox_bodies (id TEXT NOT NULL, body BYTEA NOT NULL) PARTITION BY RANGE (id)",
    "DO $compress$ BEGIN
    IF EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = 'inbox'::regclass AND attname = 'body'
        AND attcompression = 'l') THEN ALTER TABLE inbox_bodies ALTER COLUMN body SET COMPRESSION lz4; END IF;
END $compress$",
    "CREATE TABLE inbox_bodies_other PARTITION OF inbox_bodies DEFAULT",
    "ALTER TABLE inbox ALTER COLUMN body DROP NOT NULL",
];

/// The months in which there is a case or an event, this month and the next two.
const MONTHS: &str = "DO $months$
DECLARE
    at BIGINT;
BEGIN
    FOR at IN
        SELECT DISTINCT (extract(epoch FROM date_trunc('month', to_timestamp(
            ('x' || substr(id, length(id) - 31, 12))::bit(48)::bigint / 1000.0) AT TIME ZONE 'UTC')) * 1000)::bigint
        FROM (SELECT id FROM cases UNION ALL SELECT id FROM inbox) AS known WHERE id ~ '^(case|inb)_[0-9a-f]{32}$'
        UNION
        SELECT (extract(epoch FROM date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => ahead)) * 1000)::bigint
        FROM generate_series(0, 2) AS ahead
    LOOP
        PERFORM make_month('inbox_bodies', at), make_month('timeline', at), make_month('attempts', at),
            make_month('notifications', at);
    END LOOP;
END $months$";

/// Takes the place of a table with one that is kept by month; its rows wait under another name.
fn to_months(table: &str) -> String {
    format!(
        "ALTER TABLE {table} RENAME TO {table}_before; \
         CREATE TABLE {table} (LIKE {table}_before INCLUDING DEFAULTS INCLUDING CONSTRAINTS) PARTITION BY RANGE (case_id); \
         CREATE TABLE {table}_other PARTITION OF {table} DEFAULT"
    )
}

fn to_plain(table: &str) -> String {
    format!(
        "ALTER TABLE {table} RENAME TO {table}_before; \
         CREATE TABLE {table} (LIKE {table}_before INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"
    )
}

fn refill(table: &str) -> String {
    format!("INSERT INTO {table} SELECT * FROM {table}_before; DROP TABLE {table}_before")
}

/// `attempts_charge` is what the binary before asks for a charge.
const LAWS_UP: [&str; 11] = [
    "ALTER TABLE timeline ADD PRIMARY KEY (case_id, seq), ADD FOREIGN KEY (case_id) REFERENCES cases (id)",
    "CREATE TRIGGER timeline_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON timeline
    FOR EACH STATEMENT EXECUTE FUNCTION timeline_is_append_only()",
    "CREATE TRIGGER timeline_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON timeline_other
    FOR EACH STATEMENT EXECUTE FUNCTION timeline_is_append_only()",
    "ALTER TABLE attempts ADD PRIMARY KEY (case_id, id), ADD FOREIGN KEY (case_id) REFERENCES cases (id)",
    "CREATE UNIQUE INDEX attempts_one_open_per_case ON attempts (case_id) WHERE status = 'open'",
    "CREATE INDEX attempts_charge ON attempts (connection, charge_id) WHERE charge_id IS NOT NULL",
    "ALTER TABLE notifications ADD PRIMARY KEY (case_id, id), ADD FOREIGN KEY (case_id) REFERENCES cases (id),
    ADD CONSTRAINT each_step_once UNIQUE (case_id, step)",
    "CREATE INDEX notifications_due ON notifications (next_at, id) WHERE status = 'pending'",
    "CREATE INDEX notifications_sending ON notifications (lease_until) WHERE status = 'sending'",
    "CREATE INDEX notifications_id ON notifications (id)",
    "ALTER TABLE inbox_bodies ADD PRIMARY KEY (id)",
];

/// An insert of a charge that is on record is passed over, as `ON CONFLICT DO NOTHING` did; a change to such a charge is
/// refused.
const CHARGES_UP: [&str; 4] = [
    "CREATE TABLE attempt_charges (
    connection TEXT NOT NULL,
    charge_id TEXT NOT NULL,
    attempt_id TEXT NOT NULL,
    PRIMARY KEY (connection, charge_id)
)",
    "INSERT INTO attempt_charges SELECT connection, charge_id, id FROM attempts WHERE charge_id IS NOT NULL",
    "CREATE FUNCTION attempt_of_charge() RETURNS trigger LANGUAGE plpgsql AS $charge$
DECLARE
    known TEXT;
BEGIN
    INSERT INTO attempt_charges VALUES (NEW.connection, NEW.charge_id, NEW.id) ON CONFLICT DO NOTHING;
    IF FOUND THEN RETURN NEW; END IF;
    SELECT attempt_id INTO known FROM attempt_charges
    WHERE connection = NEW.connection AND charge_id = NEW.charge_id;
    IF known = NEW.id THEN RETURN NEW; END IF;
    IF TG_OP = 'INSERT' THEN RETURN NULL; END IF;
    RAISE unique_violation USING MESSAGE = 'a charge has one attempt';
END $charge$",
    "CREATE TRIGGER attempts_charge_once BEFORE INSERT OR UPDATE OF charge_id ON attempts
    FOR EACH ROW WHEN (NEW.charge_id IS NOT NULL) EXECUTE FUNCTION attempt_of_charge()",
];

/// Pending events keep their bodies, for the binary before may be about to read them.
const BODIES_MOVE: [&str; 2] = [
    "INSERT INTO inbox_bodies SELECT id, body FROM inbox WHERE status <> 'pending'",
    "UPDATE inbox SET body = NULL WHERE status <> 'pending'",
];

/// Each row of these is written a few times soon after its birth, and claims look for it at the front of an index: a fifth
/// of the table, which is when PostgreSQL would clean up by itself, is millions of dead entries to step over.
const VACUUM: [&str; 3] = [
    "ALTER TABLE inbox SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02)",
    "ALTER TABLE cases SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02)",
    "ALTER TABLE due_cases SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0)",
];

const DOWN_BEFORE: [&str; 5] = [
    "DROP TRIGGER attempts_charge_once ON attempts",
    "DROP FUNCTION attempt_of_charge()",
    "DROP TABLE attempt_charges",
    "UPDATE inbox SET body = COALESCE((SELECT body FROM inbox_bodies WHERE inbox_bodies.id = inbox.id), '')
    WHERE body IS NULL",
    "ALTER TABLE inbox ALTER COLUMN body SET NOT NULL",
];

const LAWS_DOWN: [&str; 11] = [
    "ALTER TABLE timeline ADD PRIMARY KEY (id), ADD FOREIGN KEY (case_id) REFERENCES cases (id)",
    "CREATE UNIQUE INDEX timeline_case ON timeline (case_id, seq)",
    "CREATE TRIGGER timeline_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON timeline
    FOR EACH STATEMENT EXECUTE FUNCTION timeline_is_append_only()",
    "ALTER TABLE attempts ADD PRIMARY KEY (id), ADD FOREIGN KEY (case_id) REFERENCES cases (id)",
    "CREATE UNIQUE INDEX attempts_one_open_per_case ON attempts (case_id) WHERE status = 'open'",
    "CREATE UNIQUE INDEX attempts_charge ON attempts (connection, charge_id) WHERE charge_id IS NOT NULL",
    "CREATE INDEX attempts_case ON attempts (case_id, id)",
    "ALTER TABLE notifications ADD PRIMARY KEY (id), ADD FOREIGN KEY (case_id) REFERENCES cases (id),
    ADD CONSTRAINT each_step_once UNIQUE (case_id, step)",
    "CREATE INDEX notifications_due ON notifications (next_at, id) WHERE status = 'pending'",
    "CREATE INDEX notifications_sending ON notifications (lease_until) WHERE status = 'sending'",
    "CREATE INDEX notifications_case ON notifications (case_id, id)",
];

const DOWN_AFTER: [&str; 5] = [
    "DROP TABLE inbox_bodies",
    "DROP FUNCTION make_month(TEXT, BIGINT)",
    "ALTER TABLE inbox RESET (autovacuum_vacuum_scale_factor, autovacuum_analyze_scale_factor)",
    "ALTER TABLE cases RESET (autovacuum_vacuum_scale_factor, autovacuum_analyze_scale_factor)",
    "ALTER TABLE due_cases RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold,
    autovacuum_vacuum_cost_delay)",
];
