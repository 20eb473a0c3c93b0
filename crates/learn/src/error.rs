//! What can go wrong while deciding, fitting and searching.

use thiserror::Error;

/// Why nothing was learned.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LearnError {
    /// The target column cannot be predicted as asked.
    #[error("target `{target}`: {reason}")]
    Target {
        /// The target column.
        target: String,
        /// What is wrong with it and what to do.
        reason: String,
    },
    /// An input column cannot be used as asked.
    #[error("column `{column}`: {reason}")]
    Column {
        /// The column.
        column: String,
        /// What is wrong with it and what to do.
        reason: String,
    },
    /// The recipe does not fit the rows.
    #[error("recipe: {0}")]
    Recipe(String),
    /// Bytes are not a matrix, or a matrix does not fit its use.
    #[error("matrix: {0}")]
    Matrix(String),
    /// A search space or a set of parameters is not usable.
    #[error("parameter `{parameter}` of {learner}: {reason}")]
    Parameter {
        /// The learner.
        learner: String,
        /// The parameter.
        parameter: String,
        /// What is wrong with it and what to write instead.
        reason: String,
    },
    /// A study cannot be composed as asked.
    #[error("study: {0}")]
    Study(String),
    /// A learner gave up on the data.
    #[error("{learner}: {reason}")]
    Fit {
        /// The learner.
        learner: String,
        /// What happened.
        reason: String,
    },
    /// The model interpreter refused what was fitted.
    #[error("the fitted model does not pass its own reader: {0}")]
    Model(String),
    /// The caller's hook asked to stop.
    #[error("cancelled")]
    Cancelled,
}

impl LearnError {
    pub(crate) fn target(target: &str, reason: impl Into<String>) -> Self {
        Self::Target { target: target.into(), reason: reason.into() }
    }

    pub(crate) fn column(column: &str, reason: impl Into<String>) -> Self {
        Self::Column { column: column.into(), reason: reason.into() }
    }

    pub(crate) fn fit(learner: &str, reason: impl std::fmt::Display) -> Self {
        Self::Fit { learner: learner.into(), reason: reason.to_string() }
    }
}
