//! What can be wrong with a table, in the vocabulary of TensorFlow Data Validation.

use serde::{Deserialize, Serialize};

/// How bad an anomaly is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// To be looked at; the table is usable.
    Warning,
    /// The table is not what was agreed.
    Error,
}

/// What is wrong (after `tensorflow_metadata/proto/v0/anomalies.proto`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnomalyKind {
    /// Too few rows.
    RowsTooFew,
    /// Too many rows.
    RowsTooMany,
    /// An expected column is not there.
    ColumnMissing,
    /// A column that is not expected.
    NewColumn,
    /// A column of another type.
    TypeChanged,
    /// A column without any value.
    ColumnEmpty,
    /// Too many rows have no value.
    PresenceTooLow,
    /// Text outside of the domain.
    UnexpectedValues,
    /// Numbers below the domain.
    BelowDomain,
    /// Numbers above the domain.
    AboveDomain,
    /// Values that are not a number.
    NanPresent,
    /// Infinite values.
    InfinitePresent,
    /// Too few different values.
    TooFewDistinct,
    /// Too many different values.
    TooManyDistinct,
}

/// One deviation from a schema.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Anomaly {
    /// What.
    pub kind: AnomalyKind,
    /// How bad.
    pub severity: Severity,
    /// Where; none for the table as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// A few words.
    pub short: String,
    /// What was expected, what was found, and what to do.
    pub long: String,
    /// Rows concerned.
    #[serde(default)]
    pub rows: u64,
    /// Values that show it, most frequent first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<String>,
}

/// The outcome of a validation: every anomaly, in the order of the schema's columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Validation {
    /// Rows checked.
    pub rows: u64,
    /// What was found.
    pub anomalies: Vec<Anomaly>,
}

impl Validation {
    /// The worst severity; none without anomalies.
    pub fn worst(&self) -> Option<Severity> {
        self.anomalies.iter().map(|anomaly| anomaly.severity).max()
    }

    /// Number of anomalies of a severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.anomalies.iter().filter(|anomaly| anomaly.severity == severity).count()
    }
}
