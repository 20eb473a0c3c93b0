//! One SQLite file: a writer that everybody in the process shares, and readers.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::query::Query;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{Column as _, Row as _, Sqlite, SqlitePool, TypeInfo as _, ValueRef as _};

use super::sql::Dialect;
use super::value::{Kind, Row, Value};
use super::{DataDir, DatabaseError, Sql};

/// Readers of one file; they never block the writer in WAL mode.
const READERS: u32 = 4;
/// How long to wait for a connection, or for a lock that a foreign tool holds.
const PATIENCE: Duration = Duration::from_secs(30);

/// The connections of one file.
pub(super) struct File {
    pub(super) writer: SqlitePool,
    pub(super) readers: SqlitePool,
    /// Keeps the lock as long as anybody can write.
    pub(super) data_dir: Arc<DataDir>,
}

/// Opens `path`, creating it if it is not there.
pub(super) async fn open(path: &Path, data_dir: Arc<DataDir>) -> Result<File, DatabaseError> {
    let options = SqliteConnectOptions::new().filename(path).busy_timeout(PATIENCE).foreign_keys(true);
    let writing = options
        .clone()
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let writer = pool(1, writing).await?;
    let readers = pool(READERS, options.read_only(true)).await?;
    Ok(File { writer, readers, data_dir })
}

async fn pool(size: u32, options: SqliteConnectOptions) -> Result<SqlitePool, DatabaseError> {
    Ok(SqlitePoolOptions::new()
        .max_connections(size)
        .acquire_timeout(PATIENCE)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_with(options)
        .await?)
}

pub(super) fn bind(sql: &Sql, values: Vec<Value>) -> Query<'static, Sqlite, SqliteArguments> {
    values.into_iter().fold(sqlx::query(sql.safe(Dialect::Sqlite)), |query, value| match value {
        // SQLite's nulls have no type.
        Value::Null(_) => query.bind(None::<i64>),
        Value::Int(value) => query.bind(value),
        Value::Float(value) => query.bind(value),
        Value::Text(value) => query.bind(value),
        Value::Bytes(value) => query.bind(value),
    })
}

pub(super) fn read(row: &SqliteRow) -> Result<Row, DatabaseError> {
    let names = row.columns().iter().map(|column| column.name().to_owned()).collect();
    let values = (0..row.columns().len()).map(|at| read_value(row, at)).collect::<Result<_, _>>()?;
    Ok(Row::new(names, values))
}

fn read_value(row: &SqliteRow, at: usize) -> Result<Value, DatabaseError> {
    let raw = row.try_get_raw(at)?;
    if raw.is_null() {
        // A null that was read is never bound again, so its type does not matter.
        return Ok(Value::Null(Kind::Text));
    }
    let info = raw.type_info();
    Ok(match info.name() {
        "TEXT" => Value::Text(row.try_get_unchecked(at)?),
        "BLOB" => Value::Bytes(row.try_get_unchecked(at)?),
        "REAL" => Value::Float(row.try_get_unchecked(at)?),
        _ => Value::Int(row.try_get_unchecked(at)?),
    })
}
