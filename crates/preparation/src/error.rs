//! Why data can't be prepared.

use gristmill_jobs::JobError;
use gristmill_learn::LearnError;

use crate::split::SplitError;

/// What ends a preparation; every message says what was wrong, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum PreparationError {
    /// The spec contradicts itself or the contract.
    #[error("{field}: {message}")]
    Spec {
        /// Path of the field.
        field: String,
        /// What was wrong and what to write.
        message: String,
    },
    /// The target is not in the dataset.
    #[error("target: the dataset has no column `{name}`; it has {available}")]
    NoTarget {
        /// What was asked for.
        name: String,
        /// Columns there are.
        available: String,
    },
    /// No row has a target.
    #[error("target: `{0}` is null in every row: there is nothing to learn from")]
    NullTarget(String),
    /// A class is missing from a split.
    #[error("{0}")]
    OneClass(String),
    /// The split can't be made.
    #[error(transparent)]
    Split(#[from] SplitError),
    /// Recipe or transform can't be made.
    #[error(transparent)]
    Learn(#[from] LearnError),
    /// Rows can't be read or written.
    #[error(transparent)]
    Frame(#[from] gristmill_frame::Error),
    /// An artifact's document can't be read.
    #[error("the dataset's `{part}` cannot be read: ingest the data again")]
    Document {
        /// Which part.
        part: &'static str,
        /// How it is broken.
        source: serde_json::Error,
    },
    /// Columns that don't make a table.
    #[error(transparent)]
    Columns(#[from] gristmill_types::ColumnsError),
}

impl PreparationError {
    /// A field and what is wrong with it.
    pub fn spec(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Spec { field: field.into(), message: message.into() }
    }

    /// The stable reason, listed in the README.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Spec { .. } => "INVALID_SPEC",
            Self::NoTarget { .. } => "TARGET_MISSING",
            Self::NullTarget(_) => "TARGET_NULL",
            Self::OneClass(_) => "ONE_CLASS",
            Self::Split(_) => "INVALID_SPLIT",
            Self::Learn(LearnError::Target { .. }) => "TARGET_UNUSABLE",
            Self::Learn(_) => "INVALID_RECIPE",
            Self::Frame(_) => "ROWS_UNREADABLE",
            Self::Document { .. } => "DATASET_UNREADABLE",
            Self::Columns(_) => "INVALID_COLUMNS",
        }
    }
}

impl From<PreparationError> for JobError {
    fn from(error: PreparationError) -> Self {
        Self::permanent(error.reason(), error.to_string()).caused_by(error)
    }
}
