//! A writer's transaction.

use sqlx::{Sqlite, Transaction};

use super::value::{self, Row, Value};
use super::{DatabaseError, Sql};

/// A transaction that holds the write lock; rolls back when dropped without [`Tx::commit`].
#[derive(Debug)]
pub struct Tx(Transaction<'static, Sqlite>);

impl Tx {
    pub(super) fn new(inner: Transaction<'static, Sqlite>) -> Self {
        Self(inner)
    }

    /// Runs a statement; answers how many rows it changed.
    ///
    /// # Errors
    /// [`DatabaseError::Conflict`] for a duplicate key, or what the database says.
    pub async fn execute(&mut self, sql: &Sql, values: Vec<Value>) -> Result<u64, DatabaseError> {
        Ok(value::bind(sql, values).execute(&mut *self.0).await?.rows_affected())
    }

    /// Runs a statement and reads its rows (a query, or `RETURNING`).
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub async fn fetch(&mut self, sql: &Sql, values: Vec<Value>) -> Result<Vec<Row>, DatabaseError> {
        let rows = value::bind(sql, values).fetch_all(&mut *self.0).await?;
        rows.iter().map(Row::read).collect()
    }

    /// Runs a statement and reads its first row, if it has one.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub async fn fetch_optional(&mut self, sql: &Sql, values: Vec<Value>) -> Result<Option<Row>, DatabaseError> {
        // All rows are taken: leaving a statement half-read would keep it open in the transaction.
        let rows = value::bind(sql, values).fetch_all(&mut *self.0).await?;
        rows.first().map(Row::read).transpose()
    }

    /// Runs program text with several statements and no values.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub async fn execute_script(&mut self, sql: &Sql) -> Result<(), DatabaseError> {
        sqlx::raw_sql(sql.safe()).execute(&mut *self.0).await?;
        Ok(())
    }

    /// Makes everything durable. After an error the outcome is unknown: read it again.
    ///
    /// # Errors
    /// What the database says.
    pub async fn commit(self) -> Result<(), DatabaseError> {
        Ok(self.0.commit().await?)
    }

    /// Undoes everything.
    ///
    /// # Errors
    /// What the database says.
    pub async fn rollback(self) -> Result<(), DatabaseError> {
        Ok(self.0.rollback().await?)
    }
}
