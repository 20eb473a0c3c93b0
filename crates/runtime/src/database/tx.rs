//! A writer's transaction.

use std::fmt;

use sqlx::Sqlite;

use super::sql::Dialect;
use super::value::{Row, Value};
use super::{DatabaseError, Schema, Sql, postgres, sqlite};

/// A transaction; rolls back when dropped without [`Tx::commit`]. On SQLite it is the only writer of the
/// file; on PostgreSQL it holds what it has changed, `{lock}`ed or [`Tx::lock`]ed, and after an error it
/// can only end.
pub struct Tx(Inner);

enum Inner {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(postgres::Transaction),
}

impl fmt::Debug for Tx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tx").field(&self.dialect()).finish()
    }
}

impl Tx {
    pub(super) fn sqlite(inner: sqlx::Transaction<'static, Sqlite>) -> Self {
        Self(Inner::Sqlite(inner))
    }

    pub(super) fn postgres(inner: postgres::Transaction) -> Self {
        Self(Inner::Postgres(inner))
    }

    /// Which SQL the database speaks.
    pub const fn dialect(&self) -> Dialect {
        match &self.0 {
            Inner::Sqlite(_) => Dialect::Sqlite,
            Inner::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Runs a statement; answers how many rows it changed.
    ///
    /// # Errors
    /// [`DatabaseError::Conflict`] for a duplicate key, or what the database says.
    pub async fn execute(&mut self, sql: &Sql, values: Vec<Value>) -> Result<u64, DatabaseError> {
        match &mut self.0 {
            Inner::Sqlite(tx) => Ok(sqlite::bind(sql, values).execute(&mut **tx).await?.rows_affected()),
            Inner::Postgres(tx) => tx.execute(sql, values).await,
        }
    }

    /// Runs a statement and reads its rows (a query, or `RETURNING`).
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub async fn fetch(&mut self, sql: &Sql, values: Vec<Value>) -> Result<Vec<Row>, DatabaseError> {
        match &mut self.0 {
            Inner::Sqlite(tx) => {
                let rows = sqlite::bind(sql, values).fetch_all(&mut **tx).await?;
                rows.iter().map(sqlite::read).collect()
            }
            Inner::Postgres(tx) => tx.fetch(sql, values).await,
        }
    }

    /// Runs a statement and reads its first row, if it has one.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub async fn fetch_optional(&mut self, sql: &Sql, values: Vec<Value>) -> Result<Option<Row>, DatabaseError> {
        // All rows are taken: leaving a statement half-read would keep it open in the transaction.
        Ok(self.fetch(sql, values).await?.into_iter().next())
    }

    /// Runs program text with several statements and no values.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub async fn execute_script(&mut self, sql: &Sql) -> Result<(), DatabaseError> {
        match &mut self.0 {
            Inner::Sqlite(tx) => {
                sqlx::raw_sql(sql.safe(Dialect::Sqlite)).execute(&mut **tx).await?;
                Ok(())
            }
            Inner::Postgres(tx) => tx.script(sql).await,
        }
    }

    /// Waits until no other transaction holds `name` among the names of the schema, and holds it to the
    /// end: for a decision that rests on rows which may not be there yet. SQLite's writer is alone
    /// already.
    ///
    /// # Errors
    /// [`DatabaseError::Busy`] when it is held for too long, or what the database says.
    pub async fn lock(&mut self, schema: &Schema, name: &str) -> Result<(), DatabaseError> {
        match &mut self.0 {
            Inner::Sqlite(_) => Ok(()),
            Inner::Postgres(tx) => tx.lock(schema, name).await,
        }
    }

    /// Tells the listeners of the schema once this is committed ([`super::Database::listen`]); at most
    /// 8,000 bytes. On SQLite there is nobody else.
    ///
    /// # Errors
    /// What the database says.
    pub async fn notify(&mut self, schema: &Schema, message: &str) -> Result<(), DatabaseError> {
        match &mut self.0 {
            Inner::Sqlite(_) => Ok(()),
            Inner::Postgres(tx) => tx.notify(schema, message).await,
        }
    }

    /// Lets the rest of the transaction take its time.
    pub(super) async fn unbound(&mut self) -> Result<(), DatabaseError> {
        match &mut self.0 {
            Inner::Sqlite(_) => Ok(()),
            Inner::Postgres(tx) => tx.unbound().await,
        }
    }

    /// Whether the schema has a table.
    pub(super) async fn has_table(&mut self, schema: &Schema, table: &str) -> Result<bool, DatabaseError> {
        match &mut self.0 {
            Inner::Sqlite(_) => {
                let name = format!("{}_{table}", schema.identifier());
                let sql = Sql::from("select 1 as found from sqlite_master where type = 'table' and name = $1");
                Ok(!self.fetch(&sql, vec![Value::Text(name)]).await?.is_empty())
            }
            Inner::Postgres(tx) => tx.has_table(schema, table).await,
        }
    }

    /// Makes the place of the schema's tables.
    pub(super) async fn create_schema(&mut self, schema: &Schema) -> Result<(), DatabaseError> {
        match &mut self.0 {
            Inner::Sqlite(_) => Ok(()),
            Inner::Postgres(tx) => tx.schema(schema).await,
        }
    }

    /// Makes everything durable. After an error the outcome is unknown: read it again.
    ///
    /// # Errors
    /// What the database says.
    pub async fn commit(self) -> Result<(), DatabaseError> {
        match self.0 {
            Inner::Sqlite(tx) => Ok(tx.commit().await?),
            Inner::Postgres(tx) => tx.commit().await,
        }
    }

    /// Undoes everything.
    ///
    /// # Errors
    /// What the database says.
    pub async fn rollback(self) -> Result<(), DatabaseError> {
        match self.0 {
            Inner::Sqlite(tx) => Ok(tx.rollback().await?),
            Inner::Postgres(tx) => tx.rollback().await,
        }
    }
}
