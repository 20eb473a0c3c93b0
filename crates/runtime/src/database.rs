//! The database of a process: one writer handle per file, a pool of readers, migrations per stage.
//!
//! SQLite in WAL mode with `synchronous=FULL`: a transaction that was acknowledged survives power
//! loss. Every writer of a process shares one connection and starts with `BEGIN IMMEDIATE`, so
//! writers wait in one fair line instead of failing on each other's locks (one writer: p99 9 ms,
//! eight: 275 ms). The lock of [`DataDir`] keeps a second process away from the file.
//!
//! Stages speak [`Sql`], [`Value`] and [`Row`] instead of a driver's types, so that another backend
//! is a change in this module alone: statements use `$1` and `RETURNING`.

mod connect;
mod data_dir;
mod error;
mod migrate;
mod sql;
#[cfg(test)]
mod tests;
mod tx;
mod value;

use std::sync::Arc;

use sqlx::SqlitePool;

pub use data_dir::{DataDir, Holder, free_bytes};
pub use error::DatabaseError;
pub use migrate::{Migration, TableVersion};
pub use sql::{Schema, Sql};
pub use tx::Tx;
pub use value::{FromValue, Row, Value};

/// A handle on one database file; clones share the connections.
#[derive(Clone)]
pub struct Database(Arc<Inner>);

struct Inner {
    writer: SqlitePool,
    readers: SqlitePool,
    /// Keeps the lock as long as anybody can write.
    data_dir: Arc<DataDir>,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("data_dir", &self.0.data_dir.path()).finish_non_exhaustive()
    }
}

impl Database {
    /// Starts the transaction of a writer; waits in line for the others.
    ///
    /// # Errors
    /// [`DatabaseError::Busy`] when the line did not move for 30 s, or what the database says.
    pub async fn begin(&self) -> Result<Tx, DatabaseError> {
        Ok(Tx::new(self.0.writer.begin_with("BEGIN IMMEDIATE").await?))
    }

    /// Reads rows outside a transaction, from the latest committed state.
    ///
    /// # Errors
    /// What the database says.
    pub async fn fetch(&self, sql: &Sql, values: Vec<Value>) -> Result<Vec<Row>, DatabaseError> {
        let rows = value::bind(sql, values).fetch_all(&self.0.readers).await?;
        rows.iter().map(Row::read).collect()
    }

    /// Reads at most one row outside a transaction, from the latest committed state.
    ///
    /// # Errors
    /// What the database says.
    pub async fn fetch_optional(&self, sql: &Sql, values: Vec<Value>) -> Result<Option<Row>, DatabaseError> {
        let row = value::bind(sql, values).fetch_optional(&self.0.readers).await?;
        row.as_ref().map(Row::read).transpose()
    }

    /// Brings the tables of one stage up to date, each migration in its own transaction.
    ///
    /// # Errors
    /// [`DatabaseError::NewerSchema`] when a newer version of Gristmill wrote the file,
    /// [`DatabaseError::ChangedMigration`] when an applied migration is not the one in this binary.
    pub async fn migrate(&self, schema: &Schema, migrations: &[Migration]) -> Result<(), DatabaseError> {
        migrate::run(self, schema, "stage", migrations).await
    }

    /// As [`Database::migrate`], for tables that another crate keeps in the stage's schema and counts
    /// apart, such as the job ledger's.
    ///
    /// # Errors
    /// As [`Database::migrate`].
    pub async fn migrate_part(
        &self,
        schema: &Schema,
        part: &'static str,
        migrations: &[Migration],
    ) -> Result<(), DatabaseError> {
        migrate::run(self, schema, part, migrations).await
    }

    /// How far the tables of every stage are, sorted by stage; a stage that was never opened has none.
    ///
    /// # Errors
    /// What the database says.
    pub async fn table_versions(&self) -> Result<Vec<TableVersion>, DatabaseError> {
        migrate::versions(self).await
    }

    /// The data directory whose lock this handle keeps.
    pub fn data_dir(&self) -> &Arc<DataDir> {
        &self.0.data_dir
    }

    /// Closes the connections after the running statements; a later call on any clone fails.
    pub async fn close(&self) {
        self.0.readers.close().await;
        self.0.writer.close().await;
    }
}

/// Builds the values of a statement: `values![id, project, 3]`.
#[macro_export]
macro_rules! values {
    ($($value:expr),* $(,)?) => { vec![$($crate::database::Value::from($value)),*] };
}
