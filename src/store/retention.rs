//! What is kept for how long, and the months in which it lies. PostgreSQL keeps bodies of events and histories of cases by
//! month and drops whole months; SQLite deletes a few rows at a time.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};
use sea_orm::{ConnectionTrait, QueryResult};

use super::{Dialect, Store, StoreError, settings};

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
        }
        Ok(gone)
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
