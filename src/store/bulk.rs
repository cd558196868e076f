//! Many rows in one statement, the same for every number of rows, so that it is prepared once. To PostgreSQL they travel as
//! one array for each column, ready for use; to SQLite, which knows no arrays, as one JSON text. Both take a NULL anywhere.

use std::collections::HashSet;

use sea_orm::{ConnectionTrait, QueryResult, Statement, Value};
use serde::Serialize;

use super::row::to_json;
use super::{Dialect, StoreError, Tx};
use crate::domain::ids::CaseId;
use arrays::{NO_INT, NO_TEXT, arrays};

mod arrays;

/// What a column holds.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Text,
    Int,
}

/// The columns that a statement reads of its rows.
pub(super) type Column = (&'static str, Kind);

impl Tx {
    /// The rows that a statement gets, as a table of the name `new`.
    pub(super) fn new_rows(&self, columns: &[Column]) -> String {
        match self.dialect() {
            Dialect::Postgres => {
                let arrays: Vec<String> = (1..)
                    .zip(columns)
                    .map(|(nth, (_, kind))| match kind {
                        Kind::Text => format!("${nth}::text[]"),
                        Kind::Int => format!("${nth}::bigint[]"),
                    })
                    .collect();
                let values = listed(columns, |(name, kind)| match kind {
                    Kind::Text => format!("NULLIF(sent.\"{name}\", '{NO_TEXT}') AS \"{name}\""),
                    Kind::Int => format!("NULLIF(sent.\"{name}\", {NO_INT}) AS \"{name}\""),
                });
                let (arrays, names) = (arrays.join(", "), names(columns));
                format!("(SELECT {values} FROM UNNEST({arrays}) AS sent ({names})) AS new")
            }
            Dialect::Sqlite => {
                let columns = listed(columns, |(name, _)| format!("value ->> '{name}' AS \"{name}\""));
                format!("(SELECT {columns} FROM json_each($1)) AS new")
            }
        }
    }

    /// Runs a statement over the columns of the rows; says how many rows it wrote. Without rows there is nothing to do.
    pub(super) async fn write_rows<R: Serialize>(
        &self,
        sql: &str,
        columns: &[Column],
        rows: &[R],
    ) -> Result<u64, StoreError> {
        if rows.is_empty() {
            return Ok(0);
        }
        let statement = self.over_rows(sql, columns, rows)?;
        Ok(self.conn().execute_raw(statement).await?.rows_affected())
    }

    /// Runs a statement over the columns of the rows that returns an id for each row it wrote.
    pub(super) async fn write_rows_returning<R: Serialize, I: From<String> + Eq + std::hash::Hash>(
        &self,
        sql: &str,
        columns: &[Column],
        rows: &[R],
    ) -> Result<HashSet<I>, StoreError> {
        let rows = self.read_rows(sql, columns, rows).await?;
        ids(&rows)
    }

    /// Runs a statement over rows that belong to `cases` and that it names by `within`; says how many it wrote.
    pub(super) async fn write_rows_of<R: Serialize>(
        &self,
        sql: &str,
        columns: &[Column],
        rows: &[R],
        cases: &[&CaseId],
    ) -> Result<u64, StoreError> {
        let Some(statement) = self.over_rows_of(sql, columns, rows, cases)? else {
            return Ok(0);
        };
        Ok(self.conn().execute_raw(statement).await?.rows_affected())
    }

    /// The same for a statement that returns an id for each row it wrote.
    pub(super) async fn write_rows_of_returning<R: Serialize, I: From<String> + Eq + std::hash::Hash>(
        &self,
        sql: &str,
        columns: &[Column],
        rows: &[R],
        cases: &[&CaseId],
    ) -> Result<HashSet<I>, StoreError> {
        match self.over_rows_of(sql, columns, rows, cases)? {
            Some(statement) => ids(&self.conn().query_all_raw(statement).await?),
            None => Ok(HashSet::new()),
        }
    }

    fn over_rows_of<R: Serialize>(
        &self,
        sql: &str,
        columns: &[Column],
        rows: &[R],
        cases: &[&CaseId],
    ) -> Result<Option<Statement>, StoreError> {
        let (Some(first), Some(last)) = (cases.iter().min(), cases.iter().max()) else {
            return Ok(None);
        };
        let mut values = self.row_values(columns, rows)?;
        if self.dialect() == Dialect::Postgres {
            values.extend([first.as_str().into(), last.as_str().into()]);
        }
        Ok(Some(Statement::from_sql_and_values(
            self.dialect().backend(),
            sql,
            values,
        )))
    }

    /// The condition that a row belongs to one of the cases that a statement over `columns` is for. It says nothing new;
    /// PostgreSQL needs it before it runs the statement, to leave the partitions of other months alone.
    pub(super) fn within(&self, table: &str, columns: &[Column]) -> String {
        match self.dialect() {
            Dialect::Postgres => format!(
                "{table}.case_id BETWEEN ${} AND ${}",
                columns.len() + 1,
                columns.len() + 2
            ),
            Dialect::Sqlite => "TRUE".to_owned(),
        }
    }

    /// Runs a statement over the columns of the rows that returns rows.
    pub(super) async fn read_rows<R: Serialize>(
        &self,
        sql: &str,
        columns: &[Column],
        rows: &[R],
    ) -> Result<Vec<QueryResult>, StoreError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.conn().query_all_raw(self.over_rows(sql, columns, rows)?).await?)
    }

    fn over_rows<R: Serialize>(&self, sql: &str, columns: &[Column], rows: &[R]) -> Result<Statement, StoreError> {
        let values = self.row_values(columns, rows)?;
        Ok(Statement::from_sql_and_values(self.dialect().backend(), sql, values))
    }

    fn row_values<R: Serialize>(&self, columns: &[Column], rows: &[R]) -> Result<Vec<Value>, StoreError> {
        Ok(match self.dialect() {
            Dialect::Postgres => arrays(columns, rows)?,
            Dialect::Sqlite => vec![to_json(&rows)?.into()],
        })
    }
}

/// The ids that a statement returned.
fn ids<I: From<String> + Eq + std::hash::Hash>(rows: &[QueryResult]) -> Result<HashSet<I>, StoreError> {
    let mut ids = HashSet::with_capacity(rows.len());
    for row in rows {
        ids.insert(row.try_get_by_index::<String>(0)?.into());
    }
    Ok(ids)
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
