//! Expected columns, types and domains, and validation against them.

mod anomaly;
mod infer;
mod validate;

use gristmill_types::ColumnType;
use serde::{Deserialize, Serialize};

pub use anomaly::{Anomaly, AnomalyKind, Severity, Validation};
pub use infer::{InferOptions, infer};
pub use validate::validate;

/// What a table is expected to look like. Written as JSON or YAML; unknown keys are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    /// Version of this format: 1.
    #[serde(default = "format_version")]
    pub version: u32,
    /// The columns, in order.
    pub columns: Vec<ColumnSchema>,
    /// How many rows there may be.
    #[serde(default, skip_serializing_if = "Bounds::is_open")]
    pub rows: Bounds,
    /// Whether columns that are not listed are welcome; if not, each is a warning.
    #[serde(default)]
    pub allow_new_columns: bool,
}

/// What one column is expected to look like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnSchema {
    /// Name.
    pub name: String,
    /// Type.
    #[serde(rename = "type")]
    pub column_type: ColumnType,
    /// Whether the column must be there.
    #[serde(default = "yes")]
    pub required: bool,
    /// Least share of rows with a value; 1 means that nulls are errors.
    #[serde(default)]
    pub min_present: f64,
    /// The only values that text may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<Vec<String>>,
    /// Least number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// Greatest number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// Whether NaN is welcome.
    #[serde(default)]
    pub allow_nan: bool,
    /// Whether infinities are welcome.
    #[serde(default)]
    pub allow_infinite: bool,
    /// How many different values there may be.
    #[serde(default, skip_serializing_if = "Bounds::is_open")]
    pub distinct: Bounds,
}

/// A closed range of counts, open where it says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// At least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<u64>,
    /// At most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
}

const fn format_version() -> u32 {
    1
}

const fn yes() -> bool {
    true
}

impl Schema {
    /// The column named `name`.
    pub fn get(&self, name: &str) -> Option<&ColumnSchema> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The same expectations of rows that come without some columns: the target is absent where a model
    /// serves. What is left of them, if they come after all, is checked as before.
    #[must_use]
    pub fn optional(mut self, names: &[impl AsRef<str>]) -> Self {
        for column in &mut self.columns {
            if names.iter().any(|name| name.as_ref() == column.name) {
                column.required = false;
            }
        }
        self
    }

    /// The same expectations of another number of rows.
    #[must_use]
    pub const fn with_rows(mut self, rows: Bounds) -> Self {
        self.rows = rows;
        self
    }
}

impl Bounds {
    /// Whether nothing is bounded.
    pub const fn is_open(&self) -> bool {
        self.min.is_none() && self.max.is_none()
    }
}
