//! Many rows in one statement. They travel as one JSON text: so the statement is the same for every number of rows, is
//! prepared once, takes a NULL anywhere, and reads alike on both databases.

use std::collections::HashSet;

use sea_orm::{ConnectionTrait, Statement};
use serde::Serialize;

use super::row::to_json;
use super::{Dialect, StoreError, Tx};
use crate::domain::ids::CaseId;

/// What a column holds.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Text,
    Int,
}

/// The columns that a statement reads of its rows.
pub(super) type Column = (&'static str, Kind);

impl Tx {
    /// The rows that a statement gets as `$1`, as a table of the name `new`.
    pub(super) fn new_rows(&self, columns: &[Column]) -> String {
        match self.dialect() {
            Dialect::Postgres => {
                let columns = listed(columns, |(name, kind)| match kind {
                    Kind::Text => format!("\"{name}\" TEXT"),
                    Kind::Int => format!("\"{name}\" BIGINT"),
                });
                format!("json_to_recordset($1::json) AS new ({columns})")
            }
            Dialect::Sqlite => {
                let columns = listed(columns, |(name, _)| format!("value ->> '{name}' AS \"{name}\""));
                format!("(SELECT {columns} FROM json_each($1)) AS new")
            }
        }
    }

    /// Runs a statement over the rows; says how many rows it wrote. Without rows there is nothing to do.
    pub(super) async fn write_rows<R: Serialize>(&self, sql: &str, rows: &[R]) -> Result<u64, StoreError> {
        if rows.is_empty() {
            return Ok(0);
        }
        let statement = self.statement(sql, [to_json(&rows)?.into()]);
        Ok(self.conn().execute_raw(statement).await?.rows_affected())
    }

    /// Runs a statement over the rows that returns an id for each row it wrote.
    pub(super) async fn write_rows_returning<R: Serialize, I: From<String> + Eq + std::hash::Hash>(
        &self,
        sql: &str,
        rows: &[R],
    ) -> Result<HashSet<I>, StoreError> {
        if rows.is_empty() {
            return Ok(HashSet::new());
        }
        self.ids(self.statement(sql, [to_json(&rows)?.into()])).await
    }

    /// Runs a statement over rows that belong to `cases`; says how many rows it wrote. It gets the first and the last case as
    /// `$2` and `$3`, and names them by `within`.
    pub(super) async fn write_rows_of<R: Serialize>(
        &self,
        sql: &str,
        rows: &[R],
        cases: &[&CaseId],
    ) -> Result<u64, StoreError> {
        let Some(statement) = self.bounded(sql, rows, cases)? else {
            return Ok(0);
        };
        Ok(self.conn().execute_raw(statement).await?.rows_affected())
    }

    /// The same for a statement that returns an id for each row it wrote.
    pub(super) async fn write_rows_of_returning<R: Serialize, I: From<String> + Eq + std::hash::Hash>(
        &self,
        sql: &str,
        rows: &[R],
        cases: &[&CaseId],
    ) -> Result<HashSet<I>, StoreError> {
        match self.bounded(sql, rows, cases)? {
            Some(statement) => self.ids(statement).await,
            None => Ok(HashSet::new()),
        }
    }

    fn bounded<R: Serialize>(&self, sql: &str, rows: &[R], cases: &[&CaseId]) -> Result<Option<Statement>, StoreError> {
        let (Some(first), Some(last)) = (cases.iter().min(), cases.iter().max()) else {
            return Ok(None);
        };
        let values = [to_json(&rows)?.into(), first.as_str().into(), last.as_str().into()];
        Ok(Some(self.statement(sql, values)))
    }

    async fn ids<I: From<String> + Eq + std::hash::Hash>(
        &self,
        statement: Statement,
    ) -> Result<HashSet<I>, StoreError> {
        let mut ids = HashSet::new();
        for row in self.conn().query_all_raw(statement).await? {
            ids.insert(row.try_get_by_index::<String>(0)?.into());
        }
        Ok(ids)
    }
}

/// The condition that a row belongs to one of the cases. It says nothing new; the server needs it before it runs the
/// statement, to leave the partitions of other months alone.
pub(super) fn within(table: &str) -> String {
    format!("{table}.case_id BETWEEN $2 AND $3")
}

/// The names of columns, for the list of an INSERT.
pub(super) fn names(columns: &[Column]) -> String {
    listed(columns, |(name, _)| format!("\"{name}\""))
}

/// The same columns of the new rows, for the SELECT of an INSERT.
pub(super) fn values(columns: &[Column]) -> String {
    listed(columns, |(name, _)| format!("new.\"{name}\""))
}

/// Sets the columns to those of the new rows.
pub(super) fn assignments(columns: &[Column]) -> String {
    listed(columns, |(name, _)| format!("\"{name}\" = new.\"{name}\""))
}

fn listed(columns: &[Column], each: impl Fn(&Column) -> String) -> String {
    columns.iter().map(each).collect::<Vec<_>>().join(", ")
}
