//! What a database can refuse, without the statement or the path in the message.

use gristmill_types::ErrorCode;
use sqlx::postgres::PgDatabaseError;

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
    /// The address of the database is no URL; it is not repeated, a password may be in it.
    #[error("the database's URL cannot be read: write postgres://user:password@host:port/database")]
    Url,
    /// The server does not let us in, or does not have the database.
    #[error("the database refuses this program: check user, password, database name and rights")]
    Refused(#[source] sqlx::Error),
    /// The connection cannot be secured as asked for.
    #[error("no secure connection to the database: check its certificate and `sslmode`, `sslrootcert` of the URL")]
    Insecure(#[source] sqlx::Error),
    /// We cannot work on that database.
    #[error("the database cannot be used, {0}")]
    Unsuitable(&'static str),
    /// No connection, or one that broke.
    #[error("the database cannot be reached: try again, and check that it runs and where it is")]
    Unreachable(#[source] sqlx::Error),
    /// It answers reads only, such as a standby.
    #[error("the database only answers reads now: try again, or lead this program to the primary server")]
    ReadOnly(#[source] sqlx::Error),
    /// Locked, or no connection became free.
    #[error("the database is busy or cannot be reached: try again")]
    Busy(#[source] sqlx::Error),
    /// Another transaction was in the way of this one, which did nothing.
    #[error("the database is busy with the same rows: try again")]
    Contended(#[source] sqlx::Error),
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
    /// Not brought up to date yet.
    #[error("the tables of `{stage}` are at version {found}, this program needs {known}: run `gristmill migrate`")]
    OlderSchema {
        /// Whose tables.
        stage: String,
        /// Version in the database.
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
        matches!(self, Self::Busy(_) | Self::Full(_) | Self::Contended(_) | Self::Unreachable(_) | Self::ReadOnly(_))
    }

    /// The class of the error.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Held { .. }
            | Self::NewerSchema { .. }
            | Self::OlderSchema { .. }
            | Self::ChangedMigration { .. }
            | Self::Url
            | Self::Refused(_)
            | Self::Insecure(_)
            | Self::Unsuitable(_) => ErrorCode::FailedPrecondition,
            Self::DataDir { .. } | Self::Busy(_) | Self::Contended(_) | Self::Unreachable(_) | Self::ReadOnly(_) => {
                ErrorCode::Unavailable
            }
            Self::Full(_) => ErrorCode::ResourceExhausted,
            Self::Damaged(_) => ErrorCode::DataLoss,
            Self::Conflict(_) => ErrorCode::AlreadyExists,
            Self::Value { .. } | Self::Other(_) => ErrorCode::Internal,
        }
    }
}

impl DatabaseError {
    /// No answer came in time.
    pub(super) fn unreachable() -> Self {
        Self::Unreachable(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))
    }

    /// What a code of PostgreSQL means to us (its appendix A, "PostgreSQL Error Codes").
    fn of_state(state: &str, error: sqlx::Error) -> Self {
        match state {
            "23505" => Self::Conflict(error),
            // Serialization failure, deadlock.
            "40001" | "40P01" => Self::Contended(error),
            // No connection left, lock not available, statement timeout, out of memory.
            "53300" | "55P03" | "57014" | "53200" => Self::Busy(error),
            "53100" => Self::Full(error),
            "25006" => Self::ReadOnly(error),
            // Shutting down, crashed, starting, closed after idling.
            "57P01" | "57P02" | "57P03" | "57P05" | "25P03" => Self::Unreachable(error),
            "3D000" | "3F000" | "42501" => Self::Refused(error),
            "XX001" | "XX002" => Self::Damaged(error),
            _ if state.starts_with("08") => Self::Unreachable(error),
            _ if state.starts_with("28") => Self::Refused(error),
            _ => Self::Other(error),
        }
    }

    /// What a result code of SQLite means to us.
    fn of_result(code: Option<i32>, error: sqlx::Error) -> Self {
        // The low byte of an extended result code is the primary code (sqlite.org/rescode.html).
        match code.map(|code| code & 0xff) {
            Some(5 | 6) => Self::Busy(error),
            Some(13) => Self::Full(error),
            Some(11 | 26) => Self::Damaged(error),
            _ => Self::Other(error),
        }
    }
}

impl From<sqlx::Error> for DatabaseError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::PoolTimedOut => return Self::Busy(error),
            sqlx::Error::Io(_) => return Self::Unreachable(error),
            sqlx::Error::Tls(_) => return Self::Insecure(error),
            _ => {}
        }
        let Some(database) = error.as_database_error() else { return Self::Other(error) };
        let code = database.code().map(|code| code.into_owned());
        if database.try_downcast_ref::<PgDatabaseError>().is_some() {
            return Self::of_state(&code.unwrap_or_default(), error);
        }
        if database.is_unique_violation() {
            return Self::Conflict(error);
        }
        Self::of_result(code.and_then(|code| code.parse().ok()), error)
    }
}
