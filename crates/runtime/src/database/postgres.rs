//! A PostgreSQL database: pools, transactions and rows.
//!
//! Transactions are READ COMMITTED and take the locks they need (`{lock}`, `{free}`, [`super::Tx::lock`]).
//! Nothing waits for ever: the server bounds statements and locks, this side bounds the answer, so that
//! a connection into nowhere is dropped instead of waited for.

mod listen;
mod rows;

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use gristmill_types::Secret;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, Executor as _, PgPool, Postgres};

use super::sql::Dialect;
use super::value::{Row, Value};
use super::{DatabaseError, Schema, Sql};

pub use listen::{Heard, Listener};

/// What this side waits beyond what the server allows a statement.
const GRACE: Duration = Duration::from_secs(5);
/// How long the statements of a migration may take, and how long others wait for them.
const MIGRATION: Duration = Duration::from_secs(3_600);
/// Oldest server whose SQL we speak.
const OLDEST: i64 = 130_000;

/// How to reach a PostgreSQL database, and how patient to be with it.
#[derive(Debug, Clone)]
pub struct PostgresConfig {
    /// `postgres://user:password@host:port/database`, with `sslmode`, `sslrootcert` and the like as its
    /// parameters.
    pub url: Secret,
    /// Connections for transactions.
    pub writers: u32,
    /// Connections for reading outside transactions.
    pub readers: u32,
    /// How long to wait for a free or new connection.
    pub acquire: Duration,
    /// How long a statement may wait for rows that another transaction holds.
    pub lock: Duration,
    /// How long a statement may run; those of migrations as long as they take.
    pub statement: Duration,
    /// Who brings the tables up to date.
    pub migrations: Migrations,
}

/// Who brings the tables of a database up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Migrations {
    /// Every process that opens them and is newer.
    Apply,
    /// Somebody else, such as a job of the deployment: wait for it so long, then give up.
    Await(Duration),
}

/// The connections of one process.
pub(super) struct Server {
    options: PgConnectOptions,
    writers: PgPool,
    readers: PgPool,
    /// What this side waits for an answer.
    patience: Duration,
    pub(super) migrations: Migrations,
    condemned: Arc<Condemned>,
}

/// Connections older than a moment are not used again: the server they lead to only reads, or nowhere.
#[derive(Debug)]
struct Condemned {
    start: Instant,
    /// Microseconds after `start`; negative when none is condemned.
    at: AtomicI64,
}

/// A transaction, and the connection that it has to itself.
pub(super) struct Transaction {
    /// None once it has ended.
    connection: Option<PoolConnection<Postgres>>,
    patience: Duration,
    condemned: Arc<Condemned>,
    /// The connection cannot be used again.
    broken: bool,
    /// A statement failed: the server undoes the transaction, and would answer a commit all the same.
    failed: bool,
}

impl PostgresConfig {
    /// Twelve connections; 10 s for a connection and for a lock, 30 s for a statement.
    pub fn new(url: Secret) -> Self {
        Self {
            url,
            writers: 8,
            readers: 4,
            acquire: Duration::from_secs(10),
            lock: Duration::from_secs(10),
            statement: Duration::from_secs(30),
            migrations: Migrations::Apply,
        }
    }

    fn options(&self) -> Result<PgConnectOptions, DatabaseError> {
        // What is wrong with the URL is not repeated: a password may be in it.
        let options = PgConnectOptions::from_str(self.url.expose()).map_err(|_| DatabaseError::Url)?;
        let named = options.get_application_name().is_some();
        let options = if named { options } else { options.application_name("gristmill") };
        let millis = |limit: Duration| limit.as_millis().to_string();
        Ok(options.options([
            ("lock_timeout", millis(self.lock)),
            ("statement_timeout", millis(self.statement)),
            // A process that was stopped in a transaction does not hold its locks for ever.
            ("idle_in_transaction_session_timeout", millis(self.statement.saturating_mul(2))),
            // Nor does a host that is gone.
            ("tcp_keepalives_idle", "15".to_owned()),
            ("tcp_keepalives_interval", "5".to_owned()),
            ("tcp_keepalives_count", "3".to_owned()),
            ("synchronous_commit", "on".to_owned()),
            // Compiling a short statement takes a hundred times as long as running it (measured: 50 ms).
            ("jit", "off".to_owned()),
            // A queue fills faster than its statistics are renewed: what was planned for ten rows must do
            // for a hundred thousand. Every statement of ours has an index to go by.
            ("enable_seqscan", "off".to_owned()),
            ("enable_bitmapscan", "off".to_owned()),
        ]))
    }
}

impl Server {
    pub(super) async fn connect(config: &PostgresConfig) -> Result<Self, DatabaseError> {
        let options = config.options()?;
        // One connection by itself first: a pool answers "timed out" where this one knows why.
        let first = tokio::time::timeout(config.acquire, check(&options));
        first.await.map_err(|_| DatabaseError::unreachable())??;
        let condemned = Arc::new(Condemned { start: Instant::now(), at: AtomicI64::new(-1) });
        let pool = |size: u32| {
            let condemned = Arc::clone(&condemned);
            PgPoolOptions::new()
                .max_connections(size.max(1))
                .acquire_timeout(config.acquire)
                .idle_timeout(Duration::from_secs(600))
                .max_lifetime(Duration::from_secs(3_600))
                .test_before_acquire(false)
                .before_acquire(move |_, meta| {
                    let fine = !condemned.holds(meta.age);
                    Box::pin(async move { Ok(fine) })
                })
        };
        let reading = options.clone().options([("default_transaction_read_only", "on")]);
        Ok(Self {
            writers: pool(config.writers).connect_lazy_with(options.clone()),
            readers: pool(config.readers).connect_lazy_with(reading),
            options,
            patience: config.statement.saturating_add(GRACE),
            migrations: config.migrations,
            condemned,
        })
    }

    pub(super) async fn begin(&self) -> Result<Transaction, DatabaseError> {
        let connection = self.writers.acquire().await?;
        let mut tx = Transaction {
            connection: Some(connection),
            patience: self.patience,
            condemned: Arc::clone(&self.condemned),
            broken: false,
            failed: false,
        };
        // Not `read write`: a server that is told to read only is obeyed.
        tx.run("begin isolation level read committed").await?;
        Ok(tx)
    }

    pub(super) async fn fetch(&self, sql: &Sql, values: Vec<Value>) -> Result<Vec<Row>, DatabaseError> {
        let mut connection = self.readers.acquire().await?;
        let query = rows::bind(sql, values);
        let found = tokio::time::timeout(self.patience, query.fetch_all(&mut *connection)).await;
        let found = found.map_err(|_| DatabaseError::unreachable()).and_then(|found| Ok(found?));
        if let Err(error) = &found
            && self.condemned.judges(error)
        {
            connection.close_on_drop();
        }
        found?.iter().map(rows::read).collect()
    }

    pub(super) async fn listen(&self, schema: &Schema) -> Listener {
        Listener::start(self.options.clone(), self.writers.clone(), channel(schema))
    }

    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.writers.close().await;
    }
}

/// Why the server would not do, if so.
async fn check(options: &PgConnectOptions) -> Result<(), DatabaseError> {
    let mut connection = sqlx::PgConnection::connect_with(options).await?;
    let sql = Sql::from(
        "select current_setting('server_version_num')::bigint as version, \
         current_setting('server_encoding') as encoding",
    );
    let rows = rows::bind(&sql, vec![]).fetch_all(&mut connection).await?;
    let row = rows.first().map(rows::read).transpose()?;
    connection.close().await?;
    let Some(row) = row else { return Ok(()) };
    if row.get::<i64>("version")? < OLDEST {
        return Err(DatabaseError::Unsuitable("its server is older than PostgreSQL 13: use a newer one"));
    }
    if row.get::<String>("encoding")? != "UTF8" {
        return Err(DatabaseError::Unsuitable("its encoding is not UTF8: create it with `encoding 'UTF8'`"));
    }
    Ok(())
}

/// Where the processes that share a schema tell each other of changes.
fn channel(schema: &Schema) -> String {
    format!("gristmill_{}", schema.identifier())
}

impl Condemned {
    fn holds(&self, age: Duration) -> bool {
        let at = self.at.load(Ordering::SeqCst);
        let born = micros(self.start.elapsed()).saturating_sub(micros(age));
        at >= 0 && born <= at
    }

    /// Whether the error says that its connection is of no use; if the whole server is of none, the
    /// others are condemned too.
    fn judges(&self, error: &DatabaseError) -> bool {
        let useless = matches!(error, DatabaseError::Unreachable(_) | DatabaseError::ReadOnly(_));
        if useless {
            self.at.fetch_max(micros(self.start.elapsed()), Ordering::SeqCst);
        }
        useless
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

impl Transaction {
    fn connection(&mut self) -> Result<&mut PoolConnection<Postgres>, DatabaseError> {
        self.connection.as_mut().ok_or_else(DatabaseError::unreachable)
    }

    /// Waits for an answer, but not for ever, and takes note of what it says of the connection.
    async fn answer<T>(
        &mut self,
        call: impl AsyncFnOnce(&mut PoolConnection<Postgres>) -> Result<T, sqlx::Error>,
    ) -> Result<T, DatabaseError> {
        let patience = self.patience;
        let connection = self.connection()?;
        let answer = match tokio::time::timeout(patience, call(connection)).await {
            Ok(answer) => answer.map_err(DatabaseError::from),
            Err(_) => Err(DatabaseError::unreachable()),
        };
        if let Err(error) = &answer {
            self.broken |= self.condemned.judges(error);
            self.failed = true;
        }
        answer
    }

    async fn run(&mut self, sql: &'static str) -> Result<(), DatabaseError> {
        self.answer(async |connection| connection.execute(sqlx::raw_sql(sql)).await.map(drop)).await
    }

    pub(super) async fn execute(&mut self, sql: &Sql, values: Vec<Value>) -> Result<u64, DatabaseError> {
        let query = rows::bind(sql, values);
        let done = self.answer(async |connection| query.execute(&mut **connection).await).await?;
        Ok(done.rows_affected())
    }

    pub(super) async fn fetch(&mut self, sql: &Sql, values: Vec<Value>) -> Result<Vec<Row>, DatabaseError> {
        let query = rows::bind(sql, values);
        let found = self.answer(async |connection| query.fetch_all(&mut **connection).await).await?;
        found.iter().map(rows::read).collect()
    }

    /// Runs a script with the schema as its search path, so that tables and indexes go there by
    /// themselves.
    pub(super) async fn script(&mut self, sql: &Sql) -> Result<(), DatabaseError> {
        let Some(schema) = sql.schema() else {
            let script = sqlx::raw_sql(sql.safe(Dialect::Postgres));
            return self.answer(async |connection| connection.execute(script).await.map(drop)).await;
        };
        let path = Sql::from("select set_config('search_path', $1, true)");
        self.fetch(&path, vec![Value::Text(format!("\"{}\"", schema.identifier()))]).await?;
        let script = sqlx::raw_sql(sql.safe_in_path());
        self.answer(async |connection| connection.execute(script).await.map(drop)).await?;
        self.fetch(&Sql::from("select set_config('search_path', '', true)"), vec![]).await.map(drop)
    }

    /// Waits until no other transaction holds `name` of the schema; gives it back with its end.
    pub(super) async fn lock(&mut self, schema: &Schema, name: &str) -> Result<(), DatabaseError> {
        let sql = Sql::from("select pg_advisory_xact_lock(hashtextextended($1, 0))");
        let name = format!("gristmill {} {name}", schema.identifier());
        self.execute(&sql, vec![Value::Text(name)]).await.map(drop)
    }

    /// Tells everybody who listens, once this is committed.
    pub(super) async fn notify(&mut self, schema: &Schema, message: &str) -> Result<(), DatabaseError> {
        let sql = Sql::from("select pg_notify($1, $2)");
        let values = vec![Value::Text(channel(schema)), Value::Text(message.to_owned())];
        self.execute(&sql, values).await.map(drop)
    }

    /// Lets the rest of the transaction take its time: others are told to wait for it.
    pub(super) async fn unbound(&mut self) -> Result<(), DatabaseError> {
        self.patience = MIGRATION;
        let millis = MIGRATION.as_millis().to_string();
        let sql = Sql::from(
            "select set_config('statement_timeout', $1, true), set_config('lock_timeout', $1, true), \
             set_config('idle_in_transaction_session_timeout', $1, true)",
        );
        self.fetch(&sql, vec![Value::Text(millis)]).await.map(drop)
    }

    /// Whether the schema has a table. Asked before one is made: whoever may only use tables can do without.
    pub(super) async fn has_table(&mut self, schema: &Schema, table: &str) -> Result<bool, DatabaseError> {
        let sql = Sql::from("select 1 as found from pg_tables where schemaname = $1 and tablename = $2");
        let values = vec![Value::Text(schema.identifier()), Value::Text(table.to_owned())];
        Ok(!self.fetch(&sql, values).await?.is_empty())
    }

    /// Makes the schema, if it is not there: whoever may not make schemas may use one that is.
    pub(super) async fn schema(&mut self, schema: &Schema) -> Result<(), DatabaseError> {
        let known = Sql::from("select nspname from pg_namespace where nspname = $1");
        if self.fetch(&known, vec![Value::Text(schema.identifier())]).await?.is_empty() {
            let create = sqlx::raw_sql(sqlx::AssertSqlSafe(format!("create schema \"{}\"", schema.identifier())));
            self.answer(async |connection| connection.execute(create).await.map(drop)).await?;
        }
        Ok(())
    }

    pub(super) async fn commit(mut self) -> Result<(), DatabaseError> {
        if self.failed {
            let why = "a statement of the transaction had failed";
            return Err(DatabaseError::Other(sqlx::Error::Protocol(why.into())));
        }
        self.run("commit").await?;
        self.connection = None;
        Ok(())
    }

    pub(super) async fn rollback(mut self) -> Result<(), DatabaseError> {
        self.run("rollback").await?;
        self.connection = None;
        Ok(())
    }
}

impl Drop for Transaction {
    /// Rolls back what was not ended: by a statement, or by closing the connection where none gets through.
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        let runtime = tokio::runtime::Handle::try_current().ok().filter(|_| !self.broken);
        let Some(runtime) = runtime else {
            connection.close_on_drop();
            return;
        };
        let patience = self.patience;
        runtime.spawn(async move {
            let undo = tokio::time::timeout(patience, connection.execute(sqlx::raw_sql("rollback")));
            if !matches!(undo.await, Ok(Ok(_))) {
                connection.close_on_drop();
            }
        });
    }
}
