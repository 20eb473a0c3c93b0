//! What can go wrong when a model is read or applied.

use gristmill_types::{DigestError, ErrorCode};

/// Why a model cannot be read or applied.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ModelError {
    /// The bytes do not start with the magic of a model file.
    #[error("this is not a Gristmill model file: it does not start with its magic bytes")]
    Magic,
    /// The frame is of a version this reader does not know.
    #[error("the model file has {what} version {found}, this reader knows up to {known}: use a newer reader")]
    Version {
        /// Frame or message.
        what: &'static str,
        /// As found.
        found: u32,
        /// Newest known.
        known: u32,
    },
    /// The file is shorter or longer than its frame says.
    #[error("the model file has {found} bytes where its frame says {expected}: it was cut or appended to")]
    Length {
        /// Bytes there are.
        found: u64,
        /// Bytes there should be.
        expected: u64,
    },
    /// A limit on files is passed.
    #[error("the model file has {found} bytes, the limit is {limit}")]
    TooLarge {
        /// Bytes there are.
        found: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// The payload does not have the digest the file states.
    #[error("the model file is damaged: its content does not have the digest it states")]
    Digest,
    /// The payload is not a model message.
    #[error("the model file does not hold a model message: {0}")]
    Decode(String),
    /// The message is well formed but means no model.
    #[error("the model is not valid: {at} {reason}")]
    Invalid {
        /// Path of the field.
        at: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Inputs that training never saw missing are not in the table.
    #[error("columns are missing: {}; the model needs them, write null where a value is not known", .0.join(", "))]
    MissingColumns(Vec<String>),
    /// A column's values are of a type that cannot be read as the input's.
    #[error("column `{column}` is {given}, the model needs {expected}")]
    WrongType {
        /// The input.
        column: String,
        /// Its type.
        expected: String,
        /// The type that was given.
        given: String,
    },
    /// One value cannot be read as the input's type.
    #[error("column `{column}`, row {row}: {value} cannot be read as {expected}")]
    BadValue {
        /// The input.
        column: String,
        /// Row number from 0.
        row: usize,
        /// Its type.
        expected: String,
        /// The value, cut.
        value: String,
    },
    /// A row has another number of cells than the signature has inputs.
    #[error("the row has {given} cells, the model has {expected} inputs")]
    CellCount {
        /// Inputs of the model.
        expected: usize,
        /// Cells given.
        given: usize,
    },
    /// Slots handed in do not fit the predictor.
    #[error("the slots do not fit the model: {0}")]
    Slots(String),
    /// The model does not give the predictions that its file says it gives.
    #[error("the model does not reproduce row {row} of the example in its own file")]
    Example {
        /// Row of the example from 0.
        row: usize,
    },
}

impl ModelError {
    /// A field of the message that means no model.
    pub(crate) fn invalid(at: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid { at: at.into(), reason: reason.into() }
    }

    /// The class a caller acts on.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Version { .. } => ErrorCode::FailedPrecondition,
            Self::Length { .. } | Self::Digest => ErrorCode::DataLoss,
            Self::TooLarge { .. } => ErrorCode::ResourceExhausted,
            Self::Example { .. } => ErrorCode::FailedPrecondition,
            Self::Magic
            | Self::Decode(_)
            | Self::Invalid { .. }
            | Self::MissingColumns(_)
            | Self::WrongType { .. }
            | Self::BadValue { .. }
            | Self::CellCount { .. }
            | Self::Slots(_) => ErrorCode::InvalidArgument,
        }
    }
}

impl From<DigestError> for ModelError {
    fn from(error: DigestError) -> Self {
        Self::invalid("baseline", error.to_string())
    }
}
