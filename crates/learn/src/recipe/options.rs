//! What a user may say about the columns.

use std::collections::BTreeMap;

use gristmill_types::Columns;
use serde::{Deserialize, Serialize};

use super::columns::names;
use crate::{LearnError, Task};

/// What a user declares; everything else is decided from the rows.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecipeOptions {
    /// The column to predict.
    pub target: String,
    /// The task, if it is not to be detected.
    pub task: Option<Task>,
    /// The positive class of a binary target.
    pub positive: Option<String>,
    /// Columns that name a row.
    pub id_columns: Vec<String>,
    /// If not empty, the only columns to learn from.
    pub include: Vec<String>,
    /// Columns never to learn from.
    pub exclude: Vec<String>,
    /// Treatments by column that win over the decided ones.
    pub overrides: BTreeMap<String, Override>,
    /// The column rows are split by in time.
    pub split_time: Option<String>,
    /// IANA zone in which the calendar parts of a column are read.
    pub zones: BTreeMap<String, String>,
}

/// A treatment that a user may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Override {
    /// Do not use the column.
    Drop,
    /// Use it as a number.
    Number,
    /// Use it as a category.
    Category,
    /// Use it as a category with the target's mean per value.
    TargetEncoding,
    /// Use its calendar parts.
    DateParts,
}

impl RecipeOptions {
    /// Options for `target` with everything else to be decided.
    pub fn for_target(target: impl Into<String>) -> Self {
        Self { target: target.into(), ..Self::default() }
    }

    pub(super) fn check(&self, table: &Columns) -> Result<(), LearnError> {
        let named = self
            .id_columns
            .iter()
            .chain(&self.include)
            .chain(&self.exclude)
            .chain(self.overrides.keys())
            .chain(&self.split_time)
            .chain(self.zones.keys());
        for name in named {
            if table.get(name).is_none() {
                return Err(LearnError::column(name, format!("no such column: the table has {}", names(table))));
            }
        }
        if self.include.contains(&self.target) {
            return Err(LearnError::column(&self.target, "the target cannot be a feature of itself"));
        }
        Ok(())
    }
}
