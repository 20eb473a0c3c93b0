//! Why sources do not become a dataset.

use gristmill_jobs::JobError;
use gristmill_types::{ErrorCode, FieldViolation};

/// What ends an ingestion; every message says what was wrong, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum IngestionError {
    /// The spec does not say what its contract asks for.
    #[error("{}: {}", .0.field, .0.description)]
    Spec(FieldViolation),
    /// Sources, SQL or joins.
    #[error(transparent)]
    Frame(#[from] gristmill_frame::Error),
    /// The data is not what the expected schema says.
    #[error(
        "{count} anomalies against the expected schema, the first: {first}; correct the data or the schema, or set `refuse_anomalies: never`"
    )]
    Anomalies {
        /// How many are severe enough to refuse.
        count: usize,
        /// The first of them.
        first: String,
    },
    /// A document cannot be written.
    #[error("the {0} cannot be written as JSON")]
    Document(&'static str, #[source] serde_json::Error),
}

impl IngestionError {
    /// A field and what is wrong with it.
    pub fn spec(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self::Spec(FieldViolation { field: field.into(), description: description.into() })
    }

    /// The stable reason, listed in the README.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Spec(_) => "INVALID_SPEC",
            Self::Frame(error) => error.reason(),
            Self::Anomalies { .. } => "SCHEMA_ANOMALIES",
            Self::Document(..) => "DOCUMENT",
        }
    }

    /// The class of the error.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Spec(_) => ErrorCode::InvalidArgument,
            Self::Frame(error) => error.code(),
            Self::Anomalies { .. } => ErrorCode::FailedPrecondition,
            Self::Document(..) => ErrorCode::Internal,
        }
    }
}

impl From<gristmill_proto::ConvertError> for IngestionError {
    fn from(error: gristmill_proto::ConvertError) -> Self {
        Self::spec(error.field, error.message)
    }
}

impl From<IngestionError> for JobError {
    fn from(error: IngestionError) -> Self {
        let (reason, message, code) = (error.reason(), error.to_string(), error.code());
        // Another attempt may find a free disk, and a child that the system killed may live.
        let passing = matches!(
            &error,
            IngestionError::Frame(gristmill_frame::Error::Write { .. } | gristmill_frame::Error::Child { .. })
        );
        let base = if passing { Self::transient(reason, message) } else { Self::permanent(reason, message) };
        base.code(code).caused_by(error)
    }
}
