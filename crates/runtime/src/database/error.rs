//! What a database can refuse, without the statement or the path in the message.

use gristmill_types::ErrorCode;

use super::Holder;

/// Why the database did not do what was asked. Messages are safe for a remote caller; the source is
/// for the log.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// Another process holds the data directory.
    #[error("{}", held(holder.as_ref()))]
    Held {
        /// That process, if it has announced itself.
        holder: Option<Holder>,
    },
    /// The data directory cannot be used.
    #[error("the data directory cannot be opened: check that it exists on a local disk and belongs to this user")]
    DataDir {
        /// What the system said.
        source: std::io::Error,
    },
    /// Locked, or the line of writers did not move.
    #[error("the database is busy: try again")]
    Busy(#[source] sqlx::Error),
    /// No space.
    #[error("the disk of the database is full: free space and try again")]
    Full(#[source] sqlx::Error),
    /// The file is not what was written.
    #[error("the database file is damaged: restore it from a backup")]
    Damaged(#[source] sqlx::Error),
    /// A row with that key exists.
    #[error("a row with that key exists already")]
    Conflict(#[source] sqlx::Error),
    /// A stored value has another type or is missing.
    #[error("column `{column}` does not hold {expected}")]
    Value {
        /// The column.
        column: String,
        /// What was to be there.
        expected: &'static str,
    },
    /// Written by a newer version.
    #[error("the tables of `{stage}` are at version {found}, this program knows up to {known}: use a newer program")]
    NewerSchema {
        /// Whose tables.
        stage: String,
        /// Version in the file.
        found: i64,
        /// Newest version in this binary.
        known: i64,
    },
    /// Applied migrations never change.
    #[error("migration {version} of `{stage}` is not the one that was applied: use the program that created the data")]
    ChangedMigration {
        /// Whose tables.
        stage: String,
        /// Which one.
        version: i64,
    },
    /// Anything else.
    #[error("the database failed")]
    Other(#[source] sqlx::Error),
}

fn held(holder: Option<&Holder>) -> String {
    match holder {
        Some(Holder { pid, endpoint: Some(endpoint) }) => {
            format!("the data directory is in use by the server at {endpoint} (process {pid})")
        }
        Some(Holder { pid, endpoint: None }) => {
            format!("the data directory is in use by process {pid}: wait until it ends, or choose another directory")
        }
        None => "the data directory is in use by another process: wait until it ends, or choose another".into(),
    }
}

impl DatabaseError {
    /// Whether the same call may succeed later.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Busy(_) | Self::Full(_))
    }

    /// The class of the error.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Held { .. } | Self::NewerSchema { .. } | Self::ChangedMigration { .. } => {
                ErrorCode::FailedPrecondition
            }
            Self::DataDir { .. } | Self::Busy(_) => ErrorCode::Unavailable,
            Self::Full(_) => ErrorCode::ResourceExhausted,
            Self::Damaged(_) => ErrorCode::DataLoss,
            Self::Conflict(_) => ErrorCode::AlreadyExists,
            Self::Value { .. } | Self::Other(_) => ErrorCode::Internal,
        }
    }
}

impl From<sqlx::Error> for DatabaseError {
    fn from(error: sqlx::Error) -> Self {
        if matches!(error, sqlx::Error::PoolTimedOut) {
            return Self::Busy(error);
        }
        let Some(database) = error.as_database_error() else { return Self::Other(error) };
        if database.is_unique_violation() {
            return Self::Conflict(error);
        }
        // The low byte of an extended result code is the primary code (sqlite.org/rescode.html).
        match database.code().and_then(|code| code.parse::<i32>().ok()).map(|code| code & 0xff) {
            Some(5 | 6) => Self::Busy(error),
            Some(13) => Self::Full(error),
            Some(11 | 26) => Self::Damaged(error),
            _ => Self::Other(error),
        }
    }
}
