//! Why a model can't be evaluated.

use gristmill_jobs::JobError;
use gristmill_model::ModelError;
use gristmill_stats::gate::GateError;
use gristmill_stats::interval::IntervalError;
use gristmill_stats::metric::MetricError;

/// What ends an evaluation; every message says what was wrong, where, and what to do.
///
/// A gate that refuses is not among them: that is a result.
#[derive(Debug, thiserror::Error)]
pub enum EvaluationError {
    /// The spec contradicts itself or the contract.
    #[error("{field}: {message}")]
    Spec {
        /// Path of the field.
        field: String,
        /// What was wrong and what to write.
        message: String,
    },
    /// The rules do not fit the model's task.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// The model's file can't be read, or it does not fit the test rows.
    #[error("the model cannot score the test rows: {0}")]
    Model(#[from] ModelError),
    /// The champion's file can't be read.
    #[error("the champion's file cannot be read: {0}")]
    Champion(ModelError),
    /// The test rows lack the target.
    #[error(
        "the test rows have no column `{0}`, which the model predicts: hand in the test split of the same preparation"
    )]
    NoTarget(String),
    /// No row has a usable target.
    #[error("`{0}` has no usable value in any test row: there is nothing to measure on")]
    NoTruth(String),
    /// A target is not a number.
    #[error("`{column}` is {found} in the test rows, but the model predicts a number")]
    Target {
        /// The column.
        column: String,
        /// Its type.
        found: String,
    },
    /// A label that the model does not know.
    #[error("{rows} test rows are `{label}` in `{column}`, which the model does not know: prepare and train again")]
    UnknownLabel {
        /// The column.
        column: String,
        /// The label.
        label: String,
        /// Rows with it.
        rows: usize,
    },
    /// A split without row keys.
    #[error(
        "a split has no column `_row_key`, so it cannot be told which rows a model has seen: prepare the data again"
    )]
    NoRowKey,
    /// The candidate has seen every test row.
    #[error("all {0} test rows are in the model's own training or validation data: hand in the test split")]
    NothingUnseen(usize),
    /// A number can't be measured.
    #[error(transparent)]
    Metric(#[from] MetricError),
    /// Intervals can't be made.
    #[error(transparent)]
    Interval(#[from] IntervalError),
    /// Rows can't be read.
    #[error(transparent)]
    Frame(#[from] gristmill_frame::Error),
    /// An artifact's document can't be read or written.
    #[error("`{part}` cannot be read or written: prepare the data again")]
    Document {
        /// Which part.
        part: &'static str,
        /// How it is broken.
        source: serde_json::Error,
    },
}

impl EvaluationError {
    /// A field and what is wrong with it.
    pub fn spec(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Spec { field: field.into(), message: message.into() }
    }

    /// The stable reason, listed in the README.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Spec { .. } => "INVALID_SPEC",
            Self::Gate(_) => "INVALID_GATE",
            Self::Model(_) => "MODEL_UNUSABLE",
            Self::Champion(_) => "CHAMPION_UNREADABLE",
            Self::NoTarget(_) | Self::NoTruth(_) | Self::Target { .. } => "TARGET_UNUSABLE",
            Self::UnknownLabel { .. } => "UNKNOWN_LABEL",
            Self::NoRowKey => "NO_ROW_KEY",
            Self::NothingUnseen(_) => "NOTHING_UNSEEN",
            Self::Metric(_) | Self::Interval(_) => "NOT_MEASURABLE",
            Self::Frame(_) => "ROWS_UNREADABLE",
            Self::Document { .. } => "DOCUMENT_UNREADABLE",
        }
    }
}

impl From<EvaluationError> for JobError {
    fn from(error: EvaluationError) -> Self {
        Self::permanent(error.reason(), error.to_string()).caused_by(error)
    }
}
