//! What an integration did; stored with the dataset, so it holds nothing that varies between runs.

use gristmill_types::ColumnType;
use serde::{Deserialize, Serialize};

use crate::join::JoinReport;

/// The account of one integration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Rows of the dataset.
    pub rows: u64,
    /// Its columns, in order; reserved ones (`_row_key`, `_unit`) last.
    pub columns: Vec<ColumnReport>,
    /// Names of the columns that are only known after the moment of prediction.
    pub known_after: Vec<String>,
    /// What was read, by name.
    pub sources: Vec<SourceReport>,
    /// Joins in order, SQL that joins among them.
    pub joins: Vec<JoinReport>,
    /// Rows before the population filter.
    pub population_rows: u64,
    /// Rows that the filter excluded.
    pub filtered_rows: u64,
    /// The filter, as it was understood.
    pub filter: Option<String>,
    /// The moment of prediction, as it was understood.
    pub known_at: Option<String>,
    /// Rows whose key repeats that of an earlier row.
    pub repeated_keys: u64,
    /// What a person should look at.
    pub warnings: Vec<String>,
}

/// One column of the dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnReport {
    /// Name.
    pub name: String,
    /// Type.
    #[serde(rename = "type")]
    pub column_type: ColumnType,
    /// Only known after the moment of prediction: may be the target, never a feature.
    pub known_after: bool,
    /// Columns it was made from, as `source.column`.
    pub from: Vec<String>,
}

/// One source as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceReport {
    /// Name.
    pub name: String,
    /// Rows.
    pub rows: u64,
    /// Columns with the types they were read as.
    pub columns: Vec<gristmill_types::Field>,
    /// Columns that were left out because a dataset cannot hold their type, with that type.
    pub left_out: Vec<(String, String)>,
}
