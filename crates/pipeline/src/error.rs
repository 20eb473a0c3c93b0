//! What the stage refuses.

use gristmill_jobs::{JobError, LedgerError};
use gristmill_rpc::error::Problem;
use gristmill_runtime::database::DatabaseError;
use gristmill_types::ErrorCode;

use crate::file::FileError;

/// Why a pipeline cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The file.
    #[error("{0}")]
    File(#[from] FileError),
    /// A file that the pipeline reads was not uploaded.
    #[error(
        "sources.{source_name}.path: `{path}` was not uploaded: upload it, or write `file:` and a path that the server allows"
    )]
    NotUploaded {
        /// The source.
        source_name: String,
        /// What it says.
        path: String,
    },
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The stage's own tables.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// A name of ours that is none: a defect.
    #[error(transparent)]
    Name(#[from] gristmill_types::NameError),
}

impl From<PipelineError> for Problem {
    fn from(error: PipelineError) -> Self {
        match error {
            PipelineError::File(file) => {
                let problem = Self::invalid("INVALID_PIPELINE", file.to_string()).with("line", file.line);
                problem.violation(format!("spec.pipeline.{}", file.path).trim_end_matches('.'), file.message)
            }
            PipelineError::NotUploaded { .. } => Self::invalid("NOT_UPLOADED", error.to_string()),
            PipelineError::Ledger(error) => gristmill_stage::ledger_problem(error),
            PipelineError::Database(error) if error.code() != ErrorCode::Internal => {
                Self::new(error.code(), "DATABASE", error.to_string())
            }
            other => Self::internal(&other),
        }
    }
}

impl From<PipelineError> for JobError {
    fn from(error: PipelineError) -> Self {
        match error {
            PipelineError::File(file) => Self::permanent("INVALID_PIPELINE", file.to_string()),
            PipelineError::NotUploaded { .. } => Self::permanent("NOT_UPLOADED", error.to_string()),
            PipelineError::Ledger(error) => error.into(),
            PipelineError::Database(error) => error.into(),
            PipelineError::Name(error) => Self::internal(error.to_string()),
        }
    }
}
