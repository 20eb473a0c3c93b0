//! What ends an attempt, and what the ledger refuses.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use gristmill_runtime::database::DatabaseError;
use gristmill_types::{ErrorCode, JobId, JobState};

/// Why an attempt ended without a result. Stored with the job and shown to the caller: `message`
/// says what was wrong, where, and what to do, and leaks no path, SQL or secret.
#[derive(Debug, Clone)]
pub struct JobError {
    /// Class of the error.
    pub code: ErrorCode,
    /// Stable reason, listed in the stage's README, such as `TARGET_MISSING`.
    pub reason: String,
    /// For people.
    pub message: String,
    /// Whether the same job may succeed when tried again.
    pub transient: bool,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl JobError {
    /// The job can never succeed as it is.
    pub fn permanent(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: ErrorCode::InvalidArgument,
            reason: reason.into(),
            message: message.into(),
            transient: false,
            source: None,
        }
    }

    /// A later attempt may succeed.
    pub fn transient(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: ErrorCode::Unavailable, transient: true, ..Self::permanent(reason, message) }
    }

    /// A defect of ours.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::permanent("INTERNAL", message).code(ErrorCode::Internal)
    }

    /// The attempt was told to stop.
    pub fn interrupted() -> Self {
        Self::permanent("INTERRUPTED", "the attempt was told to stop").code(ErrorCode::Cancelled)
    }

    /// The same error in another class.
    #[must_use]
    pub fn code(self, code: ErrorCode) -> Self {
        Self { code, ..self }
    }

    /// The same error with its cause, for the log.
    #[must_use]
    pub fn caused_by(self, source: impl StdError + Send + Sync + 'static) -> Self {
        Self { source: Some(Arc::new(source)), ..self }
    }

    /// What the database said, if that is what went wrong.
    pub(crate) fn database(&self) -> Option<&DatabaseError> {
        let mut cause = self.source();
        while let Some(error) = cause {
            if let Some(found) = error.downcast_ref::<DatabaseError>() {
                return Some(found);
            }
            cause = error.source();
        }
        None
    }

    /// Whether the attempt ended because it was told to.
    pub fn is_interrupted(&self) -> bool {
        self.code == ErrorCode::Cancelled
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for JobError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

impl PartialEq for JobError {
    /// Compares what is stored; the cause is not.
    fn eq(&self, other: &Self) -> bool {
        (self.code, &self.reason, &self.message, self.transient)
            == (other.code, &other.reason, &other.message, other.transient)
    }
}

impl From<DatabaseError> for JobError {
    fn from(error: DatabaseError) -> Self {
        let base = if error.is_transient() {
            Self::transient("DATABASE", error.to_string())
        } else {
            Self::permanent("DATABASE", error.to_string())
        };
        base.code(error.code()).caused_by(error)
    }
}

impl From<LedgerError> for JobError {
    fn from(error: LedgerError) -> Self {
        let base = if error.is_transient() {
            Self::transient(error.reason(), error.to_string())
        } else {
            Self::permanent(error.reason(), error.to_string())
        };
        base.code(error.code()).caused_by(error)
    }
}

/// What the ledger refuses, in words for the caller.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// No such job in that project.
    #[error("there is no job {id} in this project")]
    NotFound {
        /// What was asked for.
        id: JobId,
    },
    /// The same request id with another payload.
    #[error("request id `{request_id}` was used for another request: choose a new one")]
    RequestReused {
        /// The request id.
        request_id: String,
    },
    /// Too many jobs wait.
    #[error("{limit} jobs are waiting already: try again when some are done")]
    QueueFull {
        /// How many may wait.
        limit: u32,
    },
    /// A part of the submission is too large or out of range.
    #[error("{what} may have at most {limit} bytes, this has {found}")]
    TooLarge {
        /// Which part.
        what: &'static str,
        /// Bytes allowed.
        limit: usize,
        /// Bytes found.
        found: usize,
    },
    /// The parent job has ended or is being cancelled.
    #[error("job {parent} is no longer running: no job can be added to it")]
    ParentEnded {
        /// The parent.
        parent: JobId,
    },
    /// Another attempt owns the job, or it has ended.
    #[error("the lease of attempt {fence} at job {id} is lost: stop this attempt")]
    LeaseLost {
        /// The job.
        id: JobId,
        /// The attempt that asked.
        fence: i64,
    },
    /// The commit came after a cancellation was asked for.
    #[error("job {id} is cancelled")]
    Cancelled {
        /// The job.
        id: JobId,
    },
    /// The cancellation came after the end.
    #[error("job {id} has {state} already: it cannot be cancelled")]
    TooLate {
        /// The job.
        id: JobId,
        /// How it ended.
        state: JobState,
    },
    /// A page token that this ledger did not make.
    #[error("this page token is not one that an earlier page gave: start without one")]
    PageToken,
    /// Too many open watches.
    #[error("{limit} watches are open already: close some, or poll")]
    TooManyWatches {
        /// How many may be open.
        limit: usize,
    },
    /// Stage rows could not be written; nothing was committed.
    #[error("{0}")]
    Rows(JobError),
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The lease service did not answer as agreed.
    #[error("the lease service failed: {message}")]
    Remote {
        /// Its class.
        code: ErrorCode,
        /// Its words.
        message: String,
    },
}

impl LedgerError {
    /// The class of the error.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::NotFound { .. } => ErrorCode::NotFound,
            Self::RequestReused { .. } => ErrorCode::AlreadyExists,
            Self::QueueFull { .. } | Self::TooManyWatches { .. } => ErrorCode::ResourceExhausted,
            Self::TooLarge { .. } | Self::PageToken => ErrorCode::InvalidArgument,
            Self::ParentEnded { .. } | Self::LeaseLost { .. } | Self::TooLate { .. } => ErrorCode::FailedPrecondition,
            Self::Cancelled { .. } => ErrorCode::Cancelled,
            Self::Rows(error) => error.code,
            Self::Database(error) => error.code(),
            Self::Remote { code, .. } => *code,
        }
    }

    /// The stable reason.
    pub fn reason(&self) -> &str {
        match self {
            Self::NotFound { .. } => "JOB_NOT_FOUND",
            Self::RequestReused { .. } => "REQUEST_ID_REUSED",
            Self::QueueFull { .. } => "QUEUE_FULL",
            Self::TooLarge { .. } => "TOO_LARGE",
            Self::ParentEnded { .. } => "PARENT_ENDED",
            Self::LeaseLost { .. } => "LEASE_LOST",
            Self::Cancelled { .. } => "JOB_CANCELLED",
            Self::TooLate { .. } => "JOB_ENDED",
            Self::PageToken => "PAGE_TOKEN",
            Self::TooManyWatches { .. } => "TOO_MANY_WATCHES",
            Self::Rows(error) => &error.reason,
            Self::Database(_) => "DATABASE",
            Self::Remote { .. } => "LEASE_SERVICE",
        }
    }

    /// What the database said, if that is what went wrong, in the ledger's statements or in a stage's.
    pub(crate) fn database(&self) -> Option<&DatabaseError> {
        match self {
            Self::Database(error) => Some(error),
            Self::Rows(error) => error.database(),
            _ => None,
        }
    }

    /// Whether the same call may succeed later.
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::QueueFull { .. } | Self::TooManyWatches { .. } => true,
            Self::Rows(error) => error.transient,
            Self::Database(error) => error.is_transient(),
            Self::Remote { code, .. } => {
                matches!(code, ErrorCode::Unavailable | ErrorCode::DeadlineExceeded | ErrorCode::ResourceExhausted)
            }
            _ => false,
        }
    }
}
