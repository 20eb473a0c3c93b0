//! The database of a process: SQLite in a file of its own, or PostgreSQL that several processes share.
//!
//! **SQLite** in WAL mode with `synchronous=FULL`: a transaction that was acknowledged survives power
//! loss. Every writer of a process shares one connection and starts with `BEGIN IMMEDIATE`, so
//! writers wait in one fair line instead of failing on each other's locks (one writer: p99 9 ms,
//! eight: 275 ms). The lock of [`DataDir`] keeps a second process away from the file.
//!
//! **PostgreSQL** with a pool of writers and one of readers, READ COMMITTED with the locks that a
//! statement names, and a schema per stage: stages share a database or have one each.
//!
//! Stages speak [`Sql`], [`Value`] and [`Row`] instead of a driver's types; where the two differ, a
//! mark in the statement says what is meant.

mod data_dir;
mod error;
mod migrate;
mod postgres;
mod sql;
mod sqlite;
#[cfg(test)]
mod tests;
mod tx;
mod value;

use std::sync::Arc;

use gristmill_types::{Clock, Micros};

pub use data_dir::{DataDir, Holder, free_bytes};
pub use error::DatabaseError;
pub use migrate::{Migration, TableVersion};
pub use postgres::{Heard, Listener, Migrations, PostgresConfig};
pub use sql::{Dialect, Schema, Sql};
pub use tx::Tx;
pub use value::{Bind, FromValue, Kind, Row, Value};

/// A handle on one database; clones share the connections.
#[derive(Clone)]
pub struct Database(Arc<Inner>);

enum Inner {
    Sqlite(sqlite::File),
    Postgres(Box<postgres::Server>),
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database")
            .field("dialect", &self.dialect())
            .field("data_dir", &self.data_dir().map(|dir| dir.path()))
            .finish_non_exhaustive()
    }
}

impl Database {
    /// Connects to PostgreSQL. (SQLite's files are opened by [`DataDir::database`].)
    ///
    /// # Errors
    /// [`DatabaseError::Url`], [`DatabaseError::Refused`], [`DatabaseError::Unreachable`] and
    /// [`DatabaseError::Unsuitable`]; none names the address or the password.
    pub async fn connect(config: &PostgresConfig) -> Result<Self, DatabaseError> {
        Ok(Self(Arc::new(Inner::Postgres(Box::new(postgres::Server::connect(config).await?)))))
    }

    /// Which SQL it speaks.
    pub fn dialect(&self) -> Dialect {
        match &*self.0 {
            Inner::Sqlite(_) => Dialect::Sqlite,
            Inner::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Whether other processes may use the same tables.
    pub fn is_shared(&self) -> bool {
        self.dialect() == Dialect::Postgres
    }

    /// Starts the transaction of a writer; on SQLite it waits in line for the others.
    ///
    /// # Errors
    /// [`DatabaseError::Busy`] when the line did not move, or what the database says.
    pub async fn begin(&self) -> Result<Tx, DatabaseError> {
        match &*self.0 {
            Inner::Sqlite(file) => Ok(Tx::sqlite(file.writer.begin_with("BEGIN IMMEDIATE").await?)),
            Inner::Postgres(server) => Ok(Tx::postgres(server.begin().await?)),
        }
    }

    /// Reads rows outside a transaction, from the latest committed state.
    ///
    /// # Errors
    /// What the database says.
    pub async fn fetch(&self, sql: &Sql, values: Vec<Value>) -> Result<Vec<Row>, DatabaseError> {
        match &*self.0 {
            Inner::Sqlite(file) => {
                let rows = sqlite::bind(sql, values).fetch_all(&file.readers).await?;
                rows.iter().map(sqlite::read).collect()
            }
            Inner::Postgres(server) => server.fetch(sql, values).await,
        }
    }

    /// Reads at most one row outside a transaction, from the latest committed state.
    ///
    /// # Errors
    /// What the database says.
    pub async fn fetch_optional(&self, sql: &Sql, values: Vec<Value>) -> Result<Option<Row>, DatabaseError> {
        match &*self.0 {
            Inner::Sqlite(file) => {
                let row = sqlite::bind(sql, values).fetch_optional(&file.readers).await?;
                row.as_ref().map(sqlite::read).transpose()
            }
            Inner::Postgres(server) => Ok(server.fetch(sql, values).await?.into_iter().next()),
        }
    }

    /// Hears what transactions of any process tell about a schema ([`Tx::notify`]); none where no other
    /// process can have something to tell.
    pub async fn listen(&self, schema: &Schema) -> Option<Listener> {
        match &*self.0 {
            Inner::Sqlite(_) => None,
            Inner::Postgres(server) => Some(server.listen(schema).await),
        }
    }

    /// How far `clock` is behind the clock that everybody who shares the database can ask, microseconds.
    /// Add it to `clock`: processes whose clocks differ then agree to within half a round trip.
    ///
    /// # Errors
    /// What the database says.
    pub async fn clock_offset(&self, clock: &dyn Clock) -> Result<Micros, DatabaseError> {
        if !self.is_shared() {
            return Ok(0);
        }
        // The moment of the call, not of the transaction's start.
        let sql = Sql::from("select (extract(epoch from clock_timestamp()) * 1000000)::bigint as now");
        let before = clock.now();
        let row = self.fetch_optional(&sql, vec![]).await?;
        let after = clock.now();
        let theirs: Micros = row.map(|row| row.get("now")).transpose()?.unwrap_or(after);
        Ok(theirs.saturating_sub(before.saturating_add(after.saturating_sub(before) / 2)))
    }

    /// Brings the tables of one stage up to date, each migration in its own transaction.
    ///
    /// # Errors
    /// [`DatabaseError::NewerSchema`] when a newer version of Gristmill wrote the tables,
    /// [`DatabaseError::OlderSchema`] when they are not up to date, and another process was to see to it,
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

    /// The data directory whose lock this handle keeps, if it has one.
    pub fn data_dir(&self) -> Option<&Arc<DataDir>> {
        match &*self.0 {
            Inner::Sqlite(file) => Some(&file.data_dir),
            Inner::Postgres(_) => None,
        }
    }

    /// Who brings the tables up to date.
    fn migrations(&self) -> Migrations {
        match &*self.0 {
            Inner::Sqlite(_) => Migrations::Apply,
            Inner::Postgres(server) => server.migrations,
        }
    }

    /// Closes the connections after the running statements; a later call on any clone fails.
    pub async fn close(&self) {
        match &*self.0 {
            Inner::Sqlite(file) => {
                file.readers.close().await;
                file.writer.close().await;
            }
            Inner::Postgres(server) => server.close().await,
        }
    }
}

/// Builds the values of a statement: `values![id, project, 3]`.
#[macro_export]
macro_rules! values {
    ($($value:expr),* $(,)?) => { vec![$($crate::database::Value::from($value)),*] };
}
