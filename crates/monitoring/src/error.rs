//! Why live rows cannot be judged.

use gristmill_jobs::JobError;
use gristmill_model::ModelError;

/// What ends a monitoring job; every message says what was wrong, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum MonitoringError {
    /// The spec contradicts the contract.
    #[error("{field}: {message}")]
    Spec {
        /// Path of the field.
        field: String,
        /// What was wrong and what to write.
        message: String,
    },
    /// The baseline is not what the model was trained on.
    #[error(
        "baseline: the model was trained on prepared split {expected}, not on {given}: leave the baseline out, or name that split"
    )]
    Baseline {
        /// The digest that the model names.
        expected: String,
        /// The digest in the spec.
        given: String,
    },
    /// The model names no training split and the spec names none.
    #[error("baseline: the model does not name its training split: name the prepared split it was trained on")]
    NoBaseline,
    /// The model's bytes are not a model.
    #[error("the model cannot be read: {0}")]
    Model(#[source] ModelError),
    /// Rows cannot be read.
    #[error(transparent)]
    Frame(#[from] gristmill_frame::Error),
    /// Tables that cannot be put together.
    #[error("rows: column `{column}` is {one} in one artifact and {other} in another: monitor them apart")]
    RowsDiffer {
        /// Name.
        column: String,
        /// Type in the first.
        one: String,
        /// Type in a later one.
        other: String,
    },
    /// Columns that do not make a table.
    #[error(transparent)]
    Columns(#[from] gristmill_types::ColumnsError),
    /// Neither inputs nor predictions.
    #[error(
        "rows: none of the model's inputs and no column `prediction` is among the columns ({0}): give rows as the model reads or writes them"
    )]
    Nothing(String),
    /// The training rows do not fit the model that was trained on them.
    #[error("the baseline does not fit the model: {0}")]
    Reference(#[source] ModelError),
    /// A document that cannot be written.
    #[error("the findings cannot be written")]
    Write(#[from] serde_json::Error),
}

impl MonitoringError {
    /// A field and what is wrong with it.
    pub fn spec(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Spec { field: field.into(), message: message.into() }
    }

    /// The stable reason, listed in the README.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Spec { .. } | Self::NoBaseline => "INVALID_SPEC",
            Self::Baseline { .. } | Self::Reference(_) => "BASELINE_MISMATCH",
            Self::Model(_) => "MODEL_UNREADABLE",
            Self::Frame(_) => "ROWS_UNREADABLE",
            Self::RowsDiffer { .. } | Self::Columns(_) => "ROWS_DIFFER",
            Self::Nothing(_) => "NOTHING_TO_COMPARE",
            Self::Write(_) => "INTERNAL",
        }
    }
}

impl From<MonitoringError> for JobError {
    fn from(error: MonitoringError) -> Self {
        Self::permanent(error.reason(), error.to_string()).caused_by(error)
    }
}
