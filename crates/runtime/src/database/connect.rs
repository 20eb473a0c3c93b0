//! Opens the connections of one SQLite file.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use super::{DataDir, DatabaseError, Inner};

/// Readers of one file; they never block the writer in WAL mode.
const READERS: u32 = 4;
/// How long to wait for a connection, or for a lock that a foreign tool holds.
const PATIENCE: Duration = Duration::from_secs(30);

/// Opens `path`, creating it if it is not there.
pub(super) async fn open(path: &Path, data_dir: Arc<DataDir>) -> Result<Inner, DatabaseError> {
    let options = SqliteConnectOptions::new().filename(path).busy_timeout(PATIENCE).foreign_keys(true);
    let writing = options
        .clone()
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let writer = pool(1, writing).await?;
    let readers = pool(READERS, options.read_only(true)).await?;
    Ok(Inner { writer, readers, data_dir })
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
