//! Errors of the ledger and the store, for callers and for jobs.

use gristmill_jobs::{JobError, LedgerError};
use gristmill_rpc::error::Problem;
use gristmill_store::StoreError;
use gristmill_types::ErrorCode;

/// A ledger's refusal as a caller gets it.
pub fn ledger_problem(error: LedgerError) -> Problem {
    if error.code() == ErrorCode::Internal {
        return Problem::internal(&error);
    }
    let reason = error.reason().to_owned();
    Problem::new(error.code(), reason, error.to_string())
}

/// A store's refusal as a caller gets it.
pub fn store_problem(error: StoreError) -> Problem {
    match error.code() {
        // Which stage was silent and why is all there is to say; the causes are in that stage's log.
        code @ ErrorCode::Unavailable if matches!(error, StoreError::RootsUnavailable { .. }) => {
            Problem::new(code, store_reason(&error), error.to_string())
        }
        ErrorCode::Internal | ErrorCode::Unavailable => {
            let message = error.to_string();
            let problem = Problem::internal(&error);
            Problem { code: error.code(), message: format!("{message} ({})", problem.message), ..problem }
        }
        code => Problem::new(code, store_reason(&error), error.to_string()),
    }
}

/// A store's refusal as it ends a job's attempt: what another attempt may get past is transient.
pub fn job_error(error: StoreError) -> JobError {
    let transient = matches!(error.code(), ErrorCode::Unavailable | ErrorCode::ResourceExhausted);
    let reason = store_reason(&error);
    let base = if transient {
        JobError::transient(reason, error.to_string())
    } else {
        JobError::permanent(reason, error.to_string())
    };
    base.code(error.code()).caused_by(error)
}

const fn store_reason(error: &StoreError) -> &'static str {
    match error {
        StoreError::NotFound { .. } => "ARTIFACT_NOT_FOUND",
        StoreError::WrongKind { .. } => "ARTIFACT_KIND",
        StoreError::DataLoss { .. } => "ARTIFACT_DAMAGED",
        StoreError::DiskFull { .. } => "DISK_FULL",
        StoreError::Pin { .. } => "LEASE_LOST",
        StoreError::RootsUnavailable { .. } => "ROOTS_UNAVAILABLE",
        StoreError::HolderNotAsked(_) => "HOLDER_NOT_ASKED",
        StoreError::HolderNotGone(_) => "HOLDER_NOT_GONE",
        _ => "ARTIFACT_STORE",
    }
}
