//! How a command ends: as every program does, or as a job says.

use gristmill_proto::job::JobError;
pub use gristmill_stage::{Exit, Failure};

/// Reason of an ingestion whose data does not fit the expected schema.
pub const ANOMALIES: &str = "SCHEMA_ANOMALIES";

/// A job that ended without a result. Data that does not fit its schema is a refusal, not a failure.
pub fn job(what: &str, error: Option<&JobError>) -> Failure {
    let Some(error) = error else { return Failure::failed(format!("{what} ended without a result")) };
    let exit = if error.reason == ANOMALIES { Exit::Refused } else { Exit::Failed };
    Failure { exit, message: format!("{what}: {} ({})", error.message, error.reason) }
}
