//! What is kept for how long, and the months in which it lies. PostgreSQL keeps bodies of events and histories of cases by
//! month and drops whole months; SQLite deletes a few rows at a time.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};
use sea_orm::{ConnectionTrait, QueryResult};

use super::letters::Drawer;
use super::{Dialect, Store, StoreError, settings};
use crate::domain::command::EntryKind;

/// How many months beyond the present one have their partitions.
const MONTHS_AHEAD: i32 = 2;
/// The tables that are kept by month, by the birth of the case or of the event.
const HISTORY: [&str; 3] = ["timeline", "attempts", "notifications"];
const BODIES: &str = "inbox_bodies";
/// Rows that one statement deletes, and statements of one turn.
const DELETED_AT_ONCE: i64 = 500;
const DELETES_MAX: usize = 40;
/// How long a drop waits for whoever uses the table; what comes after it waits with it.
const DROP_WAITS: &str = "SET LOCAL lock_timeout = 300";
/// Until which end of a case the lines of a timeline may go, for the guard of SQLite's table.
const CLOSED_BEFORE: &str = "retention:closed_before";

/// Up to which version posteriors were looked at by the last turn.
const POSTERIORS_SEEN: &str = "retention:posteriors_seen";
/// How many posteriors one turn looks at.
const POSTERIORS_AT_ONCE: i64 = 24;
/// A posterior is looked at once it has not been the newest for so long: nobody plans by it any more.
const SETTLED_MS: i64 = 24 * 3_600_000;
/// How long what shadows would have planned is kept.
const SHADOWS_DAYS: i64 = 90;
const FORGET_SHADOWS: &str = "DELETE FROM shadow_plans WHERE (case_id, shadow_version, at) IN \
                              (SELECT case_id, shadow_version, at FROM shadow_plans WHERE at < $1 LIMIT $2)";
const FORGET_SESSIONS: &str = "DELETE FROM sessions WHERE token_hash IN \
                               (SELECT token_hash FROM sessions WHERE expires_at < $1 LIMIT $2)";
/// By how much the clocks of two replicas may differ, at the very most.
const SKEW_MS: i64 = 3_600_000;

/// One month of one table, and the keys between which its rows lie.
struct Month {
    table: String,
    end: Timestamp,
    low: String,
    high: String,
}

impl Store {
    /// Makes the partitions of the present month and the next ones. Several replicas may do so at once.
    pub async fn make_months(&self, now: Timestamp) -> Result<(), StoreError> {
        if self.dialect == Dialect::Sqlite {
            return Ok(());
        }
        let known = "SELECT 1 WHERE to_regproc('make_month') IS NOT NULL";
        if self.query(known, []).await?.is_empty() {
            // The schema is older than this binary, and not to be brought up to date by it.
            return Ok(());
        }
        for ahead in 0..=MONTHS_AHEAD {
            let at = ahead_of(now, ahead).timestamp().as_millisecond();
            // One table at a time, so that nobody waits for one while another is locked.
            for table in HISTORY.iter().chain([&BODIES]) {
                self.query("SELECT make_month($1, $2)", [(*table).into(), at.into()])
                    .await?;
            }
        }
        Ok(())
    }

    /// Lets go of what was kept for long enough, a bounded part of it; says how many rows or months went.
    pub(super) async fn forget(&self, now: Timestamp) -> Result<u64, StoreError> {
        let mut gone = 0;
        if let Some(days) = self.retention.inbox_days {
            let cutoff = utc(now).saturating_sub(i64::from(days).days()).timestamp();
            gone += self.forget_events(cutoff).await?;
        }
        if let Some(months) = self.retention.closed_cases_months {
            let cutoff = utc(now).saturating_sub(i64::from(months).months()).timestamp();
            gone += match self.dialect {
                Dialect::Postgres => self.drop_history(cutoff).await?,
                Dialect::Sqlite => self.delete_history(cutoff).await?,
            };
            for table in Drawer::ALL.map(Drawer::table) {
                let sql =
                    format!("DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE ended_at < $1 LIMIT $2)");
                gone += self.delete(&sql, &cutoff.as_millisecond().into()).await?;
            }
        }
        gone += self.thin_posteriors(now).await?;
        let shadows = utc(now)
            .saturating_sub(SHADOWS_DAYS.days())
            .timestamp()
            .as_millisecond();
        gone += self.delete(FORGET_SHADOWS, &shadows.into()).await?;
        gone += self.delete(FORGET_SESSIONS, &now.as_millisecond().into()).await?;
        Ok(gone)
    }

    /// Lets go of posteriors that no stored decision names, a few at a time, from where the last turn came to; then from the
    /// first again, since histories that went may have been the last to name one. The newest stays in any case.
    async fn thin_posteriors(&self, now: Timestamp) -> Result<u64, StoreError> {
        let after = settings::get(self.conn(), POSTERIORS_SEEN).await?;
        let after: i64 = after.and_then(|text| text.parse().ok()).unwrap_or(0);
        let sql = "SELECT version, at FROM posteriors WHERE version > $1 ORDER BY version LIMIT $2";
        let rows = self.query(sql, [after.into(), (POSTERIORS_AT_ONCE + 1).into()]).await?;
        let pair = |row: &QueryResult| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?));
        let rows: Vec<(i64, i64)> = rows.iter().map(pair).collect::<Result<_, StoreError>>()?;
        let settled = now.as_millisecond().saturating_sub(SETTLED_MS);
        // One is followed by the next, at whose time it was the newest no more.
        let followed: Vec<(i64, i64, i64)> = rows
            .windows(2)
            .map(|two| (two[0].0, two[0].1, two[1].1))
            .take_while(|(_, _, until)| *until < settled)
            .collect();
        let (Some(first), Some(last)) = (followed.first(), followed.last()) else {
            if after > 0 {
                settings::set(self.conn(), POSTERIORS_SEEN, "0").await?;
            }
            return Ok(0);
        };
        let named = self
            .named(first.1.saturating_sub(SKEW_MS), last.2.saturating_add(SETTLED_MS))
            .await?;
        let mut gone = 0;
        for (version, ..) in followed.iter().filter(|(version, ..)| !named.contains(version)) {
            let _turn = self.turn().await?;
            let delete = self.statement("DELETE FROM posteriors WHERE version = $1", [(*version).into()]);
            gone += self.conn().execute_raw(delete).await?.rows_affected();
        }
        settings::set(self.conn(), POSTERIORS_SEEN, &last.0.to_string()).await?;
        Ok(gone)
    }

    /// The versions of posteriors that the decisions of that span of time name.
    async fn named(&self, from_ms: i64, to_ms: i64) -> Result<BTreeSet<i64>, StoreError> {
        let (sql, span): (_, [sea_orm::Value; 2]) = match self.dialect {
            Dialect::Sqlite => {
                let id = |at: i64| format!("tl_{:012x}", at.max(0));
                let sql = "SELECT DISTINCT json_extract(data, '$.inputs.version') AS version FROM timeline \
                           WHERE id >= $1 AND id < $2 AND kind = $3";
                (sql, [id(from_ms).into(), id(to_ms).into()])
            }
            Dialect::Postgres => {
                let sql = "SELECT DISTINCT CAST(CAST(data AS JSON) #>> '{inputs,version}' AS BIGINT) AS version \
                           FROM timeline WHERE at >= $1 AND at < $2 AND kind = $3";
                (sql, [from_ms.into(), to_ms.into()])
            }
        };
        let [from, to] = span;
        let rows = self.query(sql, [from, to, EntryKind::Planned.as_str().into()]).await?;
        let version = |row: &QueryResult| Ok(row.try_get_by_index::<Option<i64>>(0)?);
        let versions: Result<Vec<Option<i64>>, StoreError> = rows.iter().map(version).collect();
        Ok(versions?.into_iter().flatten().collect())
    }

    async fn forget_events(&self, cutoff: Timestamp) -> Result<u64, StoreError> {
        // Rows that were given up can be run again, so they stay.
        let sql = "DELETE FROM inbox WHERE id IN (SELECT id FROM inbox WHERE id < $1 AND status IN ('processed', 'ignored') \
                   ORDER BY id LIMIT $2)";
        let bound = format!("inb_{}", hex_of(cutoff));
        let mut gone = self.delete(sql, &bound.into()).await?;
        if self.dialect == Dialect::Postgres {
            for month in self.months(BODIES, "inb_").await? {
                let sql = "SELECT 1 FROM inbox WHERE id >= $1 AND id < $2 LIMIT 1";
                if month.end <= cutoff && self.is_empty(sql, &month, None).await? {
                    gone += self.drop_month(&month).await?;
                }
            }
        }
        Ok(gone)
    }

    /// Drops the months of which every case has been closed since before the cutoff.
    async fn drop_history(&self, cutoff: Timestamp) -> Result<u64, StoreError> {
        let mut gone = 0;
        for table in HISTORY {
            for month in self.months(table, "case_").await? {
                let sql =
                    "SELECT 1 FROM cases WHERE id >= $1 AND id < $2 AND (closed_at IS NULL OR closed_at >= $3) LIMIT 1";
                if month.end <= cutoff && self.is_empty(sql, &month, Some(cutoff)).await? {
                    gone += self.drop_month(&month).await?;
                }
            }
        }
        Ok(gone)
    }

    async fn delete_history(&self, cutoff: Timestamp) -> Result<u64, StoreError> {
        settings::set(self.conn(), CLOSED_BEFORE, &cutoff.as_millisecond().to_string()).await?;
        let mut gone = 0;
        for table in HISTORY {
            let sql = format!(
                "DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE case_id IN (SELECT id FROM cases \
                 WHERE closed_at < $1) LIMIT $2)"
            );
            gone += self.delete(&sql, &cutoff.as_millisecond().into()).await?;
        }
        Ok(gone)
    }

    /// Deletes a few rows at a time, until none is left or the turn is over.
    async fn delete(&self, sql: &str, bound: &sea_orm::Value) -> Result<u64, StoreError> {
        let mut gone = 0;
        for _ in 0..DELETES_MAX {
            let _turn = self.turn().await?;
            let statement = self.statement(sql, [bound.clone(), DELETED_AT_ONCE.into()]);
            let deleted = self.conn().execute_raw(statement).await?.rows_affected();
            gone += deleted;
            if deleted < DELETED_AT_ONCE.unsigned_abs() {
                break;
            }
        }
        Ok(gone)
    }

    /// The months of a table, oldest first.
    async fn months(&self, table: &str, prefix: &str) -> Result<Vec<Month>, StoreError> {
        let sql = "SELECT CAST(part.relname AS TEXT) FROM pg_inherits JOIN pg_class part ON part.oid = inhrelid \
                   WHERE inhparent = to_regclass($1) ORDER BY part.relname";
        let rows = self.query(sql, [table.into()]).await?;
        let name = |row: &QueryResult| Ok(row.try_get_by_index::<String>(0)?);
        let names: Result<Vec<String>, StoreError> = rows.iter().map(name).collect();
        let month = |name: String| {
            let (year, number) = name.strip_prefix(table)?.strip_prefix('_')?.split_once('_')?;
            let first = jiff::civil::date(year.parse().ok()?, number.parse().ok()?, 1);
            let first = first.to_zoned(TimeZone::UTC).ok()?;
            let end = first.checked_add(1.month()).ok()?.timestamp();
            Some(Month {
                low: format!("{prefix}{}", hex_of(first.timestamp())),
                high: format!("{prefix}{}", hex_of(end)),
                table: name,
                end,
            })
        };
        Ok(names?.into_iter().filter_map(month).collect())
    }

    /// Whether nothing of a month is in the way.
    async fn is_empty(&self, sql: &str, month: &Month, cutoff: Option<Timestamp>) -> Result<bool, StoreError> {
        let mut values = vec![month.low.as_str().into(), month.high.as_str().into()];
        values.extend(cutoff.map(|cutoff| cutoff.as_millisecond().into()));
        Ok(self.query_many(sql, values).await?.is_empty())
    }

    /// Drops a month, unless somebody uses its table right now: then the next turn does.
    async fn drop_month(&self, month: &Month) -> Result<u64, StoreError> {
        let tx = self.begin().await?;
        tx.conn().execute_unprepared(DROP_WAITS).await?;
        let dropped = tx
            .conn()
            .execute_unprepared(&format!("DROP TABLE {}", month.table))
            .await;
        match dropped.map_err(StoreError::from) {
            Ok(_) => {
                tx.commit().await?;
                tracing::info!(table = month.table, "a month was kept for long enough and is dropped");
                Ok(1)
            }
            Err(error) if error.is_transient() => Ok(0),
            Err(error) => Err(error),
        }
    }
}

fn utc(at: Timestamp) -> Zoned {
    at.to_zoned(TimeZone::UTC)
}

fn ahead_of(now: Timestamp, months: i32) -> Zoned {
    let first = utc(now).first_of_month().unwrap_or_else(|_| utc(now));
    first.saturating_add(months.months())
}

/// How an id begins that was born then.
fn hex_of(at: Timestamp) -> String {
    format!("{:012x}", at.as_millisecond().max(0))
}
