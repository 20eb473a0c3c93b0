//! Why a study gives no model.

use gristmill_jobs::JobError;
use gristmill_learn::LearnError;
use gristmill_types::ErrorCode;

/// What ends a study or a trial; every message says what was wrong, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum TrainingError {
    /// The spec contradicts itself or the contract.
    #[error("{field}: {message}")]
    Spec {
        /// Path of the field.
        field: String,
        /// What was wrong and what to write.
        message: String,
    },
    /// Learners or parameters do not fit the task.
    #[error("the study does not fit the data: {0}")]
    Study(LearnError),
    /// Prepared data cannot be read.
    #[error("the prepared data's `{part}` cannot be used, prepare the data again: {reason}")]
    Input {
        /// Which part.
        part: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A learner cannot learn from the data.
    #[error("{0}")]
    Trial(String),
    /// A trial broke down.
    #[error("trial {number} broke down: {message}")]
    TrialError {
        /// The trial.
        number: u32,
        /// What it said.
        message: String,
    },
    /// No trial succeeded.
    #[error("no trial gave a model: {0}")]
    NoModel(String),
    /// The winner does not become a model.
    #[error("the winner cannot be finished: {0}")]
    Finish(LearnError),
    /// The attempt was told to stop.
    #[error("the attempt was told to stop")]
    Interrupted,
}

impl TrainingError {
    /// A field and what is wrong with it.
    pub fn spec(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Spec { field: field.into(), message: message.into() }
    }

    pub(crate) fn input(part: &'static str, reason: impl std::fmt::Display) -> Self {
        Self::Input { part, reason: reason.to_string() }
    }

    /// The stable reason.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Spec { .. } => "INVALID_SPEC",
            Self::Study(_) => "INVALID_STUDY",
            Self::Input { .. } => "INPUT_DAMAGED",
            Self::Trial(_) => "TRIAL_FAILED",
            Self::TrialError { .. } => "TRIAL_ERROR",
            Self::NoModel(_) => "NO_MODEL",
            Self::Finish(_) => "NOT_FINISHED",
            Self::Interrupted => "INTERRUPTED",
        }
    }
}

impl From<TrainingError> for JobError {
    fn from(error: TrainingError) -> Self {
        if matches!(error, TrainingError::Interrupted) {
            return Self::interrupted();
        }
        let code = match error {
            TrainingError::Input { .. } => ErrorCode::DataLoss,
            TrainingError::Trial(_) | TrainingError::NoModel(_) | TrainingError::Finish(_) => {
                ErrorCode::FailedPrecondition
            }
            TrainingError::TrialError { .. } => ErrorCode::Internal,
            _ => ErrorCode::InvalidArgument,
        };
        Self::permanent(error.reason(), error.to_string()).code(code).caused_by(error)
    }
}
